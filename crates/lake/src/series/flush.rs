//! What was set aside in memory becomes files.

use std::sync::Arc;

use tripod_storage::series::chunk::ChunkEncoder;

use super::compaction;
use super::head::{Frozen, FrozenSeries};
use super::rows::{self, Content, Row, SeriesKey};
use super::writer::{Writer, Written};
use crate::LakeError;

/// Series whose samples are encoded at once, on all cores.
const BATCH_SERIES: usize = 4096;

/// Files with all that was set aside. Blocks; besides the files there is a batch of series at a time in memory.
pub(super) fn write(frozen: &Frozen) -> Result<Vec<Written>, LakeError> {
    let sequence = frozen.last_lsn as i64;
    let named = frozen.series.iter().map(|series| (series.labels.metric_name().unwrap_or_default(), series));
    let mut by_name: Vec<(&str, &FrozenSeries)> = named.collect();
    by_name.sort_by_key(|(name, _)| *name);
    let mut writer = Writer::default();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut encoders: Vec<ChunkEncoder> = (0..cores).map(|_| ChunkEncoder::default()).collect();
    let mut batch: Vec<Keyed<'_>> = Vec::with_capacity(BATCH_SERIES);
    for of_metric in by_name.chunk_by(|a, b| a.0 == b.0) {
        let mut keyed: Vec<Keyed<'_>> =
            of_metric.iter().map(|(_, series)| (Arc::new(SeriesKey::new(&series.labels)), *series)).collect();
        keyed.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        for each in keyed {
            batch.push(each);
            if batch.len() == BATCH_SERIES {
                encode(&batch, sequence, &mut encoders, &mut writer)?;
                batch.clear();
            }
        }
    }
    encode(&batch, sequence, &mut encoders, &mut writer)?;
    writer.finish()
}

type Keyed<'a> = (Arc<SeriesKey>, &'a FrozenSeries);

fn encode(
    batch: &[Keyed<'_>],
    sequence: i64,
    encoders: &mut [ChunkEncoder],
    writer: &mut Writer,
) -> Result<(), LakeError> {
    let parts = batch.chunks(batch.len().div_ceil(encoders.len()).max(1));
    std::thread::scope(|scope| {
        let spawn = |(part, encoder)| scope.spawn(move || encode_part(part, sequence, encoder));
        let workers: Vec<_> = parts.zip(encoders).map(spawn).collect();
        for worker in workers {
            let rows = worker.join().map_err(|_| LakeError::Unexpected("encoding samples panicked".to_owned()))?;
            writer.push(rows?)?;
        }
        Ok(())
    })
}

fn encode_part(part: &[Keyed<'_>], sequence: i64, encoder: &mut ChunkEncoder) -> Result<Vec<Row>, LakeError> {
    let mut all = Vec::with_capacity(part.len());
    for (key, series) in part {
        let row = |content| Row { key: Arc::clone(key), sequence, content };
        let samples = compaction::all_samples(series.chunks())?;
        all.extend(rows::encode(&samples, encoder).into_iter().map(Content::Chunk).map(row));
        all.extend(rows::encode_exemplars(&series.exemplars).into_iter().map(row));
    }
    Ok(all)
}
