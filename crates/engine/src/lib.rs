//! Keeps runs going: the driver loop, the executors, the journal. Knows neither HTTP nor prices.
//!
//! * [`driver`] is the loop: hear, decide, remember, act. It alone speaks to the others.
//! * [`store`] is the durable boundary: a trait, its SQLite and its memory.
//! * [`sharing`] is where runs that use the same accounts meet.
//! * [`executor`] is who performs calls and whose clock counts: real tasks, or a virtual clock.
//!
//! What happens next is decided in [`sortie_core::run`], never here.

pub mod driver;
pub mod executor;
pub mod private;
pub mod sharing;
pub mod store;
