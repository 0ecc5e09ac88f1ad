//! The graph of a plan: dependants, longest remaining path, cycles.

use std::cmp::Reverse;
use std::time::Duration;

use super::{Edge, Task, TaskId};

/// The direct dependants of every task.
pub(super) fn dependants(tasks: &[Task]) -> Vec<Vec<Edge>> {
    let mut dependants = vec![Vec::new(); tasks.len()];
    for (index, task) in tasks.iter().enumerate() {
        for on in &task.depends_on {
            dependants[on.task.index()].push(Edge { task: TaskId(index as u32), when: on.when });
        }
    }
    dependants
}

/// The tasks in an order in which each comes after what it depends on.
pub(super) fn task_order(tasks: &[Task]) -> Vec<TaskId> {
    let depends_on = |task: usize| tasks[task].depends_on.iter().map(|on| on.task.index());
    order(tasks.len(), depends_on).0.into_iter().map(|task| TaskId(task as u32)).collect()
}

/// For every task the longest path of durations that starts with it.
pub(super) fn remaining_path(
    order: &[TaskId],
    dependants: &[Vec<Edge>],
    duration: impl Fn(TaskId) -> Duration,
) -> Vec<Duration> {
    let mut ranks = vec![Duration::ZERO; dependants.len()];
    for &id in order.iter().rev() {
        let after =
            dependants[id.index()].iter().map(|next| ranks[next.task.index()]).max().unwrap_or_default();
        ranks[id.index()] = after.saturating_add(duration(id));
    }
    ranks
}

/// For every task the longest path of durations that ends where it starts.
pub(super) fn path_before(
    order: &[TaskId],
    tasks: &[Task],
    duration: impl Fn(TaskId) -> Duration,
) -> Vec<Duration> {
    let mut before = vec![Duration::ZERO; tasks.len()];
    for &id in order {
        let ends = tasks[id.index()]
            .depends_on
            .iter()
            .map(|on| before[on.task.index()].saturating_add(duration(on.task)));
        before[id.index()] = ends.max().unwrap_or_default();
    }
    before
}

/// The tasks of the longest path, in their order.
pub(super) fn longest_chain(
    order: &[TaskId],
    dependants: &[Vec<Edge>],
    duration: impl Fn(TaskId) -> Duration,
) -> Vec<TaskId> {
    let ranks = remaining_path(order, dependants, duration);
    let rank = |id: &TaskId| (ranks[id.index()], Reverse(*id));
    let mut next = (0..ranks.len() as u32).map(TaskId).max_by_key(rank);
    let mut chain = Vec::new();
    while let Some(id) = next {
        chain.push(id);
        next = dependants[id.index()].iter().map(|edge| edge.task).max_by_key(rank);
    }
    chain
}

/// Output tokens a second that a call is expected to stream, where no history says more.
const TOKENS_PER_SECOND: f64 = 60.0;
/// Seconds that a call takes apart from its output: network and time to first token.
const BEFORE_FIRST_TOKEN: f64 = 0.8;
/// Output tokens that a call is expected to have (SPEC.md C1), where the plan has no hint.
pub const EXPECTED_OUTPUT_TOKENS: u32 = 500;

/// How long a task is expected to take: the plan's hint, else by its expected output.
pub fn expected(task: &Task) -> Duration {
    task.expected
        .unwrap_or_else(|| Duration::from_secs_f64(seconds_for(f64::from(expected_output_tokens(task)))))
}

/// How many seconds an answer of so many tokens takes, where nothing more is known.
pub fn seconds_for(output_tokens: f64) -> f64 {
    BEFORE_FIRST_TOKEN + output_tokens / TOKENS_PER_SECOND
}

/// How many output tokens a task is expected to have: the plan's hint, else 500 or what its own
/// `max_tokens` allow, if that is less.
pub fn expected_output_tokens(task: &Task) -> u32 {
    task.expected_output_tokens.unwrap_or(EXPECTED_OUTPUT_TOKENS).min(task.max_tokens)
}

