//! Whether a task comes before another, by any path: asked by templates that use the result of a
//! task that they do not directly depend on.
//!
//! There is no table of all ancestors: for a million tasks it would be a hundred gigabytes.
//! Questions about one much-used task are answered together by one walk forward from it; others
//! by a walk back from the asking task that stops at the level of the asked one. Both count their
//! steps, so that no plan takes longer than a bound.

use std::collections::HashMap;

/// Steps that all questions of one plan may take together: about a second.
const STEPS: usize = 50_000_000;

/// From this many questions about one task they are answered together.
const TOGETHER: usize = 8;

/// The answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Answer {
    /// It comes before.
    Before,
    /// It does not.
    NotBefore,
    /// The graph is too large and tangled to tell within the bound.
    TooFar,
}

/// Answers `(task, other)` questions: does `other` come before `task`? `order` is topological.
pub(super) fn comes_before(
    depends_on: &[Vec<usize>],
    order: &[usize],
    questions: &[(usize, usize)],
) -> Vec<Answer> {
    let mut walk =
        Walk { depends_on, level: levels(depends_on, order), seen: Seen::new(order.len()), left: STEPS };
    let mut answers = vec![Answer::TooFar; questions.len()];
    let mut by_other: HashMap<usize, Vec<usize>> = HashMap::new();
    for (question, &(_, other)) in questions.iter().enumerate() {
        by_other.entry(other).or_default().push(question);
    }
    let mut others: Vec<_> = by_other.into_iter().collect();
    others.sort_unstable();
    for (other, asked) in others {
        if asked.len() >= TOGETHER {
            walk.forward(other, order);
            for question in asked {
                let is_before = walk.seen.has(questions[question].0);
                answers[question] = match (walk.left, is_before) {
                    (0, false) => Answer::TooFar,
                    (_, true) => Answer::Before,
                    (_, false) => Answer::NotBefore,
                };
            }
        } else {
            for question in asked {
                answers[question] = walk.back(questions[question].0, other);
            }
        }
    }
    answers
}

/// How many tasks are at most in a row before each.
fn levels(depends_on: &[Vec<usize>], order: &[usize]) -> Vec<u32> {
    let mut levels = vec![0; depends_on.len()];
    for &task in order {
        levels[task] = depends_on[task].iter().map(|&on| levels[on] + 1).max().unwrap_or(0);
    }
    levels
}

struct Walk<'a> {
    depends_on: &'a [Vec<usize>],
    level: Vec<u32>,
    seen: Seen,
    left: usize,
}

impl Walk<'_> {
    /// Marks everything that comes after `from`: one pass over the order.
    fn forward(&mut self, from: usize, order: &[usize]) {
        self.seen.clear();
        self.seen.add(from);
        for &task in order {
            let on = &self.depends_on[task];
            self.left = self.left.saturating_sub(1 + on.len());
            if self.left == 0 {
                return;
            }
            if on.iter().any(|&on| self.seen.has(on)) {
                self.seen.add(task);
            }
        }
    }

    fn back(&mut self, task: usize, other: usize) -> Answer {
        self.seen.clear();
        let mut stack = vec![task];
        while let Some(at) = stack.pop() {
            for &on in &self.depends_on[at] {
                if on == other {
                    return Answer::Before;
                }
                if self.left == 0 {
                    return Answer::TooFar;
                }
                self.left -= 1;
                // What is not above the other's level cannot lead to it.
                if self.level[on] > self.level[other] && self.seen.add(on) {
                    stack.push(on);
                }
            }
        }
        Answer::NotBefore
    }
}

/// A set of tasks that is emptied in no time.
pub(super) struct Seen {
    marks: Vec<u32>,
    round: u32,
}

impl Seen {
    pub(super) fn new(len: usize) -> Seen {
        Seen { marks: vec![0; len], round: 0 }
    }

    pub(super) fn clear(&mut self) {
        // More rounds than fit a u32 are more questions than a plan's prompts can ask.
        self.round += 1;
    }

    pub(super) fn add(&mut self, task: usize) -> bool {
        std::mem::replace(&mut self.marks[task], self.round) != self.round
    }

    pub(super) fn has(&self, task: usize) -> bool {
        self.marks[task] == self.round
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(depends_on: &[Vec<usize>], questions: &[(usize, usize)], expect: &[Answer]) {
        let order = super::super::graph::order(depends_on.len(), |i| depends_on[i].iter().copied()).0;
        assert_eq!(comes_before(depends_on, &order, questions), expect, "{depends_on:?} {questions:?}");
    }

    #[test]
    fn a_task_comes_before_what_depends_on_it_by_any_path() {
        use Answer::{Before, NotBefore};
        // 0 <- 1 <- 2 <- 4, 0 <- 3
        let graph = [vec![], vec![0], vec![1], vec![0], vec![2]];
        check(
            &graph,
            &[(4, 0), (4, 1), (4, 3), (0, 4), (3, 1)],
            &[Before, Before, NotBefore, NotBefore, NotBefore],
        );
    }

    #[test]
    fn many_questions_about_one_task_are_answered_as_one_by_one() {
        let graph: Vec<Vec<usize>> = (0..40).map(|i| if i < 2 { vec![] } else { vec![i - 2] }).collect();
        let questions: Vec<_> = (2..40).map(|task| (task, 0)).collect();
        let expect: Vec<_> =
            (2..40).map(|i| if i % 2 == 0 { Answer::Before } else { Answer::NotBefore }).collect();
        check(&graph, &questions, &expect);
    }

    #[test]
    fn a_long_chain_whose_tasks_all_use_the_first_is_answered_within_the_bound() {
        let len = 100_000;
        let graph: Vec<Vec<usize>> =
            (0..len).map(|i: usize| i.checked_sub(1).into_iter().collect()).collect();
        let questions: Vec<_> = (2..len).map(|task| (task, 0)).collect();
        check(&graph, &questions, &vec![Answer::Before; len - 2]);
    }
}
