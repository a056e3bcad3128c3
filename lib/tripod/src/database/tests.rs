use std::io;

use super::*;
use crate::field::Value;
use crate::testing::Capture;
use crate::traces::SpanKind;

#[test]
fn a_call_has_the_attributes_of_the_conventions() {
    let capture = Capture::new();
    let registry = Registry::new();
    capture.run(|| {
        let db = DbClient::new("postgresql").namespace("app").server("db", 5432).metrics(&registry).unwrap();
        for _ in 0..2 {
            let mut call = db.call("SELECT * FROM jobs WHERE owner = 'canary' LIMIT 10");
            call.rows(3);
            call.finish();
        }
        db.call("UPDATE jobs SET a = 1").fail(&io::Error::other("gone"), Some("57P01"));
        drop(db.operation("find", Some("users")));
    });
    let spans = capture.spans();
    assert_eq!(spans.len(), 4);
    let span = &spans[0];
    assert_eq!((span.name.as_ref(), span.kind), ("SELECT jobs", SpanKind::Client));
    for (name, value) in [
        ("db.system.name", Value::from("postgresql")),
        ("db.namespace", Value::from("app")),
        ("db.operation.name", Value::from("SELECT")),
        ("db.collection.name", Value::from("jobs")),
        ("db.query.summary", Value::from("SELECT jobs")),
        ("db.query.text", Value::from("SELECT * FROM jobs WHERE owner = ? LIMIT ?")),
        ("db.response.returned_rows", Value::Integer(3)),
        ("server.address", Value::from("db")),
    ] {
        assert_eq!(span.get(name), Some(&value), "{name}");
    }
    let failed = capture.span("UPDATE jobs");
    assert!(failed.is_error());
    assert_eq!(failed.get("db.response.status_code"), Some(&Value::from("57P01")));
    assert_eq!(failed.get("error.type"), Some(&Value::from("57P01")));
    assert_eq!(capture.span("find users").get("error.type"), Some(&Value::from("cancelled")));
    let text = registry.prometheus_text();
    let line = r#"db_client_operation_duration_seconds_count{db_system_name="postgresql",db_operation_name="SELECT",db_collection_name="jobs",error_type=""} 2"#;
    assert!(text.contains(line), "{text}");
}

#[test]
fn a_pool_is_looked_at_when_metrics_are_collected() {
    let registry = Registry::new();
    watch_pool(&registry, "main", || PoolState { idle: 2, used: 3, max: 10 });
    let text = registry.prometheus_text();
    for line in [
        r#"db_client_connection_count{pool="main",state="idle"} 2"#,
        r#"db_client_connection_count{pool="main",state="used"} 3"#,
        r#"db_client_connection_max{pool="main"} 10"#,
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}

#[cfg(feature = "sqlx")]
mod with_sqlite {
    use ::sqlx::sqlite::SqlitePoolOptions;
    use ::sqlx::{Executor as _, Row as _};

    use super::*;

    #[tokio::test]
    async fn queries_of_a_pool_a_connection_and_a_transaction_are_followed() {
        let capture = Capture::new();
        let registry = Registry::new();
        let run = async {
            let pool = SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await.unwrap();
            let db = DbClient::of_pool(&pool);
            DbClient::watch(&registry, "main", &pool);
            db.on(&pool).execute("CREATE TABLE jobs (id INTEGER, name TEXT)").await.unwrap();
            let mut transaction = pool.begin().await.unwrap();
            for id in 1..=3_i64 {
                ::sqlx::query("INSERT INTO jobs VALUES (?, 'canary')")
                    .bind(id)
                    .execute(db.on(&mut *transaction))
                    .await
                    .unwrap();
            }
            transaction.commit().await.unwrap();
            let rows =
                ::sqlx::query("SELECT id FROM jobs WHERE id > ?").bind(1_i64).fetch_all(db.on(&pool)).await.unwrap();
            assert_eq!(rows.iter().map(|row| row.get::<i64, _>(0)).collect::<Vec<_>>(), [2, 3]);
            let mut connection = pool.acquire().await.unwrap();
            let (name,): (String,) =
                ::sqlx::query_as("SELECT name FROM jobs LIMIT 1").fetch_one(db.on(&mut *connection)).await.unwrap();
            assert_eq!(name, "canary");
            drop(connection);
            assert!(::sqlx::query("SELECT nothing FROM nowhere").fetch_all(db.on(&pool)).await.is_err());
        };
        capture.attach(run).await;
        let spans: Vec<_> = capture.spans().into_iter().filter(|span| span.scope == "tripod::database").collect();
        let names: Vec<&str> = spans.iter().map(|span| span.name.as_ref()).collect();
        assert_eq!(
            names,
            [
                "CREATE jobs",
                "INSERT jobs",
                "INSERT jobs",
                "INSERT jobs",
                "SELECT jobs",
                "SELECT jobs",
                "SELECT nowhere"
            ]
        );
        assert_eq!(spans[1].get("db.query.text"), Some(&Value::from("INSERT INTO jobs VALUES (?)")));
        assert_eq!(spans[1].get("db.system.name"), Some(&Value::from("sqlite")));
        assert_eq!(spans[4].get("db.response.returned_rows"), Some(&Value::Integer(2)));
        assert_eq!(spans[5].get("db.response.returned_rows"), Some(&Value::Integer(1)));
        assert!(spans[..6].iter().all(|span| !span.is_error()));
        assert!(spans[6].is_error());
        assert_eq!(spans[6].get("db.response.status_code"), Some(&Value::from("1")));
        assert!(registry.prometheus_text().contains(r#"db_client_connection_max{pool="main"} 1"#));
    }
}

/// sqlx warns of slow statements by itself, with the whole statement. These are its fields; `tests/postgres.rs` has its own
/// lines.
#[test]
fn statements_in_the_lines_of_libraries_have_no_values() {
    let capture = Capture::new();
    capture.run(|| {
        tracing::warn!(
            target: "sqlx::query",
            summary = "SELECT 'canary-1', 2, …",
            db.statement = "\n\nSELECT 'canary-1', 2, 3 WHERE 1 = 1\n",
            rows_returned = 1,
            "slow statement: execution time exceeded alert threshold"
        );
        tracing::info_span!("query", db.query.text = "SELECT 'canary-2'").in_scope(|| ());
    });
    let line = capture.logs().remove(0);
    assert_eq!(line.get("db.statement"), Some(&Value::from("SELECT ? WHERE ? = ?")));
    assert_eq!(line.get("summary"), Some(&Value::from("SELECT ?, …")));
    assert_eq!(capture.span("query").get("db.query.text"), Some(&Value::from("SELECT ?")));
    assert!(!format!("{:?}{:?}", capture.logs(), capture.spans()).contains("canary"));
}
