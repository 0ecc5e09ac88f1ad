//! The socket of a run, both ends.
//!
//! # Common pitfalls
//! - The address of a socket holds about a hundred bytes (`sockaddr_un(7)`: 108 on Linux), and results
//!   directories may lie deeper. On Linux a longer path goes through the open directory,
//!   `/proc/self/fd/N/control.sock`, as systemd's `connect_unix_path` does it.
//! - A process that was killed leaves its socket behind. Only who owns the run listens, so what it
//!   finds there is a dead one's.

use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{SocketAddr, UnixStream as Blocking};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sortie_engine::driver::{Controller, Controls};
use sortie_report::fold::RunView;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use super::meaning::{Reply, done};
use super::{AskError, LONGEST, Request};

/// The socket's name in the run's directory.
const SOCKET: &str = "control.sock";

/// How many may be connected at once; others wait until one of these has gone.
const MOST: usize = 64;

/// How long a line may take to come or to go: who says nothing is not kept.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long the driver of a run may take to make a change durable.
const ANSWER: Duration = Duration::from_secs(30);

/// Where there are no files left for a connection, how long until there may be.
const A_MOMENT: Duration = Duration::from_millis(100);

/// A path that fits into a socket's address.
struct Address {
    path: PathBuf,
    /// Open as long as the path goes through it.
    _directory: Option<File>,
}

impl Address {
    fn of(directory: &Path) -> io::Result<Self> {
        let path = directory.join(SOCKET);
        if SocketAddr::from_pathname(&path).is_ok() {
            return Ok(Address { path, _directory: None });
        }
        if !cfg!(target_os = "linux") {
            let why = format!("the path {} is too long for a socket", path.display());
            return Err(io::Error::new(ErrorKind::InvalidFilename, why));
        }
        let open = File::open(directory)?;
        let path = Path::new("/proc/self/fd").join(open.as_raw_fd().to_string()).join(SOCKET);
        Ok(Address { path, _directory: Some(open) })
    }
}

/// The socket's file, until dropped.
struct Bound {
    path: PathBuf,
    /// Dropped with it: tells that nobody hears any more.
    _stop: watch::Sender<()>,
}

impl Drop for Bound {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!(%error, "the socket of a run was removed by somebody else");
        }
    }
}

/// Listens in a run's directory, for the process that owns the run. The socket goes with the
/// controls; the task ends after that, once all replies have left.
pub(super) fn listen(directory: &Path, run: RunView) -> io::Result<(Controls, JoinHandle<()>)> {
    let path = directory.join(SOCKET);
    match fs::symlink_metadata(&path) {
        Ok(found) if found.file_type().is_socket() => fs::remove_file(&path)?,
        Ok(_) => {
            let why = format!("{} is no socket", path.display());
            return Err(io::Error::new(ErrorKind::AlreadyExists, why));
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let address = Address::of(directory)?;
    let listener = UnixListener::bind(&address.path)?;
    let (stop, stopped) = watch::channel(());
    let bound = Bound { path, _stop: stop };
    // Until now its directory alone keeps others out.
    fs::set_permissions(&bound.path, Permissions::from_mode(0o600))?;
    let (controller, controls) = Controls::channel();
    let desk = Desk { run: Arc::new(run), controller, stopped };
    Ok((controls.keeping(bound), tokio::spawn(desk.serve(listener))))
}

/// Who takes requests for a run.
#[derive(Clone)]
struct Desk {
    run: Arc<RunView>,
    controller: Controller,
    stopped: watch::Receiver<()>,
}

impl Desk {
    async fn serve(mut self, listener: UnixListener) {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                _ = self.stopped.changed() => break,
                Some(_) = connections.join_next() => {}
                accepted = listener.accept(), if connections.len() < MOST => match accepted {
                    Ok((stream, _)) => {
                        connections.spawn(self.clone().attend(stream));
                    }
                    Err(error) => {
                        tracing::debug!(%error, "a connection to the run could not be taken");
                        within(A_MOMENT, std::future::pending::<()>()).await;
                    }
                },
            }
        }
        drop(listener);
        while connections.join_next().await.is_some() {}
    }

    /// One request, one reply.
    async fn attend(mut self, mut stream: UnixStream) {
        let line = tokio::select! {
            biased;
            _ = self.stopped.changed() => return,
            line = within(PATIENCE, line(&mut stream)) => line,
        };
        let reply = match line {
            Some(Ok(line)) if line.is_empty() => return,
            Some(Ok(line)) => self.reply(&line).await,
            Some(Err(_)) | None => return,
        };
        if let Some(reply) = reply
            && let Ok(mut text) = serde_json::to_vec(&reply)
        {
            text.push(b'\n');
            // Who asked may have gone.
            let _ = within(PATIENCE, stream.write_all(&text)).await;
        }
    }

    /// Nothing where the run ended before it heard.
    async fn reply(&self, line: &[u8]) -> Option<Reply> {
        if line.len() > LONGEST {
            return Some(Reply::Refused(format!("a request is a line of {LONGEST} bytes at most")));
        }
        let request = match Request::read(line) {
            Ok(request) => request.meant(&self.run),
            Err(error) => Err(format!("not a request: {error}")),
        };
        match request {
            Ok(request) => {
                let changed = self.controller.ask(request).await.ok()?;
                Some(Reply::Done(done(&self.run, request, changed)))
            }
            Err(why) => Some(Reply::Refused(why)),
        }
    }
}

/// A line, or as much of one as shows that it is too long.
async fn line(stream: &mut UnixStream) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    BufReader::new(stream).take(LONGEST as u64 + 1).read_until(b'\n', &mut line).await?;
    Ok(line)
}

#[expect(clippy::disallowed_methods, reason = "who connects and says nothing is not waited for")]
async fn within<T>(patience: Duration, future: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(patience, future).await.ok()
}

/// Asks whoever listens in a run's directory.
pub(super) fn ask(directory: &Path, request: &Request) -> Result<Reply, AskError> {
    let nobody = |error: io::Error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => AskError::NobodyListens,
        _ => AskError::Io(error),
    };
    // A run that ends closes the connection, however far it came.
    let ended = |error: io::Error| match error.kind() {
        ErrorKind::BrokenPipe | ErrorKind::ConnectionReset => AskError::Ended,
        _ => AskError::Io(error),
    };
    let mut stream =
        Address::of(directory).and_then(|address| Blocking::connect(&address.path)).map_err(nobody)?;
    stream.set_read_timeout(Some(ANSWER))?;
    let mut line = serde_json::to_vec(request).map_err(io::Error::from)?;
    line.push(b'\n');
    // Who has heard enough of a line answers all the same, and hears no more.
    let sent = stream.write_all(&line);
    let mut reply = Vec::new();
    let read = stream.take(2 * LONGEST as u64).read_to_end(&mut reply);
    if reply.is_empty() {
        sent.map_err(ended)?;
        read.map_err(ended)?;
        return Err(AskError::Ended);
    }
    Ok(serde_json::from_slice(&reply).map_err(io::Error::from)?)
}
