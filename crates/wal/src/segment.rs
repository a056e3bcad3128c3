//! The format of a segment, and reading it whatever state it is in.
//!
//! A segment is a file named after its first record's number, 20 digits and `.wal`. It begins with the 8 bytes
//! `TRIPWAL1`. Records follow without padding, all integers little-endian:
//!
//! | bytes | meaning |
//! |---|---|
//! | 4 | length of the payload |
//! | 4 | CRC-32C of all that follows in the record, and of the length |
//! | 8 | the record's number (LSN) |
//! | 1 | tag: what kind of record, chosen by the caller |
//! | … | payload |

use crate::Lsn;

/// First bytes of a segment.
const MAGIC: &[u8; 8] = b"TRIPWAL1";

/// Bytes of a record before its payload.
pub const HEADER_BYTES: usize = 17;

/// The largest payload, so that a damaged length is recognised as such.
pub const MAX_RECORD_BYTES: usize = 1 << 30;

/// What [`scan`] finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found<'a> {
    /// An intact record.
    Record {
        /// Its number.
        lsn: Lsn,
        /// Its tag.
        tag: u8,
        /// What was written.
        payload: &'a [u8],
    },
    /// Bytes that are no record, before intact records or, if `at_end`, up to the end.
    Damage {
        /// Offset of the first.
        offset: usize,
        /// How many.
        bytes: usize,
        /// Nothing intact follows: in the newest segment, what an interrupted write leaves.
        at_end: bool,
    },
}

/// The bytes with which a segment begins.
pub fn segment_header() -> &'static [u8] {
    MAGIC
}

/// A record's header, to be followed by the payload, which may come in parts.
pub fn encode_record(lsn: Lsn, tag: u8, payload: &[impl AsRef<[u8]>]) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    let length: usize = payload.iter().map(|part| part.as_ref().len()).sum();
    // Writers refuse payloads above MAX_RECORD_BYTES, which fits.
    header[..4].copy_from_slice(&(length as u32).to_le_bytes());
    header[8..16].copy_from_slice(&lsn.to_le_bytes());
    header[16] = tag;
    let checksum = checksum(&header, payload);
    header[4..8].copy_from_slice(&checksum.to_le_bytes());
    header
}

fn checksum(header: &[u8; HEADER_BYTES], payload: &[impl AsRef<[u8]>]) -> u32 {
    let length = crc32c::crc32c(&header[..4]);
    let header = crc32c::crc32c_append(length, &header[8..]);
    payload.iter().fold(header, |checksum, part| crc32c::crc32c_append(checksum, part.as_ref()))
}

/// Reads a segment's bytes to their end. Never fails: what is not a record is reported as damage, and reading goes on
/// at the next intact record.
pub fn scan(bytes: &[u8]) -> Scan<'_> {
    let offset = if bytes.starts_with(MAGIC) { MAGIC.len() } else { 0 };
    Scan { bytes, offset }
}

/// The iterator of [`scan`].
#[derive(Clone, Debug)]
pub struct Scan<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Scan<'a> {
    fn record_at(&self, offset: usize) -> Option<(Found<'a>, usize)> {
        let rest = &self.bytes[offset..];
        let header: &[u8; HEADER_BYTES] = rest.first_chunk()?;
        let length = u32::from_le_bytes(*header.first_chunk()?) as usize;
        if length > MAX_RECORD_BYTES {
            return None;
        }
        let payload = rest.get(HEADER_BYTES..HEADER_BYTES + length)?;
        let stored = u32::from_le_bytes(*header[4..].first_chunk()?);
        let lsn = u64::from_le_bytes(*header[8..].first_chunk()?);
        if lsn == 0 || checksum(header, &[payload]) != stored {
            return None;
        }
        Some((Found::Record { lsn, tag: header[16], payload }, offset + HEADER_BYTES + length))
    }

    /// The next offset at which an intact record begins. A damaged length makes any offset possible; lengths are
    /// checked before checksums, which keeps the search near linear on random bytes.
    fn next_intact(&self, from: usize) -> Option<usize> {
        (from..self.bytes.len().saturating_sub(HEADER_BYTES - 1)).find(|offset| self.record_at(*offset).is_some())
    }
}

impl<'a> Iterator for Scan<'a> {
    type Item = Found<'a>;

    fn next(&mut self) -> Option<Found<'a>> {
        if self.offset >= self.bytes.len() {
            return None;
        }
        if let Some((record, end)) = self.record_at(self.offset) {
            self.offset = end;
            return Some(record);
        }
        let start = self.offset;
        let next = self.next_intact(start + 1);
        self.offset = next.unwrap_or(self.bytes.len());
        Some(Found::Damage { offset: start, bytes: self.offset - start, at_end: next.is_none() })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn segment(payloads: &[Vec<u8>]) -> (Vec<u8>, Vec<usize>) {
        let mut bytes = segment_header().to_vec();
        let mut starts = Vec::new();
        for (index, payload) in payloads.iter().enumerate() {
            starts.push(bytes.len());
            bytes.extend_from_slice(&encode_record(index as u64 + 1, 7, &[payload]));
            bytes.extend_from_slice(payload);
        }
        (bytes, starts)
    }

    fn records(bytes: &[u8]) -> Vec<(Lsn, Vec<u8>)> {
        scan(bytes)
            .filter_map(|found| match found {
                Found::Record { lsn, payload, .. } => Some((lsn, payload.to_vec())),
                Found::Damage { .. } => None,
            })
            .collect()
    }

    proptest! {
        #[test]
        fn records_come_back(payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..10)) {
            let (bytes, _) = segment(&payloads);
            let found: Vec<_> = scan(&bytes).collect();
            let intact = found.iter().all(|found| matches!(found, Found::Record { tag: 7, .. }));
            prop_assert!(intact, "{:?}", found);
            prop_assert_eq!(records(&bytes), (1..).zip(payloads).collect::<Vec<_>>());
        }

        #[test]
        fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
            for found in scan(&bytes) {
                if let Found::Damage { offset, bytes: count, .. } = found {
                    prop_assert!(offset + count <= bytes.len());
                }
            }
        }

        #[test]
        fn one_damaged_byte_costs_one_record(
            payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..100), 2..6),
            place in any::<prop::sample::Index>(),
            flip in 1u8..,
        ) {
            let (mut bytes, starts) = segment(&payloads);
            let at = starts[0] + place.index(bytes.len() - starts[0]);
            bytes[at] ^= flip;
            let damaged = starts.iter().rposition(|start| *start <= at).unwrap();
            let mut expected: Vec<_> = (1..).zip(payloads).collect();
            expected.remove(damaged);
            prop_assert_eq!(records(&bytes), expected);
        }
    }

    #[test]
    fn a_torn_write_is_seen_at_every_byte_of_the_last_record() {
        let payloads = vec![b"first".to_vec(), b"second".to_vec(), b"the last record".to_vec()];
        let (bytes, starts) = segment(&payloads);
        for end in starts[2] + 1..bytes.len() {
            let found: Vec<_> = scan(&bytes[..end]).collect();
            assert_eq!(records(&bytes[..end]).len(), 2, "cut at {end}");
            let torn = Found::Damage { offset: starts[2], bytes: end - starts[2], at_end: true };
            assert_eq!(found.last(), Some(&torn), "cut at {end}");
        }
    }
}
