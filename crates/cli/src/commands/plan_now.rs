//! The plan of a run that goes on, as it is now.

use std::path::Path;

use sortie::changes::Changes;
use sortie::engine::store::{Header, Store};
use sortie::launch::Launch;
use sortie::report::terminal::{one_line, sanitize};
use sortie::session::{Session, now};

use crate::args::PlanNow;
use crate::exit::Exit;
use crate::failing::Failed;
use crate::load::{self, Setting};
use crate::terminal::Terminal;

/// The run with the plan that it is to go on with: refused where that has changed and nobody said what then.
pub(super) fn take<S: Store>(
    session: Session<S>,
    said: &PlanNow,
    setting: &Setting,
    terminal: Terminal,
) -> Result<Session<S>, Failed> {
    if said.as_started {
        return Ok(session);
    }
    let (run, known) = (session.header().run_id.clone(), session.binding().plan_file.clone());
    let Some(path) = said.plan.clone().or(known) else {
        if !said.changed {
            return Ok(session);
        }
        let failed = Failed::new(Exit::Invalid, format!("run {run} does not know where its plan is"));
        return Err(failed.hint("--plan FILE names it"));
    };
    let Some(new) = read(&session, &path, said, setting, terminal)? else { return Ok(session) };
    let Some(changes) = Changes::between(session.header(), &new)? else {
        if said.changed {
            terminal.note("the plan and its agents are as they were");
        }
        return Ok(session);
    };
    for line in &changes.lines {
        terminal.note(&sanitize(line));
    }
    if !said.changed {
        let failed = format!("the plan of run {run} or its agents have changed since it began");
        return Err(Failed::new(Exit::Invalid, failed).hint(format!(
            "--changed goes on with the change: {}\n--as-started goes on with the plan that it has",
            outcome(&changes)
        )));
    }
    terminal.note(&format!("the plan was changed: {}", outcome(&changes)));
    Ok(session.changed(changes)?)
}

/// What the run would be created with now; none where its plan is not there any more.
fn read<S: Store>(
    session: &Session<S>,
    path: &Path,
    said: &PlanNow,
    setting: &Setting,
    terminal: Terminal,
) -> Result<Option<Header>, Failed> {
    let source = match load::plan_source(path) {
        Ok(source) => source,
        Err(error) if said.is_asked_for() => return Err(error),
        Err(_) => {
            let shown = path.display().to_string();
            terminal.note(&format!(
                "its plan {} cannot be read: the run goes on with what it was started with",
                one_line(&shown)
            ));
            return Ok(None);
        }
    };
    let as_started = || "--as-started goes on with the plan that the run has";
    let checked = load::check_plan(&source, &setting.config).map_err(|failed| failed.hint(as_started()))?;
    let header = session.header();
    let launch = Launch {
        run_id: Some(header.run_id.clone()),
        mode: header.settings.mode,
        seed: header.settings.seed,
        max_failures: header.settings.max_failures,
        cache: header.settings.cache,
        simulation: session.binding().simulation.clone(),
        patience: None,
    };
    let mut new = if said.changed {
        launch.header(checked, &setting.config, &setting.environment, now())?
    } else {
        launch.draft(checked, &setting.config, &setting.environment, now())?
    };
    if let Some(path) = absolute(path) {
        sortie::binding::Binding::note_plan_file(&mut new, path)?;
    }
    Ok(Some(new))
}

/// Where a plan file is, for whoever resumes its run from elsewhere; none for standard input.
pub(super) fn absolute(path: &Path) -> Option<std::path::PathBuf> {
    (path != Path::new("-")).then(|| std::path::absolute(path).ok()).flatten()
}

/// What is done again, and what is kept.
fn outcome(changes: &Changes) -> String {
    let Changes { again, added, removed, kept, .. } = changes;
    let mut parts = vec![format!("{again} done again")];
    parts.extend((*added > 0).then(|| format!("{added} new")));
    parts.extend((*removed > 0).then(|| format!("{removed} removed")));
    parts.push(format!("{kept} kept"));
    format!("of its tasks {}", parts.join(", "))
}
