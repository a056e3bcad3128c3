//! What happens to old files: they are compressed and, in the end, deleted. On a thread that lives no longer than that,
//! because compressing takes seconds.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::FileSettings;
use crate::logs::timestamp::{from_civil, seconds_text};

/// A half-written archive that is older than this was left by a process that died.
const ABANDONED: Duration = Duration::from_secs(3_600);

const GZ: &str = ".gz";
const TEMPORARY: &str = ".gz.tmp";

/// `2026-01-16_10-30-45_123456`
const STAMP_LENGTH: usize = 26;

/// The name of an old file that ended at this time.
pub(super) fn archive_path(settings: &FileSettings, micros: u64) -> PathBuf {
    let mut stamp = seconds_text(micros / 1_000_000);
    stamp[10] = b'_';
    stamp[13] = b'-';
    stamp[16] = b'-';
    let stamp = String::from_utf8_lossy(&stamp);
    let FileSettings { archive_prefix, archive_suffix, .. } = settings;
    settings.path.with_file_name(format!("{archive_prefix}{stamp}_{:06}{archive_suffix}", micros % 1_000_000))
}

/// Seconds since the Unix epoch of `2026-01-16_10-30-45_123456`, if the text has that form.
fn parse_stamp(stamp: &str) -> Option<u64> {
    let bytes = stamp.as_bytes();
    let fits = bytes.len() == STAMP_LENGTH
        && bytes.iter().enumerate().all(|(at, byte)| match at {
            4 | 7 | 13 | 16 => *byte == b'-',
            10 | 19 => *byte == b'_',
            _ => byte.is_ascii_digit(),
        });
    if !fits {
        return None;
    }
    let number = |from: usize, to: usize| stamp.get(from..to)?.parse::<u64>().ok();
    let days = from_civil(number(0, 4)?, number(5, 7)?, number(8, 10)?)?;
    Some(days * 86_400 + number(11, 13)? * 3_600 + number(14, 16)? * 60 + number(17, 19)?)
}

/// Looks after the old files of one log file.
pub(super) struct Housekeeping {
    settings: FileSettings,
    running: Option<JoinHandle<()>>,
    /// More to do when the thread that runs has ended.
    again: bool,
}

impl Housekeeping {
    pub(super) fn new(settings: FileSettings) -> Self {
        Self { settings, running: None, again: false }
    }

    /// Starts a round at this time, in seconds since the Unix epoch, unless one is under way.
    pub(super) fn start(&mut self, now: u64) {
        if self.running.as_ref().is_some_and(|thread| !thread.is_finished()) {
            // The next call, at the latest the next rotation, does what this one would have.
            self.again = true;
            return;
        }
        self.again = false;
        let settings = self.settings.clone();
        let thread = std::thread::Builder::new().name("tripod-files".to_owned()).spawn(move || round(&settings, now));
        self.running = thread.ok();
    }

    /// Waits for the round under way, and for the one that was asked for meanwhile.
    #[cfg(test)]
    pub(super) fn settle(&mut self) {
        if let Some(thread) = self.running.take() {
            thread.join().unwrap();
        }
        if std::mem::take(&mut self.again) {
            round(&self.settings, crate::logs::timestamp::now() / 1_000_000_000);
        }
    }
}

/// An old file.
struct Archive {
    path: PathBuf,
    /// When it ended, in seconds since the Unix epoch.
    ended: u64,
    bytes: u64,
    compressed: bool,
}

/// Compresses and deletes once.
pub(super) fn round(settings: &FileSettings, now: u64) {
    if settings.gzip {
        for archive in archives(settings) {
            if !archive.compressed {
                // What fails, for example on a full disk, is tried again next time.
                let _ = compress(&archive.path);
            }
        }
    }
    let mut archives = archives(settings);
    archives.sort_by(|a, b| b.path.cmp(&a.path));
    let mut bytes = 0_u64;
    for (index, archive) in archives.iter().enumerate() {
        bytes = bytes.saturating_add(archive.bytes);
        let too_old = settings.keep_for.is_some_and(|age| archive.ended.saturating_add(age.as_secs()) < now);
        let too_many = settings.keep_files.is_some_and(|count| index >= count);
        let too_much = settings.keep_bytes.is_some_and(|most| bytes > most);
        if too_old || too_many || too_much {
            // Another process may have been quicker.
            let _ = fs::remove_file(&archive.path);
        }
    }
}

fn archives(settings: &FileSettings) -> Vec<Archive> {
    let folder = match settings.path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut archives = Vec::new();
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        let Some(rest) = name.strip_prefix(&settings.archive_prefix) else { continue };
        // Not every file that begins alike is ours: the time has to be there too.
        let Some((stamp, end)) = rest.split_at_checked(STAMP_LENGTH) else { continue };
        let (Some(ended), Some(end)) = (parse_stamp(stamp), end.strip_prefix(&settings.archive_suffix)) else {
            continue;
        };
        let Ok(metadata) = entry.metadata() else { continue };
        if end == TEMPORARY {
            let age = metadata.modified().ok().and_then(|time| SystemTime::now().duration_since(time).ok());
            if age.is_some_and(|age| age > ABANDONED) {
                let _ = fs::remove_file(entry.path());
            }
        } else if end.is_empty() || end == GZ {
            archives.push(Archive { path: entry.path(), ended, bytes: metadata.len(), compressed: end == GZ });
        }
    }
    archives
}

/// Compresses a file next to itself; the compressed one appears under its name only when it is complete.
fn compress(path: &Path) -> io::Result<()> {
    let mut source = File::open(path)?;
    // Somebody who still writes, or another process that compresses, has the lock; it is their file then.
    source.try_lock().map_err(io::Error::other)?;
    if !path.exists() {
        return Ok(());
    }
    let temporary = PathBuf::from(format!("{}{TEMPORARY}", path.display()));
    let target = OpenOptions::new().write(true).create(true).truncate(true).open(&temporary)?;
    let mut encoder = GzEncoder::new(io::BufWriter::new(target), Compression::default());
    let written = io::copy(&mut source, &mut encoder)
        .and_then(|_| encoder.finish())
        .and_then(|buffered| buffered.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all());
    let done = written.and_then(|()| fs::rename(&temporary, format!("{}{GZ}", path.display())));
    if done.is_err() {
        let _ = fs::remove_file(&temporary);
        return done;
    }
    fs::remove_file(path)
}
