//! Which tests and phases there are (SPEC.md P, S, B), and what each consists of.

use std::fmt;

use sortie_core::plan::check::{Checked, Routing, check};
use sortie_core::plan::sample::{Sample, sample};
use sortie_core::plan::written::{PlanFile, TaskFile};
use sortie_core::run::input::Mode;
use sortie_sim::fit::FEWEST;

use super::part::{Part, Role, Width};
use super::{faults, tasks};
use crate::error::Error;

/// A stage on the way to production (SPEC.md P1–P3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Five to ten tasks: whether it works at all.
    Small,
    /// Twenty to fifty: whether running side by side, dependencies, retries and recovery do.
    Medium,
    /// Hundreds: whether it lasts.
    Large,
}

/// What the founding document says of a phase.
struct Frame {
    number: u8,
    /// Tasks that it is for.
    range: (usize, usize),
    /// Those it has unless told.
    tasks: usize,
    max_concurrent: u32,
    /// What it is expected to cost at most, in USD, and to take at most, in minutes.
    most: (f64, u64),
}

impl Phase {
    /// All of them, in their order.
    pub const ALL: [Phase; 3] = [Phase::Small, Phase::Medium, Phase::Large];

    const fn frame(self) -> Frame {
        match self {
            Phase::Small => Frame { number: 1, range: (5, 10), tasks: 5, max_concurrent: 3, most: (0.05, 5) },
            Phase::Medium => {
                Frame { number: 2, range: (20, 50), tasks: 20, max_concurrent: 10, most: (0.50, 15) }
            }
            Phase::Large => {
                Frame { number: 3, range: (100, 500), tasks: 200, max_concurrent: 50, most: (10.0, 120) }
            }
        }
    }

    /// The phase of this number, 1 to 3.
    pub fn numbered(number: u8) -> Option<Self> {
        Phase::ALL.into_iter().find(|phase| phase.number() == number)
    }

    /// 1 to 3.
    pub const fn number(self) -> u8 {
        self.frame().number
    }

    /// How many tasks it is for, at least and at most.
    pub const fn range(self) -> (usize, usize) {
        self.frame().range
    }

    /// What it is expected to cost at most, in USD, and to take at most, in minutes (SPEC.md P).
    pub const fn most(self) -> (f64, u64) {
        self.frame().most
    }

    /// The phase that so many tasks belong to.
    fn of(tasks: usize) -> Self {
        let fits = |phase: &Phase| tasks <= phase.range().1;
        Phase::ALL.into_iter().find(fits).unwrap_or(Phase::Large)
    }
}

/// A test by its name on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TestType {
    /// A phase's own: all that the phase is to validate.
    Phase,
    /// One call (SPEC.md S1).
    Single,
    /// Independent tasks, serially and in parallel (S2).
    Parallel,
    /// The same with tasks enough to be sure of the speedup.
    Speedup,
    /// Tasks that depend on each other (S3).
    Dependency,
    /// What must fail fails, and nothing else (S4).
    FaultTolerance,
    /// Simple, medium and complex tasks (B3).
    Mixed,
    /// Ten independent tasks (B1).
    Scenario1,
    /// A DAG (B2): twenty tasks in layers, or, of eight, the figure.
    Scenario2,
    /// Simple, medium and complex tasks, measured (B3).
    Scenario3,
    /// Hundreds of tasks: throughput, errors and memory over time (P3).
    LargeScale,
    /// The same tasks on the simulator and on the real endpoint (M).
    Compare,
}

/// Tests with their names, the tasks that they have unless told, and the calls at a time outside of a phase.
const TESTS: [(TestType, &str, usize, u32); 12] = [
    (TestType::Phase, "phase", 5, 3),
    (TestType::Single, "single", 1, 1),
    (TestType::Parallel, "parallel", 5, 5),
    (TestType::Speedup, "speedup", 20, 10),
    (TestType::Dependency, "dependency", 5, 3),
    (TestType::FaultTolerance, "fault-tolerance", 20, 5),
    (TestType::Mixed, "mixed", 12, 5),
    (TestType::Scenario1, "scenario-1", 10, 10),
    (TestType::Scenario2, "scenario-2", 20, 10),
    (TestType::Scenario3, "scenario-3", 12, 10),
    (TestType::LargeScale, "large-scale", 200, 50),
    (TestType::Compare, "compare", 16, 4),
];

