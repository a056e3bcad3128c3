//! The data directory.
//!
//! ```text
//! tripod-data/
//!   LOCK           held while a process has the directory
//!   format.json    format version and the node's id
//!   wal/           the write-ahead log of spans and logs
//!   wal-series/    the write-ahead log of series
//!   metric-metadata.json  type, unit and help of metric families
//!   tables/spans/  Delta Lake tables
//!   tables/logs/
//!   tables/series/ chunks of samples
//!   snapshots/     copies of the series, each a data directory
//! ```

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tripod_storage::Signal;

use crate::OpenError;

/// The format that this version reads and writes. It covers the directory, the tables' columns and the log's records.
pub(crate) const FORMAT: u32 = 2;

#[derive(Serialize, Deserialize)]
struct FormatFile {
    format: u32,
    node: String,
}

/// An opened data directory; nobody else has it while this lives.
#[derive(Debug)]
pub(crate) struct DataDir {
    pub(crate) root: PathBuf,
    /// Identifies this directory's write-ahead log in the tables' transactions.
    pub(crate) node: String,
    _lock: File,
}

impl DataDir {
    pub(crate) fn open(path: &Path) -> Result<Self, OpenError> {
        fs::create_dir_all(path).map_err(OpenError::io("created", path))?;
        let root = path.canonicalize().map_err(OpenError::io("found", path))?;
        let lock = lock(&root)?;
        let file = root.join("format.json");
        let node = match fs::read_to_string(&file) {
            Ok(text) => check_format(&root, &text)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                refuse_foreign(&root)?;
                create_format(&root, &file)?
            }
            Err(source) => return Err(OpenError::Io { action: "read", path: file, source }),
        };
        Ok(Self { root, node, _lock: lock })
    }

    pub(crate) fn format_file(&self) -> PathBuf {
        self.root.join("format.json")
    }

    pub(crate) fn snapshots(&self) -> PathBuf {
        self.root.join("snapshots")
    }

    pub(crate) fn wal(&self) -> PathBuf {
        self.root.join("wal")
    }

    pub(crate) fn series_wal(&self) -> PathBuf {
        self.root.join("wal-series")
    }

    pub(crate) fn series_table(&self) -> PathBuf {
        self.root.join("tables").join("series")
    }

    pub(crate) fn metric_metadata(&self) -> PathBuf {
        self.root.join("metric-metadata.json")
    }

    pub(crate) fn table(&self, signal: Signal) -> PathBuf {
        self.root.join("tables").join(signal.table())
    }
}

fn lock(root: &Path) -> Result<File, OpenError> {
    let path = root.join("LOCK");
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(OpenError::io("opened", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::Locked(root.to_owned())),
        Err(TryLockError::Error(source)) => Err(OpenError::Io { action: "locked", path, source }),
    }
}

fn check_format(root: &Path, text: &str) -> Result<String, OpenError> {
    let other = |found: String| OpenError::Format { path: root.to_owned(), found, known: FORMAT };
    let file: FormatFile = serde_json::from_str(text).map_err(|_| other("unknown".to_owned()))?;
    if file.format != FORMAT {
        return Err(other(file.format.to_string()));
    }
    Ok(file.node)
}

/// A directory without a format file must not hold tables or a log: they would be of a version that is not known.
fn refuse_foreign(root: &Path) -> Result<(), OpenError> {
    for name in ["wal", "wal-series", "tables"] {
        if root.join(name).exists() {
            return Err(OpenError::Format { path: root.to_owned(), found: "unknown".to_owned(), known: FORMAT });
        }
    }
    Ok(())
}

fn create_format(root: &Path, path: &Path) -> Result<String, OpenError> {
    let node = uuid::Uuid::new_v4().to_string();
    let text = serde_json::to_string(&FormatFile { format: FORMAT, node: node.clone() })
        .map_err(|error| OpenError::Io { action: "written", path: path.to_owned(), source: error.into() })?;
    // Written aside and renamed, so that a crash leaves either no file or a whole one.
    let aside = root.join("format.json.new");
    let write = || -> io::Result<()> {
        let mut file = File::create(&aside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&aside, path)?;
        File::open(root)?.sync_all()
    };
    write().map_err(OpenError::io("written", path))?;
    Ok(node)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_belongs_to_one_process_and_keeps_its_node() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("data");
        let first = DataDir::open(&path).unwrap();
        assert!(matches!(DataDir::open(&path), Err(OpenError::Locked(_))));
        let node = first.node.clone();
        drop(first);
        assert_eq!(DataDir::open(&path).unwrap().node, node);
    }

    #[test]
    fn another_format_is_refused() {
        for text in [r#"{"format":1,"node":"n"}"#, "nonsense"] {
            let temporary = tempfile::tempdir().unwrap();
            fs::write(temporary.path().join("format.json"), text).unwrap();
            let error = DataDir::open(temporary.path()).unwrap_err();
            assert!(matches!(error, OpenError::Format { known: FORMAT, .. }), "{error}");
        }
        let temporary = tempfile::tempdir().unwrap();
        fs::create_dir(temporary.path().join("tables")).unwrap();
        assert!(matches!(DataDir::open(temporary.path()), Err(OpenError::Format { .. })));
    }
}
