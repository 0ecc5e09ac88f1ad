//! What no price list says: slips of a digit or a column in a table or a configuration, refused
//! before money is counted by them.
//!
//! The rules are wide: every price that was ever asked keeps them, and a slip of a factor of a
//! hundred does not. Signs and numbers that are none are refused where texts become [`Usd`].

use std::fmt;

use super::{Price, Rates};
use crate::money::Usd;
use crate::usage::Tier;

/// How many times the usual rate a faster tier may cost. The dearest that is sold costs six times
/// (OpenAI's `ultrafast`); a public table once had fifty.
const FASTER_AT_MOST: u64 = 20;
/// How many times the output an input token may cost. All models sell output dearer than input.
const INPUT_AT_MOST: u64 = 10;

/// An absurd rate: where it stands and what it breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{}: {rule}", .tier.name(), if *.long { ", long requests" } else { "" })]
pub struct Absurd {
    /// In which tier.
    pub tier: Tier,
    /// In its rates for long requests.
    pub long: bool,
    /// The rule that it breaks.
    pub rule: Rule,
}

/// What every price keeps to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Output costs at least a tenth of input.
    OutputTooCheap,
    /// Reading from a cache costs at most what plain input does.
    CacheReadTooDear,
    /// A faster tier costs at most twenty times the usual rates.
    FasterTooDear,
    /// Batch and flex cost at most the usual rates.
    SlowerTooDear,
    /// Long requests cost at least what short ones do.
    LongTooCheap,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Rule::OutputTooCheap => "output costs less than a tenth of input",
            Rule::CacheReadTooDear => "reading from a cache costs more than plain input",
            Rule::FasterTooDear => "a rate is more than 20 times the standard one",
            Rule::SlowerTooDear => "a rate is more than the standard one",
            Rule::LongTooCheap => "a rate is less than that of a short request",
        })
    }
}

impl Rates {
    fn each(&self) -> [Usd; 5] {
        [self.input, self.output, self.cache_read, self.cache_write, self.cache_write_1h]
    }

    /// Whether some rate is more than so many times the other's.
    fn exceeds(&self, other: &Rates, times: u64) -> bool {
        self.each().iter().zip(other.each()).any(|(own, other)| *own > other.times(times))
    }

    fn absurd_alone(&self) -> Option<Rule> {
        if self.output.times(INPUT_AT_MOST) < self.input {
            Some(Rule::OutputTooCheap)
        } else if self.cache_read > self.input {
            Some(Rule::CacheReadTooDear)
        } else {
            None
        }
    }
}

impl Price {
    /// Whether its rates are such as are sold.
    ///
    /// # Errors
    /// The first rule that a rate breaks, and where it stands.
    pub fn plausible(&self) -> Result<(), Absurd> {
        for (tier, rates) in self.each_tier() {
            let usual_long = self.standard.long.as_ref().map(|long| &long.rates);
            let long = rates.long.as_ref().map(|long| &long.rates);
            for (own, usual, long) in [(Some(rates), Some(&self.standard), false), (long, usual_long, true)] {
                let Some(own) = own else { continue };
                let broken =
                    own.absurd_alone().or_else(|| against(tier, own, usual.unwrap_or(&self.standard)));
                if let Some(rule) = broken {
                    return Err(Absurd { tier, long, rule });
                }
            }
            if long.is_some_and(|long| rates.exceeds(long, 1)) {
                return Err(Absurd { tier, long: true, rule: Rule::LongTooCheap });
            }
        }
        Ok(())
    }
}

/// A tier's rates against the usual ones.
fn against(tier: Tier, rates: &Rates, usual: &Rates) -> Option<Rule> {
    match tier {
        Tier::Standard => None,
        Tier::Batch | Tier::Flex => rates.exceeds(usual, 1).then_some(Rule::SlowerTooDear),
        Tier::Priority | Tier::Fast | Tier::Ultrafast => {
            rates.exceeds(usual, FASTER_AT_MOST).then_some(Rule::FasterTooDear)
        }
    }
}
