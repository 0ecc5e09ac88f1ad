//! Prices, and what usage comes to.

use serde::{Deserialize, Serialize};

use crate::money::Usd;

/// What one token of each kind costs, in picodollars.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Price {
    /// Plain input.
    pub input: Usd,
    /// Output.
    pub output: Usd,
    /// Input read from a cache.
    pub cache_read: Usd,
    /// Input written to a five-minute cache.
    pub cache_write: Usd,
    /// Input written to a one-hour cache.
    pub cache_write_1h: Usd,
    /// Other rates for the whole request once its input is longer than a threshold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub long: Option<Box<Long>>,
}

/// The rates of long requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Long {
    /// Input tokens above which they apply.
    pub above_input_tokens: u64,
    /// The rates; `long` of it is empty.
    pub price: Price,
}
