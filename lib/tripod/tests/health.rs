//! Health over a real socket: shape, status codes, timeout, cache, shutdown.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Barrier, Semaphore};
use tripod::health::{Check, Health, Outcome, Service, checks};
use tripod::metrics::Registry;

struct Server {
    address: SocketAddr,
    health: Health,
    registry: Registry,
}

async fn serve() -> Server {
    let (registry, health) = (Registry::new(), Health::new(Service::new("1.0.0", "production")));
    health.expose(&registry).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = tripod::routes::<()>(&registry, &health);
    tokio::spawn(async move { axum::serve(listener, router).await });
    Server { address, health, registry }
}

/// Status, head and body of one request.
async fn get(address: SocketAddr, path: &str, headers: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), head.to_ascii_lowercase(), body.to_owned())
}

async fn health(server: &Server, path: &str) -> (u16, Value) {
    let (status, head, body) = get(server.address, path, "").await;
    assert!(head.contains("content-type: application/json"), "{head}");
    (status, serde_json::from_str(&body).unwrap())
}

#[tokio::test]
async fn the_json_has_the_shape_of_the_guide() {
    let server = serve().await;
    server.health.add(Check::new("database", || async { Outcome::healthy("Database connection successful") }));
    server.health.add(Check::new("embedding_model", || async {
        Outcome::healthy("Embedding model functional, vector size: 512").detail("embedding_dimension", 512)
    }));
    let (status, mut body) = health(&server, "/health").await;
    assert_eq!(status, 200);
    let keys: Vec<&String> = body.as_object().unwrap().keys().collect();
    let mut expected = vec!["status", "timestamp", "version", "environment", "uptime_seconds", "checks"];
    expected.sort_unstable();
    assert_eq!(keys, expected);
    let timestamp = body["timestamp"].take();
    chrono::DateTime::parse_from_rfc3339(timestamp.as_str().unwrap()).unwrap();
    assert!(timestamp.as_str().unwrap().ends_with('Z'));
    assert!(body["uptime_seconds"].take().as_f64().unwrap() >= 0.0);
    for check in body["checks"].as_array_mut().unwrap() {
        assert!(check["duration_ms"].take().as_f64().unwrap() >= 0.0);
    }
    assert_eq!(
        body,
        json!({
            "status": "healthy",
            "timestamp": null,
            "version": "1.0.0",
            "environment": "production",
            "uptime_seconds": null,
            "checks": [
                {
                    "name": "database",
                    "status": "healthy",
                    "duration_ms": null,
                    "message": "Database connection successful"
                },
                {
                    "name": "embedding_model",
                    "status": "healthy",
                    "duration_ms": null,
                    "message": "Embedding model functional, vector size: 512",
                    "details": {"embedding_dimension": 512}
                }
            ]
        })
    );
}

