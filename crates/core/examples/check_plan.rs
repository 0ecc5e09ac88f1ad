//! Reads and checks a plan against one free agent, and prints what came of it: for measuring
//! (`time`, `ulimit -v`) and for trying hostile files.
//!
//! `cargo run --release -p sortie-core --example check_plan -- PLAN`

use std::io::Write as _;

use sortie_core::agent::{Agent, Retry, Timeouts};
use sortie_core::document::{Problems, Source};
use sortie_core::limit::GateId;
use sortie_core::plan::check::{Checked, Routing};
use sortie_core::price::Pricing;

fn main() -> std::io::Result<()> {
    let path = std::env::args().nth(1).unwrap_or_else(|| "plan.yaml".into());
    let bytes = std::fs::read(&path)?;
    let said = match read(path, bytes) {
        Ok(checked) => format!("{} tasks, {} warnings", checked.plan.len(), checked.warnings.len()),
        Err(problems) => problems.to_string(),
    };
    writeln!(std::io::stdout(), "{said}")
}

fn read(path: String, bytes: Vec<u8>) -> Result<Checked, Problems> {
    let source = Source::new(path, bytes)?;
    Checked::read(&source, &routing())
}

fn routing() -> Routing {
    let agent = Agent {
        name: "any".into(),
        provider: "local".into(),
        model: "any".into(),
        gate: GateId(0),
        pricing: Pricing::Free,
        max_tokens: 1000,
        max_cost: None,
        system_bytes: 0,
        context: None,
        max_output: None,
        fallbacks: Vec::new(),
        fallback_after: None,
        retry: Retry::default(),
        timeouts: Timeouts::default(),
    };
    Routing { agents: vec![agent], default_agent: Some("any".into()), ..Routing::default() }
}
