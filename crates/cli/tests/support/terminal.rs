//! The program on a terminal, as a person sees it.

use std::fs::File;
use std::io::Read;
use std::process::Child;

use rustix::fs::{Mode, OFlags, open};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use super::sandbox::{SORTIE, Sandbox};

/// Runs `sortie ARGUMENT…` with a terminal on both streams; all that it wrote to it.
pub(crate) fn on_a_terminal(sandbox: &Sandbox, arguments: &str) -> String {
    let (code, written) = Terminal::start(sandbox, arguments).end();
    assert_eq!(code, Some(0), "{written}");
    written
}

/// The program under way on a terminal; killed when dropped.
pub(crate) struct Terminal {
    child: Child,
    master: File,
}

impl Terminal {
    /// Starts `sortie ARGUMENT…` with a terminal on all its streams.
    pub(crate) fn start(sandbox: &Sandbox, arguments: &str) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("there is a free terminal");
        grantpt(&master).expect("a terminal of ours can be granted");
        unlockpt(&master).expect("a terminal of ours can be unlocked");
        let name = ptsname(&master, Vec::new()).expect("a terminal has a name");
        let terminal = || -> File {
            open(name.as_c_str(), OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).expect("it opens").into()
        };
        let words: Vec<&str> = arguments.split_whitespace().collect();
        let mut command = sandbox.command(SORTIE, &words);
        command.stdin(terminal()).stdout(terminal()).stderr(terminal());
        // The command holds the terminal open: once it is dropped here, the last reader sees the end.
        Terminal { child: command.spawn().expect("the program starts"), master: File::from(master) }
    }

    /// What it writes until these words, or its end.
    pub(crate) fn read_until(&mut self, words: &str) -> String {
        let (mut written, mut byte) = (Vec::new(), [0]);
        while !String::from_utf8_lossy(&written).ends_with(words) {
            match self.master.read(&mut byte) {
                Ok(1) => written.push(byte[0]),
                _ => break,
            }
        }
        String::from_utf8_lossy(&written).into_owned()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("a child of ours can be sent signals");
    }

    /// Waits for its end; its exit code, and what it wrote since somebody last read.
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        let mut written = Vec::new();
        // Where the last writer has gone, Linux answers EIO and not an end.
        let _ = self.master.read_to_end(&mut written);
        let status = self.child.wait().expect("a child can be waited for");
        (status.code(), String::from_utf8_lossy(&written).into_owned())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // One that has ended already cannot be killed, and need not be.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
