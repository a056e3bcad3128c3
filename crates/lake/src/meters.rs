//! What the lake counts and measures about itself.

use metrics::{Gauge, Unit};
use tripod_storage::Signal;

use crate::status::{Status, TableStatus};

/// Registers names, units and meanings of all metrics of the store with the installed recorder.
pub fn describe() {
    use metrics::{describe_counter as counter, describe_gauge as gauge, describe_histogram as histogram};
    histogram!("tripod_wal_fsync_duration_seconds", Unit::Seconds, "One fsync of the write-ahead log.");
    histogram!("tripod_wal_group_records", Unit::Count, "Records of the write-ahead log that shared one fsync.");
    counter!("tripod_wal_written_bytes_total", Unit::Bytes, "Bytes written to the write-ahead log.");
    gauge!("tripod_wal_damaged", Unit::Count, "Parts of the log that were found damaged at the last start.");
    let what = "Samples in the log of series that lost their labels to damage, at the last start.";
    gauge!("tripod_wal_unnamed_samples", Unit::Count, what);
    gauge!("tripod_wal_retained_bytes", Unit::Bytes, "Bytes in closed segments of the write-ahead log.");
    histogram!("tripod_flush_duration_seconds", Unit::Seconds, "Moving a signal's rows from memory to its table.");
    counter!("tripod_flush_rows_total", Unit::Count, "Rows moved from memory to tables.");
    counter!("tripod_flush_failures_total", Unit::Count, "Flushes that failed; their rows stay in memory and log.");
    histogram!("tripod_compaction_duration_seconds", Unit::Seconds, "Merging a group of files.");
    counter!("tripod_compaction_files_total", Unit::Count, "Files that were merged into others.");
    counter!("tripod_retention_rows_total", Unit::Count, "Rows dropped because they were past their retention.");
    counter!("tripod_vacuum_files_total", Unit::Count, "Files deleted because no table version needs them.");
    gauge!("tripod_table_files", Unit::Count, "Data files of a table.");
    gauge!("tripod_table_rows", Unit::Count, "Rows in a table's data files.");
    gauge!("tripod_table_bytes", Unit::Bytes, "Bytes of a table's data files.");
    gauge!("tripod_hot_rows", Unit::Count, "Rows in memory that wait for the next flush.");
    gauge!("tripod_hot_bytes", Unit::Bytes, "Bytes of all rows in memory, those being flushed included.");
    counter!("tripod_series_samples_total", Unit::Count, "Samples that were kept.");
    counter!("tripod_series_rejected_total", Unit::Count, "Samples that were refused, by reason.");
    let what = "Exemplars that were not kept: over the limit, or of series that are not there.";
    counter!("tripod_series_exemplars_dropped_total", Unit::Count, what);
    gauge!("tripod_series_active", Unit::Count, "Series in memory.");
    gauge!("tripod_disk_free_bytes", Unit::Bytes, "Free space on the disk with the data.");
}

/// The gauges that follow the lake's status.
pub(crate) struct StatusMeters {
    tables: Vec<TableMeters>,
    active_series: Gauge,
    hot_bytes: Gauge,
    wal_retained_bytes: Gauge,
    disk_free_bytes: Gauge,
}

struct TableMeters {
    files: Gauge,
    rows: Gauge,
    bytes: Gauge,
    hot_rows: Gauge,
}

impl StatusMeters {
    pub(crate) fn new() -> Self {
        let tables = Signal::ALL.into_iter().map(Signal::table).chain(["series"]).map(|table| TableMeters {
            files: metrics::gauge!("tripod_table_files", "table" => table),
            rows: metrics::gauge!("tripod_table_rows", "table" => table),
            bytes: metrics::gauge!("tripod_table_bytes", "table" => table),
            hot_rows: metrics::gauge!("tripod_hot_rows", "table" => table),
        });
        Self {
            tables: tables.collect(),
            active_series: metrics::gauge!("tripod_series_active"),
            hot_bytes: metrics::gauge!("tripod_hot_bytes"),
            wal_retained_bytes: metrics::gauge!("tripod_wal_retained_bytes"),
            disk_free_bytes: metrics::gauge!("tripod_disk_free_bytes"),
        }
    }

    pub(crate) fn set(&self, status: &Status) {
        for (meters, table) in self.tables.iter().zip(status.tables.iter().chain([&status.series.table])) {
            let TableStatus { files, file_rows, file_bytes, hot_rows, .. } = *table;
            meters.files.set(files as f64);
            meters.rows.set(file_rows as f64);
            meters.bytes.set(file_bytes as f64);
            meters.hot_rows.set(hot_rows as f64);
        }
        self.active_series.set(status.series.active_series as f64);
        self.hot_bytes.set(status.memory_bytes as f64);
        self.wal_retained_bytes.set((status.wal.retained_bytes + status.series.wal_retained_bytes) as f64);
        self.disk_free_bytes.set(status.disk.free_bytes as f64);
    }
}
