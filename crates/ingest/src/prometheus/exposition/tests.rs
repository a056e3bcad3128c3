use std::path::{Path, PathBuf};

use proptest::prelude::*;
use tripod_model::series::{FloatHistogram, MetricType};

use super::*;

/// Everything that a parser says, as text.
#[derive(Debug, Default)]
struct Recorder(Vec<String>);

impl ExpositionSink for Recorder {
    fn metadata(&mut self, family: &str, metadata: Metadata<'_>) {
        self.0.push(format!("{family:?} {metadata:?}"));
    }

    fn sample(&mut self, sample: Sample<'_>) {
        let labels: Vec<_> = sample.labels.iter().filter(|(_, value)| !value.is_empty()).collect();
        let exemplar = sample.exemplar.map(|exemplar| {
            (
                exemplar.labels.iter().map(|(a, b)| format!("{a}={b}")).collect::<Vec<_>>(),
                exemplar.value.to_bits(),
                exemplar.timestamp,
            )
        });
        let Sample { value, timestamp, start, .. } = sample;
        self.0.push(format!("{labels:?} {value} {:x} {timestamp:?} {start} {exemplar:?}", value.to_bits()));
    }

    fn histogram(&mut self, point: HistogramPoint<'_>) {
        let labels: Vec<_> = point.labels.iter().collect();
        let exemplars = point.exemplars.len();
        self.0.push(format!("{labels:?} {} {:?} {exemplars}", point.value.to_notation(), point.timestamp));
    }

    fn created(&mut self, start: i64) {
        self.0.push(format!("created {start}"));
    }
}

fn record(format: Format, text: &str, rules: Rules) -> Result<Vec<String>, ExpositionError> {
    let mut recorder = Recorder::default();
    parse(format, text.as_bytes(), &ParseOptions { rules, ..ParseOptions::default() }, &mut recorder)?;
    Ok(recorder.0)
}

fn write(format: Format, text: &str) -> String {
    let form = if format == Format::Text { TextForm::Prometheus } else { TextForm::OpenMetrics };
    let mut writer = ExpositionWriter::new(form);
    parse(format, text.as_bytes(), &ParseOptions::default(), &mut writer).unwrap();
    writer.finish()
}

fn conformance(folder: &str) -> Option<Vec<PathBuf>> {
    let root = std::env::var_os("TRIPOD_CONFORMANCE")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance"), PathBuf::from);
    let folder = root.join(folder);
    let Ok(entries) = std::fs::read_dir(&folder) else {
        eprintln!("NOT RUN: there is no {}", folder.display());
        return None;
    };
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    Some(paths)
}

#[test]
fn openmetrics_conformance() {
    let Some(folders) = conformance("openmetrics") else { return };
    let mut failed = Vec::new();
    let mut run = 0;
    for folder in folders {
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let test: serde_json::Value =
            serde_json::from_slice(&std::fs::read(folder.join("test.json")).unwrap()).unwrap();
        let text = std::fs::read_to_string(folder.join(test["file"].as_str().unwrap())).unwrap();
        let should_parse = test["shouldParse"].as_bool().unwrap();
        run += 1;
        match record(Format::OpenMetrics, &text, Rules::Specification) {
            Ok(read) if should_parse => {
                let again = record(Format::OpenMetrics, &write(Format::OpenMetrics, &text), Rules::Specification);
                if again.as_ref() != Ok(&read) {
                    failed.push(format!("{name}: written and read again it differs: {again:?}\n{read:?}"));
                }
            }
            Err(_) if !should_parse => {}
            Ok(_) => failed.push(format!("{name}: was read, but should not be")),
            Err(error) => failed.push(format!("{name}: {error}")),
        }
    }
    eprintln!("{run} cases, {} failed", failed.len());
    assert!(run > 0 && failed.is_empty(), "{failed:#?}");
}

