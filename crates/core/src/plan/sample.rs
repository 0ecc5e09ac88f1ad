//! A part of a plan that stands for all of it: so that a trial of a few tasks says something about the work that
//! is planned, and not about made-up prompts.
//!
//! A task is taken only with all that it depends on. Within that, the kinds of tasks, a type at an agent each, have
//! their shares of the plan, and no type and no agent is missing that there is room for. Which tasks of a kind are
//! taken is drawn from the seed. Nothing is changed in them but the places of the others.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::ancestry::Seen;
use super::check::Checked;
use super::{Plan, TaskId, moved};
use crate::agent::AgentId;
use crate::chance::Chance;
use crate::hash::Hash;

#[cfg(test)]
mod tests;

/// Kinds that are looked at for the next task, at most: a bound for plans where each task is of its own.
const KINDS: usize = 32;
/// Tasks of a kind that are looked at, at most: others may bring less along of what there is enough of.
const CANDIDATES: usize = 8;

/// A part of a plan, itself a plan.
#[derive(Clone, Debug)]
pub struct Sample {
    /// It, with the name, the agents and the warnings of the whole. The places of tasks are its own.
    pub checked: Checked,
    /// Where each of its tasks stands in the whole, ascending.
    pub places: Vec<TaskId>,
    /// In what it does not stand for the whole.
    pub remarks: Vec<Remark>,
}

/// In what a sample does not stand for the whole plan. For people by `Display`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remark {
    /// It has more tasks than were asked for: there is no smaller part.
    Larger {
        /// How many it has: 1.
        taken: usize,
        /// How many were asked for: 0.
        asked: usize,
    },
    /// None of these is in it.
    Missing {
        /// Which.
        what: Label,
        /// Tasks of the smallest part that has one; none where these are more than were asked for.
        needs: Option<usize>,
    },
}

/// What a sample is to have at least one task of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Label {
    /// Tasks of this type.
    Type(String),
    /// Tasks of the agent of this name.
    Agent(String),
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Label::Type(name) => write!(f, "of type `{name}`"),
            Label::Agent(name) => write!(f, "of agent `{name}`"),
        }
    }
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Remark::Larger { taken, asked } => {
                write!(f, "the sample has {taken} task where {asked} were asked for")
            }
            Remark::Missing { what, needs: None } => {
                write!(f, "no task {what} is in the sample: each depends on more than it may have")
            }
            Remark::Missing { what, needs: Some(needs) } => {
                write!(f, "no task {what} is in the sample: there is no room for the {needs} that it takes")
            }
        }
    }
}

/// At most `count` tasks of a plan that stand for all of it, in its order; exactly so many where there are, at least
/// one where there is any. Where the plan has no more to be done, it is the plan itself. The same seed takes the same.
pub fn sample(checked: &Checked, count: usize, seed: u64) -> Sample {
    let plan = &checked.plan;
    if count >= plan.to_do() {
        let places = plan.ids().filter(|id| !plan.is_removed(*id)).collect();
        return Sample { checked: checked.clone(), places, remarks: Vec::new() };
    }
    // The smallest part is a task that depends on nothing.
    let most = count.max(1);
    let mut remarks = Vec::new();
    if most > count {
        remarks.push(Remark::Larger { taken: most, asked: count });
    }
    let mut choice = Choice::new(plan, most, seed);
    let missing = choice.cover();
    choice.fill();
    remarks
        .extend(missing.into_iter().map(|(kind, needs)| Remark::Missing { what: kind.label(plan), needs }));
    let mut places = choice.taken;
    places.sort_unstable();
    Sample { checked: part(checked, &places), places, remarks }
}

/// The plan of these tasks, which are sorted and depend on no others.
fn part(checked: &Checked, places: &[TaskId]) -> Checked {
    let plan = &checked.plan;
    let place = |id| TaskId(places.binary_search(&id).unwrap_or_else(|behind| behind) as u32);
    let all = places.iter().map(|id| moved(plan.task(*id), &checked.prompts[id.index()], place));
    let (tasks, prompts) = all.unzip();
    Checked {
        plan: Plan::new(plan.name().to_owned(), plan.agents().to_vec(), tasks),
        prompts,
        max_failures: checked.max_failures,
        warnings: checked.warnings.clone(),
    }
}

/// A [`Label`] by its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Of<'a> {
    Type(&'a str),
    Agent(AgentId),
}

impl<'a> Of<'a> {
    fn both(plan: &'a Plan, id: TaskId) -> [Of<'a>; 2] {
        let task = plan.task(id);
        [Of::Type(&task.task_type), Of::Agent(task.agent)]
    }

    fn label(self, plan: &Plan) -> Label {
        match self {
            Of::Type(name) => Label::Type(name.to_owned()),
            Of::Agent(id) => Label::Agent(plan.agent(id).name.clone()),
        }
    }
}

