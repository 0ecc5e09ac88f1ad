//! From the plan as written to the plan as meant; everything that is wrong with it at once.
//!
//! A task whose prompt is empty or too long, or whose type is empty, does not refuse the plan: it
//! becomes a task that fails before anything is sent, and the others go on (SPEC.md F3). All else
//! refuses it. Nothing after this validates again.

mod agents;
mod dependencies;
mod ranges;
mod shares;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};

use super::template::{Fault, Template};
use super::written::{Defaults, OutputFile, PlanFile, TaskFile};
use super::{Edge, OnFailure, OutputSchema, Plan, Prompt, PromptSize, Prompts, Task, TaskId};
use crate::agent::AgentId;
use crate::document::{Place, Problem, Problems, Source, nearest};
use crate::failure::{Class, Failure};
use crate::money::Usd;

pub use agents::Routing;
use ranges::{Given, seconds};

/// Tasks of a plan, at most: beyond it the ready queue and the journal are not tried.
pub const MAX_TASKS: usize = 1_000_000;
/// Dependencies of a plan, at most, all tasks together.
pub const MAX_EDGES: usize = 10_000_000;
/// Dependencies of one task, at most.
pub const MAX_FAN_IN: usize = 1_000_000;
/// Characters of a prompt, at most (SPEC.md F3).
pub const MAX_PROMPT_CHARS: usize = 100_000;
/// Characters of an id, at most. Ids may be of any printable characters: no file is ever named
/// after one.
pub const MAX_ID_CHARS: usize = 128;
/// The type of a task that has none.
const DEFAULT_TASK_TYPE: &str = "general";

/// A plan that can be run.
#[derive(Clone, Debug)]
pub struct Checked {
    /// What the run decides by.
    pub plan: Plan,
    /// The texts, for the driver.
    pub prompts: Prompts,
    /// So many failed tasks end the run, at least 1.
    pub max_failures: Option<u32>,
    /// What does not stop the plan, but should be known.
    pub warnings: Problems,
}

impl Checked {
    /// Reads a plan and checks it. The warnings of a plan that is fine have their places too.
    ///
    /// # Errors
    /// Everything that is wrong with its form and its meaning, at its place.
    pub fn read(source: &Source, routing: &Routing) -> Result<Checked, Problems> {
        let checked = source.check(PlanFile::read(source), |file| check(file, routing))?;
        Ok(Checked { warnings: source.locate(checked.warnings), ..checked })
    }
}

/// Checks a plan against the agents there are.
///
/// # Errors
/// Everything that is wrong with it; [`crate::document::Source::locate`] finds the places.
pub fn check(file: PlanFile, routing: &Routing) -> Result<Checked, Problems> {
    if let Some(problem) = out_of_bounds(&file.tasks) {
        return Err(problem.into());
    }
    let mut problems = Problems::default();
    if file.tasks.is_empty() {
        problems.push(Problem::error("the plan has no tasks").at(Place::root().key("tasks")));
    }
    if file.max_failures == Some(0) {
        let place = Place::root().key("max_failures");
        problems.push(Problem::error("`max_failures` must be at least 1").at(place));
    }
    let defaults = file.defaults.unwrap_or_default();
    let (tasks, mut prompts) = tasks(&file.tasks, &defaults, routing, &mut problems);
    if problems.has_errors() {
        return Err(problems);
    }
    for (prompt, task) in prompts.iter_mut().zip(file.tasks) {
        // Moved, because it can be most of the file.
        prompt.metadata = task.metadata;
    }
    let name = file.name.unwrap_or_else(|| "plan".into());
    let plan = Plan::new(name, routing.agents.clone(), tasks);
    Ok(Checked { plan, prompts, max_failures: file.max_failures, warnings: problems })
}

/// The tasks as meant; not to be used where there are errors. The metadata is left out.
fn tasks(
    tasks: &[TaskFile],
    defaults: &Defaults,
    routing: &Routing,
    problems: &mut Problems,
) -> (Vec<Task>, Prompts) {
    let agents =
        routing.agents.iter().enumerate().map(|(at, agent)| (agent.name.as_str(), AgentId(at as u16)));
    let (ids, agents) = (ids(tasks, problems), agents.collect());
    let output = output(defaults.output.as_ref(), Place::root().key("defaults"), problems);
    let mut checker = Checker { ids, tasks, agents, routing, defaults, output, problems };
    checker.default_agent();
    checker.ranges(&Given::by_default(defaults), &Place::root().key("defaults"));
    let depends_on = checker.dependencies();
    let order = checker.order(&depends_on);
    let (mut checked, prompts): (Vec<Task>, Prompts) =
        depends_on.iter().enumerate().map(|(index, depends_on)| checker.task(index, depends_on)).unzip();
    if let Some(order) = order {
        checker.inserts(&checked, &order);
        checker.shares(&mut checked, &prompts, &order);
    }
    (checked, prompts)
}

