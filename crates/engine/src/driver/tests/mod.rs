//! Runs of small plans with a scripted world: what they start, remember and show, in one order.

mod controls;
mod cuts;
mod endings;
mod format;
mod meetings;
mod order;
mod world;
