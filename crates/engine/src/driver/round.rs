//! One round of the loop after the other.

use std::collections::{HashMap, VecDeque};

use sortie_core::call::Returned;
use sortie_core::hash::Hash;
use sortie_core::limit::{GateSpec, Gates};
use sortie_core::plan::Prompts;
use sortie_core::run::Run;
use sortie_core::run::control::Control;
use sortie_core::run::event::{AttemptId, Event, Record, Signal, Timing};
use sortie_core::run::input::{Action, Billing, Input, Reply, Resume, Step, Waiting};
use sortie_core::time::Time;
use tokio::sync::oneshot;

use super::controls::{Asked, Controls, Request};
use super::meeting::Seat;
use super::outputs::Recent;
use super::{DriveError, Ended, Foreseen, Observe};
use crate::executor::{Executor, Next};
use crate::sharing::Sharing;
use crate::store::{Header, Output, Store, StoreError};

/// How much is heard in one round: a flood of answers must not keep the first of them from
/// becoming durable. A sync of a thousand records costs hardly more than that of one.
const MOST_HEARD: usize = 1024;

/// What drives one run.
pub(super) struct Driver<'a, S, E, O> {
    run_id: &'a str,
    pub(super) prompts: &'a Prompts,
    pub(super) run: Run,
    gates: Gates,
    pub(super) store: &'a mut S,
    pub(super) executor: &'a mut E,
    observe: &'a mut O,
    /// Heard and not yet decided about.
    pub(super) heard: VecDeque<Heard>,
    pub(super) recent: Recent,
    /// What the calls in flight ask.
    pub(super) requests: HashMap<AttemptId, Hash>,
    seat: Seat,
    /// The first signal: the run drains.
    stopping: Option<Signal>,
    /// The second: the user does not want to wait for what is in flight.
    end_at_once: Option<Signal>,
}

/// Something heard, in the run's words; the outputs are of answers that came whole.
pub(super) struct Heard {
    input: Input,
    outputs: Vec<Output>,
    /// Whom to tell that what it led to is durable.
    confirm: Option<oneshot::Sender<bool>>,
}

impl From<Input> for Heard {
    fn from(input: Input) -> Self {
        Heard { input, outputs: Vec::new(), confirm: None }
    }
}

/// What a round came to.
#[derive(Default)]
struct Round {
    records: Vec<Record>,
    outputs: Vec<Output>,
    /// With whether there was anything to change.
    confirm: Vec<(oneshot::Sender<bool>, bool)>,
    actions: Vec<Action>,
    wake_at: Option<Time>,
    waiting: Vec<Waiting>,
}

impl Round {
    /// Adds a step and tells whether the run goes on after it.
    fn add(&mut self, step: Step, outputs: Vec<Output>) -> bool {
        let goes_on = !step.actions.iter().any(|action| matches!(action, Action::Finish(_)));
        let is_named = |(hash, _): &Output| step.records.iter().any(|record| names(record, hash));
        self.outputs.extend(outputs.into_iter().filter(is_named));
        self.records.extend(step.records);
        self.actions.extend(step.actions);
        // A step sees all that there is to wait for: the last one counts.
        self.wake_at = step.wake_at;
        self.waiting = step.waiting;
        goes_on
    }
}

/// Whether a record says that this is an output.
fn names(record: &Record, hash: &Hash) -> bool {
    match &record.event {
        Event::AttemptSucceeded { answer, .. } => answer.output == *hash,
        Event::AttemptRecovered { answer, .. } => {
            answer.as_ref().is_some_and(|answer| answer.output == *hash)
        }
        Event::PlanChanged { header, .. } => header == hash,
        _ => false,
    }
}

impl<'a, S: Store, E: Executor, O: Observe> Driver<'a, S, E, O> {
    pub(super) fn new(
        header: &'a Header,
        run: Run,
        gates: Gates,
        store: &'a mut S,
        executor: &'a mut E,
        observe: &'a mut O,
    ) -> Self {
        Driver {
            run_id: &header.run_id,
            prompts: &header.prompts,
            run,
            gates,
            store,
            executor,
            observe,
            heard: VecDeque::new(),
            recent: Recent::default(),
            requests: HashMap::new(),
            seat: Seat::at(None, &[]),
            stopping: None,
            end_at_once: None,
        }
    }

    /// The same among others that use the accounts of the run.
    pub(super) fn among(self, sharing: Option<Box<dyn Sharing>>, gates: &[GateSpec]) -> Self {
        Driver { seat: Seat::at(sharing, gates), ..self }
    }

    /// Round after round, from this input and its outputs to the end.
    pub(super) async fn drive_to_end(
        mut self,
        first: (Input, Vec<Output>),
        foreseen: Foreseen,
        controls: Controls,
    ) -> Result<Ended, DriveError> {
        let ended = self.rounds(first, foreseen, controls).await;
        self.seat.leave(&self.run, &mut self.gates, self.executor.now());
        ended
    }