/// The limits on a whole plan, before anything is allocated for it.
fn out_of_bounds(tasks: &[TaskFile]) -> Option<Problem> {
    let fan_in = |task: &TaskFile| task.depends_on.as_ref().map_or(0, Vec::len);
    let edges: usize = tasks.iter().map(fan_in).sum();
    let at = Place::root().key("tasks");
    if tasks.len() > MAX_TASKS {
        return Some(
            Problem::error(format!("{} tasks are too many: at most {MAX_TASKS}", tasks.len())).at(at),
        );
    }
    if edges > MAX_EDGES {
        return Some(
            Problem::error(format!("{edges} dependencies are too many: at most {MAX_EDGES}")).at(at),
        );
    }
    let (index, widest) = tasks.iter().map(fan_in).enumerate().max_by_key(|&(_, fan_in)| fan_in)?;
    (widest > MAX_FAN_IN).then(|| {
        let message = format!("{widest} dependencies of one task are too many: at most {MAX_FAN_IN}");
        Problem::error(message).at(at.index(index).key("depends_on"))
    })
}

/// All ids, each with the first task that has it.
fn ids<'a>(tasks: &'a [TaskFile], problems: &mut Problems) -> HashMap<&'a str, usize> {
    let mut ids = HashMap::with_capacity(tasks.len());
    for (index, task) in tasks.iter().enumerate() {
        let place = |index| Place::root().key("tasks").index(index).key("id");
        let chars = task.id.chars().count();
        if chars == 0 || chars > MAX_ID_CHARS {
            let message = format!("an id has 1 to {MAX_ID_CHARS} characters, not {chars}");
            problems.push(Problem::error(message).at(place(index)));
            if chars == 0 {
                // No name, so nothing can mean it.
                continue;
            }
        } else if task.id.chars().any(char::is_control) {
            let message = format!("the id {:?} has a control character", task.id);
            problems.push(Problem::error(message).at(place(index)));
        }
        match ids.get(task.id.as_str()) {
            Some(&first) => {
                let message = format!("two tasks have the id `{}`", task.id);
                problems.push(Problem::error(message).at(place(index)).also("first", place(first)));
            }
            None => {
                ids.insert(task.id.as_str(), index);
            }
        }
    }
    ids
}

struct Checker<'a> {
    ids: HashMap<&'a str, usize>,
    tasks: &'a [TaskFile],
    agents: HashMap<&'a str, AgentId>,
    routing: &'a Routing,
    defaults: &'a Defaults,
    /// What answers have to be by default.
    output: Option<OutputSchema>,
    problems: &'a mut Problems,
}

