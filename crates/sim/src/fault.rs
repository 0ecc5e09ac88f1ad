//! What the simulator does wrong when told to: the entries of `fail=` in a prompt's directive and
//! of `faults` in a scenario, which share one written form.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Bytes a second of a `drip` that does not say how many.
const SLOWEST_DRIP: u32 = 1;

/// Seconds of a `delay` that does not say how many: beyond the ten minutes that the official SDKs
/// wait by default.
const LONG_DELAY: u32 = 700;

/// Seconds of a `pause` that does not say how many: some servers let so much pass between two keep-alives.
const LONG_PAUSE: u32 = 30;

/// The longest delay and the longest pause: a day.
const MAX_DELAY: u32 = 86_400;

/// What happens to one try of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing: this try is answered. Written `ok`.
    None,
    /// An error reply with this HTTP status, 300 to 599: `529`; a redirect points to
    /// nowhere and has no body. Nothing is billed.
    Status(u16),
    /// An error reply that says it for a given reason, the rows of `errors.rs`: `429:quota` is the
    /// provider's own way to say that the money is gone. Any other word replaces the error's code
    /// (`503:cmek_key_unreachable`). `STATUS:html` is a proxy's page with that status, and
    /// `307:http://127.0.0.1:9/` points there. Nothing is billed.
    Coded(u16, String),
    /// The provider's usual way to say that the credit is spent: `no-credit`. Nothing is billed.
    NoCredit,
    /// The connection is accepted and closed without a byte: `close`. Nothing is billed.
    Close,
    /// The connection is reset before an answer: `reset`. Nothing is billed.
    Reset,
    /// Nothing ever comes: `stall-first`. Nothing is billed.
    StallFirst,
    /// Status and headers, then nothing: `stall-head`. Billed as far as it was generated.
    StallHead,
    /// The answer comes this many seconds later, 1 to 86400, its status too: `delay:30`; without a
    /// number, 700. Billed.
    Delay(u32),
    /// The answer is generated and billed, then the connection is reset before a byte of it:
    /// `lost`.
    Lost,
    /// The connection closes in the middle of the answer: `cut`. Billed up to there.
    Cut,
    /// The connection is reset in the middle of the answer: `reset-mid`. Billed up to there.
    ResetMid,
    /// The body ends as its framing says, but before the answer's terminator: `truncated` (official
    /// SDKs take such a stream for a whole one). Billed up to there.
    Truncated,
    /// Some of the answer, then nothing: `stall`. Billed up to there.
    Stall,
    /// Half of the answer, then nothing for so many seconds, 1 to 86400, then the rest: `pause:10`; without a
    /// number, 30. Billed as if it had not stood still.
    Pause(u32),
    /// The answer's bytes come so many a second, at least 1: `drip:200`; without a number, 1.
    /// Billed.
    Drip(u32),
    /// Some of the answer, then an error event: `midstream` after half of it, `midstream:20` after so
    /// many tokens (to the piece that holds the last of them). Billed up to there. A reply that is not
    /// streamed is [`Fault::Error200`].
    Midstream(Option<u32>),
    /// A reply that is not the protocol's JSON: an event that breaks off, or a proxy's page where the
    /// answer is not streamed. `malformed`. Billed as far as it was generated.
    Malformed,
    /// Status 200 with an error object: `error200`. Nothing is billed.
    Error200,
    /// Status 200 and no body: `empty200`. Nothing is billed.
    Empty200,
    /// A whole answer, compressed: `gzip`, whatever the client says that it accepts. Billed.
    Gzip,
    /// Status 200 with 100 MiB of zeros, which gzip makes 100 kB: `gzip-bomb`. Nothing is billed.
    GzipBomb,
    /// A whole answer that does not say what it used: `no-usage`. Billed.
    NoUsage,
    /// A whole answer whose last word on usage is half of the truth, and so less than its first
    /// where the stream began with one: `wrong-usage`. Billed.
    WrongUsage,
    /// A whole answer without an id: `no-id`. Billed.
    NoId,
    /// A whole answer that names a model which nobody asked for: `wrong-model`. Billed.
    WrongModel,
    /// A whole answer four times as long as the request's `max_tokens` allows: `overlong`. Billed.
    Overlong,
    /// A whole answer that stops for a reason that no documentation knows: `unknown-stop`. Billed.
    UnknownStop,
    /// A stream that says its usage and its reason to stop twice: `duplicate-delta`. Billed.
    DuplicateDelta,
    /// A stream with a thousand keep-alives between its words: `ping-flood`. Billed.
    PingFlood,
}

