//! What the receivers of series share: the store behind the limits that hold for all receivers together.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tripod_storage::AppendError;
use tripod_storage::series::{SeriesAppended, SeriesBatch, SeriesStore};

use crate::refusal::{Reason, Refusal};

/// Hands a batch to the store; returns when it is kept.
pub(super) async fn keep(store: &Arc<dyn SeriesStore>, batch: SeriesBatch) -> Result<SeriesAppended, Refusal> {
    store.append_series(batch).await.map_err(|error| match error {
        AppendError::Overloaded { retry_after, .. } => Refusal::overloaded(error.to_string(), retry_after),
        AppendError::ShuttingDown => Refusal::shutting_down(),
        AppendError::Invalid(reason) => Refusal::new(Reason::Invalid, reason),
        AppendError::Failed(_) => {
            tracing::error!(%error, "series could not be stored");
            // Paths and the like stay in the log: senders may be strangers.
            Refusal::new(Reason::Failed, "the store failed to keep the samples; the server's log says why")
        }
    })
}

/// Milliseconds since the Unix epoch.
pub(super) fn now_millis() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
