//! Joining files without decoding them: their row groups, one after the other, in one file.
//!
//! Merging orders rows anew, which costs as much as writing them the first time. Files that hold full row groups gain
//! nothing by it: a group is the unit that a query passes over, and a group of a joined file says as much about its
//! rows as before. What joining saves is files, of which a table must not have too many.

use std::io::{self, Write};
use std::sync::Arc;

use bytes::Bytes;
use object_store::WriteMultipart;
use parking_lot::Mutex;
use parquet::bloom_filter::Sbbf;
use parquet::column::writer::ColumnCloseResult;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use tripod_storage::Signal;

use crate::LakeError;
use crate::data_file::{DataFile, ROW_GROUP_ROWS, new_path, now_millis};
use crate::table::FileStore;
use crate::trace_index::{TraceIndex, is_indexed};

/// Parts of the file that may be on their way to the store at once.
const PARTS_IN_FLIGHT: usize = 2;

/// Whether every file's row groups are full enough to be left as they are.
pub(crate) fn is_worth_joining(files: &[Arc<DataFile>]) -> bool {
    files.iter().all(|file| file.rows >= 2 * ROW_GROUP_ROWS as u64)
}

/// Writes the row groups of files of one day into a new file. Memory holds one file at a time.
///
/// # Errors
/// When a file cannot be read or the new one not written; nothing is left then.
pub(crate) async fn join(signal: Signal, store: &FileStore, files: &[Arc<DataFile>]) -> Result<DataFile, LakeError> {
    let date = files.first().map(|file| file.date.clone()).unwrap_or_default();
    let path = new_path(&date);
    let mut upload = store.begin(&path).await?;
    match copy(signal, store, files, &mut upload).await {
        Ok(bytes) => store.finish(&path, upload).await.map(|()| DataFile {
            path,
            bytes,
            rows: files.iter().map(|file| file.rows).sum(),
            date,
            min_time: files.iter().map(|file| file.min_time).min().unwrap_or(i64::MAX),
            max_time: files.iter().map(|file| file.max_time).max().unwrap_or(i64::MIN),
            written: now_millis(),
        }),
        Err(error) => {
            if let Err(error) = upload.abort().await {
                tracing::warn!(file = path, %error, "a file that was given up could not be removed");
            }
            Err(error)
        }
    }
}

/// Copies all row groups and gives the size of the new file in bytes.
async fn copy(
    signal: Signal,
    store: &FileStore,
    files: &[Arc<DataFile>],
    upload: &mut WriteMultipart,
) -> Result<u64, LakeError> {
    let outlet = Outlet::default();
    let mut index = signal.columns().iter().any(|column| is_indexed(signal, column.name)).then(TraceIndex::default);
    let mut bytes = 0;
    let mut writer = None;
    for file in files {
        let content = store.get(&file.path).await?;
        let metadata = ParquetMetaDataReader::new()
            .with_page_index_policy(PageIndexPolicy::Optional)
            .parse_and_finish(&content)?;
        if metadata.file_metadata().num_rows() as u64 != file.rows {
            return Err(LakeError::Unexpected(format!("{} does not hold the rows that its table says", file.path)));
        }
        let writer = match &mut writer {
            Some(writer) => writer,
            none => none.insert(begin(&metadata, outlet.clone())?),
        };
        if let Some(index) = &mut index {
            index.extend(TraceIndex::of_file(&content, &metadata)?);
        }
        for group in 0..metadata.num_row_groups() {
            append(writer, &content, &metadata, group)?;
            bytes += send(&outlet, upload).await?;
        }
    }
    if let Some(mut writer) = writer {
        if let Some(index) = index {
            let index = index.encode();
            writer.append_key_value_metadata(TraceIndex::key_value(writer.bytes_written(), index.len()));
            writer.write_all(&index)?;
        }
        writer.close()?;
    }
    Ok(bytes + send(&outlet, upload).await?)
}

fn begin(first: &ParquetMetaData, outlet: Outlet) -> Result<SerializedFileWriter<Outlet>, LakeError> {
    let file = first.file_metadata();
    // What is said about the file as a whole is said anew.
    let pairs = file.key_value_metadata().map(|pairs| {
        let pairs = pairs.iter().filter(|pair| !TraceIndex::is_key_value(pair));
        pairs.cloned().collect()
    });
    let properties = WriterProperties::builder()
        .set_created_by(file.created_by().unwrap_or_default().to_owned())
        .set_key_value_metadata(pairs)
        .build();
    let schema = file.schema_descr().root_schema_ptr();
    Ok(SerializedFileWriter::new(outlet, schema, Arc::new(properties))?)
}

fn append(
    writer: &mut SerializedFileWriter<Outlet>,
    content: &Bytes,
    metadata: &ParquetMetaData,
    group: usize,
) -> Result<(), LakeError> {
    let columns = metadata.column_index().and_then(|index| index.get(group));
    let offsets = metadata.offset_index().and_then(|index| index.get(group));
    let group = metadata.row_group(group);
    let mut out = writer.next_row_group()?;
    for (index, column) in group.columns().iter().enumerate() {
        let closed = ColumnCloseResult {
            bytes_written: column.compressed_size() as u64,
            rows_written: group.num_rows() as u64,
            metadata: column.clone(),
            bloom_filter: Sbbf::read_from_column_chunk(column, content)?,
            column_index: columns.and_then(|row| row.get(index)).cloned(),
            offset_index: offsets.and_then(|row| row.get(index)).cloned(),
        };
        out.append_column(content, closed)?;
    }
    out.close()?;
    Ok(())
}

async fn send(outlet: &Outlet, upload: &mut WriteMultipart) -> Result<u64, LakeError> {
    let written = std::mem::take(&mut *outlet.0.lock());
    let bytes = written.len() as u64;
    upload.wait_for_capacity(PARTS_IN_FLIGHT).await?;
    upload.put(written.into());
    Ok(bytes)
}

/// Where the writer's bytes wait to be sent on.
#[derive(Clone, Default)]
struct Outlet(Arc<Mutex<Vec<u8>>>);

impl Write for Outlet {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
