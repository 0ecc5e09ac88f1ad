//! A run: one execution of a plan, as a pure state machine.

pub mod event;
pub mod input;