    async fn rounds(
        &mut self,
        (first, mut outputs): (Input, Vec<Output>),
        mut foreseen: Foreseen,
        mut controls: Controls,
    ) -> Result<Ended, DriveError> {
        // What is known before it begins is kept also where the first step ends the run.
        let first = match first {
            Input::Started => foreseen.now().map_or(Input::Started, Input::StartedForeseen),
            first => first,
        };
        outputs.extend(plan_of(&first)?);
        self.heard.push_back(Heard { outputs, ..first.into() });
        loop {
            self.seat.meet(&self.run, &mut self.gates, self.executor.now());
            let mut round = self.decide();
            self.remember(&mut round).await?;
            self.observe.waiting(&round.waiting, self.executor.now());
            if let Some(signal) = self.end_at_once {
                return Ok(Ended::AtOnce(signal));
            }
            for action in round.actions {
                match action {
                    // Boxed: rare, and large.
                    Action::Recall(tasks) => Box::pin(self.look_up(tasks)).await?,
                    Action::Call(attempt) => self.call(attempt).await?,
                    Action::Abandon(attempt) => {
                        self.requests.remove(&attempt);
                        self.executor.abandon(attempt);
                    }
                    Action::Finish(outcome) => return Ok(Ended::Finished(outcome)),
                }
            }
            if self.heard.is_empty() {
                if round.wake_at.is_none() && self.run.in_flight() == 0 && !self.run.is_paused() {
                    return Err(DriveError::Stalled);
                }
                let wake_at = round.wake_at.into_iter().chain(self.seat.next(&self.gates)).min();
                tokio::select! {
                    biased;
                    asked = controls.next() => self.asked(asked),
                    forecast = foreseen.next() => self.heard.push_back(Input::Forecast(forecast).into()),
                    next = self.executor.next(wake_at) => self.hear(next),
                }
            }
        }
    }

    /// Decides about everything that has come.
    fn decide(&mut self) -> Round {
        let mut round = Round::default();
        for _ in 0..MOST_HEARD {
            if self.heard.is_empty()
                && let Some(next) = self.executor.ready()
            {
                self.hear(next);
            }
            let Some(Heard { input, outputs, confirm }) = self.heard.pop_front() else { break };
            let changes = self.run.is_paused() || !matches!(input, Input::Controlled(Control::Resume));
            let step = self.run.step(input, self.executor.now(), &mut self.gates);
            round.confirm.extend(confirm.map(|confirm| (confirm, changes)));
            if !round.add(step, outputs) {
                break;
            }
        }
        round
    }

    /// Puts what came into the run's words.
    fn hear(&mut self, next: Next) {
        let heard = match next {
            Next::Woke => Input::Woke.into(),
            Next::Told(attempt, told) => Input::Told(attempt, told).into(),
            Next::Returned(attempt, returned) => {
                let request = self.requests.remove(&attempt);
                replied(attempt, returned, request)
            }
            Next::Signal(signal) if self.stopping.is_none() => {
                self.stopping = Some(signal);
                Input::Cancelled(signal).into()
            }
            Next::Signal(signal) => {
                self.end_at_once = Some(signal);
                return;
            }
        };
        self.heard.push_back(heard);
    }

    /// Takes in what the user asks for.
    fn asked(&mut self, asked: Asked) {
        self.executor.catch_up();
        let input = match asked.request {
            Request::Change(control) => Input::Controlled(control),
            Request::Cancel => Input::Cancelled(*self.stopping.get_or_insert(Signal::Cancel)),
        };
        self.heard.push_back(Heard { confirm: Some(asked.confirm), ..input.into() });
    }

    /// Makes a round durable, shows it, and tells whoever asked for something in it.
    async fn remember(&mut self, round: &mut Round) -> Result<(), StoreError> {
        if let Some(first) = round.records.first() {
            self.store.append(self.run_id, first.seq - 1, &round.records, &round.outputs).await?;
            for (hash, text) in &round.outputs {
                self.recent.keep(*hash, text);
            }
            self.observe.records(&round.records, &round.outputs);
        }
        for (confirm, changed) in round.confirm.drain(..) {
            // Who asked may have stopped waiting.
            let _ = confirm.send(changed);
        }
        Ok(())
    }

    /// Starts a call; where it cannot even be written down, its attempt has failed and cost nothing.
    async fn call(&mut self, attempt: AttemptId) -> Result<(), StoreError> {
        match self.write_down(attempt).await? {
            Ok(call) => self.executor.start(call),
            Err(failure) => {
                let timing = Timing::default();
                let reply = Reply { attempt, result: Err(failure), billing: Billing::Nothing, timing };
                self.heard.push_back(Input::Replied(reply).into());
            }
        }
        Ok(())
    }
}

/// The plan that a run is changed to, as it is kept: beside the record that names it, as an answer is.
fn plan_of(first: &Input) -> Result<Option<Output>, StoreError> {
    let Input::Resumed(Resume { change: Some(change), .. }) = first else { return Ok(None) };
    let json = serde_json::to_string(&*change.revision).map_err(StoreError::io("write the plan down"))?;
    Ok(Some((change.header, json.into())))
}

/// An answer's text stays outside of the run, which gets its hash and its length.
fn replied(attempt: AttemptId, returned: Returned, request: Option<Hash>) -> Heard {
    let Returned { result, billing, timing } = returned;
    let (result, outputs) = match result {
        Ok(text) => {
            let (answer, output) = text.into_answer(request);
            (Ok(answer), vec![output])
        }
        Err(failure) => (Err(failure), Vec::new()),
    };
    Heard { outputs, ..Input::Replied(Reply { attempt, result, billing, timing }).into() }
}