#[test]
fn exposition_conformance() {
    let Some(paths) = conformance("exposition") else { return };
    let mut run = 0;
    for path in paths.iter().filter(|path| path.is_file()) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(path).unwrap();
        let is_openmetrics = name.contains(".om.") || name.contains("openmetrics");
        let format = if is_openmetrics { Format::OpenMetrics } else { Format::Text };
        run += 1;
        // Lists of label sets in JSON, which are no exposition.
        if name.starts_with("dump-series") {
            assert!(record(format, &text, Rules::Prometheus).is_err(), "{name}");
            continue;
        }
        let read = record(format, &text, Rules::Prometheus).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(read.len() > 1, "{name}");
        let again = record(format, &write(format, &text), Rules::Prometheus).unwrap();
        assert_eq!(again, read, "{name}");
        if is_openmetrics {
            let strictly = record(format, &text, Rules::Specification);
            // A histogram of this one has a negative sum, which OpenMetrics forbids and clients write.
            assert_eq!(strictly.is_err(), name == "alltypes.5mfs.om.txt", "{name}: {strictly:?}");
        }
    }
    eprintln!("{run} files");
    assert!(run > 0);
}

#[test]
fn names_outside_the_old_alphabet_are_quoted() {
    let text = "# TYPE \"http.server.duration\" gauge\n\
                {\"http.server.duration\",\"service.name\"=\"a\\\"b\\\\c\\nd\",zone=\"ä\"} 1 -5\n";
    let read = record(Format::Text, text, Rules::Prometheus).unwrap();
    assert_eq!(
        read[1],
        r#"[("__name__", "http.server.duration"), ("service.name", "a\"b\\c\nd"), ("zone", "ä")] 1 3ff0000000000000 Some(-5) 0 None"#
    );
    assert_eq!(write(Format::Text, text), text);
}

#[test]
fn the_text_format_is_free_with_blanks_and_commas() {
    let text = "\n  # a comment\n#\n# HELP x a \\\\ \\n \\\"b\\\"\n#TYPE x counter\n\tx { a = \"1\" , b=\"2\"c=\"3\" , }  1e3   7\t\ny NaN";
    let read = record(Format::Text, text, Rules::Prometheus).unwrap();
    assert_eq!(
        read,
        [
            "\"x\" Help(\"a \\\\ \\n \\\\\\\"b\\\\\\\"\")",
            "\"x\" Type(Counter)",
            r#"[("__name__", "x"), ("a", "1"), ("b", "2"), ("c", "3")] 1000 408f400000000000 Some(7) 0 None"#,
            r#"[("__name__", "y")] NaN 7ff8000000000001 None 0 None"#,
        ]
    );
}

#[test]
fn bounds_have_one_spelling() {
    let text = "# TYPE h histogram\nh_bucket{le=\"1\",a=\"1\"} 1\nh_bucket{le=\"1e6\"} 1\n# TYPE s summary\ns{quantile=\".5\",le=\"1\"} 1\n# TYPE g gauge\ng{le=\"1\"} 1\n";
    let read = record(Format::Text, text, Rules::Prometheus).unwrap();
    let values: Vec<_> =
        ["\"1.0\"", "\"1e+06\"", "\"0.5\"), (\"le\", \"1\"", "\"g\"), (\"le\", \"1\""].into_iter().collect();
    for (line, value) in [1, 2, 4, 6].into_iter().zip(values) {
        assert!(read[line].contains(value), "{}", read[line]);
    }
}

