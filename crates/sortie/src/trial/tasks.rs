//! The tasks of trials that are not given a plan: those of the founding document (SPEC.md S, B).
//!
//! Each states its own `max_tokens`, by its kind, so that what is reserved for it fits what its phase is
//! expected to cost.

use sortie_core::hash::Hash;
use sortie_core::plan::check::Checked;
use sortie_core::plan::written::TaskFile;

/// What a task asks for: how long its answer may be (SPEC.md B3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A sentence or two: 200 tokens.
    Simple,
    /// A few paragraphs: 500 tokens.
    Medium,
    /// A page: 1,000 tokens.
    Complex,
}

impl Kind {
    /// Output tokens that its answer may have.
    pub(super) const fn max_tokens(self) -> u32 {
        match self {
            Kind::Simple => 200,
            Kind::Medium => 500,
            Kind::Complex => 1000,
        }
    }

    /// Longer ones go first (SPEC.md B3): what is begun late ends late.
    const fn priority(self) -> i32 {
        match self {
            Kind::Simple => 0,
            Kind::Medium => 1,
            Kind::Complex => 2,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Kind::Simple => "simple",
            Kind::Medium => "medium",
            Kind::Complex => "complex",
        }
    }
}

/// What simple and medium tasks are about; a number makes each prompt another one.
const TOPICS: [&str; 12] = [
    "hash tables",
    "the CAP theorem",
    "garbage collection",
    "public-key cryptography",
    "B-trees",
    "load balancing",
    "eventual consistency",
    "unit tests",
    "message queues",
    "rate limiting",
    "content delivery networks",
    "database indexes",
];

/// What complex tasks design.
const SYSTEMS: [&str; 6] = [
    "a service that shortens URLs",
    "a chat for ten thousand people at a time",
    "a cache in front of a slow database",
    "a job queue that loses no job",
    "an upload service for large files",
    "a rate limiter that several servers share",
];

/// Characters of a prompt that no task may have (SPEC.md F3, S4).
const TOO_LONG: usize = 120_000;

/// The founding document's single task (SPEC.md S1).
pub(super) fn single() -> TaskFile {
    TaskFile {
        id: "single".into(),
        prompt: "Explain machine learning in one sentence.".into(),
        task_type: Some("general".into()),
        max_tokens: Some(Kind::Simple.max_tokens()),
        ..TaskFile::default()
    }
}

/// A task that depends on nothing, another one for each number.
pub(super) fn independent(number: usize, kind: Kind) -> TaskFile {
    let topic = TOPICS[number % TOPICS.len()];
    let system = SYSTEMS[number % SYSTEMS.len()];
    let (task_type, prompt) = match kind {
        Kind::Simple => ("general", format!("In two sentences, say what {topic} are about.")),
        Kind::Medium => {
            ("analysis", format!("Compare two common approaches to {topic}: what each is good and bad at."))
        }
        Kind::Complex => (
            "design",
            format!("Design {system}: its parts, how they fail, and what you would measure in production."),
        ),
    };
    TaskFile {
        id: format!("{}-{}", kind.name(), number + 1),
        prompt: format!("{prompt} (Question {}.)", number + 1),
        task_type: Some(task_type.into()),
        max_tokens: Some(kind.max_tokens()),
        ..TaskFile::default()
    }
}

/// So many tasks of medium length that depend on nothing (SPEC.md S2, B1).
pub(super) fn parallel(count: usize) -> Vec<TaskFile> {
    (0..count).map(|number| independent(number, Kind::Medium)).collect()
}

/// Simple, medium and complex ones in turn (SPEC.md B3).
pub(super) fn mixed(count: usize) -> Vec<TaskFile> {
    const TURN: [Kind; 3] = [Kind::Simple, Kind::Medium, Kind::Complex];
    let task = |number: usize| {
        let kind = TURN[number % TURN.len()];
        TaskFile { priority: Some(kind.priority()), ..independent(number, kind) }
    };
    (0..count).map(task).collect()
}

/// `analyze` → `design` → {`impl_a`, `impl_b`} → `test` (SPEC.md S3), so often as `count` has room for five;
/// what is left are independent tasks.
pub(super) fn dependency(count: usize) -> Vec<TaskFile> {
    let chains = (count / 5).max(1);
    let mut tasks: Vec<TaskFile> = (0..chains).flat_map(|number| chain(number, chains > 1)).collect();
    let left = count.saturating_sub(tasks.len());
    tasks.extend((0..left).map(|number| independent(number, Kind::Medium)));
    tasks
}

