//! What became of a case, told from the run's records.

use std::collections::HashMap;

use sortie::core::failure::Class;
use sortie::core::run::event::{AttemptId, Event, Record, Then};
use sortie::core::time::Time;

/// Of which quota the use is told.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Load {
    /// Requests that were taken in, from a second until another, or until the last one started.
    Requests { per_minute: f64, from_s: f64, until_s: f64 },
    /// Input tokens after the first minute.
    InputTokens { per_minute: f64 },
    /// Output tokens after the first minute.
    OutputTokens { per_minute: f64 },
    /// OpenAI's tokens after the first minute: of each request the larger of its input and `max_tokens`.
    Tokens { per_minute: f64, max_tokens: f64 },
}

/// What became of a case.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures {
    pub(crate) tasks: usize,
    pub(crate) failed: usize,
    pub(crate) started: usize,
    pub(crate) refused: usize,
    pub(crate) makespan_s: f64,
    /// The share of the quota that was used.
    pub(crate) used: Option<f64>,
}

/// An answer: when it was asked for and came, and what it took.
struct Answer {
    start_s: f64,
    end_s: f64,
    input_tokens: f64,
    output_tokens: f64,
}

impl Figures {
    pub(crate) fn of(records: &[Record], load: Option<Load>) -> Figures {
        let began = records.first().map_or(Time::ZERO, |record| record.at);
        let second = |at: Time| at.since(began).as_secs_f64();
        let mut figures = Figures::default();
        let mut starts: HashMap<AttemptId, f64> = HashMap::new();
        let mut answers = Vec::new();
        for Record { at, event, .. } in records {
            match event {
                Event::AttemptStarted { attempt, .. } => {
                    figures.started += 1;
                    starts.insert(*attempt, second(*at));
                }
                Event::AttemptSucceeded { attempt, spent, .. } => {
                    figures.tasks += 1;
                    let usage = spent.usage.unwrap_or_default();
                    answers.push(Answer {
                        start_s: starts[attempt],
                        end_s: second(*at),
                        input_tokens: usage.total_input() as f64,
                        output_tokens: usage.output as f64,
                    });
                }
                Event::AttemptFailed { failure, then, .. } => {
                    figures.refused += usize::from(failure.class == Class::Throttled);
                    figures.failed += usize::from(matches!(then, Then::Fail));
                }
                Event::TaskFailed { .. } => figures.failed += 1,
                _ => {}
            }
        }
        figures.makespan_s = answers.iter().map(|answer| answer.end_s).fold(0.0, f64::max);
        figures.used = load.map(|load| used(&answers, load));
        figures
    }

    pub(crate) fn refused_share(&self) -> f64 {
        self.refused as f64 / self.started.max(1) as f64
    }
}

fn used(answers: &[Answer], load: Load) -> f64 {
    // Towards the end there is not enough left to do.
    let last = answers.iter().map(|answer| answer.start_s).fold(0.0, f64::max);
    let sum = |from: f64, until: f64, amount: &dyn Fn(&Answer) -> f64| -> f64 {
        answers.iter().filter(|answer| (from..until).contains(&answer.start_s)).map(amount).sum()
    };
    match load {
        Load::Requests { per_minute, from_s, until_s } => {
            let until = until_s.min(last);
            sum(from_s, until, &|_| 1.0) / ((until - from_s) * per_minute / 60.0)
        }
        Load::InputTokens { per_minute } => {
            sum(60.0, last, &|answer| answer.input_tokens) / ((last - 60.0) * per_minute / 60.0)
        }
        Load::OutputTokens { per_minute } => {
            sum(60.0, last, &|answer| answer.output_tokens) / ((last - 60.0) * per_minute / 60.0)
        }
        Load::Tokens { per_minute, max_tokens } => {
            sum(60.0, last, &|answer| answer.input_tokens.max(max_tokens))
                / ((last - 60.0) * per_minute / 60.0)
        }
    }
}
