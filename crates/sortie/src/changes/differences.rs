//! What is otherwise of a task or an agent, in words.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::Display;

use sortie_core::agent::{Agent, AgentId};
use sortie_core::plan::template::{Part, Template};
use sortie_core::plan::{Edge, Plan, Prompt, Task, TaskId, When};
use sortie_report::terminal;

use crate::config::Endpoint;

/// Characters of a line that are shown.
const WIDTH: usize = 100;
/// Lines of a prompt that are shown, of the old one and of the new one.
const MOST_LINES: usize = 3;

/// What is otherwise.
#[derive(Debug, Default)]
pub(super) struct Differences {
    /// In words.
    pub(super) lines: Vec<String>,
    /// Tasks that are new, or of which something is otherwise that their answers depend on.
    pub(super) changed: BTreeSet<TaskId>,
    pub(super) added: BTreeSet<TaskId>,
    pub(super) removed: usize,
}

impl Differences {
    pub(super) fn add(&mut self, id: TaskId, name: &str) {
        self.changed.insert(id);
        self.added.insert(id);
        self.lines.push(format!("task {name}: added"));
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.removed += 1;
        self.lines.push(format!("task {name}: removed"));
    }
}

/// What is otherwise of one thing.
#[derive(Default)]
struct Fields(Vec<String>);

impl Fields {
    fn compare<T: PartialEq>(&mut self, name: &str, old: &T, new: &T, say: impl Fn(&T) -> String) {
        if old != new {
            self.0.push(format!("  {name}: {} → {}", cut(&say(old)), cut(&say(new))));
        }
    }

    fn compare_options<T: PartialEq + Display>(&mut self, name: &str, old: Option<&T>, new: Option<&T>) {
        let say = |value: Option<&T>| value.map_or_else(|| "none".to_owned(), ToString::to_string);
        self.compare(name, &old, &new, |value| say(*value));
    }

    /// Of texts the first lines that are otherwise.
    fn compare_texts(&mut self, name: &str, old: &str, new: &str) {
        if old == new {
            return;
        }
        let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
        let same = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
        let (old, new) = (&old[same..], &new[same..]);
        let alike = old.iter().rev().zip(new.iter().rev()).take_while(|(old, new)| old == new).count();
        if old.len() == alike && new.len() == alike {
            return self.0.push(format!("  {name}: line breaks"));
        }
        self.0.push(format!("  {name}, from line {} on:", same + 1));
        for (sign, lines) in [('-', &old[..old.len() - alike]), ('+', &new[..new.len() - alike])] {
            self.0.extend(lines.iter().take(MOST_LINES).map(|line| format!("    {sign} {}", cut(line))));
            if lines.len() > MOST_LINES {
                self.0.push(format!("    {sign} … {} more", lines.len() - MOST_LINES));
            }
        }
    }
}

/// What the run goes on with of a task that both plans have; says what is otherwise. `agents` are all that there are,
/// with those that are otherwise.
pub(super) fn of_task(
    differences: &mut Differences,
    id: TaskId,
    (old, before): (&Task, &Prompt),
    (new, now): (Task, Prompt),
    plan: &Plan,
    (agents, changed): (&[Agent], &BTreeSet<AgentId>),
) -> (Task, Prompt) {
    let mut fields = Fields::default();
    fields.of_answer((old, before), (&new, &now), plan, agents);
    // What changed of its agent is told of that.
    let is_changed = !fields.0.is_empty() || changed.contains(&new.agent);
    fields.of_rest((old, before), (&new, &now));
    if !fields.0.is_empty() {
        differences.lines.push(format!("task {}:", new.name));
        differences.lines.append(&mut fields.0);
    }
    if is_changed {
        differences.changed.insert(id);
        return (new, now);
    }
    // What was counted and settled when it began stays.
    let Task { prompt, timeout, invalid, max_tokens, .. } = old.clone();
    let task = Task { prompt, timeout, invalid, max_tokens, ..new };
    (task, Prompt { metadata: now.metadata, ..before.clone() })
}

