//! The server's half: what models take that others do not, told by their names. From Anthropic's guides
//! of migration, its documentation of thinking, effort and data residency, and what users of the models
//! have shown. Of a name that tells no generation nothing is known, and nothing is refused.

/// How much effort may be asked for.
pub(super) const EFFORTS: [&str; 5] = ["low", "medium", "high", "xhigh", "max"];

/// A model, as far as its name tells.
#[derive(Clone, Copy, Debug)]
pub(super) struct Model<'a> {
    /// Its family, and its generation: `sonnet` of 4.6.
    known: Option<(&'a str, Generation)>,
}

/// 4.6 as `(4, 6)`.
type Generation = (u32, u32);

/// The first generation that takes no prefill, whose sampling cannot be told, and that takes no budget of
/// thinking.
const WITHOUT_PREFILL: Generation = (4, 6);
const WITHOUT_SAMPLING: Generation = (4, 7);
const WITHOUT_BUDGET: Generation = (4, 7);

/// The first generation that keeps what it thinks to itself unless asked.
const UNSHOWN: Generation = (4, 7);

/// The first generation that takes no temperature beside a `top_p`.
const ONE_OF_SAMPLING: Generation = (4, 1);

/// The first generation that decides by itself how much to think, and that runs where it is told to.
const ADAPTIVE: Generation = (4, 6);
const PLACED: Generation = (4, 6);

/// The first generation whose effort can be told; of `opus` it was one before.
const WITH_EFFORT: Generation = (4, 6);
const OPUS_WITH_EFFORT: Generation = (4, 5);

/// The first generations that make the effort of `max`, and of `xhigh`.
const WITH_MAX: Generation = (4, 6);
const WITH_XHIGH: Generation = (4, 7);

/// The first generation of `opus` and `sonnet` that always thinks and cannot be made to call a tool, and
/// of `fable` and `mythos` that cannot be made to; these have always thought.
const ALWAYS_THINKING: Generation = (5, 5);
const UNFORCED: Generation = (5, 1);

/// The one generation of `opus` that can be told not to think, but not for the highest efforts.
const OPUS_NEEDS_THOUGHT: Generation = (5, 0);

impl<'a> Model<'a> {
    pub(super) fn named(name: &'a str) -> Self {
        Model { known: known(name) }
    }

    /// Whether the last turn may be the assistant's, for it to go on from.
    pub(super) fn takes_prefill(self) -> bool {
        self.is_before(WITHOUT_PREFILL)
    }

    /// Whether it may be told how to sample.
    pub(super) fn takes_sampling(self) -> bool {
        self.is_before(WITHOUT_SAMPLING)
    }

    /// Whether it may be told a temperature and a `top_p` at once.
    pub(super) fn takes_both_of_sampling(self) -> bool {
        self.is_before(ONE_OF_SAMPLING) || !self.takes_sampling()
    }

    /// Whether it may be told what to spend on thinking.
    pub(super) fn takes_budget(self) -> bool {
        self.is_before(WITHOUT_BUDGET)
    }

    /// Whether it may be told to think as it sees fit.
    pub(super) fn takes_adaptive(self) -> bool {
        self.is_since(ADAPTIVE)
    }

    /// Whether it may be told not to think.
    pub(super) fn takes_disabled(self) -> bool {
        self.known.is_none_or(|(family, generation)| match family {
            "fable" | "mythos" => false,
            "opus" | "sonnet" => generation < ALWAYS_THINKING,
            _ => true,
        })
    }

    /// Whether it may be told to think between calls of tools only.
    pub(super) fn takes_between_tools(self) -> bool {
        self.known.is_none_or(|(family, generation)| family == "sonnet" && generation >= ALWAYS_THINKING)
    }

    /// How much effort it may be told to make; nothing where it cannot be told.
    pub(super) fn efforts(self) -> &'static [&'static str] {
        let is_early = |(family, generation)| family == "opus" && generation >= OPUS_WITH_EFFORT;
        if !self.is_since(WITH_EFFORT) && !self.known.is_some_and(is_early) {
            &[]
        } else if !self.is_since(WITH_MAX) {
            &["low", "medium", "high"]
        } else if !self.is_since(WITH_XHIGH) {
            &["low", "medium", "high", "max"]
        } else {
            &EFFORTS
        }
    }

    /// Whether it makes the highest efforts only where it may think before it answers.
    pub(super) fn needs_thought_for_effort(self) -> bool {
        self.known.is_some_and(|(family, generation)| match family {
            "opus" => generation == OPUS_NEEDS_THOUGHT,
            "haiku" | "sonnet" => generation >= ALWAYS_THINKING,
            _ => false,
        })
    }

    /// Whether it shows what it thinks unless told otherwise.
    pub(super) fn shows_thoughts(self) -> bool {
        self.is_before(UNSHOWN)
    }

    /// Whether it may be told where to run.
    pub(super) fn takes_place(self) -> bool {
        self.is_since(PLACED)
    }

    /// Whether it may be told to call a tool.
    pub(super) fn takes_forced_tools(self) -> bool {
        self.known.is_none_or(|(family, generation)| match family {
            "fable" | "mythos" => generation < UNFORCED,
            "opus" | "sonnet" => generation < ALWAYS_THINKING,
            _ => true,
        })
    }

    fn is_before(self, first: Generation) -> bool {
        self.known.is_none_or(|(_, generation)| generation < first)
    }

    fn is_since(self, first: Generation) -> bool {
        self.known.is_none_or(|(_, generation)| generation >= first)
    }
}

/// The family and the generation that a name tells: 4.6 of `claude-sonnet-4-6`, 5.0 of `claude-opus-5`,
/// 3.5 of `claude-3-5-haiku-20241022`, for older names have the family last.
fn known(name: &str) -> Option<(&str, Generation)> {
    let (numbers, words): (Vec<&str>, Vec<&str>) =
        name.strip_prefix("claude-")?.split('-').partition(|part| part.bytes().all(|b| b.is_ascii_digit()));
    // What has more digits is a date.
    let mut numbers = numbers.into_iter().filter(|number| number.len() < 3).map(str::parse);
    let major = numbers.next()?.ok()?;
    let minor = numbers.next().and_then(Result::ok).unwrap_or(0);
    Some((words.first()?, (major, minor)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_s_name_tells_its_generation() {
        for (model, expected) in [
            ("claude-sonnet-4-6", Some(("sonnet", (4, 6)))),
            ("claude-sonnet-4-5-20250929", Some(("sonnet", (4, 5)))),
            ("claude-opus-4-20250514", Some(("opus", (4, 0)))),
            ("claude-opus-5", Some(("opus", (5, 0)))),
            ("claude-fable-5-1", Some(("fable", (5, 1)))),
            ("claude-3-5-haiku-20241022", Some(("haiku", (3, 5)))),
            ("claude-3-opus-20240229", Some(("opus", (3, 0)))),
            ("claude-next", None),
            ("claude-2.1", None),
            ("smollm2-135m", None),
        ] {
            assert_eq!(known(model), expected, "{model}");
        }
    }
}
