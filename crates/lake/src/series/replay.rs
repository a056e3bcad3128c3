//! What the log holds and the table does not comes back into memory.

use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Instant;

use tripod_wal::{Progress, Recovery, Wal};

use super::head::{Head, Names};
use super::record::{self, SamplesRecord};
use crate::OpenError;
use crate::layout::DataDir;
use crate::settings::WalSettings;

/// Records that are read ahead of what is in memory.
const READ_AHEAD: usize = 8;

/// Opens the log and brings what the table does not hold back into memory; gives how many samples have no labels. One
/// thread reads, another one takes what was read.
pub(super) fn replay(
    data_dir: &DataDir,
    settings: &WalSettings,
    head: &Arc<Head>,
    committed: u64,
    progress: &Arc<Progress>,
) -> Result<(Wal, Recovery, usize), OpenError> {
    let options = tripod_wal::Options {
        directory: data_dir.series_wal(),
        segment_bytes: settings.segment_bytes,
        fsync: settings.fsync,
        floor: committed,
        progress: Arc::clone(progress),
    };
    let mut unreadable = None;
    let started = Instant::now();
    let (sender, receiver) = sync_channel::<(u64, SamplesRecord)>(READ_AHEAD);
    let (opened, names) = std::thread::scope(|scope| {
        let taken = scope.spawn(move || {
            let mut names = Names::default();
            for (lsn, mut record) in receiver {
                head.renumber(&mut record, &mut names);
                head.apply(lsn, record);
            }
            names
        });
        let opened = Wal::open(options, |lsn, tag, payload| {
            if lsn <= committed || tag == record::CUT {
                return;
            }
            let Some(record) = SamplesRecord::decode(tag, payload) else {
                unreadable.get_or_insert((lsn, format!("it holds no samples as this version writes them (tag {tag})")));
                return;
            };
            // It is received until the end, or the thread has panicked; that is passed on.
            let _ = sender.send((lsn, record));
        });
        drop(sender);
        (opened, taken.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    let (wal, recovery) = opened?;
    if let Some((lsn, reason)) = unreadable {
        return Err(OpenError::Record { lsn, reason });
    }
    head.begin_run(recovery.last_lsn + 1);
    match (names.unnamed(), recovery.damage.len()) {
        (0, _) => {}
        (samples, 0) => tracing::warn!(
            samples,
            "samples in the log were refused when they came, because the record with their labels could not be written"
        ),
        (samples, _) => tracing::error!(
            samples,
            "samples in the log are lost: all records with their labels were in its damaged parts"
        ),
    }
    if recovery.records > 0 {
        let samples = head.state.read().samples;
        tracing::info!(samples, seconds = started.elapsed().as_secs_f64(), "replayed the log of series");
    }
    let unnamed = names.unnamed();
    Ok((wal, recovery, unnamed))
}
