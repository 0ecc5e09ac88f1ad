//! How each model API is spoken: `dialect` is pure bytes ↔ types, `exchange` follows one answer
//! and its timeouts, `http` owns the only client sockets, `keys` says where keys come from.
//!
//! Nothing here knows plans, runs or journals.

pub mod dialect;
