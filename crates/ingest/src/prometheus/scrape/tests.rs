//! Scrapes of targets in this process, over sockets.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tripod_model::series::{Labels, SeriesExemplar, SeriesMetadata, TargetHealth, is_stale};
use tripod_storage::series::{LabelQuery, SelectSeries, SelectedSeries, SeriesAppended, SeriesBatch, SeriesStatistics};
use tripod_storage::{AppendError, SelectError};

use super::*;

/// A store that hands each batch on.
#[derive(Debug)]
struct Batches(mpsc::UnboundedSender<SeriesBatch>);

#[async_trait]
impl SeriesStore for Batches {
    async fn append_series(&self, batch: SeriesBatch) -> Result<SeriesAppended, AppendError> {
        let appended = SeriesAppended { floats: batch.floats.len(), ..SeriesAppended::default() };
        self.0.send(batch).map_err(|_| AppendError::ShuttingDown)?;
        Ok(appended)
    }

    async fn select_series(&self, _: SelectSeries) -> Result<Vec<SelectedSeries>, SelectError> {
        Ok(vec![])
    }

    async fn series(&self, _: LabelQuery) -> Result<Vec<Labels>, SelectError> {
        Ok(vec![])
    }

    async fn label_names(&self, _: LabelQuery) -> Result<Vec<String>, SelectError> {
        Ok(vec![])
    }

    async fn label_values(&self, _: &str, _: LabelQuery) -> Result<Vec<String>, SelectError> {
        Ok(vec![])
    }

    async fn exemplars(&self, _: LabelQuery) -> Result<Vec<(Labels, Vec<SeriesExemplar>)>, SelectError> {
        Ok(vec![])
    }

    async fn metadata(&self, _: Option<&str>) -> Result<Vec<(String, SeriesMetadata)>, SelectError> {
        Ok(vec![])
    }

    async fn statistics(&self, _: usize) -> Result<SeriesStatistics, SelectError> {
        Ok(SeriesStatistics::default())
    }

    async fn delete_series(&self, _: LabelQuery) -> Result<(), AppendError> {
        Ok(())
    }
}

/// What a target answers, and what it was asked last.
#[derive(Clone, Default)]
struct Target {
    answer: Arc<Mutex<(u16, &'static str, String)>>,
    asked: Arc<Mutex<Option<(String, http::HeaderMap)>>>,
}

const TEXT: &str = "text/plain; version=0.0.4";

impl Target {
    async fn start(body: &str) -> (Self, SocketAddr) {
        let target = Self::default();
        target.set(200, TEXT, body);
        let router = Router::new().fallback(get(Self::respond)).with_state(target.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        (target, address)
    }

    fn set(&self, status: u16, content_type: &'static str, body: &str) {
        *self.answer.lock() = (status, content_type, body.to_owned());
    }

    async fn respond(State(target): State<Self>, request: Request) -> Response {
        let (head, _) = request.into_parts();
        *target.asked.lock() = Some((head.uri.to_string(), head.headers.clone()));
        let (status, content_type, body) = target.answer.lock().clone();
        if head.uri.path() == "/moved" {
            return ([("location", "/metrics")], http::StatusCode::FOUND).into_response();
        }
        let status = http::StatusCode::from_u16(status).unwrap();
        if head.headers.get("accept-encoding").is_some_and(|value| value == "gzip") {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            std::io::Write::write_all(&mut encoder, body.as_bytes()).unwrap();
            let body = encoder.finish().unwrap();
            return (status, [("content-type", content_type), ("content-encoding", "gzip")], body).into_response();
        }
        (status, [("content-type", content_type)], body).into_response()
    }
}

struct Fixture {
    scraper: Arc<Scraper>,
    batches: mpsc::UnboundedReceiver<SeriesBatch>,
}

impl Fixture {
    fn new() -> Self {
        let (sender, batches) = mpsc::unbounded_channel();
        Self { scraper: Scraper::new(Arc::new(Batches(sender))), batches }
    }

