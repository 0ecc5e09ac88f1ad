//! Trials: staged tests of agents, limits and a budget against an API, and a verdict (SPEC.md P, S, B, K).
//!
//! A trial consists of parts, which are ordinary runs of one journal: what they remember is all that a trial
//! knows, and a report folds it. A front end asks for a [`Design`], shows what it will do, has each [`Part`] conducted,
//! and has the [`Material`] assembled.
//!
//! | file | for |
//! | --- | --- |
//! | `design` | which tests and phases there are, and what each consists of |
//! | `tasks` | the tasks that are generated, as the founding document has them |
//! | `part` | the runs that a trial consists of |
//! | `conduct` | one part: created, driven, folded |
//! | `checklist` | what is looked at before (SPEC.md L1) |
//! | `limits` | what its accounts allow, against what it asks |
//! | `needs` | what it needs, whatever it may spend |
//! | `assemble` | from what the parts came to, to the trial's document |
//! | `allowed` | what providers are known to allow |
//! | `shelf` | its files |
//! | `compare` | the simulator beside the real API, and fitted to it (SPEC.md M) |
//! | `faults`, `proxies` | what is made to go wrong: by prompts, by whoever stands between (SPEC.md S4) |
//! | `speedup` | how sure a measured speedup is |
//! | `suggest` | what would make it better, by the forecast |

pub(crate) mod allowed;
pub mod assemble;
pub mod checklist;
pub mod compare;
pub mod conduct;
pub mod design;
mod faults;
mod limits;
pub mod needs;
pub mod part;
pub mod proxies;
mod shelf;
pub mod speedup;
pub mod suggest;
mod tasks;
#[cfg(test)]
mod tests;

pub use allowed::gates as allowed_gates;
pub use assemble::Material;
pub use conduct::{Conducted, Conductor};
pub use design::{Design, Phase, Request, TestType};
pub use needs::{Needs, Purse, Shortfall};
pub use part::{Part, Role, Width};
pub use proxies::Proxies;
pub use shelf::{earlier, write};
