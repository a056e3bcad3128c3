//! Reading the log on start.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use crate::segment::{Found, scan, segment_header};
use crate::{Lsn, OpenError, Progress};

/// What was found on start.
#[derive(Clone, Debug, Default)]
pub struct Recovery {
    /// Intact records.
    pub records: u64,
    /// Number of the newest intact record, or of the floor if that is higher.
    pub last_lsn: Lsn,
    /// Bytes of an interrupted last write that were cut; none of it was acknowledged.
    pub torn_bytes: u64,
    /// Damage before intact records.
    pub damage: Vec<Damage>,
}

/// A part of the log that could not be read although it was complete once.
#[derive(Clone, Debug)]
pub struct Damage {
    /// The segment.
    pub segment: PathBuf,
    /// Offset of the first unreadable byte; equal to the segment's length when records are missing altogether.
    pub offset: u64,
    /// How many bytes.
    pub bytes: u64,
    /// Numbers of the records that are missing, both inclusive, as far as their neighbours tell.
    pub missing: Option<(Lsn, Lsn)>,
    /// Where the damaged segment is kept for inspection.
    pub kept_at: PathBuf,
}

/// A segment on disk.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) path: PathBuf,
    pub(crate) last_lsn: Lsn,
    pub(crate) bytes: u64,
}

pub(crate) fn segment_path(directory: &Path, first: Lsn) -> PathBuf {
    directory.join(format!("{first:020}.wal"))
}

pub(crate) fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> OpenError {
    let path = path.to_owned();
    move |source| OpenError { action, path, source }
}

/// Reads every segment in order, hands on its records and mends what an interrupted write left.
pub(crate) fn recover(
    directory: &Path,
    floor: Lsn,
    progress: &Progress,
    visit: &mut dyn FnMut(Lsn, u8, &[u8]),
) -> Result<(Vec<Segment>, Recovery), OpenError> {
    fs::create_dir_all(directory).map_err(failed("created", directory))?;
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed("listed", directory))? {
        let path = entry.map_err(failed("listed", directory))?.path();
        if path.extension().is_some_and(|extension| extension == "wal") {
            paths.push(path);
        }
    }
    paths.sort();
    let mut recovery = Recovery { last_lsn: floor, ..Recovery::default() };
    // Only records up to the floor may have been released, so the log begins at or below the one above it.
    let mut previous = floor;
    let mut segments = Vec::new();
    let count = paths.len();
    progress.begin(count);
    for (index, path) in paths.into_iter().enumerate() {
        progress.reach(index);
        let bytes = fs::read(&path).map_err(failed("read", &path))?;
        let mut damaged = Vec::new();
        let mut torn = None;
        let mut last_lsn = first_lsn(&path).saturating_sub(1);
        for found in scan(&bytes) {
            match found {
                Found::Record { lsn, tag, payload } => {
                    if lsn > previous + 1 {
                        damaged.push((None, Some((previous + 1, lsn - 1))));
                    }
                    previous = if recovery.records == 0 { lsn } else { previous.max(lsn) };
                    last_lsn = lsn;
                    recovery.records += 1;
                    visit(lsn, tag, payload);
                }
                Found::Damage { offset, at_end: true, .. } if index + 1 == count => torn = Some(offset),
                Found::Damage { offset, bytes, .. } => damaged.push((Some((offset, bytes)), None)),
            }
        }
        if !damaged.is_empty() {
            let kept_at = keep_aside(directory, &path)?;
            recovery.damage.extend(describe(&path, bytes.len(), &damaged, &kept_at));
        }
        if let Some(offset) = torn {
            recovery.torn_bytes += (bytes.len() - offset) as u64;
            cut(&path, offset.max(segment_header().len().min(bytes.len()))).map_err(failed("cut", &path))?;
        }
        recovery.last_lsn = recovery.last_lsn.max(last_lsn);
        segments.push(Segment { path, last_lsn, bytes: torn.unwrap_or(bytes.len()) as u64 });
    }
    Ok((segments, recovery))
}

type Unreadable = (Option<(usize, usize)>, Option<(Lsn, Lsn)>);

/// A hole in the numbers follows the unreadable bytes that made it; one report names both.
fn describe(path: &Path, length: usize, damaged: &[Unreadable], kept_at: &Path) -> Vec<Damage> {
    let mut reports: Vec<Damage> = Vec::new();
    for (place, missing) in damaged {
        match (place, missing, reports.last_mut()) {
            (None, missing, Some(last)) if last.missing.is_none() => last.missing = *missing,
            (place, missing, _) => {
                let (offset, bytes) = place.unwrap_or((length, 0));
                reports.push(Damage {
                    segment: path.to_owned(),
                    offset: offset as u64,
                    bytes: bytes as u64,
                    missing: *missing,
                    kept_at: kept_at.to_owned(),
                });
            }
        }
    }
    reports
}

fn first_lsn(path: &Path) -> Lsn {
    path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse().ok()).unwrap_or(0)
}

fn keep_aside(directory: &Path, path: &Path) -> Result<PathBuf, OpenError> {
    let aside = directory.join("damaged");
    fs::create_dir_all(&aside).map_err(failed("created", &aside))?;
    let name = path.file_name().unwrap_or_default();
    let kept_at = aside.join(name);
    fs::copy(path, &kept_at).map_err(failed("copied", path))?;
    Ok(kept_at)
}

fn cut(path: &Path, length: usize) -> io::Result<()> {
    let file = OpenOptions::new().write(true).open(path)?;
    file.set_len(length as u64)?;
    file.sync_all()
}
