//! A directory of its own and a clean environment to run the program in.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use super::simulator::Simulator;
use super::until;

/// The program under test.
pub(crate) const SORTIE: &str = env!("CARGO_BIN_EXE_sortie");

/// A directory that is the program's working directory and home, and the only environment that it
/// gets. Nothing of the machine's own configuration or keys reaches it.
pub(crate) struct Sandbox {
    dir: TempDir,
    environment: BTreeMap<String, String>,
    started: std::cell::Cell<u32>,
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        Self::within(&std::env::temp_dir())
    }

    /// One whose directory is made in this one.
    pub(crate) fn within(place: &Path) -> Self {
        let dir = TempDir::with_prefix_in("sortie-test-", place).expect("it takes another directory");
        let environment = BTreeMap::from([("HOME".to_owned(), dir.path().display().to_string())]);
        Sandbox { dir, environment, started: std::cell::Cell::default() }
    }

    /// A sandbox whose agents reach this simulator, whatever they speak.
    pub(crate) fn reaching(simulator: &Simulator) -> Self {
        Sandbox::new().asking(simulator)
    }

    /// The same sandbox, its agents reaching this simulator.
    pub(crate) fn asking(self, simulator: &Simulator) -> Self {
        let url = simulator.url();
        self.with("ANTHROPIC_BASE_URL", url)
            .with("ANTHROPIC_API_KEY", "sk-test-a")
            .with("OPENAI_BASE_URL", &format!("{url}/v1"))
            .with("OPENAI_API_KEY", "sk-test-o")
    }

    /// Sets an environment variable.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Puts a file there.
    pub(crate) fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        fs::write(self.path(name), content).expect("the sandbox takes files");
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// What a file holds.
    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// All files there are, with their paths from the sandbox on.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        let mut directories = vec![self.dir.path().to_owned()];
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(directory).expect("the sandbox can be read") {
                let path = entry.expect("the sandbox can be read").path();
                if path.is_dir() { directories.push(path) } else { files.push(path) }
            }
        }
        files
    }

    /// `program ARGUMENT…` in this sandbox.
    pub(crate) fn command(&self, program: impl AsRef<Path>, arguments: &[&str]) -> Command {
        let mut command = Command::new(program.as_ref());
        command.args(arguments).current_dir(self.dir.path()).env_clear().envs(&self.environment);
        command
    }

    /// Runs `sortie ARGUMENT…` to its end; the arguments are what stands between the spaces.
    pub(crate) fn sortie(&self, arguments: &str) -> Ran {
        self.start(arguments).end()
    }

    /// The same with this on its standard input.
    pub(crate) fn sortie_reading(&self, arguments: &str, input: &str) -> Ran {
        let path = self.path(".stdin");
        fs::write(&path, input).expect("the sandbox takes files");
        self.spawn(arguments, File::open(&path).expect("it was just written").into(), &[]).end()
    }

    /// Starts `sortie ARGUMENT…` and leaves it running.
    pub(crate) fn start(&self, arguments: &str) -> Running {
        self.start_under(&[], arguments)
    }

    /// The same with these environment variables too.
    pub(crate) fn start_under(&self, environment: &[(&str, String)], arguments: &str) -> Running {
        self.spawn(arguments, Stdio::null(), environment)
    }

    fn spawn(&self, arguments: &str, stdin: Stdio, environment: &[(&str, String)]) -> Running {
        let number = self.started.replace(self.started.get() + 1);
        // Files and not pipes: what was said so far can be read without waiting for more.
        let said = |stream| self.path(&format!(".{stream}-{number}"));
        let paths = [said("stdout"), said("stderr")];
        let [stdout, stderr] =
            paths.each_ref().map(|path| File::create(path).expect("the sandbox takes files"));
        let words: Vec<&str> = arguments.split_whitespace().collect();
        let mut command = self.command(SORTIE, &words);
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        let child = command.stdin(stdin).stdout(stdout).stderr(stderr).spawn().expect("the program starts");
        Running { child, arguments: arguments.to_owned(), paths }
    }
}

/// A program under way; killed when dropped.
pub(crate) struct Running {
    child: Child,
    arguments: String,
    paths: [PathBuf; 2],
}

impl Running {
    /// What it has said on stderr so far.
    pub(crate) fn stderr(&self) -> String {
        fs::read_to_string(&self.paths[1]).unwrap_or_default()
    }

    /// Whether it is still there.
    pub(crate) fn is_running(&mut self) -> bool {
        self.status().is_none()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).expect("a child that was not waited for can be sent signals");
    }

    /// Ends it as `kill -9` does.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("a child can be killed");
        self.child.wait().expect("a child can be waited for");
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> Ran {
        let status = until(&format!("`sortie {}` ends", self.arguments), || self.status());
        let [stdout, stderr] =
            self.paths.each_ref().map(|path| fs::read_to_string(path).expect("output is UTF-8"));
        let ran = Ran { arguments: std::mem::take(&mut self.arguments), status, stdout, stderr };
        ran.is_presentable();
        ran
    }

    fn status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be waited for")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // One that has ended already cannot be killed, and need not be.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What came of a program that has ended.
#[derive(Debug)]
pub(crate) struct Ran {
    arguments: String,
    status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// Holds it to this exit code.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code(), code, "{}", self.transcript());
        self
    }

    /// Holds what it said, on either stream, to these words.
    #[track_caller]
    pub(crate) fn says(self, words: &str) -> Self {
        let said = self.stdout.contains(words) || self.stderr.contains(words);
        assert!(said, "`{words}` is not said:\n{}", self.transcript());
        self
    }

    /// The one JSON document on stdout.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("stdout is not one JSON document: {error}\n{}", self.transcript()))
    }

    pub(crate) fn code(&self) -> i32 {
        self.status.code().unwrap_or(-1)
    }

    /// The number of the signal that it died of.
    pub(crate) fn died_of(&self) -> Option<i32> {
        self.status.signal()
    }

    /// What a user sees.
    pub(crate) fn transcript(&self) -> String {
        let mut text = format!("$ sortie {}\n", self.arguments);
        for (name, said) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            if !said.is_empty() {
                let _ = write!(text, "── {name}\n{said}");
            }
        }
        let _ = writeln!(text, "── exit {}", self.code());
        text
    }

    /// What holds of every command: no defect of the program shows, and nothing for terminals goes
    /// where there is none.
    #[track_caller]
    fn is_presentable(&self) {
        for alien in ["panicked at", "RUST_BACKTRACE", "\u{1b}"] {
            let found = self.stdout.contains(alien) || self.stderr.contains(alien);
            assert!(!found, "{alien:?} is shown:\n{}", self.transcript());
        }
    }
}