#[test]
fn mistakes_are_said_with_line_and_column() {
    for (text, place, message) in [
        ("a 1\nb{x=\"1\" 2\n", (2, 9), "expected a label name"),
        ("a{é=\"1\"} 1", (1, 3), "expected a label name or }, found 'é'"),
        ("a{x=\"é\",y} 1", (1, 10), "expected = after the label name, found '}'"),
        ("a{x=\"1} 1", (1, 5), "no end"),
        ("a{x=\"1\",x=\"2\"} 1", (1, 9), "given twice"),
        ("a one", (1, 3), "no number"),
        ("a 1 1.5", (1, 5), "whole milliseconds"),
        ("a 1 2 3", (1, 7), "end of the line"),
        ("# TYPE a thing", (1, 10), "is no type"),
        ("{x=\"1\"} 1", (1, 1), "no name"),
        ("a", (1, 2), "the line ends here"),
        ("a{\"b\"} 1", (1, 3), "has a name already"),
    ] {
        let error = record(Format::Text, text, Rules::Prometheus).unwrap_err();
        assert_eq!((error.line, error.column), place, "{text:?}: {error}");
        assert!(error.message.contains(message), "{text:?}: {error}");
    }
    let error = parse(Format::Text, b"a 1\nb\xff 1\n", &ParseOptions::default(), &mut Recorder::default()).unwrap_err();
    assert_eq!((error.line, error.column), (2, 2));
    let error = record(Format::OpenMetrics, "a 1\n", Rules::Prometheus).unwrap_err();
    assert!(error.message.contains("# EOF"), "{error}");
}

#[test]
fn created_is_the_start_of_the_samples_before() {
    let text = "# TYPE a counter\na_total{x=\"1\"} 5\na_created{x=\"1\"} 1.5\na_total{x=\"2\"} 6\na_created{x=\"2\"} 2.5\n# EOF\n";
    for created_series in [true, false] {
        let mut sink = BatchSink::new(9000);
        let options = ParseOptions { created_series, ..ParseOptions::default() };
        parse(Format::OpenMetrics, text.as_bytes(), &options, &mut sink).unwrap();
        let batch = sink.take();
        let read: Vec<_> = batch
            .floats
            .iter()
            .map(|sample| (batch.labels[sample.series as usize].to_string(), sample.start, sample.timestamp))
            .filter(|(labels, ..)| created_series || !labels.contains("created"))
            .collect();
        let starts: Vec<_> =
            read.iter().filter(|(labels, ..)| labels.contains("total")).map(|(_, start, _)| *start).collect();
        assert_eq!(starts, [1500, 2500]);
        assert_eq!(batch.floats.len(), if created_series { 4 } else { 2 });
        assert_eq!(batch.metadata[0].1.metric_type, MetricType::Counter);
    }
}

