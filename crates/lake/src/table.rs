//! A Delta Lake table: its log, its files, and making both safe on disk.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use deltalake::kernel::StructField;
use deltalake::kernel::transaction::{CommitBuilder, CommitProperties};
use deltalake::kernel::{Action, Transaction};
use deltalake::logstore::LogStoreRef;
use deltalake::operations::create::CreateBuilder;
use deltalake::protocol::DeltaOperation;
use deltalake::table::state::DeltaTableState;
use deltalake::{DeltaTable, DeltaTableBuilder};
use futures::{StreamExt, TryStreamExt};
use object_store::{ObjectStore, ObjectStoreExt, WriteMultipart};
use tripod_storage::Signal;
use url::Url;

use crate::LakeError;
use crate::columns::{DATE, delta_columns};
use crate::data_file::{DataFile, TableName};

/// Where a table lies.
#[derive(Clone, Debug)]
pub(crate) struct Location {
    pub(crate) url: Url,
    /// The directory, when the table is on a local disk and must be fsynced by us.
    local: Option<PathBuf>,
}

impl Location {
    pub(crate) fn local(directory: PathBuf) -> Result<Self, LakeError> {
        let url = Url::from_directory_path(&directory)
            .map_err(|()| LakeError::Unexpected(format!("{} is not an absolute path", directory.display())))?;
        Ok(Self { url, local: Some(directory) })
    }
}

/// What a table is: its name, its columns, and a word for who opens it elsewhere.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    pub(crate) name: TableName,
    pub(crate) comment: String,
    pub(crate) columns: Vec<StructField>,
}

impl Shape {
    pub(crate) fn of(signal: Signal) -> Result<Self, LakeError> {
        Ok(Self {
            name: signal.into(),
            comment: format!("Tripod {signal}; times are nanoseconds since the Unix epoch"),
            columns: delta_columns(signal)?,
        })
    }
}

/// An open table. One committer: whoever has `&mut`.
pub(crate) struct Table {
    shape: Shape,
    location: Location,
    log_store: LogStoreRef,
    objects: Arc<dyn ObjectStore>,
    state: DeltaTableState,
    /// Names this node's write-ahead log in transactions.
    app_id: String,
    /// How far the log is in the table, by the last commit.
    committed: u64,
    /// A commit's outcome is not known and the state must be read anew.
    unsettled: bool,
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Table").field("location", &self.location).finish_non_exhaustive()
    }
}

impl Table {
    /// Opens the table and creates it when it is not there.
    pub(crate) async fn open(shape: Shape, location: Location, node: &str) -> Result<Self, LakeError> {
        if let Some(directory) = &location.local {
            std::fs::create_dir_all(directory)?;
            remove_staged(directory)?;
        }
        let mut table = DeltaTableBuilder::from_url(location.url.clone())?.build()?;
        if table.verify_deltatable_existence().await? {
            table.load().await?;
        } else {
            table = create(&shape, table.log_store()).await?;
        }
        let log_store = table.log_store();
        let state = table.snapshot()?.clone();
        let app_id = format!("tripod-wal-{node}");
        let committed = committed(&state, &log_store, &app_id).await?;
        let objects = log_store.object_store(None);
        let table = Self { shape, location, log_store, objects, state, app_id, committed, unsettled: false };
        table.check_columns()?;
        table.sync_log().await?;
        Ok(table)
    }

    fn check_columns(&self) -> Result<(), LakeError> {
        let schema = self.state.schema();
        let found: Vec<_> = schema.fields().map(|field| (field.name(), field.data_type())).collect();
        let wanted = &self.shape.columns;
        let same = found.len() == wanted.len()
            && wanted.iter().all(|field| found.contains(&(field.name(), field.data_type())));
        if same {
            return Ok(());
        }
        Err(LakeError::Unexpected("its columns are not those that this version of tripod writes".to_owned()))
    }

    pub(crate) fn objects(&self) -> Arc<dyn ObjectStore> {
        Arc::clone(&self.objects)
    }

