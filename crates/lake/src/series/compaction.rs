//! Longer chunks out of short ones, and files without what was deleted.

use std::collections::HashSet;
use std::sync::Arc;

use tripod_model::series::{Samples, SeriesExemplar};
use tripod_storage::series::chunk::ChunkEncoder;
use tripod_storage::series::{Chunk, MillisRange, SelectedSeries};

use super::reader::Reader;
use super::rows::{self, Content, Row, SeriesKey};
use super::writer::{Writer, Written};
use crate::LakeError;
use crate::data_file::DataFile;
use crate::shard::spawn_blocking;

/// Series that are merged before the next ones are read.
const BATCH_SERIES: usize = 512;

/// A chunk of so many samples is not made longer: it is decoded as a whole, and a longer one takes no fewer bytes.
const LONG_CHUNK_SAMPLES: usize = 480;

/// Brings the rows of files together. Of each file, and of what is merged, a batch is in memory.
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
                let mut encoder = ChunkEncoder::default();
                for series in full {
                    writer.push(merge_series(series, &mut encoder)?)?;
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

/// The rows of one series, with longer chunks and without overlaps.
fn merge_series(mut series: Vec<Row>, encoder: &mut ChunkEncoder) -> Result<Vec<Row>, LakeError> {
    let Some(key) = series.first().map(|row| Arc::clone(&row.key)) else { return Ok(Vec::new()) };
    let row = |sequence| {
        let key = &key;
        move |content| Row { key: Arc::clone(key), sequence, content }
    };
    series.sort_by_key(|row| row.span());
    let mut newest_exemplars = 0;
    let mut exemplars: Vec<SeriesExemplar> = Vec::new();
    let mut runs: Vec<Run> = Vec::new();
    for row in series {
        match &row.content {
            Content::Exemplars { json, .. } => {
                newest_exemplars = row.sequence.max(newest_exemplars);
                for exemplar in rows::decode_exemplars(json)? {
                    if !exemplars.contains(&exemplar) {
                        exemplars.push(exemplar);
                    }
                }
            }
            Content::Chunk(chunk) => {
                let (last, samples) = (chunk.last, chunk.count as usize);
                match runs.last_mut().filter(|run| run.samples < LONG_CHUNK_SAMPLES || chunk.first <= run.last) {
                    Some(run) => {
                        run.last = run.last.max(last);
                        run.samples += samples;
                        run.rows.push(row);
                    }
                    None => runs.push(Run { last, samples, rows: vec![row] }),
                }
            }
        }
    }
    let mut merged = Vec::with_capacity(runs.len());
    for Run { mut rows, .. } in runs {
        if rows.len() == 1 {
            merged.append(&mut rows);
            continue;
        }
        rows.sort_by_key(|row| row.sequence);
        // Not that of other runs: what is in no file of these and came between them would count before it.
        let sequence = rows.last().map_or(0, |row| row.sequence);
        let chunks = rows.into_iter().filter_map(|row| match row.content {
            Content::Chunk(chunk) => Some(Chunk::Encoded(chunk.into())),
            Content::Exemplars { .. } => None,
        });
        merged.extend(
            rows::encode(&all_samples(chunks.collect())?, encoder).into_iter().map(Content::Chunk).map(row(sequence)),
        );
    }
    merged.extend(rows::encode_exemplars(&exemplars).into_iter().map(row(newest_exemplars)));
    Ok(merged)
}

/// Chunks that become one, because they are short or overlap.
struct Run {
    last: i64,
    samples: usize,
    rows: Vec<Row>,
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
    let mut encoder = ChunkEncoder::default();
    loop {
        let series = rows.next_series().await?;
        let Some(first) = series.first() else { break };
        if meant.contains(&*first.key) {
            for row in series {
                writer.push(without(row, range, &mut encoder)?)?;
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
fn without(row: Row, range: MillisRange, encoder: &mut ChunkEncoder) -> Result<Vec<Row>, LakeError> {
    let (first, last) = row.span();
    let Content::Chunk(chunk) = &row.content else { return Ok(vec![row]) };
    if !range.overlaps(first, last) {
        return Ok(vec![row]);
    }
    let mut samples = chunk.decode().map_err(|error| LakeError::Unexpected(error.to_string()))?;
    samples.remove(range.start, range.end);
    let left = rows::encode(&samples, encoder).into_iter().map(Content::Chunk);
    Ok(left.map(|content| Row { key: row.key.clone(), sequence: row.sequence, content }).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tripod_model::series::{FloatSamples, Labels};

    use super::*;

    fn row(sequence: i64, times: impl Iterator<Item = i64>) -> Vec<Row> {
        let mut floats = FloatSamples::default();
        for time in times {
            floats.push(time, sequence as f64, 0);
        }
        let key = Arc::new(SeriesKey::new(&Labels::from_pairs([("__name__", "up")])));
        let chunks = ChunkEncoder::default().floats(&floats).into_iter().map(Content::Chunk);
        chunks.map(|content| Row { key: Arc::clone(&key), sequence, content }).collect()
    }

    fn samples(rows: &[Row]) -> Samples {
        let mut rows = rows.to_vec();
        rows.sort_by_key(|row| row.sequence);
        let chunks = rows.into_iter().filter_map(|row| match row.content {
            Content::Chunk(chunk) => Some(Chunk::Encoded(chunk.into())),
            Content::Exemplars { .. } => None,
        });
        all_samples(chunks.collect()).unwrap()
    }

    #[test]
    fn long_chunks_stay_as_they_are_and_short_ones_become_one() {
        let long = row(1, 0..480).into_iter().chain(row(2, 480..1000)).collect::<Vec<_>>();
        let merged = merge_series(long.clone(), &mut ChunkEncoder::default()).unwrap();
        assert_eq!(merged.iter().map(|row| row.sequence).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(samples(&merged), samples(&long));
        let short: Vec<Row> = (0..10).flat_map(|part| row(part, part * 100..part * 100 + 100)).collect();
        let merged = merge_series(short.clone(), &mut ChunkEncoder::default()).unwrap();
        assert_eq!(merged.iter().map(|row| row.sequence).collect::<Vec<_>>(), [4, 9], "five hundred samples each");
        assert_eq!(samples(&merged), samples(&short));
    }

    proptest! {
        #[test]
        fn merging_keeps_every_sample_and_leaves_no_overlap(
            parts in prop::collection::vec((0i64..2000, 1i64..700, 1i64..4), 1..8),
        ) {
            let rows: Vec<Row> = (1..).zip(&parts)
                .flat_map(|(sequence, (first, count, step))| row(sequence, (0..*count).map(|place| first + place * step)))
                .collect();
            let merged = merge_series(rows.clone(), &mut ChunkEncoder::default()).unwrap();
            prop_assert_eq!(samples(&merged), samples(&rows));
            prop_assert!(merged.windows(2).all(|pair| pair[0].span().1 < pair[1].span().0));
        }
    }
}
