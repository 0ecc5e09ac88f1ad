//! The program from end to end: started as a user starts it, against the simulator in its own
//! process or on the virtual clock, and judged by what it prints, leaves behind and sends.
//!
//! One binary for all that shares the machine well; the kill loop has its own (`kill.rs`).

#![expect(clippy::unwrap_used, reason = "a test says what went wrong by where it panics")]

#[path = "../support/mod.rs"]
mod support;

mod cache;
mod check;
mod control;
mod errors;
mod failures;
mod fallback;
mod forecast;
mod limits;
mod looks;
mod money;
mod plans;
mod prices;
mod receipts;
mod recording;
mod recovery;
mod results;
mod resume;
mod secrets;
mod stops;
mod tokens;
mod trial;
