use std::io::Read as _;
use std::time::Duration;

use prost::Message as _;

use super::payload::tests::PushRequest;
use super::*;
use crate::accounts::Reason;
use crate::logs::{JsonFormat, Level};
use crate::network::Retry;
use crate::network::stand_in::StandIn;

struct Fixture {
    loki: StandIn,
    sink: LokiSink,
    accounts: Accounts,
    _network: Network,
}

fn fixture(
    answers: &[&str],
    change: impl FnOnce(LokiSettings) -> LokiSettings,
    fallback: Option<Arc<WriteSink>>,
) -> Fixture {
    let loki = StandIn::start(answers);
    let network = Network::start().unwrap();
    let accounts = Accounts::new();
    let settings = LokiSettings::new(&format!("http://user:pass@{}", loki.address))
        .unwrap()
        .label("service", "api")
        .unwrap()
        .label("environment", "production")
        .unwrap()
        .tenant("team")
        .unwrap()
        .queue(QueueOptions {
            linger: Duration::from_millis(1),
            retry: Retry { attempts: 2, initial: Duration::from_millis(1), max: Duration::from_millis(1) },
            ..QueueOptions::default()
        });
    let sink = LokiSink::start(change(settings), JsonFormat::default(), fallback, &network, &accounts).unwrap();
    Fixture { loki, sink, accounts, _network: network }
}

fn later() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

fn emit(sink: &LokiSink) {
    let mut event = LogEvent::new(Level::Info, "app", "job_created");
    event.time = 1_768_559_445_123_456_000;
    event.set("job_type", "research");
    sink.emit(&event);
}

#[test]
fn lines_arrive_as_snappy_protobuf() {
    let fixture = fixture(&[], |settings| settings.label_field("job_type").unwrap(), None);
    emit(&fixture.sink);
    assert!(fixture.sink.flush(later()));
    let request = fixture.loki.next();
    assert_eq!(request.line, "POST /loki/api/v1/push HTTP/1.1");
    assert_eq!(request.header("content-type"), Some("application/x-protobuf"));
    assert_eq!(request.header("x-scope-orgid"), Some("team"));
    assert_eq!(request.header("authorization"), Some("Basic dXNlcjpwYXNz"));
    let bytes = snap::raw::Decoder::new().decompress_vec(&request.body).unwrap();
    let push = PushRequest::decode(bytes.as_slice()).unwrap();
    assert_eq!(
        push.streams[0].labels,
        r#"{environment="production", job_type="research", level="info", service="api"}"#
    );
    assert!(push.streams[0].entries[0].line.starts_with(r#"{"event":"job_created","job_type":"research""#));
    assert_eq!(fixture.accounts.open("loki", "logs").balance().delivered, 1);
}

#[test]
fn lines_arrive_as_json_in_gzip() {
    let fixture = fixture(&[], |settings| settings.encoding(Encoding::GzipJson), None);
    emit(&fixture.sink);
    let request = fixture.loki.next();
    assert_eq!(request.header("content-encoding"), Some("gzip"));
    let mut text = String::new();
    flate2::read::GzDecoder::new(request.body.as_slice()).read_to_string(&mut text).unwrap();
    let push: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(push["streams"][0]["stream"]["service"], "api");
    assert_eq!(push["streams"][0]["values"][0][0], "1768559445123456000");
}

#[test]
fn a_busy_loki_is_asked_again() {
    let fixture = fixture(&["503 Busy"], |settings| settings, None);
    emit(&fixture.sink);
    assert!(fixture.sink.flush(later()));
    assert_eq!(fixture.loki.next().body, fixture.loki.next().body);
    let balance = fixture.accounts.open("loki", "logs").balance();
    assert_eq!((balance.delivered, balance.retried, balance.dropped_total()), (1, 1, 0));
}

#[test]
fn what_loki_does_not_take_goes_to_the_console() {
    for (answers, reason) in [(["400 Bad", "400 Bad"], Reason::Refused), (["close", "500 Broken"], Reason::Retries)] {
        let (reader, writer) = io::pipe().unwrap();
        let accounts = Accounts::new();
        let console = Arc::new(WriteSink::new("pipe", writer, JsonFormat::default(), &accounts).unwrap());
        let fixture = fixture(&answers, |settings| settings.encoding(Encoding::Json), Some(console.clone()));
        emit(&fixture.sink);
        assert!(fixture.sink.flush(later()));
        assert!(console.flush(later()));
        let balance = fixture.accounts.open("loki", "logs").balance();
        assert_eq!(balance.dropped.iter().find(|(_, count)| *count > 0), Some(&(reason, 1)));
        drop((fixture, console));
        let text = io::read_to_string(reader).unwrap();
        let mut lines = text.lines();
        assert!(lines.next().unwrap().starts_with("Loki at http://127.0.0.1:"), "{text}");
        assert!(lines.next().unwrap().starts_with(r#"{"event":"job_created""#), "{text}");
    }
}
