use std::sync::atomic::{AtomicU64, Ordering};

/// How far the reading of a log on start has come, for whoever watches from another thread.
#[derive(Debug, Default)]
pub struct Progress {
    segments: AtomicU64,
    current: AtomicU64,
}

impl Progress {
    /// How many segments the log has.
    pub fn segments(&self) -> u64 {
        self.segments.load(Ordering::Relaxed)
    }

    /// Which of them is being read, or was read last; the first is 0.
    pub fn current(&self) -> u64 {
        self.current.load(Ordering::Relaxed)
    }

    pub(crate) fn begin(&self, segments: usize) {
        self.segments.store(segments as u64, Ordering::Relaxed);
    }

    pub(crate) fn reach(&self, segment: usize) {
        self.current.store(segment as u64, Ordering::Relaxed);
    }
}
