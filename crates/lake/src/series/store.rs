//! The seam over memory and table.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::{self, StreamExt, TryStreamExt};
use tokio_util::task::AbortOnDropHandle;
use tripod_model::series::{Labels, SeriesExemplar, SeriesMetadata};
use tripod_storage::series::{
    Chunk, LabelMatcher, LabelQuery, MillisRange, SelectSeries, SelectedSeries, SeriesAppended, SeriesBatch,
    SeriesStatistics, SeriesStore,
};
use tripod_storage::{AppendError, SelectError};

use super::SeriesShard;
use super::head::Head;
use super::reader::Reader;
use super::rows::{Content, RowHead, decode_exemplars};
use crate::data_file::{DataFile, Files};
use crate::{Lake, LakeError};

impl From<LakeError> for SelectError {
    fn from(error: LakeError) -> Self {
        Self::Failed(Box::new(error))
    }
}

#[async_trait]
impl SeriesStore for Lake {
    async fn append_series(&self, batch: SeriesBatch) -> Result<SeriesAppended, AppendError> {
        self.admit_series()?;
        self.series_shard().append(batch).await
    }

    async fn select_series(&self, select: SelectSeries) -> Result<Vec<SelectedSeries>, SelectError> {
        self.series_shard().select(select).await
    }

    async fn series(&self, query: LabelQuery) -> Result<Vec<Labels>, SelectError> {
        let most = query.most();
        Ok(self.series_shard().labels(query).await?.into_iter().take(most).collect())
    }

    async fn label_names(&self, query: LabelQuery) -> Result<Vec<String>, SelectError> {
        let most = query.most();
        let found = self.series_shard().labels(query).await?;
        let names: BTreeSet<&str> = found.iter().flat_map(|labels| labels.iter().map(|(name, _)| name)).collect();
        Ok(names.into_iter().take(most).map(str::to_owned).collect())
    }

    async fn label_values(&self, name: &str, query: LabelQuery) -> Result<Vec<String>, SelectError> {
        let most = query.most();
        let found = self.series_shard().labels(query).await?;
        let values: BTreeSet<&str> = found.iter().filter_map(|labels| labels.get(name)).collect();
        Ok(values.into_iter().take(most).map(str::to_owned).collect())
    }

    async fn exemplars(&self, query: LabelQuery) -> Result<Vec<(Labels, Vec<SeriesExemplar>)>, SelectError> {
        self.series_shard().exemplars(query).await
    }

    async fn metadata(&self, metric: Option<&str>) -> Result<Vec<(String, SeriesMetadata)>, SelectError> {
        let state = self.series_shard().head.state.read();
        let entry = |(name, metadata): (&String, &SeriesMetadata)| (name.clone(), metadata.clone());
        Ok(match metric {
            Some(name) => state.metadata.get_key_value(name).map(entry).into_iter().collect(),
            None => state.metadata.iter().map(entry).collect(),
        })
    }

    async fn delete_series(&self, query: LabelQuery) -> Result<(), AppendError> {
        self.admit_series()?;
        self.series_shard().delete(&query).await.map_err(|error| AppendError::Failed(error.to_string()))
    }

    async fn snapshot(&self, with_memory: bool) -> Result<String, AppendError> {
        self.admit_series()?;
        self.snapshot_series(with_memory).await.map_err(|error| AppendError::Failed(error.to_string()))
    }

    async fn statistics(&self, limit: usize) -> Result<SeriesStatistics, SelectError> {
        let head = &self.series_shard().head;
        let (extent, chunks) = head.extent();
        Ok(SeriesStatistics {
            chunks,
            min_time: extent.map(|(first, _)| first),
            max_time: extent.map(|(_, last)| last),
            ..head.state.read().index.statistics(limit)
        })
    }
}

impl SeriesShard {
    async fn select(&self, select: SelectSeries) -> Result<Vec<SelectedSeries>, SelectError> {
        let SelectSeries { matchers, range } = select;
        // One moment: each sample is in these files or in this memory.
        let (in_memory, files) = self.head.select(&matchers, range);
        let mut places: HashMap<Labels, usize> = HashMap::new();
        let mut selected: Vec<(Labels, Vec<(i64, Chunk)>)> = Vec::new();
        let mut chunks_of = |labels: &Labels, selected: &mut Vec<(Labels, Vec<(i64, Chunk)>)>| match places.get(labels)
        {
            Some(place) => *place,
            None => {
                places.insert(labels.clone(), selected.len());
                selected.push((labels.clone(), Vec::new()));
                selected.len() - 1
            }
        };
        for of_file in self.chunks(&files, matchers, range).await? {
            for (labels, chunks) in of_file {
                let place = chunks_of(&labels, &mut selected);
                selected[place].1.extend(chunks);
            }
        }
        for (labels, chunks) in in_memory {
            let place = chunks_of(&labels, &mut selected);
            selected[place].1.extend(chunks.into_iter().map(|chunk| (i64::MAX, chunk)));
        }
        selected.sort_by(|a, b| a.0.cmp(&b.0));
        let in_order = |(labels, mut chunks): (Labels, Vec<(i64, Chunk)>)| {
            chunks.sort_by_key(|(sequence, _)| *sequence);
            SelectedSeries { labels, chunks: chunks.into_iter().map(|(_, chunk)| chunk).collect() }
        };
        Ok(selected.into_iter().map(in_order).collect())
    }

