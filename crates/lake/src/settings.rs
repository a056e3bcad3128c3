use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tripod_storage::Signal;

/// How the lake keeps data. Every field has a default that suits one machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Where everything lies. Set by the program, not by a configuration file's section.
    #[serde(skip)]
    pub data_dir: PathBuf,
    /// Memory for rows that are not flushed yet, in bytes; beyond it appends are refused.
    pub memory_limit_bytes: usize,
    /// Free space on the disk below which appends are refused, in bytes.
    pub min_free_disk_bytes: u64,
    /// The write-ahead log.
    pub wal: WalSettings,
    /// When rows leave memory for the tables.
    pub flush: FlushSettings,
    /// Merging of small files.
    pub compaction: CompactionSettings,
    /// How long data is kept.
    pub retention: RetentionSettings,
    /// How long a file that no table version needs any more stays for readers outside this process, in seconds.
    pub vacuum_grace_seconds: u64,
}

/// Settings of the write-ahead log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WalSettings {
    /// Size at which a new segment is begun, in bytes.
    pub segment_bytes: u64,
    /// Whether a write is acknowledged only after its fsync.
    pub fsync: bool,
}

/// Settings of flushes. The first bound that is reached flushes a signal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FlushSettings {
    /// Rows in memory.
    pub rows: usize,
    /// Bytes in memory.
    pub bytes: usize,
    /// Age of the oldest row, in seconds.
    pub interval_seconds: u64,
}

/// Settings of compaction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CompactionSettings {
    /// Whether small files are merged at all.
    pub enabled: bool,
    /// How often a table is looked at, in seconds.
    pub interval_seconds: u64,
    /// How many files of similar size are merged at once.
    pub min_files: usize,
    /// Files of this size are left alone, in bytes.
    pub target_bytes: u64,
}

/// Settings of retention, counted from the newest of a file's events and its arrival; 0 keeps data for ever.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetentionSettings {
    /// For spans, in seconds.
    pub spans_seconds: u64,
    /// For log records, in seconds.
    pub logs_seconds: u64,
    /// For metric points, in seconds.
    pub metrics_seconds: u64,
}

const MIB: usize = 1024 * 1024;
const DAY: u64 = 24 * 60 * 60;

impl Default for Settings {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("tripod-data"),
            memory_limit_bytes: 256 * MIB,
            min_free_disk_bytes: 256 * MIB as u64,
            wal: WalSettings::default(),
            flush: FlushSettings::default(),
            compaction: CompactionSettings::default(),
            retention: RetentionSettings::default(),
            vacuum_grace_seconds: 60 * 60,
        }
    }
}

impl Default for WalSettings {
    fn default() -> Self {
        Self { segment_bytes: 64 * MIB as u64, fsync: true }
    }
}

impl Default for FlushSettings {
    fn default() -> Self {
        Self { rows: 500_000, bytes: 96 * MIB, interval_seconds: 30 }
    }
}

impl Default for CompactionSettings {
    fn default() -> Self {
        Self { enabled: true, interval_seconds: 10, min_files: 8, target_bytes: 128 * MIB as u64 }
    }
}

impl Default for RetentionSettings {
    fn default() -> Self {
        Self { spans_seconds: 14 * DAY, logs_seconds: 14 * DAY, metrics_seconds: 90 * DAY }
    }
}

impl RetentionSettings {
    pub(crate) fn seconds(&self, signal: Signal) -> u64 {
        match signal {
            Signal::Spans => self.spans_seconds,
            Signal::Logs => self.logs_seconds,
            Signal::Metrics => self.metrics_seconds,
        }
    }
}

impl Settings {
    /// Says everything that is wrong with the settings, each with its key.
    ///
    /// # Errors
    /// One message for each mistake.
    pub fn check(&self) -> Result<(), Vec<String>> {
        let mut mistakes = Vec::new();
        let mut positive = |key: &str, value: u64| {
            if value == 0 {
                mistakes.push(format!("{key} must be greater than 0"));
            }
        };
        positive("wal.segment_bytes", self.wal.segment_bytes);
        positive("flush.rows", self.flush.rows as u64);
        positive("flush.bytes", self.flush.bytes as u64);
        positive("flush.interval_seconds", self.flush.interval_seconds);
        positive("compaction.interval_seconds", self.compaction.interval_seconds);
        positive("compaction.target_bytes", self.compaction.target_bytes);
        if self.compaction.min_files < 2 {
            mistakes.push("compaction.min_files must be at least 2".to_owned());
        }
        if self.memory_limit_bytes < 2 * self.flush.bytes {
            mistakes.push(format!(
                "memory_limit_bytes ({}) must be at least twice flush.bytes ({}), so that rows can arrive while others \
                 are flushed",
                self.memory_limit_bytes, self.flush.bytes
            ));
        }
        if mistakes.is_empty() { Ok(()) } else { Err(mistakes) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_sound_and_all_mistakes_are_told_at_once() {
        assert_eq!(Settings::default().check(), Ok(()));
        let mut settings = Settings::default();
        settings.flush.rows = 0;
        settings.compaction.min_files = 1;
        settings.memory_limit_bytes = 1;
        assert_eq!(settings.check().unwrap_err().len(), 3);
    }
}
