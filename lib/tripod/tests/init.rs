//! `tripod::init` for the whole process. One test, since a process has one global subscriber.

use std::time::Duration;

use tripod::InitError;
use tripod::settings::Variables;

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_service_begins_logs_panics_and_ends() {
    let wrong = Variables::from_pairs([("LOG_LEVEL", "loud"), ("TRACE_SAMPLE_RATE", "2")]);
    let Err(InitError::Settings(mistakes)) = tripod::builder("app").variables(wrong).init() else {
        panic!("wrong settings are refused")
    };
    assert_eq!(mistakes.0.len(), 2);

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("app.log");
    let pairs = [("ENVIRONMENT", "production"), ("LOG_STDOUT", "false"), ("LOG_FILE", path.to_str().unwrap())];
    let variables = Variables::from_pairs(pairs);
    let tripod = tripod::builder("app").variables(variables.with_prefix("APP_")).init().unwrap();
    let again = tripod::builder("app").variables(Variables::from_pairs([("LOG_STDOUT", "false")])).init();
    assert!(matches!(again, Err(InitError::AlreadyInitialised)));

    let request = tripod::context::Context::new().with("request_id", "r1");
    let task = request.scope(async {
        let span = tracing::info_span!("request");
        let job = span.in_scope(|| tripod::spawn(async { tracing::info!(n = 1, "in_background") }));
        drop(span);
        job.await.unwrap();
        tripod::spawn(async { panic!("on purpose") }).await.unwrap_err();
        log::warn!(target: "some_library", "retrying in {} ms", 5);
        log::debug!(target: "some_library", "too detailed");
    });
    task.await;
    tripod.levels().set_text("error").unwrap();
    tracing::info!("not any more");
    log::warn!("not any more");
    assert_eq!(log::max_level(), log::LevelFilter::Error);
    assert!(tripod.shutdown(Duration::from_secs(60)).complete);

    let lines = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<serde_json::Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let events: Vec<_> = lines.iter().map(|line| line["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["in_background", "panic", "retrying in 5 ms"]);
    for line in &lines {
        assert_eq!(line["request_id"], "r1");
    }
    assert!(lines[0]["trace_id"].is_string());
    assert_eq!((&lines[2]["logger"], &lines[2]["level"]), (&"some_library".into(), &"warning".into()));
}
