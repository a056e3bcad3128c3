//! Free space on the disk that the data lies on.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Watches free space and says when there is too little to take more.
#[derive(Debug)]
pub(crate) struct Disk {
    path: PathBuf,
    min_free: u64,
    free: AtomicU64,
    /// A write met a full disk; cleared when space is found again.
    full: AtomicBool,
}

impl Disk {
    pub(crate) fn new(path: &Path, min_free: u64) -> Self {
        let disk =
            Self { path: path.to_owned(), min_free, free: AtomicU64::new(u64::MAX), full: AtomicBool::new(false) };
        disk.look();
        disk
    }

    /// Looks at the disk anew.
    pub(crate) fn look(&self) {
        match rustix::fs::statvfs(&self.path) {
            Ok(stat) => {
                let free = stat.f_bavail.saturating_mul(stat.f_frsize);
                self.free.store(free, Ordering::Relaxed);
                if free >= self.min_free {
                    self.full.store(false, Ordering::Relaxed);
                }
            }
            Err(error) => tracing::warn!(path = %self.path.display(), %error, "free disk space is not known"),
        }
    }

    /// A write failed for want of space.
    pub(crate) fn note_full(&self) {
        self.full.store(true, Ordering::Relaxed);
    }

    /// Bytes free for this process.
    pub(crate) fn free(&self) -> u64 {
        self.free.load(Ordering::Relaxed)
    }

    /// Bytes that must stay free.
    pub(crate) fn min_free(&self) -> u64 {
        self.min_free
    }

    /// Whether more may be written.
    pub(crate) fn has_room(&self) -> bool {
        !self.full.load(Ordering::Relaxed) && self.free() >= self.min_free
    }
}
