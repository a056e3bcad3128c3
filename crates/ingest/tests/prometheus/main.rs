//! Scraping and remote write against programs that are not ours: Debian's `prometheus-node-exporter` and `prometheus`, and
//! the Python client. What is not installed is said and not run; `TRIPOD_PYTHON` names a Python with `prometheus-client`.

mod processes;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tempfile::TempDir;
use tripod_ingest::prometheus::exposition::{Format, Linter, ParseOptions, parse};
use tripod_ingest::prometheus::remote_write;
use tripod_ingest::prometheus::scrape::{ScrapeConfiguration, Scraper};
use tripod_ingest::{Ingest, Settings};
use tripod_model::series::{FloatHistogram, Labels};
use tripod_storage::memory::MemoryStore;
use tripod_storage::series::{LabelMatcher, MemorySeriesStore, MillisRange, SelectSeries, SeriesStore};

use processes::{Process, find, free_port, python};

/// How long to wait for what another program does.
const PATIENCE: Duration = Duration::from_secs(60);

async fn select(
    store: &MemorySeriesStore,
    matchers: &[(&str, &str)],
) -> Vec<(Labels, Vec<f64>, Vec<Arc<FloatHistogram>>)> {
    let matchers = matchers.iter().map(|(name, value)| LabelMatcher::equal(*name, *value)).collect();
    let selected = store.select_series(SelectSeries { matchers, range: MillisRange::ALL }).await.unwrap();
    selected
        .into_iter()
        .map(|series| {
            let samples = series.samples(MillisRange::ALL).unwrap();
            (series.labels, samples.floats.values, samples.histograms.values)
        })
        .collect()
}

/// Waits until the store has a series that fits.
async fn wait_for(store: &MemorySeriesStore, matchers: &[(&str, &str)], fits: impl Fn(&[f64]) -> bool) {
    let wait = async {
        loop {
            if select(store, matchers).await.iter().any(|(_, values, _)| fits(values)) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, wait).await.is_ok(), "{matchers:?} did not come");
}

fn scraper(store: &Arc<MemorySeriesStore>, jobs: &str) -> Arc<Scraper> {
    let text = format!("global: {{scrape_interval: 200ms}}\nscrape_configs: [{jobs}]");
    let scraper = Scraper::new(Arc::<MemorySeriesStore>::clone(store));
    scraper.apply(ScrapeConfiguration::from_yaml(&text, Path::new("/")).unwrap());
    scraper
}

#[tokio::test]
async fn node_exporter_is_scraped() {
    let Some(binary) = find("prometheus-node-exporter") else { return };
    let address = format!("127.0.0.1:{}", free_port());
    let _process = Process::start(&binary, &[format!("--web.listen-address={address}")]);
    let store = Arc::new(MemorySeriesStore::new());
    let scraper = scraper(&store, &format!("{{job_name: node, static_configs: [{{targets: ['{address}']}}]}}"));
    wait_for(&store, &[("__name__", "up")], |values| values.ends_with(&[1.0, 1.0])).await;
    scraper.stop().await;

    let count = |name: &'static str| async { select(&store, &[("__name__", name)]).await.len() };
    assert!(count("node_cpu_seconds_total").await >= 8);
    assert_eq!(count("node_load1").await, 1);
    let scraped = select(&store, &[("__name__", "scrape_samples_scraped")]).await;
    let all = select(&store, &[]).await;
    // All series of the last scrape, and the five about it.
    let last = *scraped[0].1.last().unwrap() as usize;
    assert!(all.len() >= last + 5, "{} series of {last} samples", all.len());
    assert!(
        all.iter().all(|(labels, ..)| labels.get("job") == Some("node") && labels.get("instance") == Some(&address))
    );
    let metadata = store.metadata(Some("node_load1")).await.unwrap();
    assert_eq!(metadata[0].1.help, "1m load average.");
}

#[tokio::test]
async fn prometheus_writes_remotely_what_it_scrapes() {
    let (Some(prometheus), Some(exporter)) = (find("prometheus"), find("prometheus-node-exporter")) else { return };
    let store = Arc::new(MemorySeriesStore::new());
    let ingest = Ingest::new(Arc::new(MemoryStore::default()), Settings::default());
    let series: Arc<dyn SeriesStore> = Arc::<MemorySeriesStore>::clone(&store);
    let router = Router::new().merge(remote_write::router(ingest, series));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let receiver = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });

    let target = format!("127.0.0.1:{}", free_port());
    let _exporter = Process::start(&exporter, &[format!("--web.listen-address={target}")]);
    let folder = TempDir::new().unwrap();
    let config = folder.path().join("prometheus.yml");
    let text = format!(
        "global: {{scrape_interval: 1s}}\nscrape_configs:\n  - job_name: node\n    static_configs: [{{targets: ['{target}']}}]\n\
         remote_write:\n  - url: http://{receiver}/api/v1/write\n    metadata_config: {{send_interval: 1s}}\n"
    );
    std::fs::write(&config, text).unwrap();
    let data = folder.path().join("data");
    let _prometheus = Process::start(
        &prometheus,
        &[
            format!("--config.file={}", config.display()),
            format!("--storage.tsdb.path={}", data.display()),
            format!("--web.listen-address=127.0.0.1:{}", free_port()),
            "--enable-feature=exemplar-storage,native-histograms".to_owned(),
        ],
    );
    wait_for(&store, &[("__name__", "up"), ("job", "node")], |values| values.ends_with(&[1.0, 1.0])).await;
    assert!(select(&store, &[("__name__", "node_cpu_seconds_total")]).await.len() >= 8);
    let wait = async {
        while store.metadata(Some("node_load1")).await.unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, wait).await.is_ok(), "no metadata came");
}

