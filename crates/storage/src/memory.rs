//! A store in memory, for tests of everything that stands on the seam.

use async_trait::async_trait;
use futures::stream::{self, StreamExt};
use parking_lot::RwLock;

use arrow::array::RecordBatch;
use arrow::compute::filter_record_batch;

use crate::matcher::evaluate_all;
use crate::{AppendError, Batch, Select, SelectError, Selection, Store};

/// Keeps every batch as it came.
#[derive(Debug, Default)]
pub struct MemoryStore {
    batches: RwLock<Vec<Batch>>,
}

#[async_trait]
impl Store for MemoryStore {
    async fn append(&self, batch: Batch) -> Result<(), AppendError> {
        if batch.rows.schema() != batch.signal.schema() {
            return Err(AppendError::Invalid(format!("the rows do not have the columns of {}", batch.signal)));
        }
        self.batches.write().push(batch);
        Ok(())
    }

    async fn select(&self, select: Select) -> Result<Selection, SelectError> {
        let schema = select.output_schema()?;
        for matcher in &select.matchers {
            matcher.check(select.signal)?;
        }
        let mut left = select.limit.unwrap_or(usize::MAX);
        let mut found: Vec<Result<RecordBatch, SelectError>> = Vec::new();
        for batch in self.batches.read().iter().filter(|batch| batch.signal == select.signal) {
            let matched =
                evaluate_all(&select.matchers, Some((select.signal.time_column(), select.time)), &batch.rows)?;
            let rows = match matched {
                Some(matched) => filter_record_batch(&batch.rows, &matched)?,
                None => batch.rows.clone(),
            };
            let rows = rows.slice(0, rows.num_rows().min(left));
            left -= rows.num_rows();
            if rows.num_rows() > 0 {
                let indices = schema
                    .fields()
                    .iter()
                    .map(|field| rows.schema_ref().index_of(field.name()))
                    .collect::<Result<Vec<_>, _>>()?;
                found.push(Ok(rows.project(&indices)?));
            }
        }
        let partitions = if found.is_empty() { vec![] } else { vec![stream::iter(found).boxed()] };
        Ok(Selection { schema, partitions })
    }
}

#[cfg(all(test, feature = "suite"))]
mod tests {
    use std::sync::Arc;

    use futures::FutureExt;

    #[tokio::test]
    async fn the_memory_store_keeps_the_seams_promises() {
        let between = |store| std::future::ready(store).boxed();
        crate::suite::run(Arc::new(super::MemoryStore::default()), &between).await;
    }
}
