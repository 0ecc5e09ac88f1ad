//! A forecast on its way: known before the run begins, or computed while it runs.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use sortie_core::prediction::Prediction;

/// What was foreseen of a run, once it is known. Nothing waits for it: a run that ends before has no
/// forecast.
pub struct Foreseen(Option<Coming>);

type Coming = Pin<Box<dyn Future<Output = Option<Prediction>> + Send>>;

impl Foreseen {
    /// There is no forecast.
    pub fn nothing() -> Self {
        Foreseen(None)
    }

    /// A forecast that is known already.
    pub fn known(prediction: Prediction) -> Self {
        Foreseen::coming(std::future::ready(Some(prediction)))
    }

    /// A forecast that somebody works on; nothing where it cannot be made.
    pub fn coming(forecast: impl Future<Output = Option<Prediction>> + Send + 'static) -> Self {
        Foreseen(Some(Box::pin(forecast)))
    }

    /// The forecast, once, where it is known by now.
    pub(super) fn now(&mut self) -> Option<Prediction> {
        let mut context = Context::from_waker(Waker::noop());
        let Poll::Ready(foreseen) = self.0.as_mut()?.as_mut().poll(&mut context) else { return None };
        self.0 = None;
        foreseen
    }

    /// The forecast, once; for ever where none can come. Cancel-safe.
    pub(super) async fn next(&mut self) -> Prediction {
        if let Some(coming) = &mut self.0 {
            let foreseen = coming.await;
            self.0 = None;
            if let Some(prediction) = foreseen {
                return prediction;
            }
        }
        std::future::pending().await
    }
}

impl fmt::Debug for Foreseen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Foreseen").field(&self.0.is_some()).finish()
    }
}