#[tokio::test]
async fn the_members_stand_in_the_order_of_the_guide() {
    let server = serve().await;
    server.health.add(Check::new("a", || async { Outcome::degraded("slow \"disk\"\n").detail("n", 1) }));
    let (_, _, body) = get(server.address, "/health", "").await;
    let order =
        ["{\"status\"", "timestamp", "version", "environment", "uptime_seconds", "checks", "name", "duration_ms"];
    let places: Vec<usize> = order.iter().map(|key| body.find(key).unwrap()).collect();
    assert!(places.is_sorted(), "{body}");
    assert!(body.ends_with(r#""message":"slow \"disk\"\n","details":{"n":1}}]}"#), "{body}");
}

#[tokio::test]
async fn status_codes_follow_the_worst_check_that_matters() {
    let server = serve().await;
    assert_eq!(health(&server, "/health").await.0, 200);
    server.health.add(Check::new("cache", || async { Outcome::unhealthy("gone") }).optional());
    let (status, body) = health(&server, "/health").await;
    assert_eq!((status, &body["status"], &body["checks"][0]["status"]), (200, &json!("degraded"), &json!("unhealthy")));
    let (status, body) = health(&server, "/health/ready").await;
    assert_eq!((status, &body["status"], &body["checks"]), (200, &json!("healthy"), &json!([])));
    let failing = || async { Err::<Outcome, _>("connection refused") };
    server.health.add(Check::new("database", failing));
    let (status, body) = health(&server, "/health").await;
    assert_eq!((status, &body["status"]), (503, &json!("unhealthy")));
    assert_eq!(body["checks"][1]["message"], "connection refused");
    assert_eq!(health(&server, "/health/ready").await.0, 503);
    let (status, body) = health(&server, "/health/live").await;
    assert_eq!((status, &body["status"]), (200, &json!("healthy")));
    let (_, _, metrics) = get(server.address, "/metrics", "").await;
    assert!(metrics.contains("health_check_status{check=\"database\"} 0.0\n"), "{metrics}");
}

#[tokio::test]
async fn a_check_that_hangs_or_panics_is_unhealthy_and_harms_no_other() {
    let server = serve().await;
    server.health.add(Check::new("hangs", std::future::pending::<Outcome>).timeout(Duration::from_millis(20)));
    server.health.add(Check::new("panics", || async {
        if true {
            panic!("a bug in a check");
        }
        Outcome::healthy("")
    }));
    server.health.add(Check::new("works", || async { Outcome::healthy("fine") }));
    let (status, body) = health(&server, "/health").await;
    assert_eq!(status, 503);
    assert_eq!(body["checks"][0]["message"], "The check took longer than 20ms");
    assert_eq!(body["checks"][1]["message"], "The check panicked");
    assert_eq!(body["checks"][2]["status"], "healthy");
    assert_eq!(server.registry.snapshot().value("health_check_status", &[("check", "panics")]), Some(0.0));
    assert_eq!(server.registry.snapshot().value("health_check_status", &[("check", "works")]), Some(1.0));
}

#[tokio::test]
async fn checks_run_side_by_side() {
    let server = serve().await;
    // Each check waits for the other: one after the other, neither would end.
    let barrier = Arc::new(Barrier::new(2));
    for name in ["left", "right"] {
        let barrier = barrier.clone();
        server.health.add(Check::new(name, move || {
            let barrier = barrier.clone();
            async move {
                barrier.wait().await;
                Outcome::healthy("met")
            }
        }));
    }
    assert_eq!(health(&server, "/health").await.0, 200);
}

#[tokio::test]
async fn requests_at_the_same_time_share_one_run() {
    let server = serve().await;
    let (runs, gate) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
    let check = {
        let (runs, gate) = (runs.clone(), gate.clone());
        move || {
            let (runs, gate) = (runs.clone(), gate.clone());
            async move {
                runs.fetch_add(1, Relaxed);
                gate.acquire().await.map(|_| Outcome::healthy("open"))
            }
        }
    };
    server.health.add(Check::new("slow", check).cache(Duration::from_secs(60)).timeout(Duration::from_secs(60)));
    let requests: Vec<_> = (0..8)
        .map(|_| {
            let health = server.health.clone();
            tokio::spawn(async move { health.report().await })
        })
        .collect();
    gate.add_permits(1);
    for request in requests {
        assert_eq!(request.await.unwrap().http_status(), 200);
    }
    assert_eq!(health(&server, "/health").await.0, 200);
    assert_eq!(runs.load(Relaxed), 1);
}

#[tokio::test]
async fn a_service_that_shuts_down_is_alive_but_not_ready() {
    let server = serve().await;
    server.health.drain();
    let (status, body) = health(&server, "/health/ready").await;
    assert_eq!((status, &body["checks"][0]["message"]), (503, &json!("The service is shutting down")));
    assert_eq!(health(&server, "/health/live").await.0, 200);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn memory_and_disk_are_known() {
    let server = serve().await;
    server.health.add(checks::memory());
    server.health.add(checks::disk("/"));
    server.health.add(checks::disk("/no/such/path"));
    let report = server.health.report().await;
    assert!(report.checks[0].outcome.message.starts_with("Memory usage: "), "{report:?}");
    // The same name: the second disk has taken the place of the first.
    assert_eq!(report.checks.len(), 2);
    assert!(report.checks[1].outcome.message.contains("/no/such/path"), "{report:?}");
}

#[tokio::test]
async fn metrics_are_negotiated() {
    let server = serve().await;
    server.registry.counter("hits_total", "Hits").register().unwrap().inc();
    let (status, head, body) = get(server.address, "/metrics", "").await;
    assert_eq!(status, 200);
    assert!(head.contains("content-type: text/plain; version=0.0.4; charset=utf-8"), "{head}");
    assert!(body.contains("# TYPE hits_total counter\nhits_total 1.0\n"), "{body}");
    let accept = "Accept: application/openmetrics-text; version=1.0.0\r\n";
    let (_, head, body) = get(server.address, "/metrics", accept).await;
    assert!(head.contains("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8"), "{head}");
    assert!(body.contains("# TYPE hits counter\n") && body.ends_with("# EOF\n"), "{body}");
}

#[tokio::test]
async fn a_service_is_asked_over_http() {
    let answers = axum::Router::new()
        .route("/well", axum::routing::get(|| async { "well" }))
        .route("/ill", axum::routing::get(|| async { axum::http::StatusCode::BAD_GATEWAY }));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let other = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, answers).await });
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();

    let server = serve().await;
    server.health.add(checks::http_service("well", &format!("http://{other}/well")).unwrap().cache(Duration::ZERO));
    server.health.add(checks::http_service("ill", &format!("http://{other}/ill")).unwrap());
    server.health.add(checks::http_service("gone", &format!("http://{closed}/")).unwrap());
    // Twice, the second time over the connection that was kept.
    for _ in 0..2 {
        let (status, body) = health(&server, "/health").await;
        assert_eq!(status, 503);
        assert_eq!(body["checks"][0]["message"], "well answered 200 OK");
        assert_eq!(body["checks"][1]["details"], json!({"status_code": 502}));
        assert_eq!(body["checks"][1]["status"], "unhealthy");
        assert!(body["checks"][2]["message"].as_str().unwrap().starts_with("gone cannot be reached"), "{body}");
    }
    assert!(checks::http_service("none", "ftp://example.com").is_err());
}