impl Checker<'_> {
    fn task(&mut self, index: usize, depends_on: &[Edge]) -> (Task, Prompt) {
        let task = &self.tasks[index];
        self.ranges(&Given::of(task), &at(index));
        let task_type = task.task_type.as_ref().or(self.defaults.task_type.as_ref());
        let task_type = task_type.map_or(DEFAULT_TASK_TYPE, String::as_str);
        let agent_id = self.agent(index, task_type);
        let agent = self.routing.agents.get(usize::from(agent_id.0));
        let system = task.system.as_ref().or(self.defaults.system.as_ref());
        let system_bytes = system.map_or(agent.map_or(0, |a| a.system_bytes), |text| text.len() as u64);
        let template = self.template(index);
        let output = output(task.output.as_ref(), at(index), self.problems).or_else(|| self.output.clone());
        let schema_tokens = output.as_ref().map_or(0, OutputSchema::most_tokens);
        let max_tokens = task.max_tokens.or(self.defaults.max_tokens).or(agent.map(|a| a.max_tokens));
        let max_tokens = max_tokens.unwrap_or(1);
        if let Some(agent) = agent {
            self.least_tokens(index, &agent.name);
        }
        let expected = task.expected_seconds.or(self.defaults.expected_seconds).and_then(seconds);
        let timeout = task.timeout.or(self.defaults.timeout).and_then(seconds);
        let by_work = || agent.map(|a| a.timeouts.request_for(max_tokens, expected)).unwrap_or_default();
        let checked = Task {
            name: task.id.clone(),
            task_type: task_type.into(),
            agent: agent_id,
            depends_on: depends_on.to_vec(),
            prompt: PromptSize { schema_tokens, ..size(&template, system_bytes) },
            max_tokens,
            priority: task.priority.or(self.defaults.priority).unwrap_or(0),
            expected_output_tokens: task.expected_output_tokens.or(self.defaults.expected_output_tokens),
            expected,
            max_cost: task.max_cost.or(self.defaults.max_cost).and_then(Usd::from_f64),
            timeout: timeout.unwrap_or_else(by_work),
            same_as: None,
            stops_run: self.on_failure(task) == OnFailure::Stop,
            invalid: invalid(task, task_type).map(Box::new),
        };
        let prompt = Prompt {
            template,
            system: system.cloned(),
            temperature: task.temperature.or(self.defaults.temperature),
            output,
            metadata: None,
        };
        (checked, prompt)
    }

    fn template(&mut self, index: usize) -> Template {
        let task = &self.tasks[index];
        if !task.template.or(self.defaults.template).unwrap_or(true) {
            return Template::literal(task.prompt.clone());
        }
        let find = |id: &str| self.ids.get(id).map(|&index| TaskId(index as u32));
        let faults = match Template::parse(&task.prompt, find) {
            Ok(template) => return template,
            Err(faults) => faults,
        };
        for fault in faults {
            let literal = "`template: false` takes the prompt as it is";
            let problem = match fault {
                Fault::Unclosed { quote, line } => {
                    let message =
                        format!("`{{{{` is not closed, in line {line} of the prompt of `{}`", task.id);
                    Problem::error(message).quote(quote).help(literal)
                }
                Fault::NotAResult { quote } => {
                    let message = format!("`{}` in the prompt of `{}` is no result", short(&quote), task.id);
                    let help = format!("write `{{{{ results.ID }}}}`; or {literal}");
                    Problem::error(message).quote(quote).help(help)
                }
                Fault::UnknownTask { quote, task: other } => {
                    let message = format!("the prompt of `{}` uses `{other}`, which is no task", task.id);
                    let problem = Problem::error(message).quote(quote).maybe_help(self.near_task(&other));
                    problem.absent(all_tasks(), "id")
                }
            };
            let problem = problem.absent(at(index), "template");
            let problem = problem.absent(Place::root().key("defaults"), "template");
            self.problems.push(problem.at(at(index).key("prompt")));
        }
        Template::default()
    }

    fn near_task(&self, id: &str) -> Option<String> {
        if self.problems.is_full() {
            return None;
        }
        let near = nearest(id, self.tasks.iter().map(|task| task.id.as_str()))?;
        Some(format!("did you mean `{near}`?"))
    }
}

/// What an answer has to be.
fn output(written: Option<&OutputFile>, of: Place, problems: &mut Problems) -> Option<OutputSchema> {
    let schema = written?.schema.clone().unwrap_or_default();
    if !schema.is_object() {
        let problem = Problem::error("`schema` must be a JSON schema: an object");
        problems.push(problem.at(of.key("output").key("schema")));
    }
    Some(OutputSchema::closed(schema))
}

/// The beginning of a piece of a prompt, on one line.
fn short(quote: &str) -> String {
    let line = quote.lines().next().unwrap_or_default();
    let start: String = line.chars().take(60).collect();
    if start.len() < quote.len() { start + "…" } else { start }
}

fn all_tasks() -> Place {
    Place::root().key("tasks")
}

fn at(task: usize) -> Place {
    all_tasks().index(task)
}

fn size(template: &Template, system_bytes: u64) -> PromptSize {
    let mut counts: BTreeMap<TaskId, u32> = BTreeMap::new();
    for task in template.inserted() {
        *counts.entry(task).or_default() += 1;
    }
    let fixed_bytes = template.text_bytes() + system_bytes;
    PromptSize { fixed_bytes, inserts: counts.into_iter().collect(), ..PromptSize::default() }
}

/// Why a task fails before anything is sent (SPEC.md F3).
fn invalid(task: &TaskFile, task_type: &str) -> Option<Failure> {
    let id = &task.id;
    let chars = task.prompt.chars().count();
    let message = if task.prompt.trim().is_empty() {
        format!("task `{id}` has an empty prompt")
    } else if chars > MAX_PROMPT_CHARS {
        format!("the prompt of task `{id}` has {chars} characters: at most {MAX_PROMPT_CHARS}")
    } else if task_type.trim().is_empty() {
        format!("task `{id}` has an empty type")
    } else {
        return None;
    };
    Some(Failure::new(Class::Invalid, message))
}
