//! Whatever bytes a segment of the write-ahead log holds, reading it ends, accounts for every byte, and gives only
//! records that would be written again in the same way.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tripod_wal::{Found, HEADER_BYTES, encode_record, scan, segment_header};

fuzz_target!(|bytes: &[u8]| {
    let mut at = if bytes.starts_with(segment_header()) { segment_header().len() } else { 0 };
    for found in scan(bytes) {
        match found {
            Found::Record { lsn, tag, payload } => {
                assert_eq!(bytes[at..at + HEADER_BYTES], encode_record(lsn, tag, &[payload]));
                assert_eq!(&bytes[at + HEADER_BYTES..at + HEADER_BYTES + payload.len()], payload);
                at += HEADER_BYTES + payload.len();
            }
            Found::Damage { offset, bytes: count, at_end } => {
                assert_eq!(offset, at);
                assert!(count > 0);
                at += count;
                assert_eq!(at_end, at == bytes.len());
            }
        }
    }
    assert_eq!(at, bytes.len());
});