    pub(crate) fn name(&self) -> TableName {
        self.shape.name
    }

    /// Reads the state anew if the outcome of the last commit is not known.
    pub(crate) async fn settle(&mut self) -> Result<(), LakeError> {
        if self.unsettled { self.reload().await } else { Ok(()) }
    }

    /// Whether the state is that of the table's log.
    pub(crate) fn is_settled(&self) -> bool {
        !self.unsettled
    }

    /// The last record of the write-ahead log that is in the table with all before it.
    pub(crate) fn committed(&self) -> u64 {
        self.committed
    }

    /// The table's version.
    pub(crate) fn version(&self) -> u64 {
        self.state.version()
    }

    /// The files of the current version.
    pub(crate) fn files(&self) -> Result<Vec<Arc<DataFile>>, LakeError> {
        self.state.log_data().iter().map(|view| DataFile::from_log(self.shape.name, &view).map(Arc::new)).collect()
    }

    /// Paths and removal times (milliseconds since the Unix epoch) of files that older versions still name.
    pub(crate) async fn tombstones(&self) -> Result<Vec<(String, i64)>, LakeError> {
        let tombstones = self.state.all_tombstones(self.log_store.as_ref());
        let tombstones =
            tombstones.map_ok(|tombstone| (tombstone.path().to_string(), tombstone.deletion_timestamp().unwrap_or(0)));
        Ok(tombstones.try_collect().await?)
    }

    /// Paths of every data file that lies in the table's directory, whether a version names it or not.
    pub(crate) async fn stored_files(&self) -> Result<Vec<String>, LakeError> {
        let mut paths = Vec::new();
        let mut objects = self.objects.list(None);
        while let Some(object) = objects.next().await {
            let path = object?.location.to_string();
            if path.starts_with(DATE) && path.ends_with(".parquet") {
                paths.push(path);
            }
        }
        Ok(paths)
    }

    /// Commits a change and makes it safe. With `wal` the commit says that the log up to there is in the table.
    ///
    /// On an error the commit may or may not have landed; the state is read anew, and the files and
    /// [`Table::committed`] then tell.
    pub(crate) async fn commit(
        &mut self,
        actions: Vec<Action>,
        operation: DeltaOperation,
        wal: Option<u64>,
    ) -> Result<(), LakeError> {
        let mut properties = CommitProperties::default();
        if let Some(lsn) = wal {
            properties = properties.with_application_transaction(Transaction::new(&self.app_id, lsn as i64));
        }
        let commit = CommitBuilder::from(properties)
            .with_actions(actions)
            .build(Some(&self.state), Arc::clone(&self.log_store), operation)
            .await;
        match commit {
            Ok(commit) => {
                self.state = commit.snapshot();
                self.committed = wal.unwrap_or(self.committed);
            }
            Err(error) => {
                self.unsettled = true;
                self.reload().await?;
                // What fails after the log entry, a checkpoint for example, does not undo the commit.
                if wal.is_none_or(|lsn| self.committed < lsn) {
                    return Err(error.into());
                }
                tracing::warn!(table = self.shape.name.name, %error, "a commit landed but did not end well");
            }
        }
        self.sync_log().await
    }

    /// Reads the state anew after a commit of unknown outcome.
    async fn reload(&mut self) -> Result<(), LakeError> {
        self.state = DeltaTableState::try_new(self.log_store.as_ref(), None).await?;
        self.committed = committed(&self.state, &self.log_store, &self.app_id).await?;
        self.unsettled = false;
        Ok(())
    }

    async fn sync_log(&self) -> Result<(), LakeError> {
        let path = format!("_delta_log/{:020}.json", self.state.version());
        self.location.sync(&path).await
    }
}

/// Writes data files below a table's root.
#[derive(Clone, Debug)]
pub(crate) struct FileStore {
    location: Location,
    objects: Arc<dyn ObjectStore>,
}

impl FileStore {
    pub(crate) fn new(table: &Table) -> Self {
        Self { location: table.location.clone(), objects: table.objects() }
    }

