use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tripod_model::series::Labels;
use tripod_storage::Signal;
use tripod_storage::series::Rejection;

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
    /// Series and their samples.
    pub series: SeriesSettings,
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
    /// For metrics, in seconds.
    pub series_seconds: u64,
}

/// Settings of series: what is taken, and how long samples stay in memory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SeriesSettings {
    /// How much older than the newest sample of the store a sample may be that is out of order in its series, in
    /// seconds; 0 for any age.
    pub out_of_order_window_seconds: u64,
    /// Series in memory; beyond it new ones are refused.
    pub max_series: usize,
    /// Labels of a series, its name included.
    pub max_labels_per_series: usize,
    /// Bytes of a label's name.
    pub max_label_name_bytes: usize,
    /// Bytes of a label's value.
    pub max_label_value_bytes: usize,
    /// Samples of one request.
    pub max_samples_per_request: usize,
    /// Exemplars that are not flushed yet; beyond it they are passed over.
    pub max_exemplars_in_memory: usize,
    /// How long samples gather in memory before they are written to the table, in seconds: the longer, the less room
    /// they take there.
    pub flush_interval_seconds: u64,
    /// Size of the write-ahead log of series at which they are written sooner, in bytes.
    pub flush_log_bytes: u64,
    /// Memory for samples, in bytes; they are written at half of it, and beyond it appends are refused.
    pub memory_limit_bytes: usize,
    /// Memory for what is known of the table's files, in bytes.
    pub index_cache_bytes: usize,
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
            series: SeriesSettings::default(),
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
        Self { spans_seconds: 14 * DAY, logs_seconds: 14 * DAY, series_seconds: 90 * DAY }
    }
}

impl Default for SeriesSettings {
    fn default() -> Self {
        Self {
            out_of_order_window_seconds: 0,
            max_series: 2_000_000,
            max_labels_per_series: 64,
            max_label_name_bytes: 1024,
            max_label_value_bytes: 8 * 1024,
            max_samples_per_request: 500_000,
            max_exemplars_in_memory: 100_000,
            flush_interval_seconds: 2 * 60 * 60,
            flush_log_bytes: 1024 * MIB as u64,
            memory_limit_bytes: 512 * MIB,
            index_cache_bytes: 128 * MIB,
        }
    }
}

impl SeriesSettings {
    /// The window in milliseconds; `None` for samples of any age.
    pub(crate) fn out_of_order_window_milliseconds(&self) -> Option<i64> {
        let window = i64::try_from(self.out_of_order_window_seconds).unwrap_or(i64::MAX);
        (window > 0).then(|| window.saturating_mul(1000))
    }

    /// Whether a series may be kept that is not there yet.
    pub(crate) fn check_new_series(&self, labels: &Labels, there: usize) -> Result<(), Rejection> {
        if labels.is_empty() {
            return Err(Rejection::Invalid("a series must have at least one label".to_owned()));
        }
        let over = |what: String, limit: usize, key: &str| {
            Err(Rejection::Limit(format!("{what}, more than the limit of {limit} (store.series.{key})")))
        };
        let mut count = 0;
        for (name, value) in labels.iter() {
            count += 1;
            if name.len() > self.max_label_name_bytes {
                let what = format!("a label name has {} bytes", name.len());
                return over(what, self.max_label_name_bytes, "max_label_name_bytes");
            }
            if value.len() > self.max_label_value_bytes {
                let what = format!("the value of label {name:?} has {} bytes", value.len());
                return over(what, self.max_label_value_bytes, "max_label_value_bytes");
            }
        }
        if count > self.max_labels_per_series {
            return over(format!("the series has {count} labels"), self.max_labels_per_series, "max_labels_per_series");
        }
        if there >= self.max_series {
            return over(format!("there are {there} series in memory"), self.max_series, "max_series");
        }
        Ok(())
    }
}

impl RetentionSettings {
    pub(crate) fn seconds(&self, signal: Signal) -> u64 {
        match signal {
            Signal::Spans => self.spans_seconds,
            Signal::Logs => self.logs_seconds,
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
        positive("series.max_series", self.series.max_series as u64);
        positive("series.max_labels_per_series", self.series.max_labels_per_series as u64);
        positive("series.max_label_name_bytes", self.series.max_label_name_bytes as u64);
        positive("series.max_label_value_bytes", self.series.max_label_value_bytes as u64);
        positive("series.max_samples_per_request", self.series.max_samples_per_request as u64);
        positive("series.flush_interval_seconds", self.series.flush_interval_seconds);
        positive("series.flush_log_bytes", self.series.flush_log_bytes);
        positive("series.memory_limit_bytes", self.series.memory_limit_bytes as u64);
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
