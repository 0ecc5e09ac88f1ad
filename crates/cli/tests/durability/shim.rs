//! The disk that fails on cue: `shim.c`, compiled, and what it is told.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::{fmt, fs};

use tempfile::TempDir;

/// What befalls one call of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// It dies before the call.
    KillBefore,
    /// It dies after the call.
    KillAfter,
    /// The call fails with this error.
    Once(&'static str),
    /// The call and all later ones fail with this error.
    Ever(&'static str),
}

/// A fault at one call, counted from 1 among those that it may befall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) how: How,
    pub(crate) at: u64,
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.how {
            How::KillBefore => write!(out, "kill-before:{}", self.at),
            How::KillAfter => write!(out, "kill-after:{}", self.at),
            How::Once(error) => write!(out, "{error}:{}", self.at),
            How::Ever(error) => write!(out, "{error}+:{}", self.at),
        }
    }
}

/// The compiled shim; none where there is no such thing as `LD_PRELOAD`, which is said.
#[expect(clippy::print_stdout, reason = "a test that is left out says so")]
fn library() -> Option<&'static Path> {
    static LIBRARY: OnceLock<Option<(TempDir, PathBuf)>> = OnceLock::new();
    let compiled = LIBRARY.get_or_init(|| {
        if !cfg!(target_os = "linux") {
            println!("left out: calls are intercepted by LD_PRELOAD, on Linux");
            return None;
        }
        let dir = TempDir::with_prefix("sortie-shim-").expect("the temporary directory takes another one");
        let library = dir.path().join("shim.so");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/durability/shim.c");
        let mut cc = Command::new("cc");
        cc.args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"]).arg(&library).arg(source);
        let made = cc.args(["-ldl", "-lpthread"]).status().expect("`cc`, which SQLite needs too");
        assert!(made.success(), "{cc:?}: {made}");
        Some((dir, library))
    });
    compiled.as_ref().map(|(_, library)| library.as_path())
}

/// The environment in which a program stands under the shim.
pub(crate) struct Shim {
    environment: Vec<(&'static str, String)>,
    report: PathBuf,
}

impl Shim {
    /// Over what a program does below `dir`, with its report and its log beside that; none where there is
    /// no shim.
    pub(crate) fn over(dir: &Path) -> Option<Self> {
        let library = library()?;
        let (above, name) = (dir.parent().unwrap().canonicalize().unwrap(), dir.file_name().unwrap());
        let report = above.join(".struck");
        let environment = vec![
            ("LD_PRELOAD", library.display().to_string()),
            ("SHIM_DIR", above.join(name).display().to_string()),
            ("SHIM_REPORT", report.display().to_string()),
        ];
        Some(Shim { environment, report })
    }

    pub(crate) fn with(mut self, fault: Fault) -> Self {
        self.environment.push(("SHIM_FAULT", fault.to_string()));
        self
    }

    /// Counts only syncs.
    pub(crate) fn only_syncs(mut self) -> Self {
        self.environment.push(("SHIM_ONLY", "sync".to_owned()));
        self
    }

    pub(crate) fn environment(&self) -> &[(&'static str, String)] {
        &self.environment
    }

    /// Which call was struck, as in `kill-before:17 write sortie.db-wal`; none where there were not so many.
    pub(crate) fn struck(&self) -> Option<String> {
        fs::read_to_string(&self.report).ok()?.lines().next().map(str::to_owned)
    }

    /// How many calls were struck: one, but where they fail for ever.
    pub(crate) fn strikes(&self) -> usize {
        fs::read_to_string(&self.report).map_or(0, |lines| lines.lines().count())
    }
}
