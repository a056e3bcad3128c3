//! What OTLP/JSON and protobuf's JSON mapping demand of a reader.

use tripod_otlp::Limits;

use crate::collect::{Calls, Signal, read_json};

fn read(signal: Signal, body: &str) -> Calls {
    read_json(signal, body.as_bytes(), &Limits::default()).unwrap_or_else(|error| panic!("{error} in {body}"))
}

fn refusal(signal: Signal, body: impl AsRef<[u8]>) -> String {
    read_json(signal, body.as_ref(), &Limits::default()).unwrap_err().to_string()
}

fn span(members: &str) -> String {
    format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{{members}}}]}}]}}]}}"#)
}

fn log(members: &str) -> String {
    format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{{members}}}]}}]}}]}}"#)
}

fn metric(members: &str) -> String {
    format!(r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{{members}}}]}}]}}]}}"#)
}

#[test]
fn context_behind_the_records_is_known_before_them() {
    let body = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"work"}],"schemaUrl":"scope-url",
        "scope":{"name":"lib"}}],"schemaUrl":"resource-url","resource":{"droppedAttributesCount":7}}]}"#;
    let calls = read(Signal::Traces, body);
    assert!(calls.0[0].contains("resource-url") && calls.0[0].contains("dropped_attributes_count: 7"));
    assert!(calls.0[1].contains("scope-url") && calls.0[1].contains("lib"));
    assert!(calls.0[2].contains("work"));

    let sum = r#""sum":{"dataPoints":[{"asInt":"1"}],"isMonotonic":true,"aggregationTemporality":2},"name":"late""#;
    let calls = read(Signal::Metrics, &metric(sum));
    assert!(calls.0[2].contains("late") && calls.0[2].contains("Temporality(2), is_monotonic: true"));
    assert!(calls.0[3].contains("Number(Int(1))"));
}

