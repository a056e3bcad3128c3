//! `#[traced]` on functions of all kinds.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use futures::stream::{self, BoxStream, Stream, StreamExt as _};
use tripod::logs::{ConsoleFormat, Format as _, JsonFormat};
use tripod::testing::Capture;
use tripod::traces::{SpanKind, Status};
use tripod::{SpanExt as _, traced};

#[derive(Debug)]
struct Refused(u32);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "refused {}", self.0)
    }
}

impl std::error::Error for Refused {}

#[traced]
fn double(n: u32) -> u32 {
    if n > 100 {
        return 0;
    }
    2 * n
}

#[traced("math.checked", args(n, %label, ?list), level = "debug", kind = "client")]
fn checked<'a>(n: u32, label: &'a str, list: &[u8], _secret: &str) -> Result<&'a str, Refused> {
    let _ = list;
    if n > 1 {
        Err(Refused(n))?
    }
    Ok(label)
}

#[traced]
fn shown(fail: bool) -> Result<(), String> {
    if fail { Err("in words".to_owned()) } else { Ok(()) }
}

struct Service {
    factor: u32,
}

impl Service {
    #[traced(name = "service.call", args(n))]
    async fn call<T: Into<u32> + tracing::Value + Copy>(&self, n: T) -> Result<u32, Refused> {
        tokio::task::yield_now().await;
        tracing::Span::current().set_attribute("inside", true);
        let n = double(n.into());
        if n > 10 {
            return Err(Refused(n));
        }
        Ok(n * self.factor)
    }

    #[traced]
    fn boxed(&self, n: u32) -> Pin<Box<dyn Future<Output = Result<u32, Refused>> + Send + '_>> {
        Box::pin(async move { self.call(n).await })
    }
}

#[traced]
fn counted(to: u32) -> impl Stream<Item = Result<u32, Refused>> {
    stream::iter(1..=to).map(|n| if n == 3 { Err(Refused(n)) } else { Ok(n) })
}

#[traced]
fn boxed_stream<'a>(to: u32) -> BoxStream<'a, u32> {
    stream::iter(0..to).boxed()
}

#[test]
fn functions_have_spans_with_arguments_and_status() {
    let capture = Capture::new();
    capture.run(|| {
        assert_eq!((double(2), double(200)), (4, 0));
        assert_eq!(checked(1, "l", &[1], "hidden").unwrap(), "l");
    });
    let span = capture.span("math.checked");
    assert_eq!(span.kind, SpanKind::Client);
    assert_eq!(span.get("function.name"), Some(&"checked".into()));
    assert_eq!(span.get("arg.n"), Some(&1u64.into()));
    assert_eq!(span.get("arg.label"), Some(&"l".into()));
    assert_eq!(span.get("arg.list"), Some(&"[1]".into()));
    assert_eq!(span.get("status"), Some(&"success".into()));
    assert!(!format!("{span:?}").contains("hidden"));
    assert_eq!(capture.spans().iter().filter(|span| span.name == "double").count(), 2);

    capture.clear();
    capture.run(|| {
        checked(2, "l", &[], "").unwrap_err();
        shown(true).unwrap_err();
        shown(false).unwrap();
    });
    let span = capture.span("math.checked");
    assert_eq!(span.status, Status::Error("refused 2".into()));
    assert_eq!(span.get("status"), Some(&"error".into()));
    assert_eq!(span.get("error.type"), Some(&"traced::Refused".into()));
    assert_eq!(span.get("error.message"), Some(&"refused 2".into()));
    assert_eq!(span.events[0].name, "exception");
    let shown: Vec<_> = capture.spans().into_iter().filter(|span| span.name == "shown").collect();
    assert_eq!(shown[0].get("error.message"), Some(&"in words".into()));
    assert_eq!(shown[1].get("status"), Some(&"success".into()));
}

#[tokio::test]
async fn futures_keep_their_span_over_awaits() {
    let capture = Capture::new();
    let service = Service { factor: 3 };
    let work = async {
        assert_eq!(service.boxed(2).await.unwrap(), 12);
        service.call(9u32).await.unwrap_err();
    };
    capture.attach(work).await;
    assert_eq!(capture.tree(), "boxed\n  service.call\n    double\nservice.call\n  double\n");
    let failed = capture.spans().into_iter().find(|span| span.is_error()).unwrap();
    assert_eq!(failed.get("inside"), Some(&true.into()));
    assert_eq!(failed.get("arg.n"), Some(&9u64.into()));
    assert_eq!(failed.get("error.message"), Some(&"refused 18".into()));
    assert_eq!(capture.span("boxed").get("status"), Some(&"success".into()));
}

#[tokio::test]
async fn a_streams_span_lasts_until_its_end() {
    let capture = Capture::new();
    let work = async {
        let items: Vec<_> = counted(4).collect().await;
        assert_eq!(items.len(), 4);
        let mut stream = boxed_stream(5);
        stream.next().await;
        assert_eq!(capture.spans().len(), 1, "the second stream is under way");
        drop(stream);
        assert_eq!(boxed_stream(0).next().await, None);
    };
    capture.attach(work).await;
    let span = capture.span("counted");
    assert_eq!((span.get("stream.items"), span.get("status")), (Some(&4u64.into()), Some(&"error".into())));
    assert_eq!(span.get("error.message"), Some(&"refused 3".into()));
    let boxed: Vec<_> = capture.spans().into_iter().filter(|span| span.name == "boxed_stream").collect();
    assert_eq!(boxed[0].get("status"), Some(&"cancelled".into()));
    assert_eq!(boxed[1].get("status"), Some(&"success".into()));
}

#[traced("jobs.run")]
fn logs() {
    tracing::info!("within");
    tracing::info_span!("inner").in_scope(|| tracing::info!("deeper"));
    elsewhere::logs();
}

mod elsewhere {
    pub(super) fn logs() {
        tracing::info!("elsewhere");
    }
}

#[test]
fn lines_know_the_function_in_which_they_are_written() {
    let capture = Capture::new();
    capture.run(|| {
        logs();
        tracing::info!("without");
    });
    let place = |line: &str| {
        let line = capture.log(line);
        (line.module, line.function)
    };
    assert_eq!(place("within"), (Some("traced"), Some("logs")));
    // Another span is the innermost, or another module's function was called: nobody knows.
    assert_eq!(place("deeper"), (Some("traced"), None));
    assert_eq!(place("elsewhere"), (Some("traced::elsewhere"), None));
    assert_eq!(place("without"), (Some("traced"), None));
    let span = capture.span("jobs.run");
    assert!(span.attributes.iter().all(|(name, _)| !name.starts_with("fn:")), "{span:?}");

    let mut line = Vec::new();
    let format = JsonFormat::default().with_source();
    format.write(&capture.log("within"), &mut line);
    let line: serde_json::Value = serde_json::from_slice(&line).unwrap();
    assert_eq!((&line["module"], &line["function"]), (&"traced".into(), &"logs".into()));
    assert!(line["file"].as_str().unwrap().ends_with("traced.rs") && line["line"].is_u64());
    let mut text = Vec::new();
    ConsoleFormat::plain().write(&capture.log("within"), &mut text);
    assert!(String::from_utf8(text).unwrap().contains("| traced:logs:"));
}