    fn apply(&self, jobs: &str) {
        let text = format!("global: {{scrape_interval: 50ms}}\nscrape_configs: [{jobs}]");
        self.scraper.apply(ScrapeConfiguration::from_yaml(&text, Path::new("/")).unwrap());
    }

    /// The next batch as text: series with their values, what is about time left out.
    async fn next(&mut self) -> BTreeMap<String, String> {
        let batch = self.batches.recv().await.unwrap();
        let series = |index: u32| batch.labels[index as usize].to_string();
        let floats = batch.floats.iter().map(|sample| {
            let value = if is_stale(sample.value) { "stale".to_owned() } else { sample.value.to_string() };
            (series(sample.series), value)
        });
        let histograms = batch.histograms.iter().map(|sample| (series(sample.series), sample.value.to_notation()));
        floats.chain(histograms).filter(|(name, _)| !name.contains("scrape_duration_seconds")).collect()
    }

    /// The next batch that fits.
    async fn until(&mut self, fits: impl Fn(&BTreeMap<String, String>) -> bool) -> BTreeMap<String, String> {
        loop {
            let batch = self.next().await;
            if fits(&batch) {
                return batch;
            }
        }
    }
}

fn value<'a>(batch: &'a BTreeMap<String, String>, name: &str) -> Option<&'a str> {
    let start = format!("{{__name__=\"{name}\"");
    batch.iter().find(|(series, _)| series.starts_with(&start)).map(|(_, value)| value.as_str())
}

#[tokio::test]
async fn a_scrape_gives_samples_reports_and_stale_markers() {
    let (target, address) = Target::start("a{job=\"x\",z=\"1\"} 1\nb 2\ndropped 3\n").await;
    let mut fixture = Fixture::new();
    fixture.apply(&format!(
        "{{job_name: api, static_configs: [{{targets: ['{address}'], labels: {{zone: eu}}}}], metric_relabel_configs: \
         [{{source_labels: [__name__], regex: dropped, action: drop}}]}}"
    ));
    let batch = fixture.next().await;
    let labels = format!("instance=\"{address}\", job=\"api\"");
    let expected: BTreeMap<_, _> = [
        (format!("{{__name__=\"a\", exported_job=\"x\", {labels}, z=\"1\", zone=\"eu\"}}"), "1"),
        (format!("{{__name__=\"b\", {labels}, zone=\"eu\"}}"), "2"),
        (format!("{{__name__=\"up\", {labels}, zone=\"eu\"}}"), "1"),
        (format!("{{__name__=\"scrape_samples_scraped\", {labels}, zone=\"eu\"}}"), "3"),
        (format!("{{__name__=\"scrape_samples_post_metric_relabeling\", {labels}, zone=\"eu\"}}"), "2"),
        (format!("{{__name__=\"scrape_series_added\", {labels}, zone=\"eu\"}}"), "2"),
    ]
    .into_iter()
    .map(|(series, value)| (series, value.to_owned()))
    .collect();
    assert_eq!(batch, expected);

    // A series disappears.
    target.set(200, TEXT, "b 4\n");
    let batch = fixture.until(|batch| value(batch, "b") == Some("4")).await;
    assert_eq!(value(&batch, "a"), Some("stale"));
    assert_eq!(value(&batch, "scrape_series_added"), Some("0"));
    let batch = fixture.next().await;
    assert_eq!(value(&batch, "a"), None, "it is marked once");

    // The target fails: everything is marked once, and it is down.
    for (status, body, error) in [(500, "b 1\n", "HTTP status 500"), (200, "b {", "line 1, column 4")] {
        target.set(200, TEXT, "b 5\n");
        fixture.until(|batch| value(batch, "b") == Some("5")).await;
        target.set(status, TEXT, body);
        let batch = fixture.until(|batch| value(batch, "up") == Some("0")).await;
        assert_eq!(value(&batch, "b"), Some("stale"));
        assert_eq!(value(&fixture.next().await, "b"), None);
        let state = fixture.scraper.active().remove(0);
        assert_eq!(state.health, TargetHealth::Down);
        assert!(state.last_error.contains(error), "{}", state.last_error);
    }

    // It is back, then taken out of the configuration.
    target.set(200, TEXT, "# TYPE b gauge\nb 6\n");
    fixture.until(|batch| value(batch, "up") == Some("1")).await;
    fixture.next().await;
    assert_eq!(fixture.scraper.active()[0].metadata["b"].metric_type.name(), "gauge");
    fixture.apply("");
    let batch = fixture.until(|batch| value(batch, "up") == Some("stale")).await;
    assert_eq!(value(&batch, "b"), Some("stale"));
    assert_eq!(value(&batch, "scrape_series_added"), Some("stale"));
    assert!(fixture.scraper.pools().is_empty());
}

