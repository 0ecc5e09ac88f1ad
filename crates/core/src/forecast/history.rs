//! What past calls were like, from the records of runs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::agent::AgentId;
use crate::failure::{Class, Policy};
use crate::plan::Plan;
use crate::run::event::{Event, Finish, Record};

/// Answers of one kind of agent that are remembered: more would not make a law better, only older.
const MOST_CALLS: usize = 2_000;

/// One call that brought its answer.
#[derive(Clone, Debug, PartialEq)]
pub struct PastCall {
    /// The type of its task.
    pub task_type: Arc<str>,
    /// What bytes bound its input tokens by: the reservation of a prompt that nobody counted. Calls
    /// whose prompts were counted and calls whose were not can be told by it alike.
    pub bytes_bound: u64,
    /// Input tokens that it had, cached ones included.
    pub input_tokens: u64,
    /// Those of them that a cache gave.
    pub cache_read: u64,
    /// Output tokens.
    pub output_tokens: u64,
    /// Whether `max_tokens` ended its answer: it would have been longer.
    pub is_cut: bool,
    /// UTF-8 bytes of its answer.
    pub output_bytes: u64,
    /// How long it took.
    pub took: Duration,
}

/// The past calls of one kind of agent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Calls {
    /// Those that brought their answers, the newest run first.
    pub answered: Vec<PastCall>,
    /// How long those took that failed in a way that is tried again; calls that were throttled are
    /// not among them: limits are played, not drawn.
    pub failed: Vec<Duration>,
}

/// The past calls of all kinds of agents, by whatever name tells one kind from another: provider,
/// model and place.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History(BTreeMap<String, Calls>);

impl History {
    /// Takes the calls of a run in; the newest run comes first. `kind` names the kind of an agent,
    /// and nothing for one whose calls do not count.
    pub fn add(&mut self, plan: &Plan, records: &[Record], kind: impl Fn(AgentId) -> Option<String>) {
        let kinds: Vec<Option<String>> =
            (0..plan.agents().len() as u16).map(|id| kind(AgentId(id))).collect();
        let mut bounds = BTreeMap::new();
        for Record { event, .. } in records {
            let attempt = event.attempt().filter(|attempt| attempt.task.index() < plan.len());
            let Some(attempt) = attempt else { continue };
            let (task, asked) = (plan.task(attempt.task), plan.asked(attempt));
            let Some(kind) = kinds.get(asked.index()).and_then(Option::as_ref) else { continue };
            match event {
                Event::AttemptStarted { reserved: most, .. } => {
                    let bound = plan.fixed_bound(attempt.task, asked);
                    let counted = task.prompt.fixed_bytes.saturating_sub(bound);
                    bounds.insert(attempt, most.input_tokens + counted);
                }
                Event::AttemptSucceeded { answer, spent, timing, .. } => {
                    let Some(usage) = spent.usage else { continue };
                    self.calls(kind).answer(PastCall {
                        task_type: Arc::from(task.task_type.as_str()),
                        bytes_bound: bounds.remove(&attempt).unwrap_or_default(),
                        input_tokens: usage.total_input(),
                        cache_read: usage.cache_read,
                        output_tokens: usage.output,
                        is_cut: answer.finish == Finish::MaxTokens,
                        output_bytes: answer.bytes,
                        took: timing.total,
                    });
                }
                Event::AttemptFailed { failure, timing, .. } => {
                    let is_throttled = failure.class == Class::Throttled;
                    if failure.policy() == Policy::Retry && !is_throttled {
                        self.calls(kind).fail(timing.total);
                    }
                }
                _ => {}
            }
        }
    }

    /// The past calls of a kind of agents; none where there are none.
    pub fn of(&self, kind: &str) -> Option<&Calls> {
        self.0.get(kind)
    }

    /// Whether every one of these kinds has as many calls as are kept: older runs add nothing.
    pub fn is_full<'k>(&self, kinds: impl IntoIterator<Item = &'k str>) -> bool {
        kinds.into_iter().all(|kind| self.of(kind).is_some_and(|calls| calls.answered.len() >= MOST_CALLS))
    }

    fn calls(&mut self, kind: &str) -> &mut Calls {
        self.0.entry(kind.to_owned()).or_default()
    }
}

impl Calls {
    fn answer(&mut self, call: PastCall) {
        if self.answered.len() < MOST_CALLS {
            self.answered.push(call);
        }
    }

    fn fail(&mut self, took: Duration) {
        if self.answered.len() < MOST_CALLS && self.failed.len() < MOST_CALLS {
            self.failed.push(took);
        }
    }
}
