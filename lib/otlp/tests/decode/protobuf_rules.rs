//! What protobuf demands of a reader beyond what `prost` writes.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use proptest::prelude::*;
use prost::Message;
use tripod_otlp::Limits;

use crate::collect::{Calls, Signal, read_protobuf};
use crate::expected;

/// A length-delimited field.
fn field(number: u32, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let mut bytes = Vec::new();
    prost::encoding::encode_key(number, prost::encoding::WireType::LengthDelimited, &mut bytes);
    prost::encoding::encode_varint(content.len() as u64, &mut bytes);
    bytes.extend(content);
    bytes
}

fn varint(number: u8, value: u8) -> [u8; 2] {
    [number << 3, value]
}

fn fixed64(number: u8, bits: u64) -> Vec<u8> {
    [&[number << 3 | 1][..], &bits.to_le_bytes()].concat()
}

fn spans(parts: &[&[u8]]) -> Vec<u8> {
    field(1, &[&field(2, &[&field(2, parts)])])
}

fn metric(parts: &[&[u8]]) -> Vec<u8> {
    field(1, &[&field(2, &[&field(2, parts)])])
}

/// What the decoder reads, which must be what `prost` reads.
fn read_like_prost(signal: Signal, body: &[u8]) -> Calls {
    let mut expected = Calls::default();
    match signal {
        Signal::Traces => {
            expected::walk_traces(&ExportTraceServiceRequest::decode(body).unwrap(), &mut expected);
        }
        _ => expected::walk_metrics(&ExportMetricsServiceRequest::decode(body).unwrap(), &mut expected),
    }
    let calls = read_protobuf(signal, body, &Limits::default()).unwrap();
    assert_eq!(calls, expected);
    calls
}

fn refusal(signal: Signal, body: &[u8]) -> String {
    read_protobuf(signal, body, &Limits::default()).unwrap_err().to_string()
}

#[test]
fn context_behind_the_records_is_known_before_them() {
    let scope = field(
        2,
        &[&field(2, &[&field(5, &[b"work"])]), &field(3, &[b"scope-url"]), &field(1, &[&field(1, &[b"lib"])])],
    );
    let body = field(1, &[&scope, &field(3, &[b"resource-url"]), &field(1, &[&varint(2, 7)])]);
    let calls = read_like_prost(Signal::Traces, &body);
    assert!(calls.0[0].contains("resource-url") && calls.0[0].contains("dropped_attributes_count: 7"));
    assert!(calls.0[1].contains("scope-url") && calls.0[1].contains("lib"));
    assert!(calls.0[2].contains("work"));
}

#[test]
fn messages_that_occur_again_are_merged() {
    let pair = |key: &[u8]| field(1, &[&field(1, &[key])]);
    let resource = [field(1, &[&pair(b"a"), &varint(2, 1)]), field(1, &[&pair(b"b"), &varint(2, 2)])].concat();
    let calls = read_like_prost(Signal::Traces, &field(1, &[&resource]));
    assert!(calls.0[0].contains("\"a\"") && calls.0[0].contains("\"b\"") && calls.0[0].contains("count: 2"));

    let status = [field(15, &[&varint(3, 2)]), field(15, &[&field(2, &[b"late"])])].concat();
    let calls = read_like_prost(Signal::Traces, &spans(&[&status, &field(5, &[b"x"]), &field(5, &[b"y"])]));
    assert!(calls.0[2].contains("StatusCode(2), message: \"late\"") && calls.0[2].contains("name: \"y\""));
}

#[test]
fn of_a_oneof_the_last_member_counts() {
    let text = field(1, &[b"text"]);
    let array = |text: &[u8]| field(5, &[&field(1, &[&field(1, &[text])])]);
    let map = |key: &[u8]| field(6, &[&field(1, &[&field(1, &[key])])]);
    // Lists of one kind are joined, also over two occurrences of the value; another kind between parts them.
    for parts in [
        vec![text.clone(), varint(2, 1).to_vec()],
        vec![varint(2, 1).to_vec(), text.clone()],
        vec![array(b"one"), array(b"two")],
        vec![array(b"one"), text.clone(), array(b"two")],
        vec![map(b"one"), map(b"two")],
        vec![map(b"one"), array(b"two")],
        vec![text.clone(), varint(8, 3).to_vec()],
    ] {
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        read_like_prost(Signal::Traces, &spans(&[&field(9, &[&field(2, &parts)])]));
        let split: Vec<Vec<u8>> = parts.iter().map(|part| field(2, &[part])).collect();
        let split: Vec<&[u8]> = split.iter().map(Vec::as_slice).collect();
        read_like_prost(Signal::Traces, &spans(&[&field(9, &split)]));
    }
}

#[test]
fn of_a_metrics_data_the_last_kind_counts() {
    let point = |value: u64| field(1, &[&fixed64(6, value)]);
    let sum = |value, temporality| field(7, &[&point(value), &varint(2, temporality), &varint(3, 1)]);
    let gauge = |value| field(5, &[&point(value)]);
    for (parts, points) in [
        (vec![sum(1, 1), sum(2, 2)], 2),
        (vec![sum(1, 1), gauge(2)], 1),
        (vec![sum(1, 2), gauge(2), sum(3, 0)], 1),
        (vec![gauge(1), gauge(2), field(1, &[b"name"]), gauge(3)], 3),
        (vec![field(1, &[b"name"])], 0),
    ] {
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        assert_eq!(read_like_prost(Signal::Metrics, &metric(&parts)).records(), points);
    }
}