#[tokio::test]
async fn a_stop_marks_nothing() {
    let (_, address) = Target::start("a 1\n").await;
    let mut fixture = Fixture::new();
    fixture.apply(&format!("{{job_name: a, static_configs: [{{targets: ['{address}']}}]}}"));
    fixture.next().await;
    fixture.scraper.stop().await;
    while let Ok(batch) = fixture.batches.try_recv() {
        assert!(batch.floats.iter().all(|sample| !is_stale(sample.value)));
    }
}

#[tokio::test]
async fn labels_times_and_params_are_taken_as_configured() {
    let (target, address) = Target::start("a{job=\"x\",instance=\"\"} 1 1000\n").await;
    let mut fixture = Fixture::new();
    fixture.apply(&format!(
        "{{job_name: a, honor_labels: true, extra_scrape_metrics: true, sample_limit: 10, params: {{'match[]': ['{{a}}', b]}}, \
         metrics_path: /federate, static_configs: [{{targets: ['{address}']}}]}}"
    ));
    let batch = fixture.next().await;
    assert_eq!(
        batch.get(&format!("{{__name__=\"a\", instance=\"{address}\", job=\"x\"}}")).map(String::as_str),
        Some("1"),
        "{batch:?}"
    );
    assert_eq!(value(&batch, "scrape_sample_limit"), Some("10"));
    assert_eq!(value(&batch, "scrape_body_size_bytes"), Some("30"), "{batch:?}");
    let (url, headers) = target.asked.lock().clone().unwrap();
    assert_eq!(url, "/federate?match%5B%5D=%7Ba%7D&match%5B%5D=b");
    assert!(headers["accept"].to_str().unwrap().starts_with("application/openmetrics-text;version=1.0.0"));
    assert_eq!(headers["x-prometheus-scrape-timeout-seconds"], "0.05");
    // With a time of its own a series is not marked when it goes.
    target.set(200, TEXT, "b 1\n");
    let batch = fixture.until(|batch| value(batch, "b").is_some()).await;
    assert_eq!(value(&batch, "a"), None);
}

#[tokio::test]
async fn limits_fail_the_scrape() {
    let (target, address) = Target::start("a{label=\"value\"} 1\nb 1\n").await;
    for (limit, message) in [
        ("sample_limit: 1", "sample limit exceeded"),
        ("label_limit: 3", "label_limit exceeded"),
        ("label_name_length_limit: 7", "label_name_length_limit exceeded"),
        ("label_value_length_limit: 3", "label_value_length_limit exceeded"),
        ("body_size_limit: 10B", "body size limit exceeded"),
        ("target_limit: 1", "target_limit exceeded (number of targets: 2, limit: 1)"),
    ] {
        let mut fixture = Fixture::new();
        fixture.apply(&format!(
            "{{job_name: a, {limit}, static_configs: [{{targets: ['{address}'], labels: {{z: a}}}}, {{targets: ['{address}']}}]}}"
        ));
        let batch = fixture.next().await;
        assert_eq!((value(&batch, "up"), value(&batch, "a")), (Some("0"), None), "{limit}: {batch:?}");
        fixture.next().await;
        let states = fixture.scraper.active();
        assert!(states.iter().any(|state| state.last_error.contains(message)), "{limit}: {states:?}");
        fixture.scraper.stop().await;
    }
    drop(target);
}

