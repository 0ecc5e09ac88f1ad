//! Keeps runs going: the driver loop, the executor, the journal. Knows neither HTTP nor prices.

pub mod executor;
pub mod store;
