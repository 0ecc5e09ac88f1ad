//! What a request means for a run, and what it is answered.

use serde::{Deserialize, Serialize};
use sortie_core::limit::GateId;
use sortie_core::plan::Plan;
use sortie_core::run::control::Control;
use sortie_core::run::input::Mode;
use sortie_engine::driver;
use sortie_report::controls::words;
use sortie_report::fold::RunView;

use super::Request;

/// The most calls that a run may have in flight, as `--max-concurrent`.
const MOST_CONCURRENT: u32 = 100_000;

/// What a run answers.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) enum Reply {
    /// It is durable.
    #[serde(rename = "ok")]
    Done(String),
    /// It is not to be done, and why.
    #[serde(rename = "error")]
    Refused(String),
}

impl Request {
    /// What it means for this run.
    ///
    /// # Errors
    /// Why it cannot be done, in a sentence.
    pub(super) fn meant(&self, run: &RunView) -> Result<driver::Request, String> {
        let control = match self {
            Request::Concurrency { .. } if run.settings.mode == Mode::Serial => {
                return Err("the run is in serial mode: one call after the other".to_owned());
            }
            Request::Concurrency { at_most } if !(1..=MOST_CONCURRENT).contains(at_most) => {
                return Err(format!("calls at a time are 1 to {MOST_CONCURRENT}, not {at_most}"));
            }
            Request::Concurrency { at_most } => Control::Concurrency(*at_most),
            Request::Rpm { per_minute: 0, .. } => {
                return Err("requests a minute are at least 1; a pause lets none start".to_owned());
            }
            Request::Rpm { per_minute, agent } => {
                let gate = agent.as_deref().map(|name| gate_of(&run.plan, name)).transpose()?;
                Control::RequestsPerMinute { gate, per_minute: *per_minute }
            }
            Request::Pause {} => Control::Pause,
            Request::Resume {} => Control::Resume,
            Request::Cancel {} => return Ok(driver::Request::Cancel),
        };
        Ok(driver::Request::Change(control))
    }
}

fn gate_of(plan: &Plan, name: &str) -> Result<GateId, String> {
    let known = || plan.agents().iter().map(|agent| agent.name.as_str()).collect::<Vec<_>>().join(", ");
    let agent = plan.agents().iter().find(|agent| agent.name == name);
    agent.map(|agent| agent.gate).ok_or_else(|| format!("the run has no agent {name:?}; it has {}", known()))
}

/// What was done, in words; `changed`: there was something to change.
pub(super) fn done(run: &RunView, request: driver::Request, changed: bool) -> String {
    match request {
        driver::Request::Change(Control::Resume) if !changed => "the run was not paused".to_owned(),
        driver::Request::Change(control) => words(run, control),
        driver::Request::Cancel => "cancelled: calls in flight finish, nothing new starts".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use sortie_core::document::Source;
    use sortie_core::plan::check::Checked;
    use sortie_core::time::Time;
    use sortie_providers::keys::Environment;

    use super::*;
    use crate::binding::Simulation;
    use crate::config::Config;
    use crate::launch::Launch;
    use crate::session::{today, view};

    const AGENTS: &str = "agents: { a: { model: claude-sonnet-5-5 }, b: { model: claude-haiku-5-5 } }";

    fn run(mode: Mode) -> RunView {
        let source = |name: &str, text: &str| Source::new(name, text.as_bytes().to_vec()).unwrap();
        let config = Config::read(&source("sortie.yaml", AGENTS), &|_| None, today()).unwrap();
        let plan = source("plan.yaml", "tasks: [{ id: t, prompt: Go. }]");
        let checked = Checked::read(&plan, &config.routing()).unwrap();
        let simulation = Simulation::named("calm", 0).ok();
        let launch = Launch { mode, simulation, ..Launch::default() };
        view(&launch.header(checked, &config, &Environment::default(), Time::ZERO).unwrap())
    }

    /// What a line comes to: what is done, or why not, in words.
    fn check(mode: Mode, line: &str, expected: Result<&str, &str>) {
        let run = run(mode);
        let request = Request::read(line.as_bytes()).unwrap_or_else(|error| panic!("{line}: {error}"));
        let again = serde_json::to_vec(&request).unwrap();
        assert_eq!(Request::read(&again).unwrap(), request, "what is written is read");
        let meant = request.meant(&run).map(|request| done(&run, request, true));
        assert_eq!(meant.as_deref().map_err(String::as_str), expected, "{line}");
    }

    #[test]
    fn a_request_is_checked_against_the_run() {
        let set = "calls at a time set to 20 by the user";
        check(Mode::Parallel, r#"{"control":"concurrency","at_most":20}"#, Ok(set));
        let serial = "the run is in serial mode: one call after the other";
        check(Mode::Serial, r#"{"control":"concurrency","at_most":20}"#, Err(serial));
        for n in [0, 100_001] {
            let why = format!("calls at a time are 1 to 100000, not {n}");
            check(Mode::Parallel, &format!(r#"{{"control":"concurrency","at_most":{n}}}"#), Err(&why));
        }
        let of_all = "requests/min set to 100 by the user";
        check(Mode::Serial, r#"{"control":"rpm","per_minute":100}"#, Ok(of_all));
        let of_b = "requests/min of anthropic/claude-haiku-5-5 set to 100 by the user";
        check(Mode::Parallel, r#"{"control":"rpm","per_minute":100,"agent":"b"}"#, Ok(of_b));
        let nobody = r#"the run has no agent "c"; it has a, b"#;
        check(Mode::Parallel, r#"{"control":"rpm","per_minute":100,"agent":"c"}"#, Err(nobody));
        let none = "requests a minute are at least 1; a pause lets none start";
        check(Mode::Parallel, r#"{"control":"rpm","per_minute":0}"#, Err(none));
        let cancelled = "cancelled: calls in flight finish, nothing new starts";
        check(Mode::Parallel, "{\"control\":\"cancel\"}\n", Ok(cancelled));
        check(Mode::Parallel, r#"{"control":"resume"}"#, Ok("pause ended by the user"));
    }

    #[test]
    fn what_is_no_request_is_refused() {
        for line in [
            "",
            "pause",
            r#"{"control":"stop"}"#,
            r#"{"control":"pause","for":3}"#,
            r#"{"control":"pause"}{"control":"resume"}"#,
            r#"{"control":"concurrency"}"#,
            r#"{"control":"concurrency","at_most":-1}"#,
            r#"{"control":"rpm","per_minute":1e3}"#,
        ] {
            assert!(Request::read(line.as_bytes()).is_err(), "{line}");
        }
    }
}
