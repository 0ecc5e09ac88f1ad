//! A run, told naively: what each task has come to, and all else computed from that anew each time.
//!
//! It knows one agent, which asks a dollar for each token of `max_tokens`, and no rates. It shares the plan's
//! types with the run, and none of its code.

use std::time::Duration;

use super::{Came, FIRST_WAIT};
use crate::plan::{Task, When};
use crate::time::Time;

/// How a task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Succeeded,
    Failed,
    Skipped,
}

/// What a task has come to.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    pub(super) end: Option<End>,
    /// What is reserved for the attempt in flight.
    pub(super) running: Option<u64>,
    pub(super) attempts: u32,
    pub(super) failures: u32,
    pub(super) charged: u64,
    /// Not tried again before.
    pub(super) until: Time,
    was_wrong: bool,
}

/// What has happened since the run was started or last resumed.
#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each may be so whatever the others are")]
pub(super) struct Session {
    failed: u32,
    /// A task failed that stops the run, or too many did.
    too_many: bool,
    is_unpaid: bool,
    is_over: bool,
    pub(super) is_cancelled: bool,
    pub(super) is_paused: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Reference {
    pub(super) plan: Vec<Task>,
    pub(super) tasks: Vec<State>,
    pub(super) budget: Option<u64>,
    pub(super) most: usize,
    pub(super) max_failures: Option<u32>,
    pub(super) max_retries: u32,
    /// By reported usage, by estimate, and at risk.
    pub(super) spent: [u64; 3],
    pub(super) ended: Option<&'static str>,
    pub(super) session: Session,
}

impl Reference {
    pub(super) fn new(plan: Vec<Task>, budget: Option<u64>, most: usize) -> Self {
        let (tasks, session) = (vec![State::default(); plan.len()], Session::default());
        let (max_failures, max_retries, spent, ended) = (None, 0, [0; 3], None);
        Reference { plan, tasks, budget, most, max_failures, max_retries, spent, ended, session }
    }

    pub(super) fn in_flight(&self) -> Vec<usize> {
        (0..self.tasks.len()).filter(|&id| self.tasks[id].running.is_some()).collect()
    }

    pub(super) fn reserved(&self) -> u64 {
        self.tasks.iter().filter_map(|task| task.running).sum()
    }

    /// Whether all has ended that a task waits for, and as it has to; none: it has ended as it must not.
    pub(super) fn is_met(&self, id: usize) -> Option<bool> {
        let mut all = true;
        for edge in &self.plan[id].depends_on {
            match (self.tasks[edge.task.index()].end, edge.when) {
                (None, _) => all = false,
                (Some(End::Failed), When::Succeeded)
                | (Some(End::Skipped), When::Succeeded | When::Finished) => return None,
                (Some(_), _) => {}
            }
        }
        Some(all)
    }

    fn waits(&self, id: usize) -> bool {
        self.tasks[id].end.is_none() && self.tasks[id].running.is_none()
    }

    /// When the next task may be tried again, if nothing else happens.
    pub(super) fn due(&self, now: Time) -> Option<Time> {
        let ids = (0..self.tasks.len()).filter(|&id| self.waits(id) && self.is_met(id) == Some(true));
        ids.map(|id| self.tasks[id].until).filter(|until| *until > now).min()
    }

    /// Whether nothing new may start, whatever is ready.
    pub(super) fn is_held(&self) -> bool {
        let Session { too_many, is_unpaid, is_over, is_cancelled, is_paused, .. } = self.session;
        too_many || is_unpaid || is_over || is_cancelled || is_paused || self.ended.is_some()
    }

    fn fail(&mut self, id: usize) {
        self.tasks[id].end = Some(End::Failed);
        self.session.failed += 1;
        let is_last = self.max_failures.is_some_and(|most| self.session.failed >= most);
        self.session.too_many |= is_last || self.plan[id].stops_run;
    }

    /// Ends what can only be skipped, and what another task's answer answers, until there is no more of either.
    fn settle(&mut self) {
        while let Some((id, end)) = (0..self.tasks.len()).filter(|&id| self.waits(id)).find_map(|id| {
            let twin = self.plan[id].same_as.and_then(|twin| self.tasks[twin.index()].end);
            match self.is_met(id) {
                None => Some((id, End::Skipped)),
                Some(true) if twin == Some(End::Succeeded) => Some((id, End::Succeeded)),
                Some(_) => None,
            }
        }) {
            self.tasks[id].end = Some(end);
        }
    }

