//! What a run came to: folds over its events, and the texts that people and programs read of them.
//!
//! Results in, bytes out: nothing here writes a file, owns a clock or reaches into the engine.
//! [`Fold`] takes a run's records one by one, live or from a journal, and everything else is made
//! of it: [`Summary`], the [formats](mod@format) of reports, result lines, logs, the terminal's texts.
//!
//! Prompts and answers are no part of a report: only [`results`] and [`show::task`] take texts, and
//! their caller hands them in. Text from outside (task ids, model names, error messages) is data
//! until the moment it is shown: whatever goes to a terminal or a log passes
//! [`terminal::sanitize`], whatever goes into Markdown is escaped as well.

mod amounts;
pub mod at_risk;
mod bound;
pub mod calls;
pub mod controls;
pub mod costs;
pub mod fold;
pub mod forecast;
pub mod format;
mod grade;
mod json;
pub mod learned;
pub mod log;
mod markdown;
pub mod prices;
pub mod reconcile;
pub mod results;
pub mod show;
pub mod stopped;
pub mod summary;
mod table;
pub mod terminal;
#[cfg(test)]
mod testing;
pub mod trial;
pub mod units;
pub mod waits;

pub use costs::{Costs, Grouping, Span};
pub use fold::{Fold, Report, RunView};
pub use format::Format;
pub use grade::Grade;
pub use summary::Summary;
pub use trial::Trial;