#[cfg(feature = "object-store")]
#[tokio::test]
async fn a_bucket_need_not_hold_the_object() {
    use object_store::memory::InMemory;
    let server = serve().await;
    server.health.add(checks::bucket("images", Arc::new(InMemory::new()), "health"));
    let (status, body) = health(&server, "/health").await;
    assert_eq!((status, &body["checks"][0]["message"]), (200, &json!("The bucket can be read")));
}

/// Runs when `TRIPOD_TEST_POSTGRES` names a database, such as `postgres://postgres@localhost/postgres`.
#[cfg(feature = "sqlx")]
#[tokio::test]
async fn a_database_and_its_extensions_are_asked() {
    use sqlx::postgres::PgPoolOptions;
    let server = serve().await;
    let nobody = PgPoolOptions::new().connect_lazy("postgres://nobody@127.0.0.1:1/none").unwrap();
    server.health.add(checks::postgres(nobody).timeout(Duration::from_millis(200)));
    let (status, body) = health(&server, "/health").await;
    assert_eq!((status, &body["checks"][0]["status"]), (503, &json!("unhealthy")));

    let Ok(url) = std::env::var("TRIPOD_TEST_POSTGRES") else { return };
    let pool = PgPoolOptions::new().connect_lazy(&url).unwrap();
    server.health.add(checks::postgres(pool.clone()));
    server.health.add(checks::extension("plpgsql", pool.clone(), "plpgsql"));
    server.health.add(checks::extension("pgvector", pool, "no_such_extension").optional());
    let (status, body) = health(&server, "/health").await;
    assert_eq!((status, &body["status"]), (200, &json!("degraded")));
    assert_eq!(body["checks"][0]["message"], "Database connection successful");
    assert!(body["checks"][0]["details"]["pool_connections"].as_u64().unwrap() >= 1);
    assert_eq!(body["checks"][1]["message"], "plpgsql extension is available");
    assert_eq!(body["checks"][2]["status"], "unhealthy");
}
