//! How a user asks a run to stop: the process's signals, or whoever holds the other end.

use std::io;
use std::mem;
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
    /// The first that was heard.
    first: Option<Signal>,
    /// How many are counted as unheard because nobody listens.
    deaf: u32,
}

/// How many signals that nobody hears a process waits for: the next one ends it.
const PATIENCE: u32 = 2;

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

    /// Whether so many were not heard that the next one is to end the process itself.
    fn is_ignored(&self) -> bool {
        self.unheard.load(Ordering::Relaxed) >= PATIENCE
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
        (Stop { going, unheard: Arc::clone(&unheard) }, Signals { coming, unheard, first: None, deaf: 0 })
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
                if stop.is_ignored() {
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
        self.listen();
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
        self.listen();
        self.coming.try_recv().ok().map(|signal| self.heard(signal))
    }

    /// The first signal that has come, also where whoever these were lent to has heard it: a run that had nothing
    /// left to start has ended as if there had been none.
    pub fn first(&mut self) -> Option<Signal> {
        let unheard = self.ready();
        self.first.or(unheard)
    }

    /// Says that until somebody asks again nobody listens, for work that a first signal is to leave alone. The second
    /// signal ends a process ([`Signals::of_the_process`]) during that, and the next one where there has been one.
    pub fn deafen(&mut self) {
        self.listen();
        self.deaf = 1 + u32::from(self.first.is_some());
        self.unheard.fetch_add(self.deaf, Ordering::Relaxed);
    }

    fn listen(&mut self) {
        self.unheard.fetch_sub(mem::take(&mut self.deaf), Ordering::Relaxed);
    }

    fn heard(&mut self, signal: Signal) -> Signal {
        self.unheard.fetch_sub(1, Ordering::Relaxed);
        self.first.get_or_insert(signal);
        signal
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_signal_is_remembered_whoever_has_heard_it() {
        let (stop, mut signals) = Signals::channel();
        assert_eq!(signals.first(), None);
        stop.send(Signal::Terminate);
        assert_eq!(signals.ready(), Some(Signal::Terminate));
        stop.send(Signal::Interrupt);
        assert_eq!(signals.first(), Some(Signal::Terminate));
        assert_eq!(signals.first(), Some(Signal::Terminate));
    }

    #[test]
    fn the_third_signal_that_nobody_hears_ends_a_process_and_the_second_one_where_nobody_listens() {
        let ends_after = |heard: u32, deaf: bool| {
            let (stop, mut signals) = Signals::channel();
            for _ in 0..heard {
                stop.send(Signal::Interrupt);
                assert!(signals.ready().is_some());
            }
            if deaf {
                signals.deafen();
            }
            let mut sent = 0;
            while !stop.is_ignored() {
                stop.send(Signal::Interrupt);
                sent += 1;
            }
            // Whoever listens again hears all of them.
            let heard = std::iter::from_fn(|| signals.ready()).count();
            assert_eq!((heard, stop.unheard.load(Ordering::Relaxed)), (sent, 0));
            sent
        };
        assert_eq!(ends_after(0, false), 2);
        assert_eq!(ends_after(1, false), 2);
        assert_eq!(ends_after(0, true), 1);
        assert_eq!(ends_after(1, true), 0);
    }
}