/// The faults that are written as one word.
const WORDS: [(&str, Fault); 28] = [
    ("ok", Fault::None),
    ("no-credit", Fault::NoCredit),
    ("close", Fault::Close),
    ("reset", Fault::Reset),
    ("stall-first", Fault::StallFirst),
    ("stall-head", Fault::StallHead),
    ("delay", Fault::Delay(LONG_DELAY)),
    ("lost", Fault::Lost),
    ("cut", Fault::Cut),
    ("reset-mid", Fault::ResetMid),
    ("truncated", Fault::Truncated),
    ("stall", Fault::Stall),
    ("pause", Fault::Pause(LONG_PAUSE)),
    ("drip", Fault::Drip(SLOWEST_DRIP)),
    ("midstream", Fault::Midstream(None)),
    ("malformed", Fault::Malformed),
    ("error200", Fault::Error200),
    ("empty200", Fault::Empty200),
    ("gzip", Fault::Gzip),
    ("gzip-bomb", Fault::GzipBomb),
    ("no-usage", Fault::NoUsage),
    ("wrong-usage", Fault::WrongUsage),
    ("no-id", Fault::NoId),
    ("wrong-model", Fault::WrongModel),
    ("overlong", Fault::Overlong),
    ("unknown-stop", Fault::UnknownStop),
    ("duplicate-delta", Fault::DuplicateDelta),
    ("ping-flood", Fault::PingFlood),
];

impl Fault {
    /// Whether the model begins to generate, so that something is billed.
    pub const fn generates(&self) -> bool {
        match self {
            Fault::Lost
            | Fault::Cut
            | Fault::ResetMid
            | Fault::Truncated
            | Fault::Stall
            | Fault::StallHead
            | Fault::Midstream(_)
            | Fault::Malformed => true,
            _ => self.is_whole(),
        }
    }

    /// Whether all of an answer comes, be it late or wrong in what it says beside its text.
    pub const fn is_whole(&self) -> bool {
        matches!(
            self,
            Fault::None
                | Fault::Delay(_)
                | Fault::Pause(_)
                | Fault::Drip(_)
                | Fault::Gzip
                | Fault::NoUsage
                | Fault::WrongUsage
                | Fault::NoId
                | Fault::WrongModel
                | Fault::Overlong
                | Fault::UnknownStop
                | Fault::DuplicateDelta
                | Fault::PingFlood
        )
    }
}

/// The text is no fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown fault `{0}`: a status from 300 to 599, STATUS:CODE, drip:BYTES, delay:SECONDS, pause:SECONDS, midstream:TOKENS, or one of {known}", known = words())]
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
        let (word, more) = match text.split_once(':') {
            Some((word, more)) => (word, Some(more)),
            None => (text, None),
        };
        let number = more.and_then(|more| more.parse::<u32>().ok());
        match (word, number, word.parse::<u16>(), more) {
            ("drip", Some(rate @ 1..), ..) => Ok(Fault::Drip(rate)),
            ("midstream", Some(tokens), ..) => Ok(Fault::Midstream(Some(tokens))),
            ("delay", Some(seconds @ 1..=MAX_DELAY), ..) => Ok(Fault::Delay(seconds)),
            ("pause", Some(seconds @ 1..=MAX_DELAY), ..) => Ok(Fault::Pause(seconds)),
            (_, _, Ok(status @ 300..=599), None) => Ok(Fault::Status(status)),
            (_, _, Ok(status @ 300..=599), Some(code)) if !code.is_empty() => {
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
            Fault::Drip(rate) => write!(f, "drip:{rate}"),
            Fault::Delay(seconds) => write!(f, "delay:{seconds}"),
            Fault::Pause(seconds) => write!(f, "pause:{seconds}"),
            Fault::Midstream(Some(tokens)) => write!(f, "midstream:{tokens}"),
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
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Status(u64),
            Text(String),
        }
        let text = match Written::deserialize(from)? {
            Written::Status(status) => status.to_string(),
            Written::Text(text) => text,
        };
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_read_back_as_it_is_written() {
        let coded = [
            Fault::Status(529),
            Fault::Coded(429, "quota".to_owned()),
            Fault::Coded(307, "http://127.0.0.1:9/".to_owned()),
            Fault::Drip(200),
            Fault::Delay(1),
            Fault::Pause(2),
            Fault::Midstream(Some(20)),
        ];
        for fault in WORDS.iter().map(|(_, fault)| fault).chain(&coded) {
            assert_eq!(fault.to_string().parse().as_ref(), Ok(fault));
        }
    }

    #[test]
    fn what_is_no_fault_is_named_in_the_error() {
        for text in [
            "",
            "200",
            "600",
            "cutt",
            "429:",
            "-1",
            "99999",
            "OK",
            "drip:0",
            "drip:",
            "drip:x",
            "delay:0",
            "delay:86401",
            "pause:0",
            "pause:86401",
            "cut:3",
            "midstream:x",
            "midstream:",
        ] {
            let error = text.parse::<Fault>().unwrap_err();
            assert!(error.to_string().starts_with(&format!("unknown fault `{text}`")), "{error}");
        }
    }
}
