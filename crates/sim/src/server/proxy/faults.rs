//! What is done to which calls: drawn, never decided by what came before.

use std::time::Duration;

use sortie_core::chance::Chance;
use sortie_core::hash::Hash;

use crate::fault::Fault;
use crate::scenario::{FaultShare, draw_fault, problems_of_shares};
use crate::server::play::Abort;

/// Bytes of a stream that are handed on before it is broken, at most: a dozen events of either provider, so that long
/// answers break early and cost little. Those that end before break within their end.
const BEFORE_BREAK: u64 = 4096;

/// What goes wrong, and how often: shares of the calls, drawn from a seed.
///
/// A call draws by what it says and by how often that was said before, so the same calls meet the same faults in
/// whatever order they come, and a retry draws anew.
#[derive(Clone, Debug)]
pub struct Faults {
    shares: Vec<FaultShare>,
    seed: u64,
}

/// Why these are no faults of a proxy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FaultsError {
    /// The shares or their times make no sense.
    #[error("accept the faults: {}", .0.join("; "))]
    Senseless(Vec<String>),
    /// It changes what an answer says, which a proxy does not read.
    #[error("make the fault `{0}`: a proxy does not read what it passes on")]
    NotHere(Fault),
}

/// What is done to a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    /// The upstream is asked, and its answer handed on.
    Pass,
    /// It is answered here, by the error that the fault is.
    Refuse,
    /// It is not answered, and the connection ends so, if it does.
    Abandon(Option<Abort>),
    /// The upstream is asked, and its answer comes so much later.
    Delay(Duration),
    /// The upstream is asked; the connection is reset when its answer is there.
    Lose,
    /// The upstream is asked; its answer breaks after its head, or in the middle.
    Break(Break, Place),
}

/// How an answer breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Break {
    Close,
    Reset,
    /// It ends as its framing says.
    End,
    Stall,
    /// It goes on after so long.
    Pause(Duration),
}

/// Where an answer breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Head,
    Middle,
}

impl Faults {
    /// These shares of the calls. Times are counted from the proxy's start.
    ///
    /// # Errors
    /// Where the shares make no sense, or a fault is none that a proxy has.
    pub fn new(shares: Vec<FaultShare>, seed: u64) -> Result<Self, FaultsError> {
        let problems: Vec<String> = problems_of_shares(&shares).collect();
        if !problems.is_empty() {
            return Err(FaultsError::Senseless(problems));
        }
        match shares.iter().find(|share| Deed::of(&share.kind).is_none()) {
            Some(share) => Err(FaultsError::NotHere(share.kind.clone())),
            None => Ok(Faults { shares, seed }),
        }
    }

    /// The fault of a call with this content, the `nth` time from 1, and what is done for it.
    pub(super) fn draw(&self, provider: &str, content: &Hash, nth: u32, elapsed: Duration) -> (Fault, Deed) {
        let chance = &mut Chance::new(self.seed, content, &format!("fault {nth}"));
        let fault = draw_fault(&self.shares, provider, chance, elapsed);
        let deed = Deed::of(&fault).unwrap_or(Deed::Pass);
        (fault, deed)
    }

    /// After how many bytes an answer without a length breaks.
    pub(super) fn point(&self, content: &Hash, nth: u32) -> u64 {
        1 + Chance::new(self.seed, content, &format!("point {nth}")).below(BEFORE_BREAK)
    }
}

impl Deed {
    /// What is done for a fault; none where a proxy cannot.
    fn of(fault: &Fault) -> Option<Deed> {
        let seconds = |seconds: u32| Duration::from_secs(u64::from(seconds));
        Some(match *fault {
            Fault::None => Deed::Pass,
            Fault::Status(_) | Fault::Coded(..) | Fault::NoCredit => Deed::Refuse,
            Fault::Close => Deed::Abandon(Some(Abort::Close)),
            Fault::Reset => Deed::Abandon(Some(Abort::Reset)),
            Fault::StallFirst => Deed::Abandon(None),
            Fault::Delay(late) => Deed::Delay(seconds(late)),
            Fault::Lost => Deed::Lose,
            Fault::StallHead => Deed::Break(Break::Stall, Place::Head),
            Fault::Cut => Deed::Break(Break::Close, Place::Middle),
            Fault::ResetMid => Deed::Break(Break::Reset, Place::Middle),
            Fault::Truncated => Deed::Break(Break::End, Place::Middle),
            Fault::Stall => Deed::Break(Break::Stall, Place::Middle),
            Fault::Pause(still) => Deed::Break(Break::Pause(seconds(still)), Place::Middle),
            Fault::Drip(_)
            | Fault::Midstream(_)
            | Fault::Malformed
            | Fault::Error200
            | Fault::Empty200
            | Fault::Gzip
            | Fault::GzipBomb
            | Fault::NoUsage
            | Fault::WrongUsage
            | Fault::NoId
            | Fault::WrongModel
            | Fault::Overlong
            | Fault::UnknownStop
            | Fault::DuplicateDelta
            | Fault::PingFlood => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(kind: &str, share: f64) -> FaultShare {
        FaultShare { kind: kind.parse().unwrap(), share, from_s: None, until_s: None, provider: None }
    }

    #[test]
    fn calls_draw_their_shares_by_the_seed_and_each_try_anew() {
        let drawn = |seed| {
            let shares = vec![share("429", 0.1), share("cut", 0.05), share("delay:3", 0.2)];
            let faults = Faults::new(shares, seed).unwrap();
            let call = |number: u32| Hash::of(&(number / 2).to_le_bytes());
            let draw =
                |number| faults.draw("openai", &call(number), 1 + number % 2, Duration::ZERO).0.to_string();
            (0..20_000).map(draw).collect::<Vec<String>>()
        };
        for seed in 0..5 {
            let all = drawn(seed);
            let many = |kind: &str| all.iter().filter(|fault| *fault == kind).count() as f64 / 20_000.0;
            for (kind, expected) in [("429", 0.1), ("cut", 0.05), ("delay:3", 0.2), ("ok", 0.65)] {
                // Five standard deviations of the widest are 0.017.
                assert!((many(kind) - expected).abs() < 0.017, "seed {seed}: {kind} {}", many(kind));
            }
            let alike = all.chunks(2).filter(|tries| tries[0] == tries[1]).count();
            assert!((3_000..7_000).contains(&alike), "tries of one call: {alike} of 10,000 alike");
            assert_eq!(all, drawn(seed));
            assert_ne!(all, drawn(seed + 1));
        }
    }

    #[test]
    fn what_no_proxy_can_do_and_what_makes_no_sense_is_refused() {
        let refused = |shares| Faults::new(shares, 1).unwrap_err().to_string();
        assert_eq!(
            refused(vec![share("cut", 0.1), share("no-usage", 0.1)]),
            "make the fault `no-usage`: a proxy does not read what it passes on"
        );
        let too_many = refused(vec![share("cut", 0.6), share("429", 0.6)]);
        assert!(
            too_many.starts_with("accept the faults: the shares of faults have to be at least 0"),
            "{too_many}"
        );
    }
}
