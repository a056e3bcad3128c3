use axum::body::to_bytes;
use axum::http::Request as HttpRequest;
use tower::ServiceExt;
use tripod_model::series::is_stale;
use tripod_storage::memory::MemoryStore;
use tripod_storage::series::{MemorySeriesStore, MillisRange, SelectSeries};

use super::*;
use crate::Settings;

struct Server {
    store: Arc<MemorySeriesStore>,
    pushes: Arc<Pushes>,
    router: Router,
}

impl Server {
    fn new(settings: PushSettings) -> Self {
        let store = Arc::new(MemorySeriesStore::new());
        let pushes = Pushes::new(Arc::<MemorySeriesStore>::clone(&store), settings);
        let ingest = Ingest::new(Arc::new(MemoryStore::default()), Settings::default());
        Self { router: router(ingest, Arc::clone(&pushes)), pushes, store }
    }

    async fn send(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let request = HttpRequest::builder().method(method).uri(path).body(Body::from(body.to_owned())).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let text = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, String::from_utf8(text.to_vec()).unwrap())
    }

    /// The last value of each series.
    async fn last(&self) -> Vec<String> {
        let select = SelectSeries { matchers: vec![], range: MillisRange::ALL };
        let mut lines = Vec::new();
        for series in self.store.select_series(select).await.unwrap() {
            let samples = series.samples(MillisRange::ALL).unwrap();
            let last = *samples.floats.values.last().unwrap();
            if !series.labels.metric_name().unwrap().starts_with("push_") {
                let value = if is_stale(last) { "stale".to_owned() } else { last.to_string() };
                lines.push(format!("{} {value} x{}", series.labels, samples.len()));
            }
        }
        lines
    }
}

#[tokio::test]
async fn groups_are_replaced_added_to_and_removed() {
    let server = Server::new(PushSettings::default());
    let path = "/metrics/job/backup/zone/eu";
    assert_eq!(server.send("PUT", path, "# TYPE a counter\na{job=\"mine\"} 1\nb 2\n").await, (200, String::new()));
    let labels = r#"job="backup", zone="eu""#;
    assert_eq!(
        server.last().await,
        [format!(r#"{{__name__="a", {labels}}} 1 x1"#), format!(r#"{{__name__="b", {labels}}} 2 x1"#)]
    );
    // Only what has the same name is replaced.
    server.send("POST", path, "b{x=\"1\"} 3\n").await;
    assert_eq!(
        server.last().await,
        [
            format!(r#"{{__name__="a", {labels}}} 1 x2"#),
            r#"{__name__="b", job="backup", x="1", zone="eu"} 3 x1"#.to_owned(),
            format!(r#"{{__name__="b", {labels}}} stale x2"#),
        ]
    );
    // Another group is another matter; all values come again.
    server.send("PUT", "/metrics/job@base64/YmFja3Vw", "a 9\n").await;
    server.pushes.append_again().await;
    assert_eq!(server.last().await[0], r#"{__name__="a", job="backup"} 9 x2"#);
    assert_eq!(server.send("DELETE", path, "").await.0, 202);
    let last = server.last().await;
    assert!(last[1..].iter().all(|line| line.contains("} stale x")), "{last:?}");
    server.pushes.append_again().await;
    assert_eq!(server.last().await[0], r#"{__name__="a", job="backup"} 9 x3"#);
}

#[tokio::test]
async fn what_cannot_be_kept_is_refused() {
    let server = Server::new(PushSettings { max_groups: 1, max_series: 2, ..PushSettings::default() });
    let path = "/metrics/job/a";
    for (method, path, body, status, message) in [
        ("PUT", path, "x 1 1000\n", 400, "must not have timestamps"),
        ("PUT", path, "x{ 1\n", 400, "line 1, column 4"),
        ("PUT", path, "x 1\nx{job=\"b\"} 2\n", 400, "pushed twice"),
        ("PUT", path, "x 1\ny 1\nz 1\n", 413, "more than 2 series"),
        ("PUT", path, "x 1\n", 200, ""),
        ("PUT", "/metrics/job/b", "x 1\n", 413, "more than 1 groups"),
        ("PUT", "/metrics/job/b/c", "x 1\n", 400, "has no value"),
        ("GET", path, "", 405, ""),
    ] {
        let (given, text) = server.send(method, path, body).await;
        assert_eq!(given, status, "{method} {path} {body}: {text}");
        assert!(text.contains(message), "{text}");
    }
}
