//! Longer chunks out of shorter ones, and files without what was deleted.

use tripod_model::series::{Samples, SeriesExemplar};
use tripod_storage::series::{Chunk, MillisRange, SelectedSeries};

use super::rows::{self, Content, Row, Written};
use crate::LakeError;

/// Brings the rows of files together: the chunks of a series become one, as long as a chunk may be.
pub(super) fn merge(mut all: Vec<Row>) -> Result<Vec<Written>, LakeError> {
    all.sort_by(|a, b| a.key.cmp(&b.key).then_with(|| a.sequence.cmp(&b.sequence)));
    let mut merged = Vec::with_capacity(all.len());
    for series in all.chunk_by(|a, b| a.key == b.key) {
        let chunks = series.iter().filter(|row| matches!(row.content, Content::Chunk(_))).count();
        let last = series.iter().map(|row| row.sequence).max().unwrap_or(0);
        let mut parts = Vec::new();
        let mut exemplars: Vec<SeriesExemplar> = Vec::new();
        for row in series {
            match &row.content {
                Content::Chunk(_) if chunks == 1 => merged.push(row.clone()),
                Content::Chunk(chunk) => parts.push(Chunk::Encoded(chunk.clone().into())),
                Content::Exemplars { json, .. } => {
                    for exemplar in rows::decode_exemplars(json)? {
                        if !exemplars.contains(&exemplar) {
                            exemplars.push(exemplar);
                        }
                    }
                }
            }
        }
        let key = &series[0].key;
        let row = |content| Row { key: key.clone(), sequence: last, content };
        if !parts.is_empty() {
            let samples = all_samples(parts)?;
            merged.extend(rows::encode(&samples).into_iter().map(Content::Chunk).map(row));
        }
        merged.extend(rows::encode_exemplars(&exemplars).into_iter().map(row));
    }
    rows::write(merged)
}

/// The samples of chunks of one series, of which the earlier counts.
pub(super) fn all_samples(chunks: Vec<Chunk>) -> Result<Samples, LakeError> {
    let series = SelectedSeries { labels: Default::default(), chunks };
    series.samples(MillisRange::ALL).map_err(|error| LakeError::Unexpected(error.to_string()))
}

/// A row without the samples of a range; as many rows as are left of it.
pub(super) fn without(row: Row, range: MillisRange) -> Result<Vec<Row>, LakeError> {
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
