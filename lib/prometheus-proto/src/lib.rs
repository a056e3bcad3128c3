//! The parts that Prometheus' protobuf messages share, written straight from the model: `prompb` of remote write and remote
//! read, and `io.prometheus.client` of expositions.
//!
//! Fields are appended to a buffer that is used again; `prost` structs would be an object tree that every message builds
//! and throws away. What is absent on purpose: HTTP, compression, storage.

use prost::encoding::{WireType, double, encode_key, encode_varint, encoded_len_varint, sint32, uint32};
use tripod_model::series::{CounterResetHint, FloatHistogram, Labels, NativeSpan};

/// A field of so many bytes: a text, or a message that was written before.
pub fn nested(field: u32, body: &[u8], out: &mut Vec<u8>) {
    out.reserve(body.len() + 5 + encoded_len_varint(body.len() as u64));
    encode_key(field, WireType::LengthDelimited, out);
    encode_varint(body.len() as u64, out);
    out.extend_from_slice(body);
}

/// Labels as `repeated Label labels = 1`; `part` is room to write in.
pub fn labels(labels: &Labels, part: &mut Vec<u8>, out: &mut Vec<u8>) {
    for (name, value) in labels.iter() {
        part.clear();
        nested(1, name.as_bytes(), part);
        nested(2, value.as_bytes(), part);
        nested(1, part, out);
    }
}

/// The fields of `prometheus.Histogram` and `io.prometheus.write.v2.Histogram` but for times, with counts as floats.
pub fn histogram(histogram: &FloatHistogram, out: &mut Vec<u8>) {
    double::encode(2, &histogram.count, out);
    double::encode(3, &histogram.sum, out);
    sint32::encode(4, &histogram.schema, out);
    double::encode(5, &histogram.zero_threshold, out);
    double::encode(7, &histogram.zero_count, out);
    spans(8, &histogram.negative_spans, out);
    double::encode_packed(10, &histogram.negative_buckets, out);
    spans(11, &histogram.positive_spans, out);
    double::encode_packed(13, &histogram.positive_buckets, out);
    let hint = match histogram.counter_reset_hint {
        CounterResetHint::Unknown => 0,
        CounterResetHint::CounterReset => 1,
        CounterResetHint::NotCounterReset => 2,
        CounterResetHint::Gauge => 3,
    };
    uint32::encode(14, &hint, out);
    double::encode_packed(16, &histogram.custom_values, out);
}

/// Spans as `repeated BucketSpan` under a number.
pub fn spans(field: u32, spans: &[NativeSpan], out: &mut Vec<u8>) {
    let mut body = Vec::new();
    for span in spans {
        body.clear();
        sint32::encode(1, &span.offset, &mut body);
        uint32::encode(2, &span.length, &mut body);
        nested(field, &body, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_those_of_the_protocol() {
        let mut out = Vec::new();
        let value = FloatHistogram {
            schema: -1,
            counter_reset_hint: CounterResetHint::Gauge,
            count: 1.0,
            positive_spans: vec![NativeSpan { offset: -2, length: 1 }],
            positive_buckets: vec![1.0],
            ..FloatHistogram::default()
        };
        histogram(&value, &mut out);
        let one = 1f64.to_le_bytes();
        let zero = [0; 8];
        let expected = [
            [&[0x11][..], &one, &[0x19], &zero, &[0x20, 1, 0x29], &zero, &[0x39], &zero].concat(),
            [&[0x5a, 4, 0x08, 3, 0x10, 1, 0x6a, 8][..], &one, &[0x70, 3]].concat(),
        ];
        assert_eq!(out, expected.concat());
        out.clear();
        labels(&Labels::from_pairs([("a", "b")]), &mut Vec::new(), &mut out);
        assert_eq!(out, [0x0a, 6, 0x0a, 1, b'a', 0x12, 1, b'b']);
    }
}