#[tokio::test]
async fn credentials_redirects_and_forms() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "from-file\n").unwrap();
    let file = file.display();
    let (target, address) = Target::start("a 1\n").await;
    for (keys, header, up) in [
        ("basic_auth: {username: me, password: secret}".to_owned(), Some("Basic bWU6c2VjcmV0"), "1"),
        ("authorization: {credentials: x}".to_owned(), Some("Bearer x"), "1"),
        (format!("authorization: {{type: Token, credentials_file: '{file}'}}"), Some("Token from-file"), "1"),
        (format!("bearer_token_file: '{file}'"), Some("Bearer from-file"), "1"),
        ("metrics_path: /moved".to_owned(), None, "1"),
        ("metrics_path: /moved, follow_redirects: false".to_owned(), None, "0"),
        ("enable_compression: false".to_owned(), None, "1"),
        ("bearer_token_file: /does/not/exist".to_owned(), None, "0"),
    ] {
        let mut fixture = Fixture::new();
        fixture.apply(&format!("{{job_name: a, {keys}, static_configs: [{{targets: ['{address}']}}]}}"));
        assert_eq!(value(&fixture.next().await, "up"), Some(up), "{keys}");
        if let Some(header) = header {
            assert_eq!(target.asked.lock().clone().unwrap().1["authorization"], header);
        }
        fixture.scraper.stop().await;
    }
    for (content_type, keys, body, up) in [
        ("application/openmetrics-text; version=1.0.0", "", "a 1\n# EOF\n", "1"),
        ("application/openmetrics-text; version=1.0.0", "", "a 1\n", "0"),
        ("text/html", "", "a 1\n", "0"),
        ("text/html", ", fallback_scrape_protocol: PrometheusText0.0.4", "a 1\n", "1"),
    ] {
        target.set(200, content_type, body);
        let mut fixture = Fixture::new();
        fixture.apply(&format!("{{job_name: a{keys}, static_configs: [{{targets: ['{address}']}}]}}"));
        assert_eq!(value(&fixture.next().await, "up"), Some(up), "{content_type} {keys}");
        fixture.scraper.stop().await;
    }
}

#[tokio::test]
async fn classic_histograms_are_converted_when_asked_for() {
    let (_, address) =
        Target::start("# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 3\nh_sum 5\nh_count 3\n").await;
    let mut fixture = Fixture::new();
    fixture.apply(&format!(
        "{{job_name: a, convert_classic_histograms_to_nhcb: true, static_configs: [{{targets: ['{address}']}}]}}"
    ));
    let batch = fixture.next().await;
    assert!(value(&batch, "h").unwrap().contains("custom_values:[1] buckets:[1 2]"), "{batch:?}");
    assert_eq!(value(&batch, "h_bucket"), None);
}

