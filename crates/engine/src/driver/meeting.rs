//! When a run meets the others that use its accounts, and what it takes from that.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;

use sortie_core::limit::{GateId, GateSpec, Gates, Share};
use sortie_core::run::Run;
use sortie_core::time::Time;

use crate::sharing::{GONE_AFTER, MEETS_EVERY, Met, Sharing, Used, name_of};

/// How soon a run meets the others again after it has met them first; then twice as long each time, up to
/// [`MEETS_EVERY`]. Runs that a script starts together would otherwise each take all of an account meanwhile.
const SOON: Duration = Duration::from_millis(50);

/// A run's seat among those that share its accounts.
#[derive(Debug)]
pub(super) struct Seat {
    /// None where there is nobody to meet.
    sharing: Option<Box<dyn Sharing>>,
    /// The names by which the others know the run's gates.
    names: Vec<String>,
    /// When to meet again.
    next: Time,
    /// How long it is from a meeting to the next; none before the first.
    pause: Option<Duration>,
    /// Whether anybody could have been met yet.
    has_met: bool,
    /// Who used each gate, as far as was heard last.
    met: BTreeMap<GateId, Met>,
    /// When that was.
    met_at: Time,
    /// Gates of which something was known when the run began, or was told later.
    recalled: HashSet<GateId>,
    /// When the others were last told that a gate is used.
    used_at: BTreeMap<GateId, Time>,
    /// Gates that the others take for unused, or may before we meet again: their share is taken, and who
    /// comes back comes as at first.
    away: BTreeSet<GateId>,
}

impl Seat {
    pub(super) fn at(sharing: Option<Box<dyn Sharing>>, gates: &[GateSpec]) -> Self {
        Seat {
            sharing,
            names: gates.iter().map(name_of).collect(),
            next: Time::ZERO,
            pause: None,
            has_met: false,
            met: BTreeMap::new(),
            met_at: Time::ZERO,
            recalled: HashSet::new(),
            used_at: BTreeMap::new(),
            away: BTreeSet::new(),
        }
    }

    /// When to meet next: at once where a start waits to come back to a gate.
    pub(super) fn next(&self, gates: &Gates) -> Option<Time> {
        let next = if self.comes_back(gates) { Time::ZERO } else { self.next };
        self.sharing.as_ref().map(|_| next)
    }

    /// Meets the others, where it is time.
    pub(super) fn meet(&mut self, run: &Run, gates: &mut Gates, now: Time) {
        if now >= self.next || self.comes_back(gates) {
            self.meet_now(run, gates, now);
        }
    }

    fn comes_back(&self, gates: &Gates) -> bool {
        self.away.iter().any(|id| gates.is_asked(*id))
    }

    fn meet_now(&mut self, run: &Run, gates: &mut Gates, now: Time) {
        let Some(sharing) = &mut self.sharing else { return };
        let pause = self.pause.map_or(SOON, |pause| MEETS_EVERY.min(pause * 2));
        self.pause = Some(pause);
        self.next = now + pause;
        let ids: BTreeSet<GateId> = run.plan().agents().iter().map(|agent| agent.gate).collect();
        // A run that begins uses nothing yet, and is about to.
        let begins = if self.has_met { BTreeSet::new() } else { used_gates(run) };
        let told: Vec<Used> = ids
            .iter()
            .map(|id| Used {
                gate: self.names[id.index()].clone(),
                // Who waits for its share uses it as well.
                now: gates.take_asked(*id) || gates.is_used(*id) || begins.contains(id),
                learned: gates.learned(*id, now),
            })
            .collect();
        let met = sharing.meet(&told, now);
        let is_told = met.is_some();
        self.has_met |= is_told;
        // Who cannot be met may well be there: as many as were there last.
        let met = met.unwrap_or_else(|| ids.iter().map(|id| self.met_last(*id, now)).collect());
        if is_told {
            self.met_at = now;
        }
        for ((id, told), met) in ids.into_iter().zip(told).zip(met) {
            let share = self.share_of(id, &met);
            let is_alone = met.users == 1;
            self.met.insert(id, Met { learned: None, ..met });
            if let Some(learned) = met.learned {
                // What others have learned counts until this run has learned something itself.
                if told.learned.is_some() {
                    gates.heed(id, &learned, now);
                } else if self.recalled.insert(id) {
                    gates.recall(id, &learned, now);
                }
            }
            let was_away = self.away.contains(&id);
            // Who stood still, or could not be met, for too long was taken for gone: its part is taken.
            let used_at = self.used_at.get(&id).copied();
            let was_gone = is_told && used_at.is_some_and(|at| now.since(at) > GONE_AFTER);
            if told.now {
                self.away.remove(&id);
                if is_told {
                    self.used_at.insert(id, now);
                }
            }
            if (begins.contains(&id) || (was_away || was_gone) && told.now) && !is_alone {
                gates.join(id, share, now + MEETS_EVERY, now);
                continue;
            }
            gates.share(id, share, now);
            if !told.now && used_at.is_none_or(|at| now.since(at) + MEETS_EVERY > GONE_AFTER) {
                self.away.insert(id);
                // Until the next meeting at most: it opens also where nobody meets any more.
                gates.stand_aside(id, self.next);
            } else if was_away {
                gates.stand_aside(id, now);
            }
        }
    }

    /// What was heard of who uses a gate, last; the common clock went on as ours did.
    fn met_last(&self, id: GateId, now: Time) -> Met {
        let met = self.met.get(&id).cloned().unwrap_or_default();
        Met { moment: met.moment + now.since(self.met_at), ..met }
    }

    /// Our part of a gate. Gates that others cannot tell apart are one to them, and to each other they are others
    /// within the run's part.
    fn share_of(&self, id: GateId, met: &Met) -> Share {
        let (before, all) = self.namesakes(id);
        Share {
            users: met.users.saturating_mul(all),
            place: met.place.saturating_add(met.users.saturating_mul(before)),
            moment: met.moment,
        }
    }

    /// How many gates of this run bear the same name, and how many of them come before. Accounts are told apart
    /// when a run begins; at a resume two may turn out to be one.
    fn namesakes(&self, id: GateId) -> (u32, u32) {
        let name = &self.names[id.index()];
        let named = |names: &[String]| names.iter().filter(|other| *other == name).count() as u32;
        (named(&self.names[..id.index()]), named(&self.names))
    }

    /// The run is over: the next one begins with what this one knew at last.
    pub(super) fn leave(&mut self, run: &Run, gates: &mut Gates, now: Time) {
        self.meet_now(run, gates, now);
        if let Some(sharing) = &mut self.sharing {
            sharing.leave();
        }
    }
}

/// The gates that a run uses. To know takes a look at every task.
fn used_gates(run: &Run) -> BTreeSet<GateId> {
    run.plan().used_agents().into_iter().map(|id| run.plan().agent(id).gate).collect()
}
