//! Lakes for Prometheus' test scripts.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tempfile::TempDir;
use tripod_lake::{Lake, OpenError, Settings};
use tripod_promql::promqltest::Stores;
use tripod_storage::series::{LabelQuery, SeriesStore};

/// Where the samples of a lake are when a query is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// In memory, or in files, or some here and some there.
    Mixed,
    /// In files, and the lake was closed and opened since.
    Restarted,
}

/// A lake in a directory of its own. A new one takes much longer than deleting all of its samples.
pub(crate) struct Lakes {
    state: State,
    /// Whether the next load stays in memory.
    stays: AtomicBool,
    current: Mutex<Option<(Arc<Lake>, TempDir)>>,
}

impl Lakes {
    pub(crate) fn new(state: State) -> Self {
        Self { state, stays: AtomicBool::default(), current: Mutex::default() }
    }

    /// Ends the lake that is open.
    pub(crate) async fn end(&self) {
        let current = self.current.lock().take();
        if let Some((lake, _)) = current {
            lake.abandon().await;
        }
    }

    async fn open(&self, directory: TempDir) -> Arc<dyn SeriesStore> {
        let mut settings = Settings { data_dir: directory.path().to_owned(), ..Settings::default() };
        settings.min_free_disk_bytes = 0;
        settings.compaction.interval_seconds = 3600;
        let lake = loop {
            match Lake::open(settings.clone()).await {
                Ok(lake) => break lake,
                // An evaluation that was given up holds the directory a moment longer.
                Err(OpenError::Locked(_)) => tokio::task::yield_now().await,
                Err(error) => panic!("{error}"),
            }
        };
        *self.current.lock() = Some((Arc::clone(&lake), directory));
        lake
    }
}

impl Stores for Lakes {
    async fn empty(&self) -> Arc<dyn SeriesStore> {
        let lake = self.current.lock().as_ref().map(|(lake, _)| Arc::clone(lake));
        match lake {
            Some(lake) => {
                lake.delete_series(LabelQuery::ALL).await.unwrap();
                assert_eq!(lake.series(LabelQuery::ALL).await.unwrap(), []);
                lake
            }
            None => self.open(tempfile::tempdir().unwrap()).await,
        }
    }

    async fn loaded(&self, store: Arc<dyn SeriesStore>) -> Arc<dyn SeriesStore> {
        if self.state == State::Mixed {
            let lake = self.current.lock().as_ref().map(|(lake, _)| Arc::clone(lake));
            if !self.stays.fetch_not(Ordering::Relaxed) {
                lake.unwrap().flush().await.unwrap();
            }
            return store;
        }
        drop(store);
        let (lake, directory) = self.current.lock().take().unwrap();
        lake.close().await.unwrap();
        drop(lake);
        self.open(directory).await
    }
}
