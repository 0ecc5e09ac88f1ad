//! How each model API is spoken: `dialect` is pure bytes ↔ types, `exchange` follows one attempt
//! and its timeouts, `http` owns the only client sockets, `keys` says where keys come from, `tokens`
//! counts what can be counted here.
//!
//! Nothing here knows plans, runs or journals, and nothing decides on a retry.

pub mod dialect;
pub mod exchange;
pub mod http;
pub mod keys;
pub mod models;
pub mod tokens;
