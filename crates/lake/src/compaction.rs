//! Merging small files into larger ones.
//!
//! Files of a day are brought together when enough of a similar size have gathered, so that a table's live files stay in
//! the low hundreds. Small ones are merged here, and keep the order of rows, so the result is as good as if it had been
//! written at once; large ones are joined.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::compute::SortOptions;
use bytes::Bytes;
use datafusion::physical_expr::{LexOrdering, PhysicalSortExpr};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::expressions::col;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use futures::StreamExt;
use tripod_storage::Signal;

use crate::LakeError;
use crate::columns::file_schema;
use crate::data_file::{DataFile, FileWriter};
use crate::order::SORT_COLUMN;
use crate::scan::Reader;
use crate::settings::CompactionSettings;

/// Files up to this size are of one class; each further class is eight times larger.
const SMALLEST_CLASS_BYTES: u64 = 256 * 1024;

/// The next files to be merged, if any are worth it.
pub(crate) fn choose(files: &[Arc<DataFile>], settings: &CompactionSettings) -> Option<Vec<Arc<DataFile>>> {
    let mut classes: BTreeMap<(&str, u32), Vec<&Arc<DataFile>>> = BTreeMap::new();
    for file in files.iter().filter(|file| file.bytes < settings.target_bytes) {
        classes.entry((&file.date, class(file.bytes))).or_default().push(file);
    }
    let mut chosen = classes.into_values().find(|files| files.len() >= settings.min_files)?;
    // The oldest first, so that what is merged belongs together in time.
    chosen.sort_by_key(|file| file.min_time);
    let mut bytes = 0;
    let mut merged: Vec<Arc<DataFile>> = Vec::new();
    for file in chosen {
        if bytes >= settings.target_bytes && merged.len() >= 2 {
            break;
        }
        bytes += file.bytes;
        merged.push(Arc::clone(file));
    }
    Some(merged)
}

fn class(bytes: u64) -> u32 {
    (bytes / SMALLEST_CLASS_BYTES).max(1).ilog2() / 3
}

/// Reads files of one day in their common order and writes them anew.
pub(crate) async fn merge(
    signal: Signal,
    reader: &Reader,
    files: &[Arc<DataFile>],
    target_bytes: u64,
) -> Result<Vec<(DataFile, Bytes)>, LakeError> {
    let Some(date) = files.first().map(|file| file.date.clone()) else { return Ok(Vec::new()) };
    let groups = files.iter().map(|file| vec![Arc::clone(file)]).collect();
    let plan = reader.plan(signal, groups, None, None)?;
    let merged = SortPreservingMergeExec::new(ordering(signal)?, plan)
        // Of rows that are equal those of the oldest file come first, all of them: as they came.
        .with_round_robin_repartition(false);
    let mut rows = merged.execute(0, reader.context())?;
    let mut written = Vec::new();
    let mut writer = FileWriter::new(signal, date.clone())?;
    while let Some(batch) = rows.next().await {
        if writer.bytes() as u64 > target_bytes + target_bytes / 2 {
            written.push(std::mem::replace(&mut writer, FileWriter::new(signal, date.clone())?).finish()?);
        }
        writer.write(&batch?)?;
    }
    written.push(writer.finish()?);
    let (before, after): (u64, u64) =
        (files.iter().map(|file| file.rows).sum(), written.iter().map(|(file, _)| file.rows).sum());
    if before != after {
        return Err(LakeError::Unexpected(format!(
            "merging {before} rows of {signal} gave {after}; nothing is changed"
        )));
    }
    Ok(written)
}

fn ordering(signal: Signal) -> Result<LexOrdering, LakeError> {
    let schema = file_schema(signal);
    let options = SortOptions { descending: false, nulls_first: true };
    let by_service = PhysicalSortExpr::new(col(SORT_COLUMN, &schema)?, options);
    LexOrdering::new([by_service]).ok_or_else(|| LakeError::Unexpected(format!("{signal} have no order")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(date: &str, bytes: u64, min_time: i64) -> Arc<DataFile> {
        let (path, date) = (format!("{date}/{bytes}/{min_time}"), date.to_owned());
        Arc::new(DataFile { path, bytes, rows: 1, date, min_time, max_time: min_time, written: 0 })
    }

    #[test]
    fn files_of_one_day_and_one_class_are_merged_oldest_first() {
        let settings = CompactionSettings { min_files: 3, target_bytes: 1 << 20, ..CompactionSettings::default() };
        let day = |date, count| (0..count).map(move |index| file(date, 1000, 10 - index));
        let mut files: Vec<_> = day("2026-01-01", 2).chain(day("2026-01-02", 2)).collect();
        assert_eq!(choose(&files, &settings), None);
        files.extend(day("2026-01-02", 3));
        let chosen = choose(&files, &settings).unwrap();
        assert!(chosen.iter().all(|file| file.date == "2026-01-02"));
        assert!(chosen.is_sorted_by_key(|file| file.min_time));
        assert_eq!(chosen.len(), 5);
    }

    #[test]
    fn large_files_are_left_alone_and_a_merge_ends_at_the_target() {
        let settings = CompactionSettings { min_files: 2, target_bytes: 1000, ..CompactionSettings::default() };
        let large: Vec<_> = (0..5).map(|index| file("2026-01-01", 1000, index)).collect();
        assert_eq!(choose(&large, &settings), None);
        let half: Vec<_> = (0..5).map(|index| file("2026-01-01", 500, index)).collect();
        assert_eq!(choose(&half, &settings).unwrap().len(), 2);
    }
}
