//! Whatever bytes a column of a chunk holds behind the right checksum, decoding ends without a panic, and what it gives is
//! encoded to something that decodes to the same.
//!
//! The first bytes of the input choose the kind, the number of samples and how the rest is shared out between columns.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tripod_storage::series::chunk::ChunkEncoder;
use tripod_storage::series::{ChunkKind, EncodedChunk};

/// A column with its head and checksum.
fn column(count: u32, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![1];
    let mut left = count;
    while left >= 0x80 {
        bytes.push(left as u8 | 0x80);
        left >>= 7;
    }
    bytes.push(left as u8);
    bytes.extend_from_slice(content);
    bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
    bytes
}

fuzz_target!(|bytes: &[u8]| {
    let Some((&[kind, low, high, share], rest)) = bytes.split_first_chunk() else { return };
    let count = u32::from(low) | u32::from(high) << 8;
    let (times, values) = rest.split_at(usize::from(share).min(rest.len()));
    let is_float = kind & 1 == 0;
    let mut chunk = EncodedChunk {
        kind: if is_float { ChunkKind::Float } else { ChunkKind::Histogram },
        count,
        first: 0,
        last: 0,
        timestamps: column(count, times).into(),
        start_timestamps: (kind & 2 != 0).then(|| column(count, times).into()),
        values: column(count, values).into(),
    };
    if kind & 4 != 0 {
        // Times that decode, so that the values are met: differences of one step.
        let steady: &[u8] = if count == 0 { &[0, 0] } else { &[1, 2, 0] };
        chunk.timestamps = column(count, steady).into();
    }
    let Ok(samples) = chunk.decode() else { return };
    let mut encoder = ChunkEncoder::default();
    let again = if is_float { encoder.floats(&samples.floats) } else { encoder.histograms(&samples.histograms) };
    let mut decoded = 0;
    for chunk in &again {
        decoded += chunk.decode().expect("what was encoded decodes").len();
    }
    assert_eq!(decoded, samples.len());
});