#[tokio::test]
async fn files_of_targets_are_followed() {
    let (_, address) = Target::start("a 1\n").await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("one.json");
    let write = |zone: &str| {
        let text = format!(r#"[{{"targets": ["{address}"], "labels": {{"zone": "{zone}"}}}}]"#);
        std::fs::write(&path, text).unwrap();
    };
    write("a");
    let mut fixture = Fixture::new();
    let pattern = folder.path().join("*.json");
    fixture.apply(&format!("{{job_name: files, file_sd_configs: [{{files: ['{}']}}]}}", pattern.display()));
    let in_zone = |zone: &str, batch: &BTreeMap<String, String>, value: &str| {
        batch.iter().any(|(series, held)| {
            series.starts_with("{__name__=\"up\"") && series.contains(&format!("zone=\"{zone}\"")) && held == value
        })
    };
    fixture.until(|batch| in_zone("a", batch, "1")).await;
    write("other");
    fixture.until(|batch| in_zone("a", batch, "stale")).await;
    fixture.until(|batch| in_zone("other", batch, "1")).await;
    assert_eq!(fixture.scraper.active()[0].discovered_labels.get("__meta_filepath"), path.to_str());
    std::fs::remove_file(&path).unwrap();
    fixture.until(|batch| in_zone("other", batch, "stale")).await;
}

#[tokio::test]
async fn targets_from_http_are_followed() {
    let (_, address) = Target::start("a 1\n").await;
    let (source, source_address) = Target::start("").await;
    source.set(200, "application/json", &format!(r#"[{{"targets": ["{address}"], "labels": {{"__meta_x": "y"}}}}]"#));
    let mut fixture = Fixture::new();
    fixture.apply(&format!(
        "{{job_name: web, http_sd_configs: [{{url: 'http://{source_address}/targets', refresh_interval: 50ms, basic_auth: \
         {{username: me}}}}], relabel_configs: [{{source_labels: [__meta_x], target_label: x}}]}}"
    ));
    let batch = fixture.until(|batch| value(batch, "up") == Some("1")).await;
    assert!(batch.keys().all(|series| series.contains("x=\"y\"")), "{batch:?}");
    assert!(source.asked.lock().clone().unwrap().1.contains_key("authorization"));
    // An answer that is no list leaves the targets as they are; an empty list does not.
    source.set(500, "application/json", "[]");
    fixture.next().await;
    assert_eq!(fixture.scraper.active().len(), 1);
    source.set(200, "application/json", "[]");
    fixture.until(|batch| value(batch, "up") == Some("stale")).await;
}

#[tokio::test]
async fn a_proxy_is_asked_instead_of_the_target() {
    let (proxy, address) = Target::start("a 1\n").await;
    let mut fixture = Fixture::new();
    fixture.apply(&format!(
        "{{job_name: a, proxy_url: 'http://{address}', static_configs: [{{targets: ['nowhere.invalid:1234']}}]}}"
    ));
    assert_eq!(value(&fixture.next().await, "up"), Some("1"));
    assert_eq!(proxy.asked.lock().clone().unwrap().0, "http://nowhere.invalid:1234/metrics");
}

/// A target behind TLS whose certificate is for `name.example`; with the certificate in PEM.
async fn start_tls() -> (SocketAddr, String) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio_rustls::TlsAcceptor;
    use tokio_rustls::rustls::ServerConfig;
    use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;

    let own = rcgen::generate_simple_self_signed(vec!["name.example".to_owned()]).unwrap();
    let key = PrivatePkcs8KeyDer::from(own.signing_key.serialize_der()).into();
    let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![own.cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                // Who does not trust the certificate goes away here.
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let mut head = vec![0; 4096];
                let read = stream.read(&mut head).await.unwrap_or(0);
                let host = String::from_utf8_lossy(&head[..read]).to_lowercase().contains(&format!("host: {address}"));
                let body = format!("host_is_the_address {}\n", i32::from(host));
                let answer = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                    body.len()
                );
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
            });
        }
    });
    (address, own.cert.pem())
}

#[tokio::test]
async fn certificates_are_checked_as_configured() {
    let (address, pem) = start_tls().await;
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, pem).unwrap();
    let ca = ca.display();
    for (tls, up) in [
        ("{}".to_owned(), "0"),
        ("{insecure_skip_verify: true}".to_owned(), "1"),
        (format!("{{ca_file: '{ca}'}}"), "0"),
        (format!("{{ca_file: '{ca}', server_name: name.example}}"), "1"),
        (format!("{{ca_file: '{ca}', server_name: other.example}}"), "0"),
        ("{ca_file: /does/not/exist.pem}".to_owned(), "0"),
    ] {
        let mut fixture = Fixture::new();
        // The first handshakes of a slow machine need their time.
        fixture.apply(&format!(
            "{{job_name: a, scheme: https, scrape_interval: 2s, scrape_timeout: 2s, tls_config: {tls}, static_configs: [{{targets: ['{address}']}}]}}"
        ));
        let batch = fixture.next().await;
        assert_eq!(value(&batch, "up"), Some(up), "{tls}: {:?}", fixture.scraper.active());
        if tls.contains("name.example") {
            assert_eq!(value(&batch, "host_is_the_address"), Some("1"));
        }
        fixture.scraper.stop().await;
    }
}
