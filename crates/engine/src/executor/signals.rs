//! How a user asks a run to stop: the process's signals, or whoever holds the other end.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use sortie_core::run::event::Signal;
use tokio::sync::mpsc;

/// Signals on their way to an executor. The first asks the run to drain, the second ends it at
/// once: the driver says so, this only hands them over. Whoever makes several runs in a row lends them to each
/// (`&mut Signals`): what comes between two of them is kept until somebody asks.
#[derive(Debug)]
pub struct Signals {
    coming: mpsc::UnboundedReceiver<Signal>,
    /// How many have come and were not heard.
    unheard: Arc<AtomicU32>,
}

/// The other end of [`Signals::channel`]: asks a run to stop, as a signal of the process would.
#[derive(Clone, Debug)]
pub struct Stop {
    going: mpsc::UnboundedSender<Signal>,
    unheard: Arc<AtomicU32>,
}

impl Stop {
    /// Asks the run to stop; nothing where it has ended.
    pub fn send(&self, signal: Signal) {
        // A run that has ended hears nothing any more.
        self.unheard.fetch_add(1, Ordering::Relaxed);
        let _ = self.going.send(signal);
    }
}

impl Signals {
    /// No signals: the run ends by itself alone.
    pub fn none() -> Self {
        Signals::channel().1
    }

    /// Signals that the holder of a [`Stop`] sends.
    pub fn channel() -> (Stop, Self) {
        let (going, coming) = mpsc::unbounded_channel();
        let unheard = Arc::new(AtomicU32::new(0));
        (Stop { going, unheard: Arc::clone(&unheard) }, Signals { coming, unheard })
    }

    /// SIGINT and SIGTERM of this process, from now on until the process ends: tokio's handlers
    /// stay, so that a program which stops listening has to end itself. A third one ends the process
    /// where it stands if nobody has heard the two before, whatever it waits for (a disk, another process
    /// that holds the journal): its journal is made for that. Must be called within a tokio runtime.
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
            loop {
                let heard = tokio::select! {
                    Some(()) = interrupt.recv() => Signal::Interrupt,
                    Some(()) = terminate.recv() => Signal::Terminate,
                    () = stop.going.closed() => return,
                };
                if stop.unheard.load(Ordering::Relaxed) >= 2 {
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
            while tokio::signal::ctrl_c().await.is_ok() && !stop.going.is_closed() {
                stop.send(Signal::Interrupt);
            }
        });
        Ok(signals)
    }

    /// The next signal; for ever where none can come. Cancel-safe.
    pub async fn next(&mut self) -> Signal {
        match self.coming.recv().await {
            Some(signal) => self.heard(signal),
            None => std::future::pending().await,
        }
    }

    /// What comes of some work; or the signal that came before its end, and the work is dropped.
    ///
    /// # Errors
    /// That signal.
    pub async fn unless<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Signal> {
        tokio::select! {
            biased;
            signal = self.next() => Err(signal),
            done = work => Ok(done),
        }
    }

    /// A signal that has come already.
    pub fn ready(&mut self) -> Option<Signal> {
        self.coming.try_recv().ok().map(|signal| self.heard(signal))
    }

    fn heard(&self, signal: Signal) -> Signal {
        self.unheard.fetch_sub(1, Ordering::Relaxed);
        signal
    }
}
