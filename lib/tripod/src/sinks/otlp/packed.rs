//! Spans and log records on their way to the network thread: encoded by the thread that made them.
//!
//! Encoding where a span ends reads what is still in that core's cache and lets the span's memory be used again there. A
//! span handed over as it is would be read, and freed piece by piece, by another thread, which costs more than to encode it.

use std::cell::RefCell;

use super::protobuf::Message;
use crate::accounts::Reason;
use crate::field::Name;
use crate::network::Queue;

/// Encoded `Span`s or `LogRecord`s, each with its field number and length, by their instrumentation scope.
#[derive(Debug, Default)]
pub(super) struct Packed(Vec<(Name, Vec<u8>)>);

/// Room for the records of one scope at first, in bytes.
const ROOM: usize = 8 << 10;

/// A thread's buffer keeps at most this many bytes.
const KEPT: usize = 64 << 10;

impl Packed {
    fn add(&mut self, scope: &Name, record: &[u8]) {
        match self.0.iter_mut().find(|(name, _)| name == scope) {
            Some((_, records)) => records.extend_from_slice(record),
            None => {
                let mut records = Vec::with_capacity(ROOM.max(record.len()));
                records.extend_from_slice(record);
                self.0.push((scope.clone(), records));
            }
        }
    }
}

/// Encodes a record and puts it into the queue.
///
/// # Errors
/// The reason why it was dropped.
pub(super) fn send(queue: &Queue<Packed>, scope: &Name, write: impl Fn(&mut Message)) -> Result<(), Reason> {
    thread_local!(static RECORD: RefCell<Message> = RefCell::default());
    let hand_over = |record: &mut Message| {
        record.0.clear();
        record.message(2, &write);
        let sent = queue.pack(record.0.len(), |last| match last {
            Some(last) => {
                last.add(scope, &record.0);
                None
            }
            None => {
                let mut packed = Packed::default();
                packed.add(scope, &record.0);
                Some(packed)
            }
        });
        record.0.shrink_to(KEPT);
        sent
    };
    RECORD
        .try_with(|record| record.try_borrow_mut().ok().map(|mut record| hand_over(&mut record)))
        .ok()
        .flatten()
        // A thread that is being torn down has no buffer any more.
        .unwrap_or_else(|| hand_over(&mut Message::default()))
}

/// An `ExportTraceServiceRequest` or `ExportLogsServiceRequest`, which have the same shape.
pub(super) fn request(resource: &[u8], batch: &[Packed], out: &mut Message) {
    // Few modules make spans: a list is searched faster than a map.
    let mut groups: Vec<(&Name, Vec<&[u8]>)> = Vec::new();
    for (scope, records) in batch.iter().flat_map(|packed| &packed.0) {
        match groups.iter_mut().find(|(name, _)| *name == scope) {
            Some((_, group)) => group.push(records),
            None => groups.push((scope, vec![records])),
        }
    }
    let mut head = Message::default();
    head.bytes(1, resource);
    let mut body = Vec::with_capacity(groups.len());
    let mut length = head.0.len();
    for (name, records) in groups {
        let mut scope = Message::default();
        scope.message(1, |out| out.text(1, name));
        let inner = scope.0.len() + records.iter().map(|records| records.len()).sum::<usize>();
        let mut prefix = Message::default();
        prefix.announce(2, inner);
        prefix.0.append(&mut scope.0);
        length += prefix.0.len() + records.iter().map(|records| records.len()).sum::<usize>();
        body.push((prefix, records));
    }
    out.announce(1, length);
    // No more than that: doubling would copy hundreds of kilobytes into fresh pages.
    out.0.reserve_exact(length);
    out.0.extend_from_slice(&head.0);
    for (prefix, records) in body {
        out.0.extend_from_slice(&prefix.0);
        records.iter().for_each(|records| out.0.extend_from_slice(records));
    }
}
