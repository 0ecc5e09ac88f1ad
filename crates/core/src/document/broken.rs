//! A document whose form is wrong in places: what is wrong, and what is left, so that its meaning
//! can be checked in the same breath.
//!
//! What is left is never used for anything but finding more problems. It has a gap wherever
//! something could not be read; a problem that is there only because of a gap is not told.

use std::fmt;

use super::problem::{Place, Problem, Problems, Step};

/// What is wrong with the form of a document, and the rest of it.
#[derive(Debug)]
pub struct Broken<T> {
    pub(super) faults: Faults,
    /// None where the syntax is wrong, or nobody would read further problems.
    pub(super) rest: Option<Box<T>>,
}

/// What is wrong with the form, and where that leaves gaps.
#[derive(Debug, Default)]
pub(super) struct Faults {
    pub(super) problems: Problems,
    pub(super) gaps: Vec<Gap>,
}

/// Where the rest of a document has nothing, or a stand-in.
#[derive(Debug)]
pub(super) struct Gap {
    pub(super) place: Place,
    /// Whether something is written that was, or may have been, meant for this place.
    pub(super) is_written: bool,
}

impl<T> Broken<T> {
    /// The same with another form of the rest.
    #[must_use]
    pub fn map<U>(self, into: impl FnOnce(T) -> U) -> Broken<U> {
        Broken { faults: self.faults, rest: self.rest.map(|rest| Box::new(into(*rest))) }
    }

    /// Everything that is wrong: with the form, and what `check` finds wrong with the rest.
    pub(super) fn with<U>(self, check: impl FnOnce(T) -> Result<U, Problems>) -> Problems {
        let Faults { mut problems, gaps } = self.faults;
        if let Some(Err(found)) = self.rest.map(|rest| check(*rest)) {
            problems.extend(found, |problem| !gaps.iter().any(|gap| gap.explains(problem)));
        }
        problems
    }
}

impl Gap {
    /// Whether a problem may be there only because of this gap: it is about the stand-in, or says
    /// that something is absent which may be what could not be read.
    fn explains(&self, problem: &Problem) -> bool {
        let is_here = |place: &Place| place.steps().len() >= self.place.steps().len() && self.begins(place);
        is_here(&problem.place)
            || problem.also.as_ref().is_some_and(|also| is_here(&also.place))
            || self.is_written && problem.absent.iter().any(|(within, key)| self.may_hold(within, key))
    }

    /// Whether this gap may have held a value of this key somewhere within a place.
    fn may_hold(&self, within: &Place, key: &str) -> bool {
        if !self.begins(within) {
            return false;
        }
        let inside = self.place.steps().get(within.steps().len()..).unwrap_or_default();
        let last = inside.iter().rev().find_map(Step::as_key);
        last.is_none_or(|last| last == key)
    }

    /// Whether the shorter of both places is the beginning of the longer.
    fn begins(&self, place: &Place) -> bool {
        self.place.steps().iter().zip(place.steps()).all(|(one, other)| {
            match (one.as_key(), other.as_key()) {
                (Some(one), Some(other)) => one == other,
                _ => one == other,
            }
        })
    }
}

/// What is wrong with the form alone.
impl<T> From<Broken<T>> for Problems {
    fn from(broken: Broken<T>) -> Problems {
        broken.faults.problems
    }
}

impl<T> fmt::Display for Broken<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.faults.problems.fmt(f)
    }
}

impl<T: fmt::Debug> std::error::Error for Broken<T> {}
