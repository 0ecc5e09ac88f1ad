//! How a user asks a run to stop: the process's signals, or whoever holds the other end.

use std::io;

use sortie_core::run::event::Signal;
use tokio::sync::mpsc;

/// Signals on their way to an executor. The first asks the run to drain, the second ends it at
/// once: the driver says so, this only hands them over.
#[derive(Debug)]
pub struct Signals(mpsc::UnboundedReceiver<Signal>);

/// The other end of [`Signals::channel`]: asks a run to stop, as a signal of the process would.
#[derive(Clone, Debug)]
pub struct Stop(mpsc::UnboundedSender<Signal>);

impl Stop {
    /// Asks the run to stop; nothing where it has ended.
    pub fn send(&self, signal: Signal) {
        // A run that has ended hears nothing any more.
        let _ = self.0.send(signal);
    }
}

impl Signals {
    /// No signals: the run ends by itself alone.
    pub fn none() -> Self {
        Signals::channel().1
    }

    /// Signals that the holder of a [`Stop`] sends.
    pub fn channel() -> (Stop, Self) {
        let (send, receive) = mpsc::unbounded_channel();
        (Stop(send), Signals(receive))
    }

    /// SIGINT and SIGTERM of this process, from now on until the process ends: tokio's handlers
    /// stay, so that a program which stops listening has to end itself. A third one ends the process
    /// where it stands, whatever it waits for (a disk, another process that holds the journal): its
    /// journal is made for that. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// Where the handlers cannot be installed.
    #[cfg(unix)]
    pub fn of_the_process() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let (stop, signals) = Signals::channel();
        tokio::spawn(async move {
            for heard_before in 0_u32.. {
                let heard = tokio::select! {
                    Some(()) = interrupt.recv() => Signal::Interrupt,
                    Some(()) = terminate.recv() => Signal::Terminate,
                    () = stop.0.closed() => return,
                };
                if heard_before >= 2 {
                    std::process::exit(if heard == Signal::Interrupt { 130 } else { 143 });
                }
                stop.send(heard);
            }
        });
        Ok(signals)
    }

    /// Ctrl-C, from now on until the process ends. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// Where the handler cannot be installed; never here.
    #[cfg(not(unix))]
    pub fn of_the_process() -> io::Result<Self> {
        let (stop, signals) = Signals::channel();
        tokio::spawn(async move {
            while tokio::signal::ctrl_c().await.is_ok() && !stop.0.is_closed() {
                stop.send(Signal::Interrupt);
            }
        });
        Ok(signals)
    }

    /// The next signal; for ever where none can come. Cancel-safe.
    pub async fn next(&mut self) -> Signal {
        match self.0.recv().await {
            Some(signal) => signal,
            None => std::future::pending().await,
        }
    }

    /// A signal that has come already.
    pub(super) fn ready(&mut self) -> Option<Signal> {
        self.0.try_recv().ok()
    }
}