#[test]
fn repeated_numbers_may_be_packed_or_not() {
    let packed = field(6, &[&1_u64.to_le_bytes(), &2_u64.to_le_bytes()]);
    let mixed =
        [packed.clone(), fixed64(6, 3), field(7, &[&1.5_f64.to_le_bytes()]), fixed64(7, 2.5_f64.to_bits())].concat();
    let calls = read_like_prost(Signal::Metrics, &metric(&[&field(9, &[&field(1, &[&mixed])])]));
    assert!(calls.0[3].contains("explicit_bounds: [1.5, 2.5], bucket_counts: [1, 2, 3]"), "{}", calls.0[3]);

    let buckets = field(8, &[&varint(2, 5), &field(2, &[&[6, 0x80, 1]]), &varint(1, 3), &varint(2, 7)]);
    let calls = read_like_prost(Signal::Metrics, &metric(&[&field(10, &[&field(1, &[&buckets])])]));
    assert!(calls.0[3].contains("offset: -2, counts: [5, 6, 128, 7]"), "{}", calls.0[3]);

    let torn = metric(&[&field(9, &[&field(1, &[&field(6, &[&[0; 12]])])])]);
    assert_eq!(
        refusal(Signal::Metrics, &torn),
        "resourceMetrics[0].scopeMetrics[0].metrics[0].histogram.dataPoints[0].bucketCounts: \
         must be packed 64-bit values, got 12 bytes, no multiple of 8"
    );
}

#[test]
fn unknown_fields_are_skipped() {
    let unknown = [&field(99, &[b"new"])[..], &[0x98, 0x06, 1], &fixed64(4, 5), &[0xa5, 0x06, 1, 2, 3, 4]].concat();
    let body = [unknown.clone(), spans(&[&field(98, &[&unknown]), &field(5, &[b"work"])])].concat();
    assert!(read_like_prost(Signal::Traces, &body).0[2].contains("work"));
}

#[test]
fn what_is_wrong_is_named() {
    let span = "resourceSpans[0].scopeSpans[0].spans[0]";
    for (part, message) in [
        (field(1, &[&[1, 2, 3]]), format!("{span}.traceId: must be 16 bytes, got 3")),
        (field(4, &[&[0; 9]]), format!("{span}.parentSpanId: must be 8 bytes, got 9")),
        (field(13, &[&field(2, &[&[1]])]), format!("{span}.links[0].spanId: must be 8 bytes, got 1")),
        (field(5, &[b"caf\xe9"]), format!("{span}.name: must be UTF-8, byte 3 is not")),
        (
            field(9, &[&field(2, &[&field(5, &[&field(1, &[&field(1, &[b"\xff"])])])])]),
            format!("{span}.attributes[0].value.arrayValue.values[0].stringValue: must be UTF-8, byte 0 is not"),
        ),
        (
            varint(5, 1).to_vec(),
            format!(
                "{span}.name: must be a length-delimited value on the wire, got a varint: is this another message?"
            ),
        ),
        (
            field(9, &[&field(3, &[b"key"])]),
            format!(
                "{span}.attributes[0].keyStrindex: must be a varint on the wire, got a length-delimited value: is this \
                 another message?"
            ),
        ),
        (vec![0x73], format!("{span}: field 14 is a group, which protobuf deprecated")),
        (vec![0x39, 1, 2], format!("{span}: field 7 is cut short: it needs 8 bytes, 2 are left")),
    ] {
        assert_eq!(refusal(Signal::Traces, &spans(&[&part])), message);
    }
    assert_eq!(refusal(Signal::Traces, b"{\"resourceSpans\":[]}"), "field 15 is a group, which protobuf deprecated");
}

#[test]
fn a_histogram_has_one_bucket_more_than_bounds() {
    let histogram = |buckets: usize, bounds: usize| {
        let (counts, bounds) = (vec![0; 8 * buckets], vec![0; 8 * bounds]);
        metric(&[&field(9, &[&field(1, &[&field(6, &[&counts]), &field(7, &[&bounds])])])])
    };
    for (buckets, bounds) in [(0, 0), (0, 3), (1, 0), (4, 3)] {
        read_like_prost(Signal::Metrics, &histogram(buckets, bounds));
    }
    for (buckets, bounds) in [(2, 0), (3, 3), (5, 3)] {
        assert_eq!(
            refusal(Signal::Metrics, &histogram(buckets, bounds)),
            format!(
                "resourceMetrics[0].scopeMetrics[0].metrics[0].histogram.dataPoints[0].bucketCounts: must have one \
                 element more than explicitBounds or none, got {buckets} with {bounds} in explicitBounds"
            )
        );
    }
}

proptest! {
    /// Fields in any order, any of them twice.
    #[test]
    fn the_order_of_fields_does_not_matter(order in prop::collection::vec(0..12_usize, 0..24)) {
        let pair = field(9, &[&field(1, &[b"key"]), &field(2, &[&field(1, &[b"value"])])]);
        let fields = [
            field(1, &[&[1; 16]]), field(2, &[&[2; 8]]), field(3, &[b"state"]), field(4, &[&[]]), field(5, &[b"name"]),
            varint(6, 3).to_vec(), fixed64(7, 1), fixed64(8, 2), pair, varint(10, 4).to_vec(),
            field(11, &[&field(2, &[b"event"])]), field(13, &[&field(3, &[b"link"])]),
        ];
        let parts: Vec<&[u8]> = order.iter().map(|index| fields[*index].as_slice()).collect();
        read_like_prost(Signal::Traces, &spans(&parts));
    }
}