#[tokio::test]
async fn the_python_client_is_scraped_in_both_forms() {
    let Some(python) = python() else { return };
    let address = format!("127.0.0.1:{}", free_port());
    let port = address.rsplit(':').next().unwrap().to_owned();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/prometheus/client.py");
    let _process = Process::start(&python, &[script.display().to_string(), port]);
    for (protocol, exemplars, created) in
        [("OpenMetricsText1.0.0", 1, "jobs_created"), ("PrometheusText0.0.4", 0, "jobs_created")]
    {
        let store = Arc::new(MemorySeriesStore::new());
        let scraper = scraper(
            &store,
            &format!("{{job_name: py, scrape_protocols: [{protocol}], static_configs: [{{targets: ['{address}']}}]}}"),
        );
        wait_for(&store, &[("__name__", "up")], |values| values.ends_with(&[1.0, 1.0])).await;
        scraper.stop().await;
        let one = |matchers: &'static [(&'static str, &'static str)]| async {
            select(&store, matchers).await.first().and_then(|(_, values, _)| values.last().copied())
        };
        assert_eq!(one(&[("__name__", "jobs_total"), ("kind", "a\"b\\c\nd")]).await, Some(3.0));
        assert_eq!(one(&[("__name__", "temperature")]).await, Some(-1.5));
        assert_eq!(one(&[("__name__", "latency_seconds_bucket"), ("le", "1.0")]).await, Some(2.0));
        assert_eq!(one(&[("__name__", "latency_seconds_bucket"), ("le", "+Inf")]).await, Some(3.0));
        assert_eq!(one(&[("__name__", "latency_seconds_sum")]).await, Some(101.0));
        assert_eq!(one(&[("__name__", "size_count")]).await, Some(1.0));
        assert_eq!(one(&[("__name__", "build_info"), ("version", "1.2")]).await, Some(1.0));
        assert_eq!(select(&store, &[("__name__", created)]).await.len(), 1);
        let query = tripod_storage::series::LabelQuery { matcher_sets: vec![], range: MillisRange::ALL, limit: 0 };
        let found = store.exemplars(query).await.unwrap();
        assert_eq!(found.len(), exemplars, "{protocol}: {found:?}");
    }
}

/// `promtool check metrics` and ours say the same of the same.
#[test]
fn the_lint_says_what_promtool_says() {
    let Some(promtool) = find("promtool") else { return };
    for text in [
        "x 1\n",
        "# HELP x X.\n# TYPE x counter\nx 1\n",
        "# HELP x_total X.\n# TYPE x_total gauge\nx_total{aB=\"1\"} 1\n",
        "# HELP x_milliseconds X.\n# TYPE x_milliseconds gauge\nx_milliseconds 1\n",
        "# HELP x_ms X.\n# TYPE x_ms gauge\nx_ms{le=\"1\"} 1\n",
        "# HELP a_gauge X.\n# TYPE a_gauge gauge\na_gauge 1\n# HELP h H.\n# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\n",
        "# HELP a:b X.\n# TYPE a:b gauge\na:b 1\n",
        "# HELP s X.\n# TYPE s summary\ns{quantile=\"0.5\"} 1\ns_sum 1\ns_count 1\n# HELP c_count X.\n# TYPE c_count gauge\nc_count 1\n",
        "# HELP go_gc_seconds X.\n# TYPE go_gc_seconds untyped\ngo_gc_seconds 1\n",
    ] {
        let theirs = processes::run(&promtool, &["check", "metrics"], text);
        let mut theirs: Vec<_> = theirs.lines().map(str::to_owned).collect();
        let mut linter = Linter::default();
        parse(Format::Text, text.as_bytes(), &ParseOptions::default(), &mut linter).unwrap();
        let mut ours: Vec<_> = linter.finish().iter().map(ToString::to_string).collect();
        theirs.sort();
        theirs.dedup();
        ours.sort();
        assert_eq!(ours, theirs, "{text}");
    }
}