#[test]
fn classic_histograms_become_custom_buckets() {
    let text = "# TYPE h histogram\n\
        h_bucket{a=\"1\",le=\"1\"} 1\nh_bucket{a=\"1\",le=\"2\"} 3\nh_bucket{a=\"1\",le=\"+Inf\"} 4\nh_sum{a=\"1\"} 7\nh_count{a=\"1\"} 4\n\
        h_bucket{a=\"2\",le=\"1\"} 0\nh_count{a=\"2\"} 2\n\
        # TYPE other gauge\nother 1\n";
    for keep in [false, true] {
        let mut sink = CustomBuckets::new(BatchSink::new(1), keep);
        parse(Format::Text, text.as_bytes(), &ParseOptions::default(), &mut sink).unwrap();
        let batch = sink.finish().take();
        assert_eq!(batch.floats.len(), if keep { 8 } else { 1 });
        let first = &batch.histograms[0];
        assert_eq!(batch.labels[first.series as usize].to_string(), r#"{__name__="h", a="1"}"#);
        assert_eq!(first.value.schema, FloatHistogram::CUSTOM_BUCKETS);
        assert_eq!(
            (first.value.custom_values.as_slice(), first.value.positive_buckets.as_slice()),
            (&[1.0, 2.0][..], &[1.0, 2.0, 1.0][..])
        );
        assert_eq!(batch.histograms.len(), 2);
        assert_eq!(batch.histograms[1].value.count, 2.0);
    }
}

mod wire {
    use prost::Message;

    #[derive(Clone, PartialEq, Message)]
    pub(super) struct Label {
        #[prost(string, tag = "1")]
        pub(super) name: String,
        #[prost(string, tag = "2")]
        pub(super) value: String,
    }

    #[derive(Clone, PartialEq, Message)]
    pub(super) struct Value {
        #[prost(double, tag = "1")]
        pub(super) value: f64,
        #[prost(message, optional, tag = "3")]
        pub(super) start: Option<Time>,
    }

    #[derive(Clone, PartialEq, Message)]
    pub(super) struct Time {
        #[prost(int64, tag = "1")]
        pub(super) seconds: i64,
        #[prost(int32, tag = "2")]
        pub(super) nanos: i32,
    }

    #[derive(Clone, PartialEq, Message)]
    pub(super) struct Bucket {
        #[prost(uint64, tag = "1")]
        pub(super) count: u64,
        #[prost(double, tag = "2")]
        pub(super) bound: f64,
    }

    #[derive(Clone, PartialEq, Message)]
    pub(super) struct Span {
        #[prost(sint32, tag = "1")]
        pub(super) offset: i32,
        #[prost(uint32, tag = "2")]
        pub(super) length: u32,
    }

    #[derive(Clone, PartialEq, Message)]
    pub(super) struct Histogram {
        #[prost(uint64, tag = "1")]
        pub(super) count: u64,
        #[prost(double, tag = "2")]
        pub(super) sum: f64,
        #[prost(message, repeated, tag = "3")]
        pub(super) buckets: Vec<Bucket>,
        #[prost(sint32, tag = "5")]
        pub(super) schema: i32,
        #[prost(double, tag = "6")]
        pub(super) zero_threshold: f64,
        #[prost(uint64, tag = "7")]
        pub(super) zero_count: u64,
        #[prost(message, repeated, tag = "12")]
        pub(super) spans: Vec<Span>,
        #[prost(sint64, repeated, tag = "13")]
        pub(super) deltas: Vec<i64>,
    }

    #[derive(Clone, PartialEq, Message)]
    pub(super) struct Metric {
        #[prost(message, repeated, tag = "1")]
        pub(super) labels: Vec<Label>,
        #[prost(message, optional, tag = "3")]
        pub(super) counter: Option<Value>,
        #[prost(int64, tag = "6")]
        pub(super) timestamp: i64,
        #[prost(message, optional, tag = "7")]
        pub(super) histogram: Option<Histogram>,
    }

    #[derive(Clone, PartialEq, Message)]
    pub(super) struct Family {
        #[prost(string, tag = "1")]
        pub(super) name: String,
        #[prost(string, tag = "2")]
        pub(super) help: String,
        #[prost(int32, tag = "3")]
        pub(super) kind: i32,
        #[prost(message, repeated, tag = "4")]
        pub(super) metrics: Vec<Metric>,
    }

    pub(super) fn body() -> Vec<u8> {
        let label = |name: &str, value: &str| Label { name: name.to_owned(), value: value.to_owned() };
        let counter = Family {
            name: "requests_total".to_owned(),
            help: "Requests.".to_owned(),
            kind: 0,
            metrics: vec![Metric {
                labels: vec![label("code", "200")],
                counter: Some(Value { value: 7.0, start: Some(Time { seconds: 12, nanos: 5_000_000 }) }),
                timestamp: 20_000,
                histogram: None,
            }],
        };
        let histogram = Family {
            name: "latency".to_owned(),
            help: String::new(),
            kind: 4,
            metrics: vec![Metric {
                labels: vec![],
                counter: None,
                timestamp: 0,
                histogram: Some(Histogram {
                    count: 6,
                    sum: 4.5,
                    buckets: vec![Bucket { count: 2, bound: 1.0 }],
                    schema: 3,
                    zero_threshold: 0.001,
                    zero_count: 1,
                    spans: vec![Span { offset: 2, length: 2 }],
                    deltas: vec![2, 1],
                }),
            }],
        };
        let mut body = Vec::new();
        counter.encode_length_delimited(&mut body).unwrap();
        histogram.encode_length_delimited(&mut body).unwrap();
        body
    }
}

#[test]
fn protobuf_is_read_with_native_histograms() {
    let body = wire::body();
    let read = |native_histograms, classic_histograms| {
        let mut recorder = Recorder::default();
        let options = ParseOptions { native_histograms, classic_histograms, ..ParseOptions::default() };
        parse(Format::Protobuf, &body, &options, &mut recorder).unwrap();
        recorder.0
    };
    let native = read(true, false);
    assert_eq!(
        native[2],
        r#"[("__name__", "requests_total"), ("code", "200")] 7 401c000000000000 Some(20000) 12005 None"#
    );
    assert!(native[5].contains("schema:3"), "{}", native[5]);
    assert!(native[5].contains("buckets:[2 3]"), "{}", native[5]);
    assert_eq!(native.len(), 6);
    assert_eq!(read(true, true).len(), 10);
    let classic = read(false, false);
    assert_eq!(classic.len(), 9);
    assert!(classic[7].contains(r#"("le", "1.0")] 2"#), "{}", classic[7]);
    assert!(classic[8].contains(r#"("le", "+Inf")] 6"#), "{}", classic[8]);
    for end in 1..body.len() {
        let cut = parse(Format::Protobuf, &body[..end], &ParseOptions::default(), &mut Recorder::default());
        assert_eq!(cut.is_ok(), end == usize::from(body[0]) + 1, "{end}");
    }
}

fn label_text() -> impl Strategy<Value = String> {
    prop_oneof![Just("le".to_owned()), Just("a".to_owned()), ".{1,6}", "[a-z\\\\\"\n]{1,5}"]
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(
        families in prop::collection::vec((".{1,8}", 0..4_usize, ".{0,10}"), 1..4),
        samples in prop::collection::vec(
            (prop::collection::btree_map(label_text(), "(.|[\\\\\n\"]){1,6}", 0..4), any::<u64>(), prop::option::of(-4_000_000_000_000_i64..4_000_000_000_000)),
            1..8,
        ),
    ) {
        for (form, format) in [(TextForm::Prometheus, Format::Text), (TextForm::OpenMetrics, Format::OpenMetrics)] {
            let mut writer = ExpositionWriter::new(form);
            let mut expected = Recorder::default();
            for (name, kind, help) in &families {
                let metric_type = [MetricType::Gauge, MetricType::Counter, MetricType::Unknown, MetricType::Gauge][*kind];
                // Blanks before a help belong to the gap in the text format.
                let help = help.trim();
                for metadata in [Metadata::Type(metric_type), Metadata::Help(help)] {
                    writer.metadata(name, metadata);
                    expected.metadata(name, metadata);
                }
                for (labels, bits, timestamp) in &samples {
                    let mut set = LabelSet::default();
                    set.push("__name__", name);
                    for (name, value) in labels.iter().filter(|(name, _)| *name != "__name__") {
                        set.push(name, value);
                    }
                    let value = f64::from_bits(*bits);
                    let value = if value.is_nan() { NORMAL_NAN } else { value };
                    let sample = Sample { labels: &set, value, timestamp: *timestamp, start: 0, exemplar: None };
                    writer.sample(sample);
                    expected.sample(sample);
                }
            }
            let text = writer.finish();
            let read = record(format, &text, Rules::Prometheus);
            prop_assert_eq!(read, Ok(expected.0), "{}", text);
        }
    }

    #[test]
    fn nothing_makes_a_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), text in "(#| |\n|HELP|TYPE|a|_total|_bucket|\\{|\\}|le|=|\"|\\\\|,|1|é|EOF|histogram|\t){0,40}") {
        for body in [bytes.as_slice(), text.as_bytes()] {
            for format in [Format::Text, Format::OpenMetrics, Format::Protobuf] {
                for rules in [Rules::Prometheus, Rules::Specification] {
                    let mut sink = CustomBuckets::new(BatchSink::new(0), true);
                    let _ = parse(format, body, &ParseOptions { rules, ..ParseOptions::default() }, &mut sink);
                    sink.finish().take();
                }
            }
        }
    }

    #[test]
    fn damaged_protobuf_is_refused_or_read(at in 0_usize..150, byte: u8) {
        let mut body = wire::body();
        let at = at % body.len();
        body[at] = byte;
        let _ = parse(Format::Protobuf, &body, &ParseOptions::default(), &mut BatchSink::new(0));
    }
}
