//! Random plans, limits, settings and replies, from a seed.

use std::time::Duration;

use crate::agent::{Agent, AgentId, Backoff, Retry, Timeouts};
use crate::failure::{Class, Failure};
use crate::hash::Hash;
use crate::limit::{GateId, GateSpec};
use crate::money::Usd;
use crate::plan::{Edge, Plan, PromptSize, Task, TaskId, When};
use crate::price::Pricing;
use crate::price::{Price, table};
use crate::run::event::{Answer, AttemptId, Finish, Timing};
use crate::run::input::{Billing, Mode, Reply, Settings};
use crate::time::Time;
use crate::usage::{Cost, Region, Tier, Usage};

/// A small generator of random numbers (`SplitMix64`, Steele, Lea and Flood 2014).
pub(super) struct Rng(u64);

impl Rng {
    pub(super) fn new(seed: u64) -> Self {
        Rng(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number in `0..n`; 0 for `n` = 0.
    pub(super) fn below(&mut self, n: u64) -> u64 {
        self.next().checked_rem(n).unwrap_or(0)
    }

    /// A number in `from..=to`.
    pub(super) fn range(&mut self, from: u64, to: u64) -> u64 {
        from + self.below(to - from + 1)
    }

    pub(super) fn percent(&mut self, share: u64) -> bool {
        self.below(100) < share
    }

    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }

    pub(super) fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(self.range(from, to))
    }
}

pub(super) fn settings(rng: &mut Rng) -> Settings {
    let gates = (0..rng.range(1, 3)).map(|index| gate(rng, index)).collect();
    let (mode, seed) = (if rng.percent(10) { Mode::Serial } else { Mode::Parallel }, rng.next());
    Settings {
        mode,
        seed,
        budget: rng.percent(50).then(|| Usd::from_pico(rng.range(1_000_000_000, 2_000_000_000_000))),
        max_cost_per_task: rng.percent(10).then(|| Usd::from_pico(rng.range(20_000_000_000, 90_000_000_000))),
        alert_threshold: rng.percent(30).then(|| Usd::from_pico(rng.range(1, 100_000_000_000))),
        auto_stop: rng.percent(85),
        run_timeout: if rng.percent(10) {
            rng.millis(1_000, 60_000)
        } else {
            Duration::from_secs(10_000_000)
        },
        timeout_restarts: rng.percent(50),
        grace: Duration::from_secs(seed % 20),
        gates,
        max_concurrent: rng.range(1, 8) as u32,
        max_failures: rng.percent(10).then(|| rng.range(1, 6) as u32),
        cache: rng.percent(10),
        simulated: true,
        price_table: None,
    }
}

fn gate(rng: &mut Rng, index: u64) -> GateSpec {
    GateSpec {
        name: format!("gate-{index}"),
        account: format!("account-{}", index / 2),
        class: format!("class-{index}"),
        requests_per_minute: rng.percent(60).then(|| rng.range(10, 600) as u32),
        requests_burst: rng.range(1, 5) as u32,
        input_tokens_per_minute: rng.percent(20).then(|| rng.range(1_000, 100_000)),
        output_tokens_per_minute: rng.percent(20).then(|| rng.range(1_000, 100_000)),
        cached_input_is_free: false,
        probes: rng.percent(50),
        lag: rng.pick(&[Duration::ZERO, Duration::from_millis(20)]),
        max_concurrent: rng.percent(40).then(|| rng.range(1, 4) as u32),
        tokens_per_minute: rng.percent(10).then(|| rng.range(1_000, 100_000)),
    }
}

/// A time in which a provider fails most calls alike.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outage {
    from: Time,
    until: Time,
    class: Class,
    /// Of the calls, in percent.
    share: u64,
}

impl Outage {
    pub(super) fn is_on(&self, now: Time) -> bool {
        (self.from..self.until).contains(&now)
    }
}

/// Likely where a plan is large enough for one to last.
pub(super) fn outage(rng: &mut Rng, plan: &Plan, now: Time) -> Option<Outage> {
    let from = now + rng.millis(0, 10_000);
    let is_large = plan.len() > LARGE;
    let longest = if is_large { 300_000 } else { rng.pick(&[20_000, 100_000]) };
    let until = from + rng.millis(1_000, longest);
    let class = rng.pick(&[
        Class::Overloaded,
        Class::Network,
        Class::Timeout,
        Class::Malformed,
        Class::Invalid,
        Class::Invalid,
        Class::QuotaGone,
    ]);
    let share = rng.pick(if is_large { &[100, 60, 60] } else { &[100, 100, 90, 60] });
    rng.percent(if is_large { 85 } else { 15 }).then_some(Outage { from, until, class, share })
}

