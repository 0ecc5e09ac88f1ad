//! The process's environment and one env file, read once. What the environment states wins over the
//! file; an empty variable counts as unset. Nothing is ever written back: children and other
//! threads see what they saw before.

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};

/// The env files that are looked for, in this order; the first that exists is read.
const FILES: [&str; 2] = [".env.production", ".env"];

/// Where a variable was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// In the environment.
    Environment,
    /// In this file.
    File(PathBuf),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Environment => f.write_str("the environment"),
            Origin::File(path) => path.display().fmt(f),
        }
    }
}

/// Why an env file cannot be used. Never shows a value.
#[derive(Debug, thiserror::Error)]
pub enum EnvironmentError {
    /// The file cannot be read, or was named and is not there.
    #[error("failed to read the env file {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others than its owner may read the file.
    #[error("the env file {} is open to other users (mode {mode:04o})", path.display())]
    Exposed {
        /// Which.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A line is no `NAME=value`.
    #[error("line {line} of the env file {} is not of the form NAME=value", path.display())]
    Line {
        /// Which file.
        path: PathBuf,
        /// Counted from 1; of a value over several lines, its first.
        line: usize,
    },
}

/// Variables, and where each was found.
#[derive(Clone, Default)]
pub struct Environment {
    variables: HashMap<String, (SecretString, Origin)>,
    file: Option<PathBuf>,
}

impl Environment {
    /// The process's environment, and the env file: `explicit` if it is given, else
    /// `.env.production` or `.env` in `dir` if there is one.
    ///
    /// # Errors
    /// Where the file cannot be read, is open to other users (Unix), or has a line of another form;
    /// where `explicit` does not exist.
    pub fn read(explicit: Option<&Path>, dir: &Path) -> Result<Environment, EnvironmentError> {
        #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
        // Names and values that are not UTF-8 cannot be ours: they are left out.
        let process = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Environment::layered(process, explicit, dir)
    }

    /// The same with these variables instead of the process's.
    fn layered(
        process: impl IntoIterator<Item = (String, String)>,
        explicit: Option<&Path>,
        dir: &Path,
    ) -> Result<Environment, EnvironmentError> {
        let mut environment = Environment::default();
        let found = match explicit {
            Some(path) => Some(path.to_owned()),
            None => FILES.iter().map(|name| dir.join(name)).find(|path| path.exists()),
        };
        if let Some(path) = found {
            for (name, value) in read_file(&path)? {
                environment.set(name, value, Origin::File(path.clone()));
            }
            environment.file = Some(path);
        }
        for (name, value) in process {
            environment.set(name, value, Origin::Environment);
        }
        Ok(environment)
    }

    /// Variables that the caller has got itself: for tests, and for programs that keep keys elsewhere.
    pub fn from_pairs<N: Into<String>, V: Into<String>>(
        pairs: impl IntoIterator<Item = (N, V)>,
    ) -> Environment {
        let mut environment = Environment::default();
        for (name, value) in pairs {
            environment.set(name.into(), value.into(), Origin::Environment);
        }
        environment
    }

    /// A variable that is set and not empty, and where it was found.
    pub fn get(&self, name: &str) -> Option<(&str, &Origin)> {
        self.variables.get(name).map(|(value, origin)| (value.expose_secret(), origin))
    }

    /// The env file that was read.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    fn set(&mut self, name: String, value: String, origin: Origin) {
        if !value.is_empty() {
            self.variables.insert(name, (value.into(), origin));
        }
    }
}

impl fmt::Debug for Environment {
    /// How many variables there are: names tell too much already, values are keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment")
            .field("variables", &self.variables.len())
            .field("file", &self.file)
            .finish()
    }
}

