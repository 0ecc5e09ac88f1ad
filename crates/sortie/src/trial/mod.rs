//! Trials: staged tests of agents, limits and budget against an API.
//!
//! | file | for |
//! | --- | --- |
//! | `speedup` | how sure a measured speedup is |
//! | `suggest` | which other setting would bring what, by the forecast |

pub mod speedup;
pub mod suggest;
