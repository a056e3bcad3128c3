use axum::body::to_bytes;
use axum::http::Request as HttpRequest;
use proptest::prelude::*;
use prost::Message as _;
use tower::ServiceExt;
use tripod_model::series::{FloatHistogram, Labels, NativeSpan, STALE_NAN, SeriesExemplar, SeriesMetadata};
use tripod_storage::memory::MemoryStore;
use tripod_storage::series::{FloatSample, HistogramSample, LabelQuery, MemorySeriesStore, MillisRange, SelectSeries};

use super::*;
use crate::Settings;

/// The messages of both versions as `prost` writes them: what the decoders are measured against.
mod wire {
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct WriteRequest {
        #[prost(message, repeated, tag = "1")]
        pub(super) series: Vec<Series>,
        #[prost(message, repeated, tag = "3")]
        pub(super) metadata: Vec<Metadata>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Metadata {
        #[prost(int32, tag = "1")]
        pub(super) kind: i32,
        #[prost(string, tag = "2")]
        pub(super) family: String,
        #[prost(string, tag = "4")]
        pub(super) help: String,
        #[prost(string, tag = "5")]
        pub(super) unit: String,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Series {
        #[prost(message, repeated, tag = "1")]
        pub(super) labels: Vec<Label>,
        #[prost(message, repeated, tag = "2")]
        pub(super) samples: Vec<Sample>,
        #[prost(message, repeated, tag = "3")]
        pub(super) exemplars: Vec<Exemplar>,
        #[prost(message, repeated, tag = "4")]
        pub(super) histograms: Vec<Histogram>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Label {
        #[prost(string, tag = "1")]
        pub(super) name: String,
        #[prost(string, tag = "2")]
        pub(super) value: String,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Sample {
        #[prost(double, tag = "1")]
        pub(super) value: f64,
        #[prost(int64, tag = "2")]
        pub(super) timestamp: i64,
        #[prost(int64, tag = "3")]
        pub(super) start: i64,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Exemplar {
        #[prost(message, repeated, tag = "1")]
        pub(super) labels: Vec<Label>,
        #[prost(double, tag = "2")]
        pub(super) value: f64,
        #[prost(int64, tag = "3")]
        pub(super) timestamp: i64,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Histogram {
        #[prost(uint64, tag = "1")]
        pub(super) count: u64,
        #[prost(double, tag = "3")]
        pub(super) sum: f64,
        #[prost(sint32, tag = "4")]
        pub(super) schema: i32,
        #[prost(message, repeated, tag = "11")]
        pub(super) spans: Vec<Span>,
        #[prost(sint64, repeated, tag = "12")]
        pub(super) deltas: Vec<i64>,
        #[prost(int64, tag = "15")]
        pub(super) timestamp: i64,
        #[prost(double, repeated, tag = "16")]
        pub(super) custom_values: Vec<f64>,
        #[prost(int64, tag = "17")]
        pub(super) start: i64,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Span {
        #[prost(sint32, tag = "1")]
        pub(super) offset: i32,
        #[prost(uint32, tag = "2")]
        pub(super) length: u32,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Request {
        #[prost(string, repeated, tag = "4")]
        pub(super) symbols: Vec<String>,
        #[prost(message, repeated, tag = "5")]
        pub(super) series: Vec<Series2>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Series2 {
        #[prost(uint32, repeated, tag = "1")]
        pub(super) labels: Vec<u32>,
        #[prost(message, repeated, tag = "2")]
        pub(super) samples: Vec<Sample>,
        #[prost(message, repeated, tag = "3")]
        pub(super) histograms: Vec<Histogram>,
        #[prost(message, repeated, tag = "4")]
        pub(super) exemplars: Vec<Exemplar2>,
        #[prost(message, optional, tag = "5")]
        pub(super) metadata: Option<Metadata2>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Exemplar2 {
        #[prost(uint32, repeated, tag = "1")]
        pub(super) labels: Vec<u32>,
        #[prost(double, tag = "2")]
        pub(super) value: f64,
        #[prost(int64, tag = "3")]
        pub(super) timestamp: i64,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Metadata2 {
        #[prost(int32, tag = "1")]
        pub(super) kind: i32,
        #[prost(uint32, tag = "3")]
        pub(super) help: u32,
        #[prost(uint32, tag = "4")]
        pub(super) unit: u32,
    }
}

fn labels(pairs: &[(&str, &str)]) -> Vec<wire::Label> {
    pairs.iter().map(|(name, value)| wire::Label { name: (*name).to_owned(), value: (*value).to_owned() }).collect()
}

fn sample(value: f64, timestamp: i64) -> wire::Sample {
    wire::Sample { value, timestamp, start: 0 }
}

fn histogram(timestamp: i64) -> wire::Histogram {
    let spans = vec![wire::Span { offset: 1, length: 2 }];
    wire::Histogram { count: 5, sum: 7.5, schema: 2, spans, deltas: vec![2, 1], timestamp, ..Default::default() }
}

fn snappy(bytes: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(bytes).unwrap()
}

struct Server {
    store: Arc<MemorySeriesStore>,
    router: Router,
}

struct Answer {
    status: u16,
    text: String,
    counts: [Option<String>; 3],
    headers: HeaderMap,
}

impl Server {
    fn new(settings: Settings) -> Self {
        Self::with_store(settings, MemorySeriesStore::new())
    }

    fn with_store(settings: Settings, store: MemorySeriesStore) -> Self {
        let store = Arc::new(store);
        let ingest = Ingest::new(Arc::new(MemoryStore::default()), settings);
        Self { router: router(ingest, Arc::<MemorySeriesStore>::clone(&store)), store }
    }

    async fn post(&self, headers: &[(&str, &str)], body: Vec<u8>) -> Answer {
        let mut request = HttpRequest::post("/api/v1/write");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.router.clone().oneshot(request.body(Body::from(body)).unwrap()).await.unwrap();
        let headers = response.headers().clone();
        let count = |name| headers.get(&name).map(|value| value.to_str().unwrap().to_owned());
        Answer {
            status: response.status().as_u16(),
            counts: [count(SAMPLES), count(HISTOGRAMS), count(EXEMPLARS)],
            headers: headers.clone(),
            text: String::from_utf8(to_bytes(response.into_body(), 1 << 20).await.unwrap().to_vec()).unwrap(),
        }
    }

    async fn v1(&self, request: &wire::WriteRequest) -> Answer {
        self.post(V1, snappy(&request.encode_to_vec())).await
    }

    async fn v2(&self, request: &wire::Request) -> Answer {
        self.post(V2, snappy(&request.encode_to_vec())).await
    }

    /// Series with their floats, histogram counts and start times.
    async fn stored(&self) -> Vec<String> {
        let select = SelectSeries { matchers: vec![], range: MillisRange::ALL };
        let mut lines = Vec::new();
        for series in self.store.select_series(select).await.unwrap() {
            let samples = series.samples(MillisRange::ALL).unwrap();
            let floats: Vec<_> = samples.floats.timestamps.iter().zip(&samples.floats.values).collect();
            let histograms: Vec<_> = samples
                .histograms
                .timestamps
                .iter()
                .zip(&samples.histograms.values)
                .map(|(time, value)| format!("{time}: {}", value.to_notation()))
                .collect();
            let starts = (&samples.floats.start_timestamps, &samples.histograms.start_timestamps);
            lines.push(format!("{} {floats:?} {histograms:?} {starts:?}", series.labels));
        }
        lines
    }
}

const V1: &[(&str, &str)] = &[("content-type", "application/x-protobuf"), ("content-encoding", "snappy")];
const V2: &[(&str, &str)] =
    &[("content-type", "application/x-protobuf;proto=io.prometheus.write.v2.Request"), ("content-encoding", "snappy")];

#[tokio::test]
async fn version_1_is_kept_whole() {
    let server = Server::new(Settings::default());
    let request = wire::WriteRequest {
        series: vec![
            wire::Series {
                labels: labels(&[("__name__", "up"), ("job", "a")]),
                samples: vec![sample(1.0, 1000), sample(STALE_NAN, 2000)],
                exemplars: vec![wire::Exemplar { labels: labels(&[("trace_id", "x")]), value: 2.0, timestamp: 1000 }],
                histograms: vec![],
            },
            wire::Series {
                labels: labels(&[("job", "a"), ("__name__", "latency")]),
                histograms: vec![histogram(3000)],
                ..Default::default()
            },
        ],
        metadata: vec![wire::Metadata { kind: 2, family: "up".into(), help: "Is it up?".into(), unit: "".into() }],
    };
    for _ in 0..2 {
        let answer = server.v1(&request).await;
        assert_eq!((answer.status, answer.text.as_str()), (204, ""), "a repeated request does no harm");
    }
    assert_eq!(
        server.stored().await,
        [
            r#"{__name__="latency", job="a"} [] ["3000: {{schema:2 count:5 sum:7.5 offset:1 buckets:[2 3]}}"] ([], [])"#,
            r#"{__name__="up", job="a"} [(1000, 1.0), (2000, NaN)] [] ([], [])"#,
        ]
    );
    let query = LabelQuery { matcher_sets: vec![], range: MillisRange::ALL, limit: 0 };
    let exemplars = server.store.exemplars(query).await.unwrap();
    assert_eq!(exemplars[0].1[0].labels, Labels::from_pairs([("trace_id", "x")]));
    assert_eq!(server.store.metadata(Some("up")).await.unwrap()[0].1.help, "Is it up?");
}

fn v2_request() -> wire::Request {
    wire::Request {
        symbols: ["", "__name__", "requests_total", "job", "a", "How many.", "trace_id", "x"]
            .map(str::to_owned)
            .to_vec(),
        series: vec![wire::Series2 {
            labels: vec![1, 2, 3, 4],
            samples: vec![wire::Sample { value: 1.0, timestamp: 1000, start: 500 }],
            histograms: vec![wire::Histogram {
                schema: FloatHistogram::CUSTOM_BUCKETS,
                custom_values: vec![1.0, 2.0],
                spans: vec![wire::Span { offset: 0, length: 3 }],
                deltas: vec![1, 0, 2],
                start: 600,
                ..histogram(2000)
            }],
            exemplars: vec![wire::Exemplar2 { labels: vec![6, 7], value: 3.0, timestamp: 1000 }],
            metadata: Some(wire::Metadata2 { kind: 1, help: 5, unit: 0 }),
        }],
    }
}

#[tokio::test]
async fn version_2_is_kept_and_counted() {
    let server = Server::new(Settings::default());
    let answer = server.v2(&v2_request()).await;
    assert_eq!((answer.status, answer.text.as_str()), (204, ""));
    assert_eq!(answer.counts, ["1", "1", "1"].map(|count| Some(count.to_owned())));
    assert_eq!(
        server.stored().await,
        [
            r#"{__name__="requests_total", job="a"} [(1000, 1.0)] ["2000: {{schema:-53 count:5 sum:7.5 custom_values:[1 2] buckets:[1 1 3]}}"] ([500], [600])"#
        ]
    );
    assert_eq!(server.store.metadata(None).await.unwrap()[0].0, "requests_total");
}

#[tokio::test]
async fn what_is_right_is_kept_and_what_is_wrong_is_said() {
    let server = Server::with_store(Settings::default(), MemorySeriesStore::with_out_of_order_window(0));
    let mut request = v2_request();
    let good = request.series[0].clone();
    let with = |labels: Vec<u32>| wire::Series2 { labels, samples: vec![sample(1.0, 1000)], ..Default::default() };
    request.series = vec![
        with(vec![3, 4]),
        with(vec![1, 2, 99, 4]),
        with(vec![1, 2, 3]),
        with(vec![1, 2, 3, 4, 3, 4]),
        wire::Series2 { samples: vec![], ..with(vec![1, 2, 6, 7]) },
        good,
        wire::Series2 { samples: vec![sample(2.0, 500)], ..with(vec![1, 2, 3, 4]) },
        wire::Series2 {
            samples: vec![],
            histograms: vec![wire::Histogram { deltas: vec![1], ..histogram(1) }],
            ..with(vec![1, 2, 6, 7])
        },
    ];
    let answer = server.v2(&request).await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.counts[0].as_deref(), Some("1"), "{}", answer.text);
    for problem in [
        "there is no __name__",
        "labelRef 99 is outside",
        "invalid labelRefs length 3",
        "duplicated label job",
        "at least one sample",
        "out of order sample for series",
        "cover 2 buckets",
    ] {
        assert!(answer.text.contains(problem), "{problem}: {}", answer.text);
    }
    assert_eq!(server.stored().await.len(), 1);
}

#[tokio::test]
async fn each_refusal_has_its_status() {
    let settings =
        Settings { max_records_per_request: 2, bearer_token: Some("secret".to_owned()), ..Settings::default() };
    let server = Server::new(settings);
    let body = snappy(&v2_request().encode_to_vec());
    let authorized = |headers: &[(&'static str, &'static str)]| {
        let mut all = vec![("authorization", "Bearer secret")];
        all.extend_from_slice(headers);
        all
    };
    for (headers, body, status, message) in [
        (V2.to_vec(), body.clone(), 401, "token"),
        (authorized(&[("content-type", "application/json")]), body.clone(), 415, "x-protobuf"),
        (authorized(&[("content-type", "application/x-protobuf;proto=x.Y")]), body.clone(), 415, "x.Y"),
        (authorized(&[("content-encoding", "br")]), body.clone(), 415, "snappy"),
        (authorized(V1), b"\xff\xff\xff\xff\xff\xff".to_vec(), 400, "snappy"),
        (authorized(V1), snappy(b"\x0a\xff\x01"), 400, "protobuf"),
        (authorized(V2), body, 413, "max_records_per_request"),
    ] {
        let answer = server.post(&headers, body).await;
        assert_eq!(answer.status, status, "{message}: {}", answer.text);
        assert!(answer.text.contains(message), "{}", answer.text);
    }
    assert_eq!(server.stored().await, [] as [String; 0]);
}

#[tokio::test]
async fn without_room_a_sender_is_told_to_come_back() {
    let server = Server::new(Settings { max_concurrent_requests: 0, ..Settings::default() });
    let answer = server.v1(&wire::WriteRequest::default()).await;
    assert_eq!(answer.status, 503, "{}", answer.text);
    assert!(answer.headers.contains_key("retry-after"));
}

proptest! {
    #[test]
    fn both_versions_read_what_prost_writes(
        series in prop::collection::vec(
            (
                prop::collection::btree_map("[a-z_é]{1,5}", ".{1,5}", 0..4),
                // `prost` leaves -0 out, as if it were 0.
                prop::collection::vec((any::<f64>().prop_filter("-0", |value| *value != 0.0), any::<i64>(), any::<i64>()), 1..4),
            ),
            0..5,
        ),
    ) {
        let mut first = wire::WriteRequest::default();
        let mut second = wire::Request { symbols: vec![String::new()], series: vec![] };
        for (labels, samples) in &series {
            let mut pairs: Vec<_> = labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            pairs.push(("__name__", "metric"));
            let samples: Vec<_> =
                samples.iter().map(|(value, timestamp, start)| wire::Sample { value: *value, timestamp: *timestamp, start: *start }).collect();
            let mut references = Vec::new();
            for text in pairs.iter().flat_map(|(name, value)| [*name, *value]) {
                references.push(second.symbols.len() as u32);
                second.symbols.push(text.to_owned());
            }
            first.series.push(wire::Series { labels: self::labels(&pairs), samples: samples.clone(), ..Default::default() });
            second.series.push(wire::Series2 { labels: references, samples, ..Default::default() });
        }
        let first = v1::decode(&first.encode_to_vec(), 1000).unwrap().batch;
        let second = v2::decode(&second.encode_to_vec(), 1000).unwrap().batch;
        prop_assert_eq!(&first.labels, &second.labels);
        prop_assert_eq!(first.labels.len(), series.len());
        let expected: Vec<_> = series.iter().flat_map(|(_, samples)| samples).collect();
        prop_assert_eq!(first.floats.len(), expected.len());
        for (index, (value, timestamp, start)) in expected.into_iter().enumerate() {
            let (first, second) = (&first.floats[index], &second.floats[index]);
            prop_assert_eq!((first.value.to_bits(), first.timestamp), (value.to_bits(), *timestamp));
            prop_assert_eq!((second.value.to_bits(), second.timestamp, second.start), (value.to_bits(), *timestamp, *start));
        }
    }

    #[test]
    fn what_is_written_is_read_back(
        series in prop::collection::vec(
            (prop::collection::btree_map("[a-z]{1,3}", ".{1,5}", 0..4), any::<u64>(), any::<i64>(), any::<i64>(), 1..50_u32),
            1..5,
        ),
    ) {
        let mut batch = SeriesBatch::default();
        for (labels, bits, timestamp, start, buckets) in &series {
            let pairs = labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).chain([("__name__", "m")]);
            let index = batch.labels.len() as u32;
            batch.labels.push(Labels::from_pairs(pairs));
            let (timestamp, start, value) = (*timestamp, *start, f64::from_bits(*bits));
            batch.floats.push(FloatSample { series: index, timestamp, start, value });
            let value = Arc::new(FloatHistogram {
                schema: 2,
                count: 7.0,
                sum: f64::from_bits(*bits),
                zero_threshold: 0.5,
                zero_count: 1.5,
                positive_spans: vec![NativeSpan { offset: -3, length: *buckets }],
                positive_buckets: vec![1.25; *buckets as usize],
                ..FloatHistogram::default()
            });
            batch.histograms.push(HistogramSample { series: index, timestamp, start, value });
            let labels = Labels::from_pairs([("trace_id", "x")]);
            batch.exemplars.push((index, SeriesExemplar { labels, value: 1.0, timestamp }));
        }
        let known = SeriesMetadata { help: "What.".to_owned(), unit: "s".to_owned(), ..SeriesMetadata::default() };
        batch.metadata.push(("m".to_owned(), known));
        let read = decode(Version::V2, &encode(&batch), 1000).unwrap();
        let floats = |batch: &SeriesBatch| {
            let mut all: Vec<_> = batch
                .floats
                .iter()
                .map(|sample| (batch.labels[sample.series as usize].clone(), sample.timestamp, sample.start, sample.value.to_bits()))
                .collect();
            all.sort();
            all
        };
        prop_assert_eq!(floats(&read), floats(&batch));
        prop_assert_eq!(read.histograms.len(), batch.histograms.len());
        for sample in &read.histograms {
            let is_there = batch.histograms.iter().any(|other| other.value == sample.value && other.timestamp == sample.timestamp);
            prop_assert!(is_there, "{:?}", sample);
        }
        prop_assert_eq!(read.exemplars.len(), batch.exemplars.len());
        prop_assert_eq!(&read.metadata, &batch.metadata);
    }

    #[test]
    fn damage_is_refused_and_never_panics(at: prop::sample::Index, byte: u8, garbage in prop::collection::vec(any::<u8>(), 0..100)) {
        let mut body = v2_request().encode_to_vec();
        let at = at.index(body.len());
        body[at] = byte;
        for body in [&body[..], &body[..at], &garbage] {
            let _ = v1::decode(body, 100);
            let _ = v2::decode(body, 100);
        }
    }
}
