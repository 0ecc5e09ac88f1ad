//! What a user asks of a run that is under way, beside signals: to change its limits, to pause it,
//! to stop it.

use std::fmt;

use sortie_core::run::control::Control;
use tokio::sync::{mpsc, oneshot};

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// Change something.
    Change(Control),
    /// Stop as the first signal does: what is in flight finishes, nothing new starts. Asked again it
    /// changes nothing; it never ends a run at once.
    Cancel,
}

/// Requests on their way to a run.
pub struct Controls {
    asked: mpsc::UnboundedReceiver<Asked>,
    /// Dropped with this, before the run is released for another process to take.
    _meanwhile: Box<dyn Send + Sync>,
}

/// The other end: whoever holds it may ask.
#[derive(Clone, Debug)]
pub struct Controller(mpsc::UnboundedSender<Asked>);

/// A request, and whom to tell that it is durable.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) request: Request,
    pub(super) confirm: oneshot::Sender<bool>,
}

/// The run ended before it remembered what was asked of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the run has ended")]
pub struct Unheard;

impl Controls {
    /// Nobody asks for anything.
    pub fn none() -> Self {
        Controls::channel().1
    }

    /// What the holders of a [`Controller`] ask for.
    pub fn channel() -> (Controller, Self) {
        let (send, asked) = mpsc::unbounded_channel();
        (Controller(send), Controls { asked, _meanwhile: Box::new(()) })
    }

    /// The same, with something that is dropped as soon as nobody hears them any more, and before the
    /// run is released: the socket that they came through would else be another process's by then.
    #[must_use]
    pub fn keeping(self, meanwhile: impl Send + Sync + 'static) -> Self {
        Controls { _meanwhile: Box::new(meanwhile), ..self }
    }

    /// The next request; for ever where none can come. Cancel-safe.
    pub(super) async fn next(&mut self) -> Asked {
        match self.asked.recv().await {
            Some(asked) => asked,
            None => std::future::pending().await,
        }
    }
}

impl fmt::Debug for Controls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Controls").finish_non_exhaustive()
    }
}

impl Controller {
    /// Asks the run, in the order of these calls. The future, which need not be awaited, comes to its
    /// end once the change is durable, and tells whether there was anything to change: the end of a pause
    /// needs one.
    ///
    /// # Errors
    /// Where the run ended before.
    pub fn ask(&self, request: Request) -> impl Future<Output = Result<bool, Unheard>> + use<> {
        let (confirm, confirmed) = oneshot::channel();
        let sent = self.0.send(Asked { request, confirm });
        async move {
            sent.map_err(|_| Unheard)?;
            confirmed.await.map_err(|_| Unheard)
        }
    }
}
