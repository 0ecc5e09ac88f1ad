//! What a proxy did, so that the books of a run can be held against it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use sortie_core::hash::Hash;

use crate::fault::Fault;

/// What was counted since a proxy's start.
///
/// `asked` is `whole`, `cut`, `hung_up`, `broken` and what is under way together. Only what was asked can have been
/// paid; what of that is not `whole` may have been paid for nothing, and a client's books have to know of each.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// Requests of every kind.
    pub requests: u64,
    /// Those that ask for an answer: for them faults are drawn.
    pub calls: u64,
    /// Calls by the fault that was done to them, as [`Fault`] is written; a fault that was drawn for an answer that
    /// never came is none.
    pub faults: BTreeMap<String, u64>,
    /// Calls that were passed on to the upstream.
    pub asked: u64,
    /// Of these, by the status that the upstream answered with.
    pub by_status: BTreeMap<u16, u64>,
    /// Of these, those whose reply was handed on to its end, an error's too.
    pub whole: u64,
    /// Of these, those whose answer was kept from the client by a fault, all of it or the rest.
    pub cut: u64,
    /// Of these, those whose client hung up before the end of a reply.
    pub hung_up: u64,
    /// Of these, those to which the upstream did not reply, or not to the end.
    pub broken: u64,
}

impl Counts {
    /// Calls that were passed on and whose reply has not ended yet.
    pub fn under_way(&self) -> u64 {
        self.asked - self.whole - self.cut - self.hung_up - self.broken
    }

    /// Calls of which the upstream never heard.
    pub fn unasked(&self) -> u64 {
        self.calls - self.asked
    }
}

/// How the reply to a call that was passed on ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Whole,
    Cut,
    HungUp,
    Broken,
}

/// The counts, and how often each call has been made.
#[derive(Clone, Debug, Default)]
pub(super) struct Book(Arc<Mutex<Pages>>);

#[derive(Debug, Default)]
struct Pages {
    counts: Counts,
    tries: HashMap<Hash, u32>,
}

impl Book {
    fn write<T>(&self, entry: impl FnOnce(&mut Pages) -> T) -> T {
        // Nothing panics while it is held.
        entry(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn counts(&self) -> Counts {
        self.write(|pages| pages.counts.clone())
    }

    /// A request came.
    pub(super) fn came(&self) {
        self.write(|pages| pages.counts.requests += 1);
    }

    /// It is a call with this content; gives which try of it, from 1.
    pub(super) fn called(&self, content: Hash) -> u32 {
        self.write(|pages| {
            pages.counts.calls += 1;
            *pages.tries.entry(content).and_modify(|tries| *tries += 1).or_insert(1)
        })
    }

    /// A fault was done to a call.
    pub(super) fn done(&self, fault: &Fault) {
        self.write(|pages| *pages.counts.faults.entry(fault.to_string()).or_default() += 1);
    }

    /// A call is passed on.
    pub(super) fn ask(&self) -> Asked {
        self.write(|pages| pages.counts.asked += 1);
        Asked { book: self.clone(), ending: Ending::HungUp }
    }
}

/// A call that was passed on. Whatever ends its reply drops this, and it is counted.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) book: Book,
    pub(super) ending: Ending,
}

impl Asked {
    /// The upstream replies with this status.
    pub(super) fn heard(&self, status: u16) {
        self.book.write(|pages| *pages.counts.by_status.entry(status).or_default() += 1);
    }

    /// A fault keeps the rest of the answer from the client.
    pub(super) fn cut(&mut self, fault: &Fault) {
        self.book.done(fault);
        self.ending = Ending::Cut;
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.book.write(|Pages { counts, .. }| match self.ending {
            Ending::Whole => counts.whole += 1,
            Ending::Cut => counts.cut += 1,
            Ending::HungUp => counts.hung_up += 1,
            Ending::Broken => counts.broken += 1,
        });
    }
}
