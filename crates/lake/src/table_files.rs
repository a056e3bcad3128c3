//! A table's files beyond its log: writing them, and deleting those that nobody needs.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;

use crate::LakeError;
use crate::data_file::{DataFile, now_millis};
use crate::table::{FileStore, Table};

/// Writes and deletes the files of a table.
#[derive(Debug)]
pub(crate) struct TableFiles {
    pub(crate) store: FileStore,
    /// Files that the table no longer names, with the time of their removal in milliseconds since the Unix epoch.
    removed: Mutex<Vec<(Arc<DataFile>, i64)>>,
    vacuumed: metrics::Counter,
}

impl TableFiles {
    /// Finds the files that older versions of the table still name, and deletes those that none does: they are left
    /// from an interrupted write.
    pub(crate) async fn open(table: &Table, live: &[Arc<DataFile>]) -> Result<Self, LakeError> {
        let store = FileStore::new(table);
        let tombstones: HashMap<String, i64> = table.tombstones().await?.into_iter().collect();
        let mut removed = Vec::new();
        for path in table.stored_files().await? {
            if live.iter().any(|file| file.path == path) {
                continue;
            }
            match tombstones.get(&path) {
                Some(at) => {
                    let file =
                        DataFile { path, bytes: 0, rows: 0, date: String::new(), min_time: 0, max_time: 0, written: 0 };
                    removed.push((Arc::new(file), *at));
                }
                None => {
                    tracing::info!(table = %table.name(), file = path, "deleting a file that an interrupted write left");
                    store.delete(&path).await?;
                }
            }
        }
        let vacuumed = metrics::counter!("tripod_vacuum_files_total", "table" => table.name().name);
        Ok(Self { store, removed: Mutex::new(removed), vacuumed })
    }

    /// Writes files, all or none.
    pub(crate) async fn put(&self, contents: Vec<(DataFile, Bytes)>) -> Result<Vec<Arc<DataFile>>, LakeError> {
        let mut files = Vec::new();
        for (file, content) in contents {
            let file = Arc::new(file);
            files.push(Arc::clone(&file));
            if let Err(error) = self.store.put(&file.path, content).await {
                self.discard(&files).await;
                return Err(error);
            }
        }
        Ok(files)
    }

    /// Deletes files that no version names. What cannot be deleted now is found at the next start.
    pub(crate) async fn discard(&self, files: &[Arc<DataFile>]) {
        for file in files {
            if let Err(error) = self.store.delete(&file.path).await {
                tracing::warn!(file = file.path, %error, "a file that is not needed could not be deleted");
            }
        }
    }

    /// Notes files that the table no longer names.
    pub(crate) fn note_removed(&self, gone: &[Arc<DataFile>]) {
        let now = now_millis();
        self.removed.lock().extend(gone.iter().map(|file| (Arc::clone(file), now)));
    }

    /// Deletes files that were removed longer ago than `grace` and that no query reads any more.
    pub(crate) async fn vacuum(&self, grace: Duration) {
        let limit = now_millis().saturating_sub(i64::try_from(grace.as_millis()).unwrap_or(i64::MAX));
        let mut due = Vec::new();
        self.removed.lock().retain(|(file, removed)| {
            // Queries and table views hold the file as long as they may read it.
            let keep = *removed > limit || Arc::strong_count(file) > 1;
            if !keep {
                due.push((Arc::clone(file), *removed));
            }
            keep
        });
        for (file, removed) in due {
            match self.store.delete(&file.path).await {
                Ok(()) => self.vacuumed.increment(1),
                Err(error) => {
                    tracing::warn!(file = file.path, %error, "a removed file could not be deleted; trying again later");
                    self.removed.lock().push((file, removed));
                }
            }
        }
    }
}
