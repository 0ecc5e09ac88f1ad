//! The program on a terminal, as a person sees it.

use std::fs::File;
use std::io::Read;

use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use super::sandbox::{SORTIE, Sandbox};

/// Runs `sortie ARGUMENT…` with a terminal on both streams; all that it wrote to it.
pub(crate) fn on_a_terminal(sandbox: &Sandbox, arguments: &str) -> String {
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
    let mut child = command.spawn().expect("the program starts");
    // The command holds the terminal open: without it the last reader sees the end.
    drop(command);
    let mut written = Vec::new();
    // Where the last writer has gone, Linux answers EIO and not an end.
    let _ = File::from(master).read_to_end(&mut written);
    assert!(child.wait().is_ok_and(|status| status.success()), "{}", String::from_utf8_lossy(&written));
    String::from_utf8_lossy(&written).into_owned()
}
