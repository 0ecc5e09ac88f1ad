//! Small plans for tests: one agent, one gate, tasks in a line each.

use std::time::Duration;

use crate::agent::{Agent, AgentId, Retry, Timeouts};
use crate::limit::{GateId, GateSpec};
use crate::money::Usd;
use crate::plan::{PromptSize, Task, TaskId};
use crate::price::{Price, Pricing};
use crate::run::input::Settings;

pub(crate) fn settings() -> Settings {
    Settings {
        seed: 1,
        gates: vec![GateSpec {
            name: "a/m".into(),
            account: "a".into(),
            requests_burst: 1,
            ..GateSpec::default()
        }],
        ..Settings::default()
    }
}

/// A task of [`agent`]'s: it costs a dollar for each output token and nothing for its input.
pub(crate) fn task(name: &str, depends_on: &[u32], max_tokens: u32) -> Task {
    Task {
        name: name.into(),
        task_type: "general".into(),
        agent: AgentId(0),
        depends_on: depends_on.iter().map(|&on| TaskId(on).into()).collect(),
        prompt: PromptSize { fixed_bytes: 10, ..PromptSize::default() },
        max_tokens,
        priority: 0,
        expected_output_tokens: None,
        expected: None,
        max_cost: None,
        timeout: Duration::from_secs(60),
        same_as: None,
        stops_run: false,
        invalid: None,
    }
}

/// The agent of every [`task`].
pub(crate) fn agent() -> Agent {
    Agent {
        name: "claude".into(),
        provider: "anthropic".into(),
        model: "m".into(),
        gate: GateId(0),
        pricing: Pricing::Known(Price::flat(Usd::ZERO, Usd::from_f64(1.0).unwrap())),
        max_cost: None,
        max_tokens: 100,
        system_bytes: 0,
        context: None,
        max_output: None,
        fallbacks: Vec::new(),
        fallback_after: None,
        retry: Retry::default(),
        timeouts: Timeouts::default(),
    }
}
