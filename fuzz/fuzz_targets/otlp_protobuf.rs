//! Whatever arrives as OTLP over protobuf: no panic, and no more records than the limit. The first byte picks the signal.

#![no_main]

mod counter;

use counter::Counter;
use libfuzzer_sys::fuzz_target;
use tripod_otlp::{Limits, protobuf};

fuzz_target!(|data: &[u8]| {
    let Some((signal, body)) = data.split_first() else {
        return;
    };
    // Low enough to be met.
    let limits = Limits {
        max_records: 20,
        max_attributes: 20,
        max_elements: 20,
        ..Limits::default()
    };
    let mut counter = Counter::default();
    let outcome = match signal % 3 {
        0 => protobuf::traces(body, &limits, &mut counter),
        1 => protobuf::logs(body, &limits, &mut counter),
        _ => protobuf::metrics(body, &limits, &mut counter),
    };
    assert!(
        counter.records() <= limits.max_records,
        "the sink took more records than the limit"
    );
    if let Err(error) = outcome {
        assert!(!error.message().is_empty(), "a refusal says why");
        assert!(
            error.to_string().len() < 4_000,
            "a message stays short whatever the input"
        );
    }
});
