//! Remote write, both messages: no bytes may make a decoder panic or give more samples than are allowed.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tripod_ingest::prometheus::remote_write::{Version, decode};

fuzz_target!(|body: &[u8]| {
    for version in [Version::V1, Version::V2] {
        if let Ok(batch) = decode(version, body, 1000) {
            assert!(batch.floats.len() + batch.histograms.len() + batch.exemplars.len() <= 1000);
        }
    }
});