/// Tasks of one type at one agent.
struct Kind {
    /// Those that may still be taken; the next is the last.
    left: Vec<TaskId>,
    /// How many there are to be, by their share of the plan.
    target: usize,
    taken: usize,
    /// How much they depend on, a thousandth of a task each: what depends on much goes first, because it brings
    /// along what the others would be taken for.
    depth: u64,
}

impl Kind {
    /// How many more there are to be.
    fn short(&self) -> usize {
        self.target.saturating_sub(self.taken)
    }
}

/// What has been taken so far.
struct Choice<'a> {
    plan: &'a Plan,
    most: usize,
    /// All tasks that may be taken, as drawn.
    drawn: Vec<TaskId>,
    /// For each task, no more tasks than the smallest part that has it.
    least: Vec<usize>,
    kinds: Vec<Kind>,
    /// The kind of each task.
    kind_of: Vec<usize>,
    is_taken: Vec<bool>,
    taken: Vec<TaskId>,
    seen: Seen,
}

impl<'a> Choice<'a> {
    fn new(plan: &'a Plan, most: usize, seed: u64) -> Self {
        let mut drawn: Vec<TaskId> = plan.ids().filter(|id| !plan.is_removed(*id)).collect();
        let mut chance = Chance::new(seed, &Hash::of(plan.name().as_bytes()), "sample");
        for end in (1..drawn.len()).rev() {
            drawn.swap(end, chance.below(end as u64 + 1) as usize);
        }
        let least = least(plan);
        let mut kinds: BTreeMap<(&str, AgentId), Vec<TaskId>> = BTreeMap::new();
        for &id in &drawn {
            kinds.entry((&plan.task(id).task_type, plan.task(id).agent)).or_default().push(id);
        }
        let targets = targets(kinds.values().map(Vec::len), drawn.len(), most);
        let mut kind_of = vec![0; plan.len()];
        let kinds = kinds.into_values().zip(targets).enumerate().map(|(kind, (left, target))| {
            for id in &left {
                kind_of[id.index()] = kind;
            }
            let depths: u64 = left.iter().map(|id| least[id.index()] as u64).sum();
            Kind { target, taken: 0, depth: depths * 1000 / left.len() as u64, left }
        });
        let kinds = kinds.collect();
        let (is_taken, seen) = (vec![false; plan.len()], Seen::new(plan.len()));
        Choice { plan, most, drawn, least, kinds, kind_of, is_taken, taken: Vec::new(), seen }
    }

    fn room(&self) -> usize {
        self.most - self.taken.len()
    }

    /// What is to be taken with a task, itself included and without what is taken already; none where these are
    /// more than `most`.
    fn with(&mut self, id: TaskId, most: usize) -> Option<Vec<TaskId>> {
        self.seen.clear();
        self.seen.add(id.index());
        let mut all = vec![id];
        let mut next = 0;
        while next < all.len() {
            if all.len() > most {
                return None;
            }
            for on in &self.plan.task(all[next]).depends_on {
                if !self.is_taken[on.task.index()] && self.seen.add(on.task.index()) {
                    all.push(on.task);
                }
            }
            next += 1;
        }
        (all.len() <= most).then_some(all)
    }

    fn take(&mut self, tasks: &[TaskId]) {
        for id in tasks {
            self.is_taken[id.index()] = true;
            self.kinds[self.kind_of[id.index()]].taken += 1;
        }
        self.taken.extend_from_slice(tasks);
    }

    fn take_nothing(&mut self) {
        self.is_taken.fill(false);
        self.taken.clear();
        self.kinds.iter_mut().for_each(|kind| kind.taken = 0);
    }

    /// Takes one of each type and each agent, as far as there is room; gives those that are missing, with the
    /// tasks of the smallest part that has one.
    fn cover(&mut self) -> Vec<(Of<'a>, Option<usize>)> {
        let mut all: BTreeMap<Of<'a>, Vec<TaskId>> = BTreeMap::new();
        for &id in &self.drawn {
            for of in Of::both(self.plan, id) {
                all.entry(of).or_default().push(id);
            }
        }
        let mut fit = Vec::new();
        let mut missing = Vec::new();
        for (of, tasks) in all {
            let many = tasks.len();
            match self.smallest(tasks) {
                Some((id, needs)) => fit.push((of, id, needs, many)),
                None => missing.push((of, None)),
            }
        }
        // The largest first, because they have others in them. Where that does not leave room for all, the
        // smallest first, so that there is room for more; of those that are as small, what there is most of.
        fit.sort_by_key(|&(_, _, needs, many)| (std::cmp::Reverse(needs), std::cmp::Reverse(many)));
        let mut no_room = self.cover_in_order(&fit);
        if !no_room.is_empty() {
            self.take_nothing();
            fit.sort_by_key(|&(_, _, needs, many)| (needs, std::cmp::Reverse(many)));
            no_room = self.cover_in_order(&fit);
        }
        missing.extend(no_room);
        missing
    }

