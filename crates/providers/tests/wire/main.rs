//! Exchanges as they go over the wire, recorded or documented: what the client makes of them, whole
//! and cut, that both halves of a dialect mean the same by them, and how the client behaves at
//! sockets.

#![expect(clippy::unwrap_used, reason = "a test says what went wrong by where it panics")]

mod both_halves;
mod client;
mod cuts;
mod exchanges;
mod fixtures;
mod kept;