/// A plan of more tasks is one that an outage or a wrong model can stop.
const LARGE: usize = 24;

pub(super) fn plan(rng: &mut Rng, settings: &Settings) -> Plan {
    let mut agents: Vec<Agent> = (0..=settings.gates.len() as u16)
        .map(|index| {
            agent(rng, index, GateId(index % settings.gates.len() as u16), settings.budget.is_some())
        })
        .collect();
    fallbacks(rng, &mut agents);
    let is_large = rng.percent(10);
    let len = if is_large { rng.range(60, 160) } else { rng.range(1, LARGE as u64) } as u32;
    let density = if is_large { rng.pick(&[0, 0, 2]) } else { rng.pick(&[0, 8, 20, 60]) };
    let mut tasks: Vec<Task> = (0..len).map(|index| task(rng, index, agents.len() as u64, density)).collect();
    twins(rng, &mut tasks);
    Plan::new("random".to_owned(), agents, tasks)
}

/// Some tasks ask the same as one before them.
fn twins(rng: &mut Rng, tasks: &mut [Task]) {
    for index in 1..tasks.len() {
        if rng.percent(8) {
            let same = TaskId(rng.below(index as u64) as u32);
            tasks[index].same_as = Some(same);
            if tasks[index].depends_on.iter().all(|on| on.task != same) {
                tasks[index].depends_on.push(Edge { task: same, when: When::Any });
            }
        }
    }
}

/// Half of all agents name others, some of whose models take less than theirs.
fn fallbacks(rng: &mut Rng, agents: &mut [Agent]) {
    let len = agents.len() as u64;
    for (index, agent) in agents.iter_mut().enumerate() {
        for _ in 0..rng.pick(&[0, 0, 1, 2]) {
            let other = AgentId(rng.below(len) as u16);
            if other.index() != index && !agent.fallbacks.contains(&other) {
                agent.fallbacks.push(other);
            }
        }
        agent.fallback_after = rng.percent(50).then(|| rng.millis(0, 20_000));
        agent.context = rng.percent(20).then(|| rng.range(2_000, 20_000));
        agent.max_output = rng.percent(20).then(|| rng.range(50, 2_000) as u32);
    }
}

/// One more agent, behind the gate of one that there is.
pub(super) fn another_agent(rng: &mut Rng, agents: &[Agent], has_budget: bool) -> Agent {
    let gate = agents[rng.below(agents.len() as u64) as usize].gate;
    agent(rng, agents.len() as u16, gate, has_budget)
}

fn agent(rng: &mut Rng, index: u16, gate: GateId, has_budget: bool) -> Agent {
    let pricing = match rng.below(10) {
        0 => Pricing::Free,
        1 if !has_budget => Pricing::Unknown,
        2 => Pricing::Known(Price::flat(Usd::from_pico(rng.range(1, 9_000_000)), Usd::from_pico(20_000_000))),
        _ => Pricing::Known(table().rows[rng.below(table().rows.len() as u64) as usize].price.clone()),
    };
    Agent {
        name: format!("agent-{index}"),
        provider: "anthropic".to_owned(),
        model: format!("m{}", index % 2),
        gate,
        pricing,
        max_cost: rng.percent(20).then(|| Usd::from_pico(rng.range(1_000_000_000, 300_000_000_000))),
        max_tokens: 100,
        system_bytes: 0,
        context: None,
        max_output: None,
        fallbacks: Vec::new(),
        fallback_after: None,
        retry: Retry {
            max_retries: rng.below(4) as u32,
            initial_delay: rng.millis(0, 2_000),
            max_delay: rng.millis(500, 30_000),
            backoff: rng.pick(&[Backoff::Exponential, Backoff::Linear, Backoff::Constant]),
            retry_throttled: rng.percent(80),
        },
        timeouts: Timeouts::default(),
    }
}

