//! The simulator against the real API, side by side (SPEC.md M).

use serde::{Deserialize, Serialize};

/// The same tasks on both.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// What the simulator played: `seed`, or `fitted` to the real run.
    pub scenario: String,
    /// The rows of SPEC.md M1 to M5, and the speedup.
    pub rows: Vec<Compared>,
    /// At each width that was measured: the real server against the fitted simulator; empty where nothing was fitted.
    pub fitted: Vec<Fitted>,
    /// Where the fitted scenario was written.
    pub scenario_file: Option<String>,
}

/// One dimension.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Compared {
    /// Which: `response time, p50`.
    pub dimension: String,
    /// On the simulator; null where it does not apply.
    pub simulated: Option<f64>,
    /// On the real API.
    pub real: Option<f64>,
    /// In what: `s`, `calls`, `USD`, `x`, `%`.
    pub unit: String,
}

/// The real server and the simulator that was fitted to it, at one width.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fitted {
    /// Calls in flight at most.
    pub max_concurrent: u32,
    /// The median of the answers, in seconds: real and fitted.
    pub p50_latency: (f64, f64),
    /// What 95 % of the answers did not exceed, in seconds: real and fitted.
    pub p95_latency: (f64, f64),
    /// Successful tasks a second: real and fitted.
    pub throughput: (f64, f64),
}