    /// The longest way from a task to an end of the plan.
    fn rank(&self, id: usize) -> Duration {
        let behind = (0..self.plan.len())
            .filter(|&other| self.plan[other].depends_on.iter().any(|edge| edge.task.index() == id));
        self.plan[id].expected.unwrap_or_default()
            + behind.map(|other| self.rank(other)).max().unwrap_or_default()
    }

    /// Starts what may start, and ends the run where nothing is left to do; who was started.
    pub(super) fn go_on(&mut self, now: Time) -> Vec<usize> {
        let mut started = Vec::new();
        self.settle();
        while !self.is_held() {
            let may =
                |&id: &usize| self.waits(id) && self.is_met(id) == Some(true) && self.tasks[id].until <= now;
            let order = |&id: &usize| {
                let task = &self.plan[id];
                (
                    -i64::from(task.priority),
                    u128::MAX - self.rank(id).as_micros(),
                    u32::MAX - task.max_tokens,
                    id,
                )
            };
            let Some(id) = (0..self.tasks.len()).filter(may).min_by_key(order) else { break };
            let (ask, spent) = (u64::from(self.plan[id].max_tokens), self.spent.iter().sum::<u64>());
            let limit = self.plan[id].max_cost.map(super::whole);
            if limit.is_some_and(|limit| self.tasks[id].charged + ask > limit) {
                self.fail(id);
                self.settle();
                continue;
            }
            let fits = |more: u64| self.budget.is_none_or(|budget| spent + ask + more <= budget);
            if self.in_flight().len() >= self.most || fits(0) && !fits(self.reserved()) {
                break;
            }
            if !fits(0) {
                self.session.is_over = true;
                break;
            }
            self.tasks[id].attempts += 1;
            self.tasks[id].running = Some(ask);
            started.push(id);
        }
        self.end();
        started
    }

    fn end(&mut self) {
        let is_idle = self.in_flight().is_empty();
        self.ended = self.ended.or(match &self.session {
            _ if self.tasks.iter().all(|task| task.end.is_some()) => Some("completed"),
            session if is_idle && session.is_cancelled => Some("interrupted"),
            session if is_idle && session.is_over => Some("over budget"),
            session if is_idle && session.too_many => Some("too many failures"),
            session if is_idle && session.is_unpaid => Some("stopped"),
            _ => None,
        });
    }

    /// An attempt came back. How long its task has to wait at least where it is tried again.
    pub(super) fn came(&mut self, id: usize, came: Came) -> Option<Duration> {
        let reserved = self.tasks[id].running.take().unwrap_or_default();
        let charge = match came {
            Came::Back(cost) | Came::Wrong(cost) => [cost, 0, 0],
            Came::Cut(cost) => [0, cost, reserved - cost],
            Came::Refused | Came::Overloaded | Came::Unpaid => [0; 3],
        };
        self.charge(id, charge);
        let may_retry = self.tasks[id].failures < self.max_retries;
        let was_wrong = self.tasks[id].was_wrong;
        match came {
            Came::Back(_) => self.tasks[id].end = Some(End::Succeeded),
            Came::Unpaid => self.session.is_unpaid = true,
            Came::Overloaded | Came::Cut(_) if may_retry => return Some(self.again(id, 1)),
            Came::Wrong(_) if may_retry && !was_wrong => {
                self.tasks[id].was_wrong = true;
                return Some(self.again(id, 0));
            }
            Came::Refused | Came::Overloaded | Came::Cut(_) | Came::Wrong(_) => {
                self.tasks[id].failures += 1;
                self.fail(id);
            }
        }
        None
    }

    fn again(&mut self, id: usize, times: u32) -> Duration {
        self.tasks[id].failures += 1;
        FIRST_WAIT * times * 2u32.pow(self.tasks[id].failures - 1)
    }

    fn charge(&mut self, id: usize, charge: [u64; 3]) {
        self.spent.iter_mut().zip(charge).for_each(|(sum, more)| *sum += more);
        self.tasks[id].charged += charge.iter().sum::<u64>();
    }

    /// The process died, and another one goes on.
    pub(super) fn resume(&mut self, budget: Option<u64>, retries_failed: bool) {
        for id in self.in_flight() {
            let reserved = self.tasks[id].running.take().unwrap_or_default();
            self.charge(id, [0, 0, reserved]);
        }
        (self.session, self.ended) = (Session::default(), None);
        self.budget = budget.or(self.budget);
        for task in self.tasks.iter_mut().filter(|_| retries_failed) {
            if matches!(task.end, Some(End::Failed | End::Skipped)) {
                let State { attempts, charged, .. } = *task;
                *task = State { attempts, charged, ..State::default() };
            }
        }
    }
}