/// A topological order (Kahn), and what is left when there is a cycle: nodes on or behind one.
pub(super) fn order<I>(len: usize, depends_on: impl Fn(usize) -> I) -> (Vec<usize>, Vec<usize>)
where
    I: Iterator<Item = usize>,
{
    let mut waiting = vec![0u32; len];
    let mut offsets = vec![0usize; len + 1];
    for node in 0..len {
        for on in depends_on(node) {
            waiting[node] += 1;
            offsets[on + 1] += 1;
        }
    }
    for node in 0..len {
        offsets[node + 1] += offsets[node];
    }
    let mut next = offsets.clone();
    let mut dependants = vec![0usize; offsets[len]];
    for node in 0..len {
        for on in depends_on(node) {
            dependants[next[on]] = node;
            next[on] += 1;
        }
    }
    let mut order: Vec<usize> = (0..len).filter(|&node| waiting[node] == 0).collect();
    let mut done = 0;
    while done < order.len() {
        let node = order[done];
        done += 1;
        for &dependant in &dependants[offsets[node]..offsets[node + 1]] {
            waiting[dependant] -= 1;
            if waiting[dependant] == 0 {
                order.push(dependant);
            }
        }
    }
    let left = (0..len).filter(|&node| waiting[node] > 0).collect();
    (order, left)
}

/// Cycles among what [`order`] left, each as a path that ends where it begins, no two with a task
/// in common. There is one for every knot that waits for nothing but itself; untying these may
/// show others.
pub(super) fn cycles<I>(len: usize, left: &[usize], depends_on: impl Fn(usize) -> I) -> Vec<Vec<usize>>
where
    I: Iterator<Item = usize>,
{
    let mut is_left = vec![false; len];
    for &node in left {
        is_left[node] = true;
    }
    let mut seen = vec![None; len];
    let mut cycles = Vec::new();
    for &start in left {
        // Every node that is left waits for another that is left, so walking along must meet
        // itself, or the path of an earlier walk.
        let mut path: Vec<usize> = Vec::new();
        let mut at = start;
        while seen[at].is_none() {
            seen[at] = Some((start, path.len()));
            path.push(at);
            match depends_on(at).find(|&on| is_left[on]) {
                Some(on) => at = on,
                None => break,
            }
        }
        match seen[at] {
            Some((walk, first)) if walk == start && path.get(first) == Some(&at) => {
                let mut cycle = path.split_off(first);
                cycle.push(at);
                cycles.push(cycle);
            }
            _ => {}
        }
    }
    cycles
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(edges: &[&[usize]]) -> (Vec<usize>, Vec<Vec<usize>>) {
        let depends_on = |i: usize| edges[i].iter().copied();
        let (order, left) = order(edges.len(), depends_on);
        (order, cycles(edges.len(), &left, depends_on))
    }

    #[test]
    fn a_diamond_is_ordered_and_has_no_cycle() {
        let (order, cycles) = graph(&[&[1, 2], &[3], &[3], &[]]);
        assert_eq!(order, [3, 1, 2, 0]);
        assert!(cycles.is_empty());
    }

    #[test]
    fn a_cycle_is_found_behind_nodes_that_only_wait_for_it() {
        // 0 waits for the cycle 1 -> 2 -> 3 -> 1; 4 is free.
        let (order, cycles) = graph(&[&[1], &[2], &[4, 3], &[1], &[]]);
        assert_eq!(order, [4]);
        assert_eq!(cycles, [[1, 2, 3, 1]]);
    }

    #[test]
    fn the_longest_path_is_told_with_its_tasks() {
        // 0 → {1, 2} → 3, and 4 by itself.
        let edge = |task| Edge::from(TaskId(task));
        let dependants = [vec![edge(1), edge(2)], vec![edge(3)], vec![edge(3)], vec![], vec![]];
        let order: Vec<TaskId> = (0..5).map(TaskId).collect();
        let check = |seconds: [u64; 5], expected: &[u32]| {
            let chain = longest_chain(&order, &dependants, |id| Duration::from_secs(seconds[id.index()]));
            assert_eq!(chain, expected.iter().copied().map(TaskId).collect::<Vec<_>>(), "{seconds:?}");
        };
        check([1, 2, 3, 1, 4], &[0, 2, 3]);
        check([1, 3, 3, 1, 4], &[0, 1, 3]);
        check([1, 2, 3, 1, 6], &[4]);
        assert_eq!(longest_chain(&[], &[], |_| Duration::ZERO), []);
    }

    #[test]
    fn a_task_that_waits_for_itself_is_a_cycle() {
        assert_eq!(graph(&[&[0]]).1, [[0, 0]]);
    }

    #[test]
    fn two_knots_are_two_cycles_and_what_waits_for_both_is_in_neither() {
        // 0 waits for 1 <-> 2 and for 3 <-> 4.
        assert_eq!(graph(&[&[1, 3], &[2], &[1], &[4], &[3]]).1, [[1, 2, 1], [3, 4, 3]]);
    }
}
