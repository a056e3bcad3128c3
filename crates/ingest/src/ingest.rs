use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::HeaderMap;
use tripod_storage::{AppendError, Batch, Store};

use crate::admission::{Admission, Permit};
use crate::authorization::Authorization;
use crate::decoding::Decoding;
use crate::meters;
use crate::refusal::{Reason, Refusal};
use crate::settings::Settings;

/// What all receivers share: the store that they append to and the limits that hold for all of them together.
pub struct Ingest {
    pub(crate) settings: Settings,
    pub(crate) decoding: Decoding,
    store: Arc<dyn Store>,
    authorization: Authorization,
    admission: Arc<Admission>,
    shutting_down: AtomicBool,
}

impl Ingest {
    /// Receivers that append to `store`. The settings should have passed [`Settings::check`].
    ///
    /// Install the metrics recorder first: this and the routers take their metrics from it.
    pub fn new(store: Arc<dyn Store>, settings: Settings) -> Arc<Self> {
        let in_flight = meters::in_flight_bytes();
        Arc::new(Self {
            decoding: Decoding::new(settings.max_decompressed_bytes),
            store,
            authorization: Authorization::new(settings.bearer_token.as_deref()),
            admission: Admission::new(settings.max_concurrent_requests, settings.max_in_flight_bytes, in_flight),
            shutting_down: AtomicBool::new(false),
            settings,
        })
    }

    /// From now on every new request is refused as unavailable; those that were let in are finished.
    pub fn begin_shutdown(&self) {
        self.shutting_down.store(true, Ordering::Relaxed);
    }

    /// Decides by a request's head whether it is let in.
    pub(crate) fn admit(&self, headers: &HeaderMap) -> Result<Permit, Refusal> {
        self.authorization.check(headers)?;
        if self.shutting_down.load(Ordering::Relaxed) {
            return Err(Refusal::shutting_down());
        }
        self.admission.enter()
    }

    /// Hands rows to the store; returns when they are kept.
    pub(crate) async fn keep(&self, batch: Batch) -> Result<(), Refusal> {
        let signal = batch.signal;
        self.store.append(batch).await.map_err(|error| match error {
            AppendError::Overloaded { retry_after, .. } => Refusal::overloaded(error.to_string(), retry_after),
            AppendError::ShuttingDown => Refusal::shutting_down(),
            AppendError::Invalid(_) | AppendError::Failed(_) => {
                tracing::error!(%signal, %error, "a request could not be stored");
                // Paths and the like stay in the log: senders may be strangers.
                Refusal::new(Reason::Failed, "the store failed to keep the request; the server's log says why")
            }
        })
    }
}

impl fmt::Debug for Ingest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ingest").field("store", &self.store).field("settings", &self.settings).finish_non_exhaustive()
    }
}
