use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::super::writer::Output;
use super::FileSettings;
use super::housekeeping::{Housekeeping, archive_path};

/// How long somebody else's lock is waited for before a line is written without it.
const LOCK_PATIENCE: Duration = Duration::from_secs(1);

/// How often a batch is begun anew because the file was rotated by another process meanwhile.
const MAX_REOPENS: usize = 8;

/// The open file and what is known about it.
struct Open {
    file: File,
    identity: Option<Identity>,
    /// The period in which the file was begun.
    period: Option<u64>,
    /// Its last line has no end.
    torn: bool,
}

/// What tells one file from another: device and inode.
type Identity = (u64, u64);

#[cfg(unix)]
fn identity(metadata: &fs::Metadata) -> Option<Identity> {
    use std::os::unix::fs::MetadataExt as _;
    Some((metadata.dev(), metadata.ino()))
}

/// Elsewhere a file that is open cannot be renamed by others, so the open one is always the right one.
#[cfg(not(unix))]
fn identity(_metadata: &fs::Metadata) -> Option<Identity> {
    None
}

/// Writes lines to the file and begins new ones.
pub(super) struct FileOutput {
    settings: FileSettings,
    open: Option<Open>,
    housekeeping: Housekeeping,
    /// A process that died, or a write that failed, may have left the file at the path with a line that has no end.
    doubtful: bool,
    now: fn() -> SystemTime,
}

impl FileOutput {
    pub(super) fn open(settings: FileSettings) -> io::Result<Self> {
        if settings.path.file_name().is_none() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the path of the log file names no file"));
        }
        let housekeeping = Housekeeping::new(settings.clone());
        let mut output = Self { settings, open: None, housekeeping, doubtful: true, now: SystemTime::now };
        output.open = Some(output.open_file()?);
        output.housekeeping.start(output.seconds());
        Ok(output)
    }

    /// With another clock.
    #[cfg(test)]
    pub(super) fn with_clock(mut self, now: fn() -> SystemTime) -> Self {
        self.now = now;
        self
    }

    /// Waits for the thread that compresses and deletes.
    #[cfg(test)]
    pub(super) fn settle(&mut self) {
        self.housekeeping.settle();
    }

    fn seconds(&self) -> u64 {
        (self.now)().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
    }

    fn period_of(&self, seconds: u64) -> Option<u64> {
        self.settings.period.map(|period| seconds / period.seconds())
    }

    fn open_file(&mut self) -> io::Result<Open> {
        if let Some(folder) = self.settings.path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs::create_dir_all(folder)?;
        }
        let file = OpenOptions::new().append(true).create(true).open(&self.settings.path)?;
        let metadata = file.metadata()?;
        let begun = if metadata.len() == 0 {
            self.seconds()
        } else {
            // Not every file system knows when a file was made.
            let time = metadata.created().or_else(|_| metadata.modified()).unwrap_or(UNIX_EPOCH);
            time.duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
        };
        let mut open = Open { identity: identity(&metadata), file, period: self.period_of(begun), torn: false };
        if std::mem::take(&mut self.doubtful) {
            open.torn = ends_within_line(&self.settings.path, &open);
        }
        Ok(open)
    }

    /// Writes as many of the lines as fit into the file; says how many bytes that were.
    fn write_some(&mut self, lines: &[u8]) -> io::Result<usize> {
        for _ in 0..MAX_REOPENS {
            if !self.open.as_ref().is_some_and(|open| is_current(&self.settings.path, open)) {
                self.open = Some(self.open_file()?);
            }
            let Some(open) = &self.open else { continue };
            patiently(|| open.file.try_lock_shared());
            // It may have been renamed while the lock was waited for.
            if !is_current(&self.settings.path, open) {
                continue;
            }
            let size = open.file.metadata()?.len();
            let is_over = open.period.is_some_and(|period| self.period_of(self.seconds()) > Some(period));
            let part = self.fitting(lines, size);
            if size > 0 && (is_over || part.is_empty()) && self.rotate() {
                continue;
            }
            // A line that is longer than a file may be gets a file of its own; when none can be begun, this one.
            let part = if part.is_empty() { first_line(lines) } else { part };
            let result = self.append(part);
            if let Some(open) = &self.open {
                let _ = open.file.unlock();
            }
            return result.map(|()| part.len());
        }
        // Somebody rotates faster than anybody can write; lines in the last known file are better than none.
        self.append(lines).map(|()| lines.len())
    }

    fn append(&mut self, part: &[u8]) -> io::Result<()> {
        if self.open.is_none() {
            self.open = Some(self.open_file()?);
        }
        let Some(open) = &mut self.open else { return Ok(()) };
        if open.torn {
            open.file.write_all(b"\n")?;
            open.torn = false;
        }
        open.file.write_all(part)
    }

    /// The whole lines that fit; none when not even the first does.
    fn fitting<'l>(&self, lines: &'l [u8], size: u64) -> &'l [u8] {
        let Some(max) = self.settings.max_bytes else { return lines };
        let room = usize::try_from(max.saturating_sub(size)).unwrap_or(usize::MAX);
        if lines.len() <= room {
            return lines;
        }
        let end = memchr::memrchr(b'\n', &lines[..room]).map_or(0, |last| last + 1);
        &lines[..end]
    }

    /// Renames the file so that a new one is begun. False when that is impossible now; then the old one is used on.
    fn rotate(&mut self) -> bool {
        let Some(open) = &self.open else { return true };
        // Others write under the shared lock, so that the exclusive one says that nobody writes.
        let _ = open.file.unlock();
        if !patiently(|| open.file.try_lock()) {
            return !is_current(&self.settings.path, open);
        }
        if !is_current(&self.settings.path, open) {
            // Somebody else was quicker.
            self.open = None;
            return true;
        }
        let time = (self.now)();
        let Some(archive) = free_name(&self.settings, time) else { return false };
        if fs::rename(&self.settings.path, archive).is_err() {
            return false;
        }
        // Closing is not enough: a process that is being started has the open file, and so the lock, a moment longer, and
        // the old file could not be compressed.
        let _ = open.file.unlock();
        self.open = None;
        self.housekeeping.start(self.seconds());
        true
    }
}