impl Fields {
    /// What a task's answer depends on.
    fn of_answer(
        &mut self,
        (old, before): (&Task, &Prompt),
        (new, now): (&Task, &Prompt),
        plan: &Plan,
        agents: &[Agent],
    ) {
        // Tasks that are new have no name in the old plan.
        let name = |id: TaskId| plan.tasks().get(id.index()).map_or("a new task", |task| task.name.as_str());
        if before.template != now.template {
            let (old, new) = (written(&before.template, name), written(&now.template, name));
            self.compare_texts("prompt", &old, &new);
            if old == new {
                self.0.push("  prompt: other results are inserted".to_owned());
            }
        }
        self.compare_texts(
            "system",
            before.system.as_deref().unwrap_or_default(),
            now.system.as_deref().unwrap_or_default(),
        );
        self.compare_options("temperature", before.temperature.as_ref(), now.temperature.as_ref());
        self.compare("output", &before.output, &now.output, |output| {
            output.as_ref().map_or_else(|| "none".to_owned(), |output| output.schema().to_string())
        });
        self.compare("agent", &old.agent, &new.agent, |id| agents[id.index()].name.clone());
        self.compare("max_tokens", &old.max_tokens, &new.max_tokens, ToString::to_string);
        let sorted = |task: &Task| {
            let mut on: Vec<Edge> =
                task.depends_on.iter().copied().filter(|on| !is_for_sharing(task, *on)).collect();
            on.sort_by_key(|on| on.task);
            on
        };
        let one = |on: &Edge| on.named(name(on.task));
        self.compare("depends_on", &sorted(old), &sorted(new), |on| {
            format!("[{}]", on.iter().map(one).collect::<Vec<_>>().join(", "))
        });
    }

    /// What else is known of a task, but for what the run's settings are for.
    fn of_rest(&mut self, (old, before): (&Task, &Prompt), (new, now): (&Task, &Prompt)) {
        self.compare("task_type", &old.task_type, &new.task_type, Clone::clone);
        self.compare("priority", &old.priority, &new.priority, ToString::to_string);
        self.compare_options(
            "expected_output_tokens",
            old.expected_output_tokens.as_ref(),
            new.expected_output_tokens.as_ref(),
        );
        self.compare("expected_seconds", &old.expected, &new.expected, |time| {
            time.map_or_else(|| "none".to_owned(), |time| format!("{} s", time.as_secs_f64()))
        });
        self.compare_options("max_cost", old.max_cost.as_ref(), new.max_cost.as_ref());
        self.compare("on_failure: stop", &old.stops_run, &new.stops_run, ToString::to_string);
        self.compare_options("metadata", before.metadata.as_ref(), now.metadata.as_ref());
    }
}

/// Whether a task waits for another one only because that asks the same (`dedupe`).
pub(super) fn is_for_sharing(task: &Task, on: Edge) -> bool {
    task.same_as == Some(on.task) && on.when == When::Any
}

/// Says what is otherwise of an agent, and whether anything is that an answer depends on.
pub(super) fn of_agent(
    differences: &mut Differences,
    (old, before): (&Agent, &Endpoint),
    (new, now): (&Agent, &Endpoint),
    simulated: bool,
) -> bool {
    let mut fields = Fields::default();
    fields.compare("provider", &before.provider, &now.provider, |provider| format!("{provider:?}"));
    fields.compare("model", &old.model, &new.model, Clone::clone);
    fields.compare_texts(
        "system",
        before.system.as_deref().unwrap_or_default(),
        now.system.as_deref().unwrap_or_default(),
    );
    fields.compare_options("temperature", before.temperature.as_ref(), now.temperature.as_ref());
    fields.compare("api", &before.api, &now.api, |api| format!("{api:?}"));
    if !simulated {
        fields.compare("base_url", &before.base_url, &now.base_url, Clone::clone);
    }
    if fields.0.is_empty() {
        return false;
    }
    differences.lines.push(format!("agent {}:", new.name));
    differences.lines.append(&mut fields.0);
    true
}

/// A prompt as it may have been written.
fn written<'n>(template: &Template, name: impl Fn(TaskId) -> &'n str) -> String {
    let part = |part: &Part| match part {
        Part::Text(text) => text.clone(),
        Part::Insert { task, written, .. } if written.is_empty() => {
            format!("{{{{ results.{} }}}}", name(*task))
        }
        Part::Insert { written, .. } => format!("{{{{ {written} }}}}"),
    };
    template.parts.iter().map(part).collect()
}

fn cut(text: &str) -> Cow<'_, str> {
    terminal::cut(text, WIDTH)
}