    /// What each file has in the range of the series that match; files are read on all cores.
    async fn chunks(
        &self,
        files: &Files,
        matchers: Vec<LabelMatcher>,
        range: MillisRange,
    ) -> Result<Vec<ChunksBySeries>, LakeError> {
        let sets = Arc::new([matchers]);
        let read = |file: Arc<DataFile>| {
            let (reader, head, sets) = (Arc::clone(&self.reader), Arc::clone(&self.head), Arc::clone(&sets));
            async move { read_chunks(&reader, &head, &file, &*sets, range).await }
        };
        let files = self.overlapping(files, range);
        if let [file] = &files[..] {
            return Ok(vec![read(Arc::clone(file)).await?]);
        }
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let tasks = files.into_iter().map(|file| AbortOnDropHandle::new(tokio::spawn(read(file))));
        let joined = stream::iter(tasks).buffered(cores);
        joined
            .map(|result| result.map_err(|error| LakeError::Unexpected(error.to_string())).flatten())
            .try_collect()
            .await
    }

    /// The series that are meant, sorted, each once.
    async fn labels(&self, query: LabelQuery) -> Result<Vec<Labels>, SelectError> {
        let (mut found, files) = self.head.labels(&query.matcher_sets, query.range);
        for file in self.overlapping(&files, query.range) {
            let selection = self.reader.select(&file, &query.matcher_sets, query.range, &self.head).await?;
            found.extend(selection.labels().cloned());
        }
        found.sort();
        found.dedup();
        Ok(found)
    }

    fn overlapping(&self, files: &Files, range: MillisRange) -> Vec<Arc<DataFile>> {
        files.iter().filter(|file| range.overlaps(file.min_time, file.max_time)).cloned().collect()
    }

    async fn exemplars(&self, query: LabelQuery) -> Result<Vec<(Labels, Vec<SeriesExemplar>)>, SelectError> {
        let sets: &[Vec<LabelMatcher>] = &query.matcher_sets;
        let (in_memory, files) = self.head.exemplars(sets);
        let mut found: HashMap<Labels, Vec<SeriesExemplar>> = HashMap::new();
        for file in self.overlapping(&files, query.range) {
            let selection = self.reader.select(&file, &query.matcher_sets, query.range, &self.head).await?;
            let is_wanted = |head: &RowHead| head.kind.is_none() && query.range.overlaps(head.first, head.last);
            for (labels, _, content) in self.reader.contents(&file, &selection, is_wanted).await? {
                if let Content::Exemplars { json, .. } = content {
                    let exemplars = decode_exemplars(&json)?;
                    found.entry(labels.clone()).or_default().extend(exemplars);
                }
            }
        }
        for (labels, exemplars) in in_memory {
            found.entry(labels).or_default().extend(exemplars);
        }
        let mut sorted: Vec<(Labels, Vec<SeriesExemplar>)> = Vec::new();
        for (labels, exemplars) in found {
            let mut each: Vec<SeriesExemplar> = Vec::new();
            for exemplar in exemplars {
                if query.range.contains(exemplar.timestamp) && !each.contains(&exemplar) {
                    each.push(exemplar);
                }
            }
            each.sort_by_key(|exemplar| exemplar.timestamp);
            if !each.is_empty() {
                sorted.push((labels, each));
            }
        }
        sorted.sort_by(|a, b| a.0.cmp(&b.0));
        sorted.truncate(query.most());
        Ok(sorted)
    }
}

/// Series with their chunks, each with its place in the order of what was kept.
type ChunksBySeries = Vec<(Labels, Vec<(i64, Chunk)>)>;

async fn read_chunks(
    reader: &Reader,
    head: &Head,
    file: &DataFile,
    sets: &[Vec<LabelMatcher>],
    range: MillisRange,
) -> Result<ChunksBySeries, LakeError> {
    let selection = reader.select(file, sets, range, head).await?;
    let is_wanted = |head: &RowHead| head.kind.is_some() && range.overlaps(head.first, head.last);
    let mut found: ChunksBySeries = Vec::new();
    for (labels, sequence, content) in reader.contents(file, &selection, is_wanted).await? {
        let Content::Chunk(chunk) = content else { continue };
        if found.last().is_none_or(|(last, _)| last != labels) {
            found.push((labels.clone(), Vec::new()));
        }
        if let Some((_, chunks)) = found.last_mut() {
            chunks.push((sequence, Chunk::Encoded(Arc::new(chunk))));
        }
    }
    Ok(found)
}
