//! Copies of the series, each a data directory that can be served.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::LakeError;
use crate::data_file::DataFile;
use crate::layout::DataDir;

/// A name by the time, as Prometheus gives them; two of a second differ.
pub(crate) fn name() -> String {
    let (random, _) = uuid::Uuid::new_v4().as_u64_pair();
    format!("{}-{random:016x}", chrono::Utc::now().format("%Y%m%dT%H%M%SZ"))
}

/// Ends the names of copies that are not whole.
const UNFINISHED: &str = "new";

/// Links the table's log, its files and what belongs to them into `snapshots/<name>`: all of it or nothing. One at a time.
pub(crate) fn write(data_dir: &DataDir, name: &str, files: &[Arc<DataFile>]) -> Result<(), LakeError> {
    let snapshots = data_dir.snapshots();
    remove_unfinished(&snapshots)?;
    let unfinished = snapshots.join(name).with_extension(UNFINISHED);
    let written = copy(data_dir, &unfinished, files).and_then(|()| {
        fs::rename(&unfinished, snapshots.join(name))?;
        File::open(&snapshots)?.sync_all()?;
        File::open(&data_dir.root)?.sync_all()
    });
    if written.is_err() {
        // The next one tries again; what went wrong before is what is told.
        let _ = remove_unfinished(&snapshots);
    }
    Ok(written?)
}

/// Removes what a crash or an error has left.
fn remove_unfinished(snapshots: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(snapshots) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == UNFINISHED) {
            fs::remove_dir_all(path)?;
        }
    }
    Ok(())
}

fn copy(data_dir: &DataDir, target: &Path, files: &[Arc<DataFile>]) -> io::Result<()> {
    let table = data_dir.series_table();
    let mut paths = vec![data_dir.format_file()];
    paths.extend(files.iter().map(|file| table.join(&file.path)));
    for entry in fs::read_dir(table.join("_delta_log"))? {
        let path = entry?.path();
        if path.is_file() {
            paths.push(path);
        }
    }
    // There is none while no metric has any.
    paths.extend(Some(data_dir.metric_metadata()).filter(|path| path.exists()));
    let mut folders = BTreeSet::new();
    for path in &paths {
        let place = target.join(path.strip_prefix(&data_dir.root).map_err(io::Error::other)?);
        for folder in place.ancestors().skip(1).take_while(|folder| folder.starts_with(target)) {
            if folders.insert(folder.to_owned()) {
                fs::create_dir_all(folder)?;
            }
        }
        link(path, &place)?;
    }
    folders.iter().try_for_each(|folder| File::open(folder)?.sync_all())
}

/// Files are written once and replaced as a whole, never changed, so that a link is a copy.
fn link(from: &Path, to: &Path) -> io::Result<()> {
    match fs::hard_link(from, to) {
        // Not every file system has links.
        Err(error) if matches!(error.kind(), io::ErrorKind::Unsupported | io::ErrorKind::PermissionDenied) => {
            fs::copy(from, to)?;
            File::open(to)?.sync_all()
        }
        linked => linked,
    }
}