impl TestType {
    /// The names that `--test-type` takes.
    pub fn names() -> impl Iterator<Item = &'static str> {
        TESTS.iter().filter(|(test, ..)| *test != TestType::Phase).map(|(_, name, ..)| *name)
    }

    /// The test of this name.
    pub fn named(name: &str) -> Option<Self> {
        TESTS.iter().find(|(_, known, ..)| *known == name).map(|(test, ..)| *test)
    }

    fn row(self) -> (&'static str, usize, u32) {
        let row = TESTS
            .iter()
            .find(|(test, ..)| *test == self)
            .map(|(_, name, tasks, at_a_time)| (*name, *tasks, *at_a_time));
        row.unwrap_or(("phase", 5, 3))
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        self.row().0
    }

    /// Its tasks, where none are given.
    fn tasks(self, count: usize) -> Vec<TaskFile> {
        match self {
            TestType::Phase => tasks::phase(count),
            TestType::Single => vec![tasks::single()],
            TestType::Parallel | TestType::Speedup | TestType::Scenario1 | TestType::Compare => {
                tasks::parallel(count)
            }
            TestType::Dependency => tasks::dependency(count),
            // One that is too long, and at least one beside it.
            TestType::FaultTolerance => tasks::parallel(count.saturating_sub(1).max(1)),
            TestType::Mixed | TestType::Scenario3 | TestType::LargeScale => tasks::mixed(count),
            TestType::Scenario2 if count == tasks::FIGURE => tasks::figure(),
            TestType::Scenario2 => tasks::layers(count),
        }
    }

    /// Whether both halves of a speedup are made.
    const fn measures_both(self, phase: Option<Phase>) -> bool {
        match self {
            TestType::Parallel
            | TestType::Speedup
            | TestType::Scenario1
            | TestType::Scenario2
            | TestType::Scenario3
            | TestType::Compare => true,
            TestType::Phase => matches!(phase, Some(Phase::Medium)),
            _ => false,
        }
    }
}

impl fmt::Display for TestType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a trial is asked to be.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Of which phase.
    pub phase: Option<Phase>,
    /// Which test.
    pub test_type: Option<TestType>,
    /// How many tasks.
    pub tasks: Option<usize>,
    /// Calls at a time, as the command line states it.
    pub max_concurrent: Option<u32>,
    /// Calls at a time, as the configuration states it: where it is lower, it wins.
    pub configured: Option<u32>,
    /// The user's own tasks, in place of generated ones.
    pub plan: Option<Checked>,
    /// Which of them are taken, and what else is drawn.
    pub seed: u64,
    /// Whether it is played against the simulator in this process.
    pub simulated: bool,
    /// Whether a prompt that is too long is sent all the same.
    pub send_oversized: bool,
    /// Whether the simulator is fitted to the endpoint, which takes calls at several widths.
    pub fits: bool,
}

/// What a trial will do.
#[derive(Clone, Debug)]
pub struct Design {
    /// Which test.
    pub test_type: TestType,
    /// Of which phase.
    pub phase: Option<Phase>,
    /// The user's own plan, by its name and a hash of its tasks; none where tasks are generated.
    pub plan: Option<String>,
    /// Calls at a time.
    pub max_concurrent: u32,
    /// What bounds them.
    pub width: Width,
    /// Its runs after the one that tries the keys, in their order.
    pub parts: Vec<Part>,
    /// What was made to go wrong, by the id of the task.
    pub faults: Vec<faults::Made>,
    /// What its reader has to know.
    pub notes: Vec<String>,
}

impl Design {
    /// What is done for a request with these agents.
    ///
    /// # Errors
    /// Where the generated tasks do not fit the configuration: no agent for them. Where they are too few for the
    /// simulator to be fitted to their calls.
    pub fn of(request: &Request, routing: &Routing) -> Result<Self, Error> {
        let test_type = request.test_type.unwrap_or(TestType::Phase);
        let (_, by_test, at_a_time) = test_type.row();
        let phase = match (request.phase, test_type, request.tasks) {
            (None, TestType::Phase, tasks) => Some(Phase::of(tasks.unwrap_or_default())),
            (phase, ..) => phase,
        };
        let own = phase.filter(|_| test_type == TestType::Phase);
        let count = request.tasks.unwrap_or(own.map_or(by_test, |phase| phase.frame().tasks)).max(1);
        let mut notes = Vec::new();
        let bound = phase.map_or(at_a_time, |phase| phase.frame().max_concurrent);
        let wanted = request.max_concurrent.unwrap_or(bound);
        let width = Width { own: wanted, configured: request.configured };
        let max_concurrent = width.most();
        if max_concurrent < wanted {
            notes.push(format!(
                "at most {max_concurrent} calls at a time, as the configuration has it, where the trial would make {wanted}"
            ));
        }
        if let Some(phase) = phase
            && !(phase.range().0..=phase.range().1).contains(&count)
        {
            let (least, most) = phase.range();
            notes.push(format!("phase {} is made for {least} to {most} tasks, not {count}", phase.number()));
        }
        let plan = request.plan.as_ref().map(tasks::identity);
        let (parts, faults) = (Vec::new(), Vec::new());
        let mut design = Design { test_type, phase, plan, max_concurrent, width, parts, faults, notes };
        let checked = design.tasks(request, count, routing)?;
        design.parts(&checked, phase, request.fits);
        if request.fits && design.real_tasks() < FEWEST {
            let (tasks, calls) = (checked.plan.to_do(), design.real_tasks());
            return Err(Error::FitOfFew { tasks, calls, max_concurrent, fewest: FEWEST });
        }
        Ok(design)
    }

