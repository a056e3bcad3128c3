//! sqlx followed on a real PostgreSQL: a cluster of the test's own, in a directory of its own, reached by a socket there.
#![cfg(feature = "sqlx")]

use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{Executor as _, Row as _};
use tripod::database::DbClient;
use tripod::field::Value;
use tripod::health::{Status, checks};
use tripod::logs::LogEvent;
use tripod::metrics::Registry;
use tripod::testing::Capture;

/// The user that runs the server when the test runs as root, which PostgreSQL refuses to: `nobody`.
const NOBODY: u32 = 65_534;

/// A running server; ends with it.
struct Cluster {
    server: Child,
    directory: tempfile::TempDir,
}

impl Cluster {
    /// `None` where PostgreSQL is not installed; everything else that goes wrong fails the test.
    fn start() -> Option<Self> {
        let programs = programs()?;
        let directory = tempfile::tempdir().unwrap();
        let owner = directory.path().metadata().unwrap().uid();
        let run = |program: &str| {
            let mut command = Command::new(programs.join(program));
            if owner == 0 {
                command.uid(NOBODY).gid(NOBODY);
            }
            command.current_dir(directory.path()).stdin(Stdio::null());
            command
        };
        if owner == 0 {
            chown(directory.path(), Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let data = directory.path().join("data");
        let made = run("initdb").args(["--auth=trust", "--no-sync", "--username=tripod", "-D"]).arg(&data).output();
        let made = made.unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        // No port of the network, and no waiting for a disk.
        let server = run("postgres")
            .args(["-h", "", "-F", "-k"])
            .arg(directory.path())
            .arg("-D")
            .arg(&data)
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(directory.path().join("server.log")).unwrap())
            .spawn()
            .unwrap();
        Some(Self { server, directory })
    }

    /// A pool, once the server answers.
    async fn pool(&mut self) -> PgPool {
        let options = PgConnectOptions::new().socket(self.directory.path()).username("tripod").database("postgres");
        loop {
            match PgPoolOptions::new().max_connections(3).connect_with(options.clone()).await {
                Ok(pool) => return pool,
                Err(error) => {
                    let log = std::fs::read_to_string(self.directory.path().join("server.log")).unwrap_or_default();
                    assert!(self.server.try_wait().unwrap().is_none(), "{error}\n{log}");
                    tokio::task::yield_now().await;
                }
            }
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// Where `initdb` and `postgres` are: on the path, or where Debian keeps them.
fn programs() -> Option<PathBuf> {
    let has_both = |folder: &Path| folder.join("initdb").is_file() && folder.join("postgres").is_file();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    std::env::split_paths(&path).chain(debian.map(|version| version.path().join("bin"))).find(|folder| has_both(folder))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_rows_errors_and_the_pool_are_followed_on_a_real_server() {
    let Some(mut cluster) = Cluster::start() else {
        eprintln!("\n*** SKIPPED: PostgreSQL is not installed (Debian package postgresql); nothing was proven ***\n");
        return;
    };
    let pool = cluster.pool().await;
    let registry = Registry::new();
    let db = DbClient::of_pool(&pool).namespace("postgres").metrics(&registry).unwrap();
    DbClient::watch(&registry, "main", &pool);
    let capture = Capture::new();
    let work = async {
        db.on(&pool).execute("CREATE TABLE jobs (id BIGINT PRIMARY KEY, name TEXT NOT NULL, done BOOL)").await.unwrap();
        let mut transaction = pool.begin().await.unwrap();
        for id in 1..=3_i64 {
            let insert = sqlx::query("INSERT INTO jobs (id, name) VALUES ($1, 'canary-secret')").bind(id);
            assert_eq!(insert.execute(db.on(&mut *transaction)).await.unwrap().rows_affected(), 1);
        }
        transaction.commit().await.unwrap();
        let rows = sqlx::query("SELECT id FROM jobs WHERE id > $1 AND name = 'canary-secret' ORDER BY id").bind(1_i64);
        let rows = rows.fetch_all(db.on(&pool)).await.unwrap();
        assert_eq!(rows.iter().map(|row| row.get::<i64, _>(0)).collect::<Vec<_>>(), [2, 3]);
        let done = sqlx::query("UPDATE jobs SET done = TRUE WHERE id IN (1, 2)").execute(db.on(&pool)).await.unwrap();
        assert_eq!(done.rows_affected(), 2);
        // The primary key is there already; the message holds a value.
        let again = sqlx::query("INSERT INTO jobs VALUES ($1, $2)").bind(1_i64).bind("x").execute(db.on(&pool)).await;
        assert!(again.is_err());
        assert!(sqlx::query("SELECT nothing FROM nowhere").fetch_all(db.on(&pool)).await.is_err());
        let absent = sqlx::query("SELECT id FROM jobs WHERE id = 99").fetch_optional(db.on(&pool)).await.unwrap();
        assert!(absent.is_none());
    };
    capture.attach(work).await;

    let spans: Vec<_> = capture.spans().into_iter().filter(|span| span.scope == "tripod::database").collect();
    let names: Vec<&str> = spans.iter().map(|span| span.name.as_ref()).collect();
    let expected =
        ["CREATE jobs", "INSERT jobs", "INSERT jobs", "INSERT jobs", "SELECT jobs", "UPDATE jobs", "INSERT jobs"];
    assert_eq!(names, [&expected[..], &["SELECT nowhere", "SELECT jobs"]].concat());
    let text = |index: usize, name: &str| spans[index].get(name).and_then(Value::as_str).map(str::to_owned);
    assert_eq!(text(0, "db.system.name").as_deref(), Some("postgresql"));
    assert_eq!(text(0, "db.namespace").as_deref(), Some("postgres"));
    let insert = "INSERT INTO jobs (id, name) VALUES ($1, ?)";
    assert_eq!(text(1, "db.query.text").as_deref(), Some(insert));
    assert_eq!(spans[4].get("db.response.returned_rows"), Some(&Value::Integer(2)));
    assert_eq!(spans[8].get("db.response.returned_rows"), Some(&Value::Integer(0)));
    // sqlx itself writes statements as they are into lines of its own, at debug, or at warning when they were slow.
    let shown = |line: &LogEvent| line.get("db.statement").and_then(Value::as_str).unwrap_or_default().to_owned();
    let own: Vec<_> = capture.logs().iter().filter(|line| line.logger == "sqlx::query").map(shown).collect();
    assert!(own.iter().any(|statement| statement.contains(insert)), "{own:?}");
    let all = format!("{:?}{:?}", capture.spans(), capture.logs());
    assert!(!all.contains("canary-secret"), "{all}");
    // PostgreSQL's own codes: unique_violation, undefined_table.
    assert_eq!(text(6, "db.response.status_code").as_deref(), Some("23505"));
    assert_eq!(text(7, "db.response.status_code").as_deref(), Some("42P01"));
    assert!(spans.iter().enumerate().all(|(index, span)| span.is_error() == matches!(index, 6 | 7)));

    let exposed = registry.prometheus_text();
    let inserts = r#"db_client_operation_duration_seconds_count{db_system_name="postgresql",db_operation_name="INSERT",db_collection_name="jobs",error_type=""} 3.0"#;
    assert!(exposed.contains(inserts), "{exposed}");
    assert!(exposed.contains(r#"db_client_connection_max{pool="main"} 3.0"#), "{exposed}");

    let tripod = tripod::health::Health::new(tripod::health::Service::new("1", "test"));
    tripod.add(checks::postgres(pool.clone()));
    tripod.add(checks::extension("language", pool.clone(), "plpgsql"));
    let report = tripod.report().await;
    assert_eq!(report.status, Status::Healthy, "{}", report.to_json());
    tripod.add(checks::extension("pgvector", pool.clone(), "vector"));
    let report = tripod.report().await;
    assert_eq!(report.status, Status::Unhealthy);
    assert!(report.to_json().contains("CREATE EXTENSION"), "{}", report.to_json());

    // A server that is gone is said, not waited for.
    drop(cluster);
    let gone = tripod::health::Health::new(tripod::health::Service::new("1", "test"));
    gone.add(checks::postgres(pool));
    assert_eq!(gone.report().await.status, Status::Unhealthy);
}
