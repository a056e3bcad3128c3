//! What the SDK does itself: the books of its sinks and the CPU time of its thread, as `tripod_self_*`.

use std::fs;
use std::path::PathBuf;

use parking_lot::Mutex;

use super::collector::{Collection, Collector};
use super::exemplar::now;
use crate::accounts::Accounts;

/// The `tripod_self_*` metrics: emitted, delivered, retried, dropped by reason and queued by sink and signal, time spent
/// exporting, and CPU time of the SDK's own threads.
#[derive(Debug)]
pub struct OwnMetrics {
    accounts: Accounts,
    created: u64,
    threads: Mutex<Vec<PathBuf>>,
}

impl OwnMetrics {
    /// Over these books.
    pub fn new(accounts: Accounts) -> Self {
        Self { accounts, created: now(), threads: Mutex::default() }
    }

    /// Counts the CPU time of the calling thread as the SDK's own.
    pub fn count_this_thread(&self) {
        // The link says `PID/task/TID`.
        if let Ok(thread) = fs::read_link("/proc/thread-self") {
            self.threads.lock().push(PathBuf::from("/proc").join(thread).join("schedstat"));
        }
    }

    /// The first number is the nanoseconds that the thread has run.
    fn cpu_seconds(&self) -> Option<f64> {
        let threads = self.threads.lock();
        let nanoseconds = threads
            .iter()
            .filter_map(|path| fs::read_to_string(path).ok()?.split_ascii_whitespace().next()?.parse::<u64>().ok());
        (!threads.is_empty()).then(|| nanoseconds.sum::<u64>() as f64 / 1e9)
    }
}

impl Collector for OwnMetrics {
    fn collect(&self, out: &mut Collection) {
        out.since(self.created);
        for book in self.accounts.balances() {
            let labels = || [("sink".into(), book.sink.clone()), ("signal".into(), book.signal.to_owned())];
            out.counter("tripod_self_emitted_total", "Items handed to a sink", labels(), book.emitted as f64);
            out.counter("tripod_self_delivered_total", "Items that a sink delivered", labels(), book.delivered as f64);
            out.counter("tripod_self_retried_total", "Items that a sink sent again", labels(), book.retried as f64);
            out.gauge("tripod_self_queued_bytes", "Bytes that wait for a sink", labels(), book.queued_bytes as f64);
            out.counter("tripod_self_exports_total", "Attempts of a sink to export", labels(), book.exports as f64);
            out.counter(
                "tripod_self_export_seconds_total",
                "Time that the attempts to export took",
                labels(),
                book.export_nanoseconds as f64 / 1e9,
            );
            for (reason, dropped) in book.dropped {
                let [sink, signal] = labels();
                let labels = [sink, signal, ("reason".into(), reason.as_str().to_owned())];
                out.counter("tripod_self_dropped_total", "Items that a sink lost, by reason", labels, dropped as f64);
            }
        }
        if let Some(seconds) = self.cpu_seconds() {
            out.counter("tripod_self_cpu_seconds_total", "CPU time of the SDK's own threads", [], seconds);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::accounts::Reason;
    use crate::metrics::Registry;

    #[test]
    fn the_books_of_a_sink_are_metrics() {
        let accounts = Accounts::new();
        let account = accounts.open("otlp", "spans");
        account.emit(10);
        account.deliver(7);
        account.drop(Reason::QueueFull, 3);
        account.queue(128);
        account.export(std::time::Duration::from_millis(250));
        let own = Arc::new(OwnMetrics::new(accounts));
        own.count_this_thread();
        let registry = Registry::builder().namespace("sixseven").build().unwrap();
        registry.collect(move |out: &mut Collection| own.collect(out));
        let snapshot = registry.snapshot();
        let labels = [("sink", "otlp"), ("signal", "spans")];
        assert_eq!(snapshot.value("tripod_self_emitted_total", &labels), Some(10.0));
        assert_eq!(snapshot.value("tripod_self_delivered_total", &labels), Some(7.0));
        assert_eq!(snapshot.value("tripod_self_queued_bytes", &labels), Some(128.0));
        assert_eq!(snapshot.value("tripod_self_export_seconds_total", &labels), Some(0.25));
        let dropped = [("sink", "otlp"), ("signal", "spans"), ("reason", "queue_full")];
        assert_eq!(snapshot.value("tripod_self_dropped_total", &dropped), Some(3.0));
        #[cfg(target_os = "linux")]
        assert!(snapshot.value("tripod_self_cpu_seconds_total", &[]).is_some());
    }
}
