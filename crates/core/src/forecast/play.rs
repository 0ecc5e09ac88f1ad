//! One play of a run: the state machine on a virtual clock, its calls drawn from laws.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::Duration;

use super::law::{Drawn, Laws, Provider, Weather};
use crate::ceiling::Work;
use crate::chance::Chance;
use crate::failure::{Class, Failure};
use crate::hash::Hash;
use crate::limit::{Gates, Held, Told, Verdict};
use crate::money::Usd;
use crate::plan::{Plan, TaskId};
use crate::run::Run;
use crate::run::event::{Answer, AttemptId, Event, Finish, Outcome, Record, Timing};
use crate::run::input::{Action, Billing, Input, Reply, Settings};
use crate::serving::Queue;
use crate::time::Time;
use crate::usage::{Cost, Usage};

/// Calls of each task that fail before one of any is answered, from which on none will be: answers that always take
/// longer than their timeout are asked for again for as long as nothing ends the run, and a play has no run timeout.
const HOPELESS: usize = 32;

/// What a play came to.
pub(super) struct Played {
    /// From the start to the last record.
    pub(super) makespan: Duration,
    pub(super) outcome: Outcome,
    /// In the order of the plan.
    pub(super) tasks: Vec<PlayedTask>,
}

/// What became of a task.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PlayedTask {
    /// When its first call started.
    pub(super) start: Option<Duration>,
    /// When its last call ended.
    pub(super) end: Option<Duration>,
    /// Whether that one brought its answer.
    pub(super) answered: bool,
    /// What is known to be spent on it.
    pub(super) cost: Usd,
    pub(super) input_tokens: u64,
    /// Those that were reserved for the call that brought its answer.
    pub(super) reserved_input: u64,
    pub(super) output_tokens: u64,
}

impl PlayedTask {
    /// The work that it was; none where it made no call.
    pub(super) fn work(&self) -> Option<Work> {
        let duration = self.end?.saturating_sub(self.start?);
        Some(Work {
            duration,
            input_tokens: self.input_tokens,
            output_tokens: self.output_tokens,
            elsewhere: false,
        })
    }
}

/// Plays a run to its end, from where it is and what it is told first. Without weather every call is what
/// is expected of it, and none fails.
pub(super) fn play(run: &Run, first: &Input, laws: &Laws, weather: Option<Weather>, seed: u64) -> Played {
    let plan = run.plan();
    let begin = run.last_time().max(START);
    let mut near = Chance::new(seed, &Hash::of(b""), "distances");
    let distance = |_| if weather.is_some() { near.share() } else { 0.5 };
    let refuses = laws.provider().is_some();
    let mut game = Game {
        distances: plan.ids().filter(|_| refuses).map(distance).collect(),
        plan,
        laws,
        begin,
        weather,
        chance: Chance::new(seed, &Hash::of(b""), "play"),
        no_text: Hash::of(b""),
        model: Arc::from(""),
        provider: laws.provider().map(|provider| (provider, Gates::enforcing(&provider.limits))),
        queue: Queue::default(),
        due: BinaryHeap::new(),
        failed_in_a_row: 0,
        says: Vec::new(),
        tasks: vec![PlayedTask::default(); plan.len()],
    };
    // What is expected of a provider that nobody knows is no limit; what it costs to find that out is weather.
    let mut run = match weather {
        Some(_) => run.clone(),
        None => run.under(Arc::new(trusting(run.settings()))),
    };
    let mut gates = Gates::new(run.settings());
    let (mut now, mut input) = (begin, first.clone());
    loop {
        if game.failed_in_a_row > HOPELESS.saturating_mul(plan.len() + 1) {
            let outcome = Outcome::TimedOut { after: now.since(begin) };
            return Played { makespan: now.since(begin), outcome, tasks: game.tasks };
        }
        let step = run.step(input, now, &mut gates);
        game.note(&step.records, &gates);
        let mut is_asked = false;
        for action in step.actions {
            match action {
                Action::Finish(outcome) => {
                    return Played { makespan: now.since(begin), outcome, tasks: game.tasks };
                }
                Action::Recall(_) => is_asked = true,
                Action::Call(_) | Action::Abandon(_) => {}
            }
        }
        if is_asked {
            // What earlier runs were answered is not foreseen.
            input = Input::Recalled(Vec::new());
            continue;
        }
        // As a driver would: what comes back before the alarm of the same moment.
        let back = game.due.peek().map(|Reverse((at, _))| *at);
        match (back, step.wake_at) {
            (Some(at), wake) if wake.is_none_or(|wake| at <= wake) => {
                now = now.max(at);
                input = game.next_input();
            }
            (_, Some(wake)) => {
                now = now.max(wake);
                input = Input::Woke;
            }
            // A run that waits for nothing has ended; said rather than looped over.
            (_, None) => {
                let outcome = Outcome::TimedOut { after: now.since(begin) };
                return Played { makespan: now.since(begin), outcome, tasks: game.tasks };
            }
        }
    }
}

