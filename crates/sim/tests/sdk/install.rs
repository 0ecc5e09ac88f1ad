//! Gets the SDKs from their registries, each with all its dependencies pinned, into the build
//! directory; what is there already is used as it is.
//!
//! A directory is filled under another name and renamed when it is whole, so that an interrupted
//! installation, or two at once, leave nothing half done behind.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::{fs, io};

use sortie_core::hash::Hash;

/// A Python SDK: its package's name and version, and what `pip freeze` says of it.
pub(crate) struct Python {
    pub(crate) name: &'static str,
    pub(crate) requirements: &'static str,
}

/// What an SDK runs on.
pub(crate) enum Runtime {
    Python(Python),
    /// Both JavaScript SDKs are installed at once. OpenAI's 7.x would need Node 22 or newer.
    Node,
}

/// An SDK that is there.
pub(crate) struct Installed {
    /// The interpreter.
    pub(crate) program: PathBuf,
    /// Where the scripts for it lie, and how their names end.
    pub(crate) scripts: PathBuf,
    pub(crate) ending: &'static str,
    /// Where it is installed.
    pub(crate) directory: PathBuf,
}

/// Held by whoever makes what several SDKs need: pip, and the directory of the JavaScript ones.
static SHARED: Mutex<()> = Mutex::new(());

const PACKAGE: &str = include_str!("node/package.json");
const PACKAGE_LOCK: &str = include_str!("node/package-lock.json");

/// The SDK, installed unless it is already.
pub(crate) fn installed(runtime: &Runtime) -> Result<Installed, String> {
    let scripts = |of: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sdk").join(of);
    match runtime {
        Runtime::Python(python) => {
            let directory = virtual_environment(python)?;
            Ok(Installed {
                program: python_of(&directory),
                scripts: scripts("python"),
                ending: "py",
                directory,
            })
        }
        Runtime::Node => {
            let directory = node_modules()?;
            Ok(Installed { program: "node".into(), scripts: scripts("node"), ending: "cjs", directory })
        }
    }
}

fn python_of(environment: &Path) -> PathBuf {
    environment.join("bin/python")
}

fn virtual_environment(python: &Python) -> Result<PathBuf, String> {
    let pip = {
        let _one_at_a_time = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        once("pip", "", |new| run("python3", ["-m".as_ref(), "venv".as_ref(), new.as_os_str()]))?
    };
    once(python.name, python.requirements, |new| {
        run("python3", ["-m".as_ref(), "venv".as_ref(), "--without-pip".as_ref(), new.as_os_str()])?;
        let list = new.join("requirements.txt");
        fs::write(&list, python.requirements)
            .map_err(|error| format!("write {}: {error}", list.display()))?;
        let words = "-m pip --python NEW install --quiet --disable-pip-version-check --no-deps \
                     --only-binary :all: --no-compile -r LIST";
        let place = |word| match word {
            "NEW" => new.as_os_str(),
            "LIST" => list.as_os_str(),
            word => OsStr::new(word),
        };
        run(python_of(&pip), words.split_whitespace().map(place))
    })
}

fn node_modules() -> Result<PathBuf, String> {
    let _one_at_a_time = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    once("node", PACKAGE_LOCK, |new| {
        for (name, text) in [("package.json", PACKAGE), ("package-lock.json", PACKAGE_LOCK)] {
            fs::write(new.join(name), text).map_err(|error| format!("write {name}: {error}"))?;
        }
        let words = "ci --ignore-scripts --no-audit --no-fund --silent --prefix";
        run("npm", words.split_whitespace().map(OsStr::new).chain([new.as_os_str()]))
    })
}

/// The directory of this name and content, made unless it is there.
fn once(
    name: &str,
    content: &str,
    make: impl FnOnce(&Path) -> Result<(), String>,
) -> Result<PathBuf, String> {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("sdk");
    let mut version = Hash::of(content.as_bytes()).to_string();
    version.truncate(8);
    let place = root.join(format!("{name}-{version}"));
    if place.exists() {
        return Ok(place);
    }
    let new = root.join(format!("new-{name}-{}", std::process::id()));
    let failed = |error: io::Error| format!("make {}: {error}", new.display());
    fs::create_dir_all(&new).map_err(failed)?;
    make(&new).inspect_err(|_| drop(fs::remove_dir_all(&new)))?;
    match fs::rename(&new, &place) {
        // Another process was quicker: what it made is as good.
        Err(_) if place.exists() => fs::remove_dir_all(&new).map_err(failed)?,
        renamed => renamed.map_err(failed)?,
    }
    Ok(place)
}

fn run<'a>(program: impl AsRef<OsStr>, arguments: impl IntoIterator<Item = &'a OsStr>) -> Result<(), String> {
    let program = program.as_ref();
    let shown = program.display();
    let output =
        Command::new(program).args(arguments).output().map_err(|error| format!("run {shown}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{shown} ended with {}: {said}", output.status))
}