pub(super) fn task(rng: &mut Rng, index: u32, agents: u64, density: u64) -> Task {
    let mut depends_on = Vec::new();
    for task in (0..index).map(TaskId) {
        if rng.percent(density) {
            let when = rng.pick(&[When::Succeeded, When::Succeeded, When::Finished, When::Any]);
            depends_on.push(Edge { task, when });
        }
    }
    let inserts = depends_on.iter().map(|on| (on.task, rng.below(4) as u32));
    let inserts = inserts.filter(|&(_, times)| times > 0).collect();
    Task {
        name: format!("t{index}"),
        task_type: "general".to_owned(),
        agent: AgentId(rng.below(agents) as u16),
        depends_on,
        prompt: prompt(rng, inserts),
        max_tokens: rng.range(1, 2_000) as u32,
        priority: rng.pick(&[0, 0, 0, 1, -1]),
        expected_output_tokens: None,
        expected: rng.percent(30).then(|| rng.millis(0, 10_000)),
        max_cost: rng.percent(10).then(|| Usd::from_pico(rng.range(1_000_000, 60_000_000_000))),
        timeout: Duration::from_secs(60),
        same_as: None,
        stops_run: rng.percent(1),
        invalid: rng.percent(1).then(|| Box::new(Failure::new(Class::Invalid, "empty prompt"))),
    }
}

fn prompt(rng: &mut Rng, inserts: Vec<(TaskId, u32)>) -> PromptSize {
    let fixed_bytes = rng.range(1, 4_000);
    let fixed_tokens = rng.percent(20).then_some(fixed_bytes / 4);
    PromptSize { fixed_bytes, fixed_tokens, inserts, ..PromptSize::default() }
}

/// How the provider will answer, and what it will bill.
pub(super) fn reply(rng: &mut Rng, attempt: AttemptId, reserved: &Cost, outage: Option<&Outage>) -> Reply {
    let input = rng.below(reserved.input_tokens + 1);
    let cache_write = if rng.percent(20) { rng.below(input + 1) } else { 0 };
    let usage = Usage {
        input: input - cache_write,
        cache_write,
        output: rng.range(0, reserved.output_tokens),
        tier: rng.pick(&[Tier::Standard, Tier::Standard, Tier::Flex, Tier::Batch]),
        region: rng.pick(&[Region::Any, Region::Any, Region::Named]),
        ..Usage::default()
    };
    let answer = Answer {
        output: Hash::of(&attempt.task.0.to_le_bytes()),
        bytes: rng.range(0, 5_000),
        finish: Finish::Stop,
        model: "m".into(),
        request: None,
    };
    let waits = [None, Some(rng.millis(0, 20_000))];
    let fail = |class, retry_after| Err(Failure { retry_after, ..Failure::new(class, "random") });
    let ordinary = |rng: &mut Rng| match rng.below(100) {
        0..=71 => (Ok(answer), Billing::Reported(usage)),
        72..=74 => (Ok(answer), Billing::Estimated(usage)),
        75..=81 => (fail(Class::Throttled, rng.pick(&waits)), Billing::Nothing),
        82..=85 => (fail(Class::Overloaded, rng.pick(&waits)), Billing::Nothing),
        86..=87 => (fail(Class::Transient, None), Billing::Nothing),
        88..=89 => (fail(Class::InvalidOutput, None), Billing::Reported(usage)),
        90..=91 => (fail(Class::Network, None), rng.pick(&[Billing::Nothing, Billing::Unknown])),
        92..=93 => (fail(Class::Timeout, None), rng.pick(&[Billing::Estimated(usage), Billing::Unknown])),
        94..=95 => (fail(Class::CutOff, None), Billing::Estimated(usage)),
        96 => (fail(Class::Malformed, None), Billing::Unknown),
        97 => (fail(Class::Refused, None), Billing::Reported(usage)),
        98 => (fail(Class::Invalid, None), Billing::Nothing),
        _ if rng.percent(70) => (fail(Class::Transient, None), Billing::Nothing),
        _ => (fail(rng.pick(&[Class::Auth, Class::QuotaGone]), None), Billing::Nothing),
    };
    let (result, billing) = match outage.filter(|outage| rng.percent(outage.share)) {
        Some(Outage { class: Class::Invalid, .. }) => {
            (Err(Failure::new(Class::Invalid, "no such model").with_status(404)), Billing::Nothing)
        }
        Some(Outage { class, .. }) => (fail(*class, None), Billing::Nothing),
        None => ordinary(rng),
    };
    let longest = if rng.percent(if outage.is_some() { 15 } else { 3 }) { 40_000 } else { 5_000 };
    let total = rng.millis(1, longest);
    Reply { attempt, result, billing, timing: Timing { first_token: None, total } }
}