impl Output for FileOutput {
    fn write(&mut self, mut lines: &[u8]) -> io::Result<()> {
        while !lines.is_empty() {
            match self.write_some(lines) {
                Ok(written) => lines = lines.get(written..).unwrap_or_default(),
                Err(error) => {
                    // What was written of the batch counts as lost with the rest: nobody can tell how far it came.
                    // The next batch begins with a fresh look at the path.
                    self.open = None;
                    self.doubtful = true;
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    fn idle(&mut self) {
        self.housekeeping.start(self.seconds());
    }
}

/// Whether the open file's last line has no end, because a process or the machine died while it was written.
fn ends_within_line(path: &Path, open: &Open) -> bool {
    let last_byte = || -> io::Result<u8> {
        let mut file = File::open(path)?;
        file.seek(io::SeekFrom::End(-1))?;
        let mut byte = [0];
        file.read_exact(&mut byte)?;
        Ok(byte[0])
    };
    // A line that another process is writing just now has no end either, so nobody may write while this looks. Who
    // holds the lock for too long is looked at nevertheless: an empty line is better than two lines in one.
    patiently(|| open.file.try_lock());
    // An empty file has no last byte.
    let torn = is_current(path, open) && last_byte().is_ok_and(|byte| byte != b'\n');
    let _ = open.file.unlock();
    torn
}

fn first_line(lines: &[u8]) -> &[u8] {
    let end = memchr::memchr(b'\n', lines).map_or(lines.len(), |end| end + 1);
    &lines[..end]
}

/// Whether the file behind the path is the open one.
fn is_current(path: &Path, open: &Open) -> bool {
    match fs::metadata(path) {
        Ok(metadata) => identity(&metadata) == open.identity,
        Err(_) => false,
    }
}

/// Takes a lock, waiting a little; says whether it was got. A file system without locks counts as locked.
fn patiently(lock: impl Fn() -> Result<(), TryLockError>) -> bool {
    let started = Instant::now();
    loop {
        match lock() {
            Ok(()) | Err(TryLockError::Error(_)) => return true,
            Err(TryLockError::WouldBlock) if started.elapsed() >= LOCK_PATIENCE => return false,
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(1)),
        }
    }
}

/// A name for the old file that is not taken. Only one process at a time comes here, by the exclusive lock.
fn free_name(settings: &FileSettings, time: SystemTime) -> Option<PathBuf> {
    let micros = time.duration_since(UNIX_EPOCH).map_or(0, |time| time.as_micros());
    (0..1_000).map(|more| archive_path(settings, micros as u64 + more)).find(|path| {
        let compressed = PathBuf::from(format!("{}.gz", path.display()));
        !path.exists() && !compressed.exists()
    })
}
