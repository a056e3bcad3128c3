//! Longer chunks out of shorter ones, and files without what was deleted.

use std::collections::HashSet;
use std::sync::Arc;

use tripod_model::series::{Samples, SeriesExemplar};
use tripod_storage::series::{Chunk, MillisRange, SelectedSeries};

use super::reader::Reader;
use super::rows::{self, Content, Row, SeriesKey};
use super::writer::{Writer, Written};
use crate::LakeError;
use crate::data_file::DataFile;
use crate::shard::spawn_blocking;

/// Series that are merged before the next ones are read.
const BATCH_SERIES: usize = 512;

/// Brings the rows of files together: the chunks of a series become one, as long as a chunk may be. Of each file, and of
/// what is merged, a batch is in memory.
pub(super) async fn merge(reader: &Reader, files: &[Arc<DataFile>]) -> Result<Vec<Written>, LakeError> {
    let mut sources = Vec::with_capacity(files.len());
    for file in files {
        let mut rows = reader.rows(Arc::clone(file)).await?;
        sources.push((rows.next_series().await?, rows));
    }
    let mut writer = Writer::default();
    let mut batch: Vec<Vec<Row>> = Vec::with_capacity(BATCH_SERIES);
    loop {
        let key = sources.iter().filter_map(|(series, _)| series.first()).map(|row| &row.key).min().cloned();
        if batch.len() == BATCH_SERIES || key.is_none() {
            let full = std::mem::take(&mut batch);
            let write = move || {
                for series in full {
                    writer.push(merge_series(series)?)?;
                }
                Ok::<_, LakeError>(writer)
            };
            writer = spawn_blocking(write).await??;
        }
        let Some(key) = key else { break };
        let mut series = Vec::new();
        for (next, rows) in &mut sources {
            if next.first().is_some_and(|row| row.key == key) {
                series.extend(std::mem::replace(next, rows.next_series().await?));
            }
        }
        batch.push(series);
    }
    spawn_blocking(move || writer.finish()).await?
}

/// The rows of one series in as few rows as may be.
fn merge_series(mut series: Vec<Row>) -> Result<Vec<Row>, LakeError> {
    series.sort_by_key(|row| row.sequence);
    let Some(Row { key, sequence, .. }) = series.last().cloned() else { return Ok(Vec::new()) };
    let row = |content| Row { key: Arc::clone(&key), sequence, content };
    let chunks = series.iter().filter(|row| matches!(row.content, Content::Chunk(_))).count();
    let mut merged = Vec::new();
    let mut parts = Vec::new();
    let mut exemplars: Vec<SeriesExemplar> = Vec::new();
    for row in series {
        match row.content {
            Content::Chunk(_) if chunks == 1 => merged.push(row),
            Content::Chunk(chunk) => parts.push(Chunk::Encoded(chunk.into())),
            Content::Exemplars { json, .. } => {
                for exemplar in rows::decode_exemplars(&json)? {
                    if !exemplars.contains(&exemplar) {
                        exemplars.push(exemplar);
                    }
                }
            }
        }
    }
    if !parts.is_empty() {
        merged.extend(rows::encode(&all_samples(parts)?).into_iter().map(Content::Chunk).map(row));
    }
    merged.extend(rows::encode_exemplars(&exemplars).into_iter().map(row));
    Ok(merged)
}

/// A file again, without the samples of a range of the series that are meant.
pub(super) async fn delete(
    reader: &Reader,
    file: &Arc<DataFile>,
    meant: &HashSet<SeriesKey>,
    range: MillisRange,
) -> Result<Vec<Written>, LakeError> {
    let mut rows = reader.rows(Arc::clone(file)).await?;
    let mut writer = Writer::default();
    loop {
        let series = rows.next_series().await?;
        let Some(first) = series.first() else { break };
        if meant.contains(&*first.key) {
            for row in series {
                writer.push(without(row, range)?)?;
            }
        } else {
            writer.push(series)?;
        }
    }
    spawn_blocking(move || writer.finish()).await?
}

/// The samples of chunks of one series, of which the earlier counts.
pub(super) fn all_samples(chunks: Vec<Chunk>) -> Result<Samples, LakeError> {
    let series = SelectedSeries { labels: Default::default(), chunks };
    series.samples(MillisRange::ALL).map_err(|error| LakeError::Unexpected(error.to_string()))
}

/// A row without the samples of a range; as many rows as are left of it.
fn without(row: Row, range: MillisRange) -> Result<Vec<Row>, LakeError> {
    let (first, last) = row.span();
    let Content::Chunk(chunk) = &row.content else { return Ok(vec![row]) };
    if !range.overlaps(first, last) {
        return Ok(vec![row]);
    }
    let mut samples = chunk.decode().map_err(|error| LakeError::Unexpected(error.to_string()))?;
    samples.remove(range.start, range.end);
    let left = rows::encode(&samples).into_iter().map(Content::Chunk);
    Ok(left.map(|content| Row { key: row.key.clone(), sequence: row.sequence, content }).collect())
}