/// The variables of an env file, the later ones last.
fn read_file(path: &Path) -> Result<Vec<(String, String)>, EnvironmentError> {
    let unreadable = |source| EnvironmentError::Read { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(unreadable)?;
    // Asked of the open file: what is checked is what is read.
    check_mode(path, &file.metadata().map_err(unreadable)?)?;
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(unreadable)?;
    // dotenvy's own error repeats the line, with the value in it.
    dotenvy::from_read_iter(text.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|error| EnvironmentError::Line { path: path.to_owned(), line: line_of(&error, &text) })
}

/// Refuses a file that others may read or write: a key in it is no secret.
#[cfg(unix)]
fn check_mode(path: &Path, metadata: &std::fs::Metadata) -> Result<(), EnvironmentError> {
    use std::os::unix::fs::PermissionsExt;
    let mode = metadata.permissions().mode() & 0o7777;
    let for_others = mode & 0o077;
    if for_others == 0 { Ok(()) } else { Err(EnvironmentError::Exposed { path: path.to_owned(), mode }) }
}

#[cfg(not(unix))]
fn check_mode(_path: &Path, _metadata: &std::fs::Metadata) -> Result<(), EnvironmentError> {
    Ok(())
}

/// The line that an error is about, counted from 1. dotenvy says not the place but the text, or what
/// it had not yet read of it; lines before it were fine, so the first that ends so is the one.
fn line_of(error: &dotenvy::Error, text: &str) -> usize {
    let dotenvy::Error::LineParse(wrong, _) = error else { return 1 };
    let end = wrong.lines().next().unwrap_or_default();
    text.lines().position(|line| line.ends_with(end)).map_or(1, |index| index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory with this file of this mode in it.
    fn dir_with(name: &str, text: &str, mode: u32) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        }
        dir
    }

    fn layered(process: &[(&str, &str)], dir: &Path) -> Result<Environment, EnvironmentError> {
        let process = process.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Environment::layered(process, None, dir)
    }

    #[test]
    fn the_environment_wins_and_the_file_fills_what_it_leaves_unset_or_empty() {
        let dir = dir_with(".env", "A=file\nexport B='of \"file\"' # why\nC=file\n", 0o600);
        let environment = layered(&[("A", "process"), ("C", "")], dir.path()).unwrap();
        let file = Origin::File(dir.path().join(".env"));
        assert_eq!(environment.get("A"), Some(("process", &Origin::Environment)));
        assert_eq!(environment.get("B"), Some(("of \"file\"", &file)));
        assert_eq!(environment.get("C"), Some(("file", &file)));
        assert_eq!(environment.get("D"), None);
    }

    #[test]
    fn the_production_file_goes_before_the_other_and_a_named_one_before_both() {
        let dir = dir_with(".env", "A=plain\n", 0o600);
        let set = |name: &str, text: &str| {
            let other = dir_with(name, text, 0o600);
            std::fs::rename(other.path().join(name), dir.path().join(name)).unwrap();
        };
        set(".env.production", "A=production\n");
        set("named", "A=named\n");
        assert_eq!(layered(&[], dir.path()).unwrap().get("A").unwrap().0, "production");
        let named = Environment::layered([], Some(&dir.path().join("named")), dir.path()).unwrap();
        assert_eq!(named.get("A").unwrap().0, "named");
    }

    #[test]
    fn a_missing_file_is_an_error_only_where_it_was_named() {
        let dir = tempfile::tempdir().unwrap();
        assert!(layered(&[], dir.path()).unwrap().file().is_none());
        let error = Environment::read(Some(&dir.path().join("none")), dir.path()).unwrap_err();
        assert!(matches!(&error, EnvironmentError::Read { .. }), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_may_read_is_refused() {
        for (mode, is_refused) in
            [(0o644, true), (0o640, true), (0o604, true), (0o600, false), (0o400, false)]
        {
            let dir = dir_with(".env", "A=sk-test\n", mode);
            match layered(&[], dir.path()) {
                Ok(_) => assert!(!is_refused, "{mode:o}"),
                Err(error) => {
                    assert!(is_refused, "{mode:o}: {error}");
                    let bits = format!("(mode {mode:04o})");
                    assert!(error.to_string().ends_with(&bits), "{error}");
                }
            }
        }
    }

    #[test]
    fn a_wrong_line_is_named_and_no_value_is_shown() {
        for (text, line) in [
            ("A=1\n\n# why\nsk-test-secret\n", 4),
            ("A=1\nB=sk-test secret\n", 2),
            ("A=1\nB='sk-test-secret\nC=2\n", 2),
        ] {
            let dir = dir_with(".env", text, 0o600);
            let error = layered(&[], dir.path()).unwrap_err();
            assert!(
                matches!(error, EnvironmentError::Line { line: at, .. } if at == line),
                "{text:?}: {error}"
            );
            assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
        }
    }

    #[test]
    fn debug_output_shows_no_variable() {
        let environment = Environment::from_pairs([("OPENAI_API_KEY", "sk-test")]);
        let shown = format!("{environment:?}");
        assert!(!shown.contains("sk-test") && !shown.contains("OPENAI"), "{shown}");
    }
}
