//! The formats that a run's report can have.
//!
//! Adding a format: a file beside this one with a type that implements [`Format`], and a line in
//! [`ALL`]. Whoever offers formats to a user takes their names from the list.
//!
//! Common pitfall: a report is read by more people than may see the prompts and answers. A format
//! gets the fold, which has neither.

use crate::fold::Report;
use crate::{json, markdown};

/// Results in, bytes out.
pub trait Format: Sync {
    /// What the user calls it: `markdown`.
    fn name(&self) -> &'static str;

    /// What its file in a run's directory is called: `report.md`.
    fn file(&self) -> &'static str;

    /// The report.
    fn render(&self, report: &Report) -> Vec<u8>;
}

/// All formats.
pub const ALL: &[&dyn Format] = &[&json::Json, &markdown::Markdown];

/// The format of this name.
pub fn by_name(name: &str) -> Option<&'static dyn Format> {
    ALL.iter().copied().find(|format| format.name() == name)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::testing;

    #[test]
    fn names_and_files_are_unique_and_every_format_says_something_of_every_run() {
        let unique =
            |of: fn(&dyn Format) -> &'static str| ALL.iter().map(|f| of(*f)).collect::<HashSet<_>>().len();
        assert_eq!((unique(|f| f.name()), unique(|f| f.file())), (ALL.len(), ALL.len()));
        for format in ALL {
            for story in testing::all() {
                let fold = story.fold();
                let bytes = format.render(&fold.report(fold.last_time()));
                let text = String::from_utf8(bytes).unwrap();
                assert!(text.contains(&fold.run().run_id) && text.ends_with('\n'), "{}", format.name());
            }
            assert_eq!(by_name(format.name()).unwrap().file(), format.file());
        }
        assert!(by_name("pdf").is_none());
    }
}