    fn cover_in_order(&mut self, fit: &[(Of<'a>, TaskId, usize, usize)]) -> Vec<(Of<'a>, Option<usize>)> {
        let mut has: BTreeSet<Of<'a>> = BTreeSet::new();
        for &(of, id, ..) in fit {
            let room = self.room();
            if room == 0 {
                break;
            }
            if !has.contains(&of)
                && let Some(tasks) = self.with(id, room)
            {
                self.take(&tasks);
                has.extend(tasks.iter().flat_map(|id| Of::both(self.plan, *id)));
            }
        }
        let missing = fit.iter().filter(|(of, ..)| !has.contains(of));
        missing.map(|&(of, _, needs, _)| (of, Some(needs))).collect()
    }

    /// Which of these tasks can be taken with the fewest others, and how many that are with itself; none where it is
    /// more than may be taken. Asked while nothing is taken.
    fn smallest(&mut self, mut tasks: Vec<TaskId>) -> Option<(TaskId, usize)> {
        tasks.sort_by_key(|id| self.least[id.index()]);
        let mut best = None;
        for id in tasks {
            let most = best.map_or(self.most, |(_, fewest)| fewest - 1);
            if self.least[id.index()] > most {
                break;
            }
            if let Some(all) = self.with(id, most) {
                best = Some((id, all.len()));
            }
        }
        best
    }

    /// Takes more until there are enough. There always is a task that depends on nothing but what is taken.
    fn fill(&mut self) {
        let mut order: Vec<usize> = (0..self.kinds.len()).collect();
        while self.room() > 0 {
            order.retain(|&kind| !self.kinds[kind].left.is_empty());
            order.sort_by_key(|&kind| {
                let kind = &self.kinds[kind];
                let goes_first = if kind.short() > 0 { kind.depth + 1 } else { 0 };
                std::cmp::Reverse((goes_first, kind.short()))
            });
            let Some(tasks) = self.next(&order) else { break };
            self.take(&tasks);
        }
    }

    /// What is taken next: what brings the least along of what there is enough of.
    fn next(&mut self, order: &[usize]) -> Option<Vec<TaskId>> {
        let mut best: Option<(usize, Vec<TaskId>)> = None;
        let mut looked = 0;
        for &kind in order {
            if looked == KINDS || best.is_some() && self.kinds[kind].short() == 0 {
                break;
            }
            let found = self.look(kind);
            looked += usize::from(!found.is_empty());
            for tasks in found {
                let excess = self.excess(&tasks);
                if excess == 0 {
                    return Some(tasks);
                }
                if best.as_ref().is_none_or(|(least, _)| excess < *least) {
                    best = Some((excess, tasks));
                }
            }
        }
        best.map(|(_, tasks)| tasks)
    }

    /// The next tasks of a kind that there is room for, each with what it needs. What there is no room for never has
    /// any later: what is taken uses up as much room as it spares at most.
    fn look(&mut self, kind: usize) -> Vec<Vec<TaskId>> {
        let room = self.room();
        let mut found = Vec::new();
        while found.len() < CANDIDATES {
            let Some(id) = self.kinds[kind].left.pop() else { break };
            if !self.is_taken[id.index()] {
                found.extend(self.with(id, room));
            }
        }
        // The first of each is the task itself.
        self.kinds[kind].left.extend(found.iter().rev().map(|tasks| tasks[0]));
        found
    }

    /// How many of these tasks are more than their kinds are to have.
    fn excess(&self, tasks: &[TaskId]) -> usize {
        let mut more: BTreeMap<usize, usize> = BTreeMap::new();
        for id in tasks {
            *more.entry(self.kind_of[id.index()]).or_default() += 1;
        }
        more.into_iter().map(|(kind, more)| more.saturating_sub(self.kinds[kind].short())).sum()
    }
}

/// For each task a lower bound of the smallest part that has it: it and what it depends on directly, and one more
/// than the largest of these needs.
fn least(plan: &Plan) -> Vec<usize> {
    let mut least = vec![0; plan.len()];
    for id in plan.in_order() {
        let on = &plan.task(id).depends_on;
        let deepest = on.iter().map(|on| least[on.task.index()]).max().unwrap_or(0);
        least[id.index()] = 1 + deepest.max(on.len());
    }
    least
}

/// How many of each kind there are to be where `most` of `all` are taken: their shares, rounded so that they add up
/// (the largest remainders up).
fn targets(kinds: impl Iterator<Item = usize>, all: usize, most: usize) -> Vec<usize> {
    let (mut targets, mut rests): (Vec<usize>, Vec<(usize, usize)>) =
        kinds.enumerate().map(|(kind, many)| (many * most / all, (many * most % all, kind))).unzip();
    rests.sort_by_key(|&(rest, kind)| (std::cmp::Reverse(rest), kind));
    let left = most - targets.iter().sum::<usize>();
    rests.iter().take(left).for_each(|&(_, kind)| targets[kind] += 1);
    targets
}