    /// Writes a file; on return it is safe on disk.
    pub(crate) async fn put(&self, path: &str, content: Bytes) -> Result<(), LakeError> {
        self.objects.put(&path.into(), content.into()).await?;
        self.location.sync(path).await
    }

    /// Begins a file whose content comes in parts.
    pub(crate) async fn begin(&self, path: &str) -> Result<WriteMultipart, LakeError> {
        Ok(WriteMultipart::new(self.objects.put_multipart(&path.into()).await?))
    }

    /// Ends a file that was begun; on return it is safe on disk.
    pub(crate) async fn finish(&self, path: &str, upload: WriteMultipart) -> Result<(), LakeError> {
        upload.finish().await?;
        self.location.sync(path).await
    }

    /// A file's content.
    pub(crate) async fn get(&self, path: &str) -> Result<Bytes, LakeError> {
        Ok(self.objects.get(&path.into()).await?.bytes().await?)
    }

    /// Deletes a file; one that is gone already is no error.
    pub(crate) async fn delete(&self, path: &str) -> Result<(), LakeError> {
        match self.objects.delete(&path.into()).await {
            Err(object_store::Error::NotFound { .. }) => Ok(()),
            other => Ok(other?),
        }
    }
}

impl Location {
    /// `object_store` leaves fsync to its caller: the file, its directory and the directories up to the table's root.
    async fn sync(&self, path: &str) -> Result<(), LakeError> {
        let Some(root) = &self.local else { return Ok(()) };
        let (root, file) = (root.clone(), root.join(path));
        let sync = move || sync_file(&root, &file);
        tokio::task::spawn_blocking(sync).await.map_err(|error| LakeError::Unexpected(error.to_string()))??;
        Ok(())
    }
}

/// Deletes what an interrupted write left: `object_store` writes `name#1`, which it does not list, and then renames it.
fn remove_staged(root: &Path) -> std::io::Result<()> {
    for directory in std::fs::read_dir(root)? {
        let directory = directory?;
        if !directory.file_type()?.is_dir() {
            continue;
        }
        for file in std::fs::read_dir(directory.path())? {
            let path = file?.path();
            let is_staged = path.file_name().and_then(|name| name.to_str()).is_some_and(|name| {
                name.rsplit_once('#').is_some_and(|(_, number)| number.bytes().all(|byte| byte.is_ascii_digit()))
            });
            if is_staged {
                tracing::info!(file = %path.display(), "deleting what an interrupted write left");
                std::fs::remove_file(path)?;
            }
        }
    }
    Ok(())
}

fn sync_file(root: &Path, file: &Path) -> std::io::Result<()> {
    File::open(file)?.sync_all()?;
    for directory in file.ancestors().skip(1).take_while(|directory| directory.starts_with(root)) {
        File::open(directory)?.sync_all()?;
    }
    Ok(())
}

async fn create(shape: &Shape, log_store: LogStoreRef) -> Result<DeltaTable, LakeError> {
    let TableName { first, last, .. } = shape.name;
    let skipping = if first == last { first.to_owned() } else { format!("{first},{last}") };
    let property = |key: &str, value: &str| (key.to_owned(), Some(value.to_owned()));
    let table = CreateBuilder::new()
        .with_log_store(log_store)
        .with_table_name(shape.name.name)
        .with_comment(shape.comment.clone())
        .with_columns(shape.columns.clone())
        .with_partition_columns([DATE])
        .with_configuration([
            property("delta.dataSkippingStatsColumns", &skipping),
            // A commit reads what follows the last checkpoint.
            property("delta.checkpointInterval", "20"),
            property("delta.logRetentionDuration", "interval 1 day"),
            property("delta.deletedFileRetentionDuration", "interval 1 day"),
        ])
        .await?;
    Ok(table)
}

async fn committed(state: &DeltaTableState, log_store: &LogStoreRef, app_id: &str) -> Result<u64, LakeError> {
    Ok(state.transaction_version(log_store.as_ref(), app_id).await?.unwrap_or(0) as u64)
}
