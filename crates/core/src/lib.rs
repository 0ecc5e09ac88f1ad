//! The decisions of `sortie`, without any effect: plans, runs, limits, budget, prices.
//!
//! Nothing here touches time, network, disk or environment, and nothing knows a provider's wire:
//! time comes in as an argument, texts stay outside, and what has to happen goes out as values.

pub mod agent;
pub mod call;
pub mod ceiling;
pub mod chance;
pub mod document;
pub mod failure;
pub mod forecast;
pub mod hash;
pub mod limit;
pub mod misfit;
pub mod money;
pub mod plan;
pub mod prediction;
pub mod price;
pub mod run;
pub mod serving;
#[cfg(test)]
mod testing;
pub mod time;
pub mod unpriced;
pub mod usage;
