//! From the command line's paths to what they hold: environment, configuration, plan.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use sortie::config::{Config, Overrides, WhatIf};
use sortie::core::document::{MAX_BYTES, Source};
use sortie::core::plan::check::Checked;
use sortie::providers::keys::Environment;
use sortie::report::reconcile::{self, Export};
use sortie::session::today;
use sortie::{Error, chain};

use crate::args::Places;
use crate::exit::Exit;
use crate::failing::Failed;

/// Where a configuration is looked for, unless it is named.
const CONFIGS: [&str; 2] = ["sortie.yaml", "config.production.yaml"];

/// What the user has set up.
pub(crate) struct Setting {
    pub(crate) environment: Environment,
    pub(crate) config: Config,
    /// Where the configuration was found; none: built in.
    pub(crate) config_path: Option<PathBuf>,
}

/// Reads the environment and the configuration; what the command line states goes first.
pub(crate) fn setting(places: &Places, overrides: &Overrides) -> Result<Setting, Failed> {
    setting_supposing(places, overrides, &WhatIf::default())
}

/// The same with what a forecast supposes in place of what the configuration says.
pub(crate) fn setting_supposing(
    places: &Places,
    overrides: &Overrides,
    what_if: &WhatIf,
) -> Result<Setting, Failed> {
    let environment = Environment::read(places.env_file.as_deref(), Path::new(".")).map_err(Error::from)?;
    let get = |name: &str| environment.get(name).map(|(value, _)| value.to_owned());
    let config_path =
        places.config.clone().or_else(|| CONFIGS.map(PathBuf::from).into_iter().find(|path| path.exists()));
    let config = match &config_path {
        Some(path) => {
            let read = |source: Source| Config::read_supposing(&source, &get, today(), what_if);
            source(path).and_then(|source| read(source).map_err(Error::Config))
        }
        None => Config::default_agents_supposing(&get, today(), what_if).map_err(Error::Config),
    };
    let results_dir = places.results_dir.clone();
    let config = config?.overridden(Overrides { results_dir, ..overrides.clone() });
    Ok(Setting { environment, config, config_path })
}

/// Refuses names on the command line that no agent has: a typo would change nothing, silently.
pub(crate) fn known_agents<'n>(
    names: impl IntoIterator<Item = &'n String>,
    config: &Config,
) -> Result<(), Failed> {
    let known = || config.agents.iter().map(|configured| configured.agent.name.as_str());
    match names.into_iter().find(|name| known().all(|known| known != *name)) {
        None => Ok(()),
        Some(name) if config.disabled.contains(name) => {
            Err(Failed::new(Exit::Invalid, format!("agent `{name}` is disabled in the configuration")))
        }
        Some(name) => {
            let hint = format!("the configuration has: {}", known().collect::<Vec<_>>().join(", "));
            Err(Failed::new(Exit::Invalid, format!("there is no agent `{name}`")).hint(hint))
        }
    }
}

/// Reads and checks a plan.
pub(crate) fn plan(path: &Path, config: &Config) -> Result<Checked, Failed> {
    check_plan(&plan_source(path)?, config)
}

/// Reads a plan, to be checked against one configuration or more: standard input is read once.
pub(crate) fn plan_source(path: &Path) -> Result<Source, Failed> {
    let source = source(path).map_err(|error| match error {
        Error::Config(problems) => Error::Plan(problems),
        error => error,
    })?;
    Ok(source)
}

/// Checks a plan that has been read.
pub(crate) fn check_plan(source: &Source, config: &Config) -> Result<Checked, Failed> {
    Ok(Checked::read(source, &config.routing()).map_err(Error::Plan)?)
}

/// Reads a provider's export.
pub(crate) fn export(path: &Path) -> Result<Export, Failed> {
    let bytes = bytes(path, reconcile::MAX_BYTES)?;
    Export::read(&bytes).map_err(|error| {
        let why = chain(&error);
        Failed::new(Exit::Invalid, format!("failed to read the export {}: {why}", path.display())).hint(
            "it has to be CSV as Anthropic's or OpenAI's console exports it, or JSON of their usage or cost APIs",
        )
    })
}

fn source(path: &Path) -> Result<Source, Error> {
    let bytes = bytes(path, MAX_BYTES)?;
    Source::new(path.to_string_lossy(), bytes).map_err(Error::Config)
}

/// The bytes of a file, or of standard input for `-`. Hardly more is read than there may be, so that a
/// device or a pipe without end is refused like any file that is too large.
fn bytes(path: &Path, limit: usize) -> Result<Vec<u8>, Error> {
    let limit = limit as u64 + 1;
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        std::io::stdin().lock().take(limit).read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes))
    };
    read.map_err(|source| Error::Read { path: path.to_owned(), source })?;
    Ok(bytes)
}