/// One such diamond.
fn chain(number: usize, is_one_of_many: bool) -> [TaskFile; 5] {
    let id = |name: &str| if is_one_of_many { format!("{name}_{}", number + 1) } else { name.to_owned() };
    let result = |name: &str| format!("{{{{ results['{}'] }}}}", id(name));
    let system = SYSTEMS[number % SYSTEMS.len()];
    // Another prompt for each: a simulator answers the same to the same, and then few answers stand for many.
    let which = if is_one_of_many { format!(" (System {}.)", number + 1) } else { String::new() };
    let task = |name: &str, task_type: &str, kind: Kind, on: &[&str], prompt: String| TaskFile {
        id: id(name),
        prompt: prompt + &which,
        task_type: Some(task_type.into()),
        depends_on: (!on.is_empty()).then(|| on.iter().map(|on| id(on).into()).collect()),
        max_tokens: Some(kind.max_tokens()),
        ..TaskFile::default()
    };
    let (analysis, design) = (result("analyze"), result("design"));
    let (one, other) = (result("impl_a"), result("impl_b"));
    [
        task("analyze", "analysis", Kind::Medium, &[], format!("List the requirements of {system}.")),
        task(
            "design",
            "design",
            Kind::Medium,
            &["analyze"],
            format!("Outline an architecture for these requirements:\n{analysis}"),
        ),
        task(
            "impl_a",
            "coding",
            Kind::Medium,
            &["design"],
            format!("Write the interface of the most important part of this architecture:\n{design}"),
        ),
        task(
            "impl_b",
            "coding",
            Kind::Medium,
            &["design"],
            format!("Write the data model of this architecture:\n{design}"),
        ),
        task(
            "test",
            "testing",
            Kind::Medium,
            &["impl_a", "impl_b"],
            format!("Name five tests for this interface and this data model:\n{one}\n{other}"),
        ),
    ]
}

/// Tasks of the figure of SPEC.md B2.
pub(super) const FIGURE: usize = 8;

/// The figure of SPEC.md B2: 1 → {2, 3, 4}; 2 → 5, 3 → 6, 4 → 7; {5, 6, 7} → 8.
pub(super) fn figure() -> Vec<TaskFile> {
    const ON: [&[usize]; 8] = [&[], &[1], &[1], &[1], &[2], &[3], &[4], &[5, 6, 7]];
    graph(&ON)
}

/// The text of SPEC.md B2: tasks in layers; each depends on one or two of the layer before.
pub(super) fn layers(count: usize) -> Vec<TaskFile> {
    /// Layers, where there are tasks enough: what twenty tasks of four seconds need to come out between
    /// 28 and 35 s.
    const LAYERS: usize = 5;
    let depth = LAYERS.min(count.max(1));
    let mut on: Vec<Vec<usize>> = Vec::with_capacity(count);
    let mut before: Vec<usize> = Vec::new();
    for layer in 0..depth {
        let width = count / depth + usize::from(layer < count % depth);
        let begin = on.len();
        for place in 0..width {
            let first = before.get(place % before.len().max(1)).copied();
            let second = before.get((place + 1) % before.len().max(1)).copied();
            let mut these: Vec<usize> = first.into_iter().chain(second).collect();
            these.sort_unstable();
            these.dedup();
            on.push(these);
        }
        before = (begin + 1..=begin + width).collect();
    }
    let on: Vec<&[usize]> = on.iter().map(Vec::as_slice).collect();
    graph(&on)
}

/// Tasks 1 to n of which each depends on the ones that are named, with their results in its prompt.
fn graph(on: &[&[usize]]) -> Vec<TaskFile> {
    let id = |number: usize| format!("task_{number}");
    let task = |(index, on): (usize, &&[usize])| {
        let topic = TOPICS[index % TOPICS.len()];
        let used = on.iter().map(|on| format!("\nTake into account: {{{{ results.{} }}}}", id(*on)));
        let prompt = format!("Write three findings about {topic}. (Task {}.)", index + 1);
        let prompt = std::iter::once(prompt).chain(used).collect();
        TaskFile {
            id: id(index + 1),
            prompt,
            task_type: Some("analysis".into()),
            depends_on: (!on.is_empty()).then(|| on.iter().map(|on| id(*on).into()).collect()),
            max_tokens: Some(Kind::Medium.max_tokens()),
            ..TaskFile::default()
        }
    };
    on.iter().enumerate().map(task).collect()
}

/// A task that can never be answered: its prompt has more characters than one may have (SPEC.md S4).
pub(super) fn too_long() -> TaskFile {
    TaskFile {
        id: "too_long".into(),
        prompt: "word ".repeat(TOO_LONG / 5),
        task_type: Some("general".into()),
        max_tokens: Some(Kind::Simple.max_tokens()),
        ..TaskFile::default()
    }
}

/// A phase's own tasks: all types, independent ones and dependent ones.
pub(super) fn phase(count: usize) -> Vec<TaskFile> {
    if count < 5 {
        return mixed(count);
    }
    // Half of them in diamonds, the other half independent; of five all in one.
    let diamonds = (count / 10).max(1);
    let mut tasks: Vec<TaskFile> = (0..diamonds).flat_map(|number| chain(number, diamonds > 1)).collect();
    tasks.extend(mixed(count - tasks.len()));
    tasks
}

/// A plan by its name and what tells its tasks from another's: their ids and types, in whatever order. Which of them
/// are taken, and in what words they ask, is no matter.
pub(super) fn identity(of: &Checked) -> String {
    let plan = &of.plan;
    let mut tasks: Vec<String> =
        plan.tasks().iter().map(|task| format!("{}\t{}\n", task.name, task.task_type)).collect();
    tasks.sort_unstable();
    format!("{} ({:.12})", plan.name(), Hash::of(tasks.concat().as_bytes()).to_string())
}