    /// The tasks of the run that is judged.
    fn tasks(&mut self, request: &Request, count: usize, routing: &Routing) -> Result<Checked, Error> {
        if let Some(own) = &request.plan {
            return Ok(self.sampled(own, count, request.seed));
        }
        let mut tasks = self.test_type.tasks(count);
        if self.test_type == TestType::FaultTolerance {
            let made = faults::into_tasks(&mut tasks, request.simulated, request.send_oversized);
            self.faults = made;
        }
        let name = match self.phase {
            Some(phase) if self.test_type == TestType::Phase => format!("trial of phase {}", phase.number()),
            _ => format!("trial: {}", self.test_type),
        };
        let file = PlanFile { name: Some(name), tasks, ..PlanFile::default() };
        let mut checked = check(file, routing).map_err(Error::Plan)?;
        let made = checked.plan.len();
        if request.tasks.is_some_and(|tasks| tasks != made) {
            let (test, tasks) = (self.test_type, sortie_report::units::count(made as u64, "task"));
            self.notes.push(format!("{tasks}, not {count}: what {test} is about takes so many"));
        }
        if request.send_oversized {
            faults::send_too_long(&mut checked);
        }
        Ok(checked)
    }

    /// Tasks of the user's own plan.
    fn sampled(&mut self, own: &Checked, count: usize, seed: u64) -> Checked {
        let Sample { checked, remarks, .. } = sample(own, count, seed);
        let (taken, all) = (checked.plan.to_do(), own.plan.to_do());
        if taken < all {
            let were = if taken == 1 { "was" } else { "were" };
            self.notes.push(format!("{taken} of the plan's {all} tasks {were} taken"));
        }
        self.notes.extend(remarks.iter().map(ToString::to_string));
        checked
    }

    /// What is run, one after the other.
    fn parts(&mut self, checked: &Checked, phase: Option<Phase>, fits: bool) {
        let max_concurrent = self.max_concurrent;
        let part = |role: Role, mode: Mode, max_concurrent: u32| Part {
            role,
            mode,
            max_concurrent,
            checked: checked.clone(),
        };
        let parallel = |role: Role| part(role, Mode::Parallel, max_concurrent);
        if self.test_type == TestType::Compare {
            self.parts.push(part(Role::SimulatedSerial, Mode::Serial, 1));
            self.parts.push(parallel(Role::Simulated));
        }
        if self.test_type.measures_both(phase) && checked.plan.len() > 1 {
            self.parts.push(part(Role::Serial, Mode::Serial, 1));
        }
        self.parts.push(parallel(Role::Judged));
        // One width between one at a time and all of them, so that queues show where they begin.
        let between = f64::from(max_concurrent).sqrt().round() as u32;
        if fits && (2..max_concurrent).contains(&between) {
            self.parts.push(part(Role::Width(between), Mode::Parallel, between));
        }
        if self.test_type == TestType::Phase && phase == Some(Phase::Medium) {
            self.parts.push(parallel(Role::Recovery));
        }
    }

    /// How many calls ask the endpoint for its tasks at least, where all of them are made.
    fn real_tasks(&self) -> usize {
        self.parts.iter().filter(|part| part.role.is_real()).map(|part| part.checked.plan.to_do()).sum()
    }

    /// The part that is judged.
    pub fn judged(&self) -> Option<&Part> {
        self.parts.iter().find(|part| part.role == Role::Judged)
    }

    /// The parts on a fitted simulator: one for each width at which the endpoint was asked.
    pub fn rehearsals(&self) -> Vec<Part> {
        let widths = self.parts.iter().filter_map(|part| match part.role {
            Role::Serial => Some(1),
            Role::Judged | Role::Width(_) => Some(part.max_concurrent),
            _ => None,
        });
        let part = |width: u32, checked: &Checked| Part {
            role: Role::Fitted(width, 1),
            mode: if width == 1 { Mode::Serial } else { Mode::Parallel },
            max_concurrent: width,
            checked: checked.clone(),
        };
        let judged = self.judged();
        let mut widths: Vec<u32> = widths.collect();
        widths.sort_unstable();
        widths.dedup();
        judged
            .into_iter()
            .flat_map(|judged| widths.iter().map(|width| part(*width, &judged.checked)))
            .collect()
    }

    /// Whether a part is made once another one has ended, with a pause in between.
    pub fn measures_both(&self) -> bool {
        self.parts.iter().any(|part| part.role == Role::Serial)
    }
}
