//! What the simulator does wrong when told to: the entries of `fail=` in a prompt's directive and
//! of `faults` in a scenario, which share one written form.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What happens to one try of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing: this try is answered. Written `ok`.
    None,
    /// An error reply with this HTTP status, 300 to 599: `529`; a redirect points to
    /// nowhere and has no body. Nothing is billed.
    Status(u16),
    /// An error reply that says it for a given reason: `429:quota` is the provider's own way to
    /// say that the money is gone; any other word replaces the error's code
    /// (`503:server_is_overloaded`). Nothing is billed.
    Coded(u16, String),
    /// The connection is accepted and closed without a byte: `close`. Nothing is billed.
    Close,
    /// The connection is reset before an answer: `reset`. Nothing is billed.
    Reset,
    /// Nothing ever comes: `stall-first`. Nothing is billed.
    StallFirst,
    /// The answer is generated and billed, then the connection is reset before a byte of it:
    /// `lost`.
    Lost,
    /// The connection closes in the middle of the answer: `cut`. Billed up to there.
    Cut,
    /// The body ends as its framing says, but before the answer's terminator: `truncated` (official
    /// SDKs take such a stream for a whole one). Billed up to there.
    Truncated,
    /// Some of the answer, then nothing: `stall`. Billed up to there.
    Stall,
    /// Some of the answer, then an error event: `midstream`. Billed up to there. A reply that is
    /// not streamed is [`Fault::Error200`].
    Midstream,
    /// A reply that is not the protocol's JSON: an event that breaks off, or a proxy's page where the
    /// answer is not streamed. `malformed`. Billed as far as it was generated.
    Malformed,
    /// Status 200 with an error object: `error200`. Nothing is billed.
    Error200,
    /// A whole answer that does not say what it used: `no-usage`. Billed.
    NoUsage,
}

/// The faults that are written as one word.
const WORDS: [(&str, Fault); 12] = [
    ("ok", Fault::None),
    ("close", Fault::Close),
    ("reset", Fault::Reset),
    ("stall-first", Fault::StallFirst),
    ("lost", Fault::Lost),
    ("cut", Fault::Cut),
    ("truncated", Fault::Truncated),
    ("stall", Fault::Stall),
    ("midstream", Fault::Midstream),
    ("malformed", Fault::Malformed),
    ("error200", Fault::Error200),
    ("no-usage", Fault::NoUsage),
];

impl Fault {
    /// Whether the model begins to generate, so that something is billed.
    pub const fn generates(&self) -> bool {
        match self {
            Fault::None
            | Fault::Lost
            | Fault::Cut
            | Fault::Truncated
            | Fault::Stall
            | Fault::Midstream
            | Fault::Malformed
            | Fault::NoUsage => true,
            Fault::Status(_)
            | Fault::Coded(..)
            | Fault::Close
            | Fault::Reset
            | Fault::StallFirst
            | Fault::Error200 => false,
        }
    }
}

/// The text is no fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown fault `{0}`: a status from 300 to 599, STATUS:quota, STATUS:CODE, or one of {known}", known = words())]
pub struct UnknownFault(pub String);

fn words() -> String {
    WORDS.map(|(word, _)| word).join(", ")
}

impl FromStr for Fault {
    type Err = UnknownFault;

    fn from_str(text: &str) -> Result<Self, UnknownFault> {
        if let Some((_, fault)) = WORDS.iter().find(|(word, _)| *word == text) {
            return Ok(fault.clone());
        }
        let (status, code) = match text.split_once(':') {
            Some((status, code)) => (status, Some(code)),
            None => (text, None),
        };
        match (status.parse::<u16>(), code) {
            (Ok(status @ 300..=599), None) => Ok(Fault::Status(status)),
            (Ok(status @ 300..=599), Some(code)) if !code.is_empty() => {
                Ok(Fault::Coded(status, code.to_owned()))
            }
            _ => Err(UnknownFault(text.to_owned())),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Status(status) => write!(f, "{status}"),
            Fault::Coded(status, code) => write!(f, "{status}:{code}"),
            word => {
                let written =
                    WORDS.iter().find(|(_, fault)| fault == word).map_or("", |(written, _)| written);
                f.write_str(written)
            }
        }
    }
}

impl Serialize for Fault {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

/// Reads the written form; a status may be a bare number.
impl<'de> Deserialize<'de> for Fault {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_read_back_as_it_is_written() {
        let coded = [Fault::Status(529), Fault::Coded(429, "quota".to_owned())];
        for fault in WORDS.iter().map(|(_, fault)| fault).chain(&coded) {
            assert_eq!(fault.to_string().parse().as_ref(), Ok(fault));
        }
    }

    #[test]
    fn what_is_no_fault_is_named_in_the_error() {
        for text in ["", "200", "600", "cutt", "429:", "-1", "99999", "OK"] {
            let error = text.parse::<Fault>().unwrap_err();
            assert!(error.to_string().starts_with(&format!("unknown fault `{text}`")), "{error}");
        }
    }
}