/// The same settings, with no limits but those that are stated, kept to exactly.
fn trusting(settings: &Settings) -> Settings {
    let mut settings = settings.clone();
    for gate in &mut settings.gates {
        (gate.probes, gate.lag) = (false, Duration::ZERO);
    }
    settings
}

/// When plays of new runs begin: any time would do.
const START: Time = Time::from_micros(1_000_000);

/// When the head of an answer comes, where a run still has to find out what it may send: a provider's way
/// there and back and its first token take hundreds of milliseconds.
const FIRST_WORD: Duration = Duration::from_millis(500);

/// The calls of a play.
struct Game<'a> {
    plan: &'a Plan,
    laws: &'a Laws,
    begin: Time,
    weather: Option<Weather>,
    chance: Chance,
    /// Stands for every output: a play has no texts.
    no_text: Hash,
    model: Arc<str>,
    /// The provider's own limits, and where they stand.
    provider: Option<(&'a Provider, Gates)>,
    /// Where the calls stand at a server that answers so many at a time.
    queue: Queue,
    /// How far away the provider is for each task, where it refuses any, from 0 to 1: refusals of calls
    /// that start together do not come together, and who hears first is first to come again.
    distances: Vec<f64>,
    /// What comes back when, those at the same time in the order of their starts; with the place of
    /// what it says.
    due: BinaryHeap<Reverse<(Time, usize)>>,
    says: Vec<Option<Input>>,
    /// Calls that failed since one was answered.
    failed_in_a_row: usize,
    tasks: Vec<PlayedTask>,
}