#[test]
fn null_is_absent() {
    let absent = read(Signal::Traces, &span(""));
    for members in
        [r#""traceId":null,"name":null,"attributes":null,"status":null,"unknown":null,"kind":null"#, r#""name":null"#]
    {
        assert_eq!(read(Signal::Traces, &span(members)), absent);
    }
    let empty = read(Signal::Traces, r#"{"resourceSpans":[{}]}"#);
    assert_eq!(
        read(Signal::Traces, r#"{"resourceSpans":[{"resource":null,"scopeSpans":null,"schemaUrl":null}]}"#),
        empty
    );
    for body in ["{}", r#"{"resourceSpans":null}"#, r#"{"resourceSpans":[]}"#] {
        assert_eq!(read(Signal::Traces, body), Calls::default());
    }
    let bodies = [log(""), log(r#""body":{}"#), log(r#""body":null"#), log(r#""body":{"stringValue":null}"#)];
    for body in &bodies {
        assert_eq!(read(Signal::Logs, body), read(Signal::Logs, &bodies[0]));
    }
    assert!(
        read(Signal::Logs, &log(r#""body":{"arrayValue":{"values":[null,{}]}}"#)).0[2]
            .contains("Array([Empty, Empty])")
    );
    assert!(refusal(Signal::Traces, r#"{"resourceSpans":[null]}"#).contains("must be an object, got null"));
}

#[test]
fn unknown_members_are_ignored_but_must_be_json() {
    let known = read(Signal::Traces, &span(r#""name":"a""#));
    assert_eq!(read(Signal::Traces, &span(r#""new":{"a":[1,{"b":"]}"}],"c":-1.5e3},"name":"a","old":"""#)), known);
    assert_eq!(
        refusal(Signal::Traces, span(r#""new":{"a":[1 2]}"#)),
        "resourceSpans[0].scopeSpans[0].spans[0]: must be `,` or `]`, got a number at byte 58"
    );
    let deep = format!(r#"{{"new":{}1{}}}"#, "[".repeat(200), "]".repeat(200));
    assert!(refusal(Signal::Traces, deep).starts_with("a value that nests deeper than 128 levels"));
}

#[test]
fn the_last_of_two_members_counts() {
    let late = read(Signal::Traces, &span(r#""name":"b","attributes":[{"key":"y"}],"events":[{"name":"y"}]"#));
    let twice = r#""name":"a","attributes":[{"key":"x"},{"key":"z"}],"events":[{"name":"x"},{}],
        "name":"b","attributes":[{"key":"y"}],"events":[{"name":"y"}],"name":null"#;
    assert_eq!(read(Signal::Traces, &span(twice)), late);

    let body = r#"{"resourceSpans":[{"resource":{"droppedAttributesCount":1},"scopeSpans":[{"spans":[{}]}],
        "resource":{},"scopeSpans":[]}]}"#;
    assert_eq!(read(Signal::Traces, body), read(Signal::Traces, r#"{"resourceSpans":[{}]}"#));
    let damaged = r#"{"resourceSpans":[{"scopeSpans":[{]}],"scopeSpans":[]}]}"#;
    assert!(refusal(Signal::Traces, damaged).contains("at byte"), "also what is replaced must be JSON");

    let values = log(r#""body":{"stringValue":"a","intValue":1}"#);
    assert!(read(Signal::Logs, &values).0[2].contains("body: Int(1)"));
    let kinds = metric(r#""sum":{"isMonotonic":true,"dataPoints":[{},{}]},"gauge":{"dataPoints":[{"asInt":1}]}"#);
    assert_eq!(
        read(Signal::Metrics, &kinds),
        read(Signal::Metrics, &metric(r#""gauge":{"dataPoints":[{"asInt":1}]}"#))
    );

    assert_eq!(
        refusal(Signal::Traces, r#"{"resourceSpans":[],"resource_spans":[]}"#),
        "resourceSpans: must not occur twice"
    );
}

#[test]
fn enumerations_are_read_by_name_too() {
    let by_name = span(r#""kind":"SPAN_KIND_SERVER","status":{"code":"STATUS_CODE_ERROR"}"#);
    assert_eq!(read(Signal::Traces, &by_name), read(Signal::Traces, &span(r#""kind":2,"status":{"code":2}"#)));
    let by_name = log(r#""severityNumber":"SEVERITY_NUMBER_INFO2""#);
    assert_eq!(read(Signal::Logs, &by_name), read(Signal::Logs, &log(r#""severityNumber":10"#)));
    let by_name = metric(r#""sum":{"aggregationTemporality":"AGGREGATION_TEMPORALITY_DELTA"}"#);
    assert_eq!(
        read(Signal::Metrics, &by_name),
        read(Signal::Metrics, &metric(r#""sum":{"aggregationTemporality":1}"#))
    );
}

#[test]
fn a_kind_knows_only_its_own_members() {
    let gauge = read(Signal::Metrics, &metric(r#""gauge":{"dataPoints":[{}]}"#));
    let foreign = r#""gauge":{"aggregationTemporality":2,"isMonotonic":true,"dataPoints":[{"count":"x","sum":[]}]}"#;
    assert_eq!(read(Signal::Metrics, &metric(foreign)), gauge);
}

#[test]
fn escaped_keys_and_texts_are_read() {
    let escaped = span(r#""n\u0061me":"a\tb\ud83d\ude00","attributes":[{"key":"\"","value":{"stringValue":"\\"}}]"#);
    let calls = read(Signal::Traces, &escaped);
    assert!(calls.0[2].contains(r#"name: "a\tb😀""#) && calls.0[2].contains(r#"key: "\"", value: Str("\\")"#));
}

#[test]
fn what_is_wrong_is_named() {
    let at = "resourceSpans[0].scopeSpans[0].spans[0]";
    for (members, message) in [
        (r#""traceId":"abc""#, format!(r#"{at}.traceId: must be 32 hexadecimal digits (16 bytes), got "abc""#)),
        (
            r#""spanId":"zzzzzzzzzzzzzzzz""#,
            format!(r#"{at}.spanId: must be 16 hexadecimal digits (8 bytes), got "zzzzzzzzzzzzzzzz""#),
        ),
        (r#""spanId":5"#, format!("{at}.spanId: must be a string, got a number at byte 53")),
        (r#""flags":-1"#, format!(r#"{at}.flags: must be an integer from 0 to 4294967295, got "-1""#)),
        (
            r#""kind":"SERVER""#,
            format!(r#"{at}.kind: must be a number or a name such as "SPAN_KIND_CONSUMER", got "SERVER""#),
        ),
        (
            r#""startTimeUnixNano":"now""#,
            format!(r#"{at}.startTimeUnixNano: must be an integer from 0 to 18446744073709551615, got "now""#),
        ),
        (r#""events":[{},{"name":[]}]"#, format!("{at}.events[1].name: must be a string, got an array at byte 65")),
        (
            r#""attributes":[{"key":"a","value":{"kvlistValue":{"values":[{"value":{"bytesValue":"?"}}]}}}]"#,
            format!(
                "{at}.attributes[0].value.kvlistValue.values[0].value.bytesValue: must be base64: Invalid symbol 63, offset 0."
            ),
        ),
        (
            r#""attributes":[{"value":"a"}]"#,
            format!("{at}.attributes[0].value: must be an object, got a string at byte 67"),
        ),
        (r#""name":tru"#, format!("{at}.name: must be a string, got 't' at byte 51")),
    ] {
        assert_eq!(refusal(Signal::Traces, span(members)), message);
    }
    let mut damaged = span(r#""name":"caf?""#).into_bytes();
    let at_byte = damaged.iter().position(|byte| *byte == b'?').unwrap();
    damaged[at_byte] = 0xe9;
    assert_eq!(
        refusal(Signal::Traces, &damaged),
        format!("{at}.name: must be UTF-8, byte {at_byte} of the body is not")
    );
    assert_eq!(refusal(Signal::Traces, b"{}\xff"), "must be UTF-8, byte 2 of the body is not");
    assert_eq!(refusal(Signal::Traces, ""), "the body ends at byte 0 before the JSON does");
    assert_eq!(refusal(Signal::Traces, "[]"), "must be an object, got an array at byte 0");
    assert_eq!(refusal(Signal::Traces, "{} x"), "must be the end of the body, got 'x' at byte 3");
    assert_eq!(refusal(Signal::Traces, "\u{feff}{}"), "must be an object, got '\\u{feff}' at byte 0");
}

#[test]
fn a_histogram_has_one_bucket_more_than_bounds() {
    let histogram = metric(r#""histogram":{"dataPoints":[{"bucketCounts":[1,1,1],"explicitBounds":[1]}]}"#);
    assert_eq!(
        refusal(Signal::Metrics, histogram),
        "resourceMetrics[0].scopeMetrics[0].metrics[0].histogram.dataPoints[0].bucketCounts: must have one element \
         more than explicitBounds or none, got 3 with 1 in explicitBounds"
    );
}
