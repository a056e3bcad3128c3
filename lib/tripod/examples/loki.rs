//! Pushes lines to Loki as its input says:
//! `LOKI_ENDPOINT=http://localhost:3100 LOG_STDOUT=false cargo run -p tripod --example loki -- snappy`.
//!
//! Each line of the input is a name and a number: four threads log so many lines each under that name. When these are
//! delivered or given up, the books of the sink are said on standard error. `interop/sdk/loki.py` drives this.

use std::io::BufRead as _;
use std::time::{Duration, Instant};

use tripod::context::Context;
use tripod::network::{QueueOptions, Retry};
use tripod::sinks::loki::Encoding;

/// What a line of JSON, a label of Go and a line break could stumble over.
const AWKWARD: &str = "a \"quoted\" \\ text\nwith two lines, tabs\t and ü€🦀";

fn log(batch: &str, thread: usize, count: usize) {
    let request = format!("{batch}-{thread}");
    let _context = Context::new().with("request_id", request).with("user_id", "u-7").enter();
    let _span = tracing::info_span!("handle_command").entered();
    let job_type = if thread.is_multiple_of(2) { "research" } else { "creative" };
    for number in 0..count {
        match number % 3 {
            0 => tracing::info!(
                batch,
                thread,
                number,
                job_type,
                text = AWKWARD,
                password = "canary-hunter2",
                "line_logged"
            ),
            1 => tracing::warn!(batch, thread, number, job_type, "slow_line"),
            _ => tracing::error!(batch, thread, number, job_type, "line_failed"),
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let encoding = match std::env::args().nth(1).as_deref() {
        Some("gzip") => Encoding::GzipJson,
        Some("json") => Encoding::Json,
        _ => Encoding::Snappy,
    };
    let builder = tripod::builder("loki-example").settings(move |settings| {
        let Some(loki) = settings.logs.loki.take() else { return };
        let retry = Retry { attempts: 3, initial: Duration::from_millis(50), max: Duration::from_millis(200) };
        let queue =
            QueueOptions { linger: Duration::from_millis(50), batch_items: 100, retry, ..QueueOptions::default() };
        let loki = loki.encoding(encoding).structured_metadata().queue(queue);
        settings.logs.loki = loki.label_field("job_type").and_then(|loki| loki.tenant("team-a")).ok();
    });
    let tripod = builder.init()?;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let (batch, count) = line.split_once(' ').ok_or("expected a name and a number")?;
        let count = count.parse()?;
        std::thread::scope(|scope| (0..4).for_each(|thread| _ = scope.spawn(move || log(batch, thread, count))));
        tripod.layer().flush(Instant::now() + Duration::from_secs(60));
        for books in tripod.accounts().balances().iter().filter(|books| books.sink == "loki") {
            eprintln!("{} {} {}", books.emitted, books.delivered, books.dropped_total());
        }
    }
    tripod.shutdown(Duration::from_secs(5));
    Ok(())
}