impl Game<'_> {
    /// Takes in what happened, and starts the calls that did.
    fn note(&mut self, records: &[Record], gates: &Gates) {
        for Record { at, event, .. } in records {
            match event {
                Event::AttemptStarted { attempt, reserved, .. } => {
                    let task = &mut self.tasks[attempt.task.index()];
                    task.start.get_or_insert(at.since(self.begin));
                    task.reserved_input = reserved.input_tokens;
                    let reply = self.call(*attempt, reserved, *at);
                    let gate = self.plan.agent_asked(*attempt).gate;
                    let took = reply.timing.total;
                    if gates.is_seeking(gate) || self.provider.is_some() {
                        let provider = self.provider.as_ref();
                        let quotas = provider.map(|(_, provider)| provider.left(gate, *at));
                        let throttled =
                            matches!(&reply.result, Err(failure) if failure.class == Class::Throttled);
                        let told = Told { admitted: !throttled, quotas: quotas.unwrap_or_default() };
                        self.says(*at + took.min(FIRST_WORD), Input::Told(*attempt, told));
                    }
                    self.says(*at + took, Input::Replied(reply));
                }
                Event::AttemptSucceeded { attempt, spent, .. } => {
                    let task = self.end(attempt.task, *at);
                    task.answered = true;
                    task.cost += spent.charge.actual;
                    let usage = spent.usage.unwrap_or_default();
                    (task.input_tokens, task.output_tokens) = (usage.total_input(), usage.output);
                }
                Event::AttemptFailed { attempt, .. } => {
                    self.end(attempt.task, *at);
                }
                _ => {}
            }
        }
    }

    fn end(&mut self, id: TaskId, at: Time) -> &mut PlayedTask {
        let task = &mut self.tasks[id.index()];
        task.end = Some(at.since(self.begin));
        task
    }

    /// Draws what a call comes back with, and after how long.
    fn call(&mut self, attempt: AttemptId, reserved: &Cost, at: Time) -> Reply {
        let task = self.plan.task(attempt.task);
        let law = self.laws.of(attempt.task);
        let (hints, reserved) = (self.laws.hints(attempt.task, task), reserved.input_tokens);
        let (mut drawn, fails_after) = match self.weather {
            None => (law.expected(task, hints, reserved), None),
            Some(weather) => {
                let fails_after = law.draw_failure(&mut self.chance);
                (law.draw(task, hints, reserved, weather, &mut self.chance), fails_after)
            }
        };
        let failed = |class, billing, took| (Err(Failure::new(class, "")), billing, took);
        let (result, billing, took) = match fails_after {
            _ if let Some((retry_after, took)) = self.refuse(attempt, &drawn.usage, at) => {
                let throttled =
                    Failure { retry_after: Some(retry_after), ..Failure::new(Class::Throttled, "") };
                (Err(throttled), Billing::Nothing, took)
            }
            Some(took) => failed(Class::Transient, Billing::Nothing, took),
            // Where every call is as expected none fails, however long is expected of it.
            None if self.serve(&mut drawn, task.timeout, at) > task.timeout && self.weather.is_some() => {
                failed(Class::Timeout, Billing::Unknown, task.timeout)
            }
            None => {
                let answer = Answer {
                    output: self.no_text,
                    bytes: drawn.output_bytes,
                    finish: Finish::Stop,
                    model: Arc::clone(&self.model),
                    request: None,
                };
                (Ok(answer), Billing::Reported(drawn.usage), drawn.took)
            }
        };
        self.failed_in_a_row = if result.is_ok() { 0 } else { self.failed_in_a_row + 1 };
        let timing = Timing { first_token: None, total: took };
        Reply { attempt, result, billing, timing }
    }

    /// How long a drawn call takes, who waits so long: behind those before it, and slower beside them, where
    /// the server has only so much for all.
    fn serve(&mut self, drawn: &mut Drawn, timeout: Duration, at: Time) -> Duration {
        if let Some((serving, network)) = self.laws.serving() {
            let now = at.since(Time::ZERO);
            let turn = self.queue.turn(serving.slots, now);
            let wait = turn.begins.saturating_sub(now);
            let served = drawn.took.saturating_sub(*network).mul_f64(serving.factor(turn.busy));
            drawn.took = wait + served + *network;
            // Who gives up is not answered any further.
            self.queue.take(None, turn.begins, (now + (wait + served).min(timeout)).max(turn.begins));
        }
        drawn.took
    }

    /// What the run is told at a time.
    fn says(&mut self, at: Time, input: Input) {
        self.due.push(Reverse((at, self.says.len())));
        self.says.push(Some(input));
    }

    /// Whether the provider refuses a call for its own limits: how long to wait, and when that is heard.
    fn refuse(&mut self, attempt: AttemptId, usage: &Usage, at: Time) -> Option<(Duration, Duration)> {
        let (provider, gates) = self.provider.as_mut()?;
        let gate = self.plan.agent_asked(attempt).gate;
        let ask = Cost { usd: Usd::ZERO, input_tokens: usage.input, output_tokens: usage.output };
        if let Err(Held { verdict: Verdict::WaitUntil(until), .. }) = gates.check(gate, &ask, at) {
            let wait = Duration::from_secs(until.since(at).as_secs_f64().ceil() as u64);
            let (least, most) = (*provider.refusal.start(), *provider.refusal.end());
            return Some((
                wait,
                least + most.saturating_sub(least).mul_f64(self.distances[attempt.task.index()]),
            ));
        }
        gates.reserve(gate, attempt, &ask, at);
        gates.settle(gate, attempt, &ask, false, at);
        None
    }

    fn next_input(&mut self) -> Input {
        let place = self.due.pop().map(|Reverse((_, place))| place);
        place.and_then(|place| self.says.get_mut(place)?.take()).unwrap_or(Input::Woke)
    }
}
