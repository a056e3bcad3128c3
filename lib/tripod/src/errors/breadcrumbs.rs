//! The log lines before an error, by what they belong to.
//!
//! The `sentry` crate keeps breadcrumbs by thread, and a task that moves between threads loses its own and finds those of
//! others. Here they are kept by job, request or trace.

use std::collections::{HashMap, VecDeque};

use parking_lot::Mutex;

use crate::context::{JOB_ID, REQUEST_ID};
use crate::logs::LogEvent;

/// Requests and jobs whose lines are kept; the oldest go first.
const MAX_OWNERS: usize = 2_000;

/// Bytes of all lines that are kept.
const MAX_BYTES: usize = 4 << 20;

/// What a line belongs to: the job, or else the request, or else the trace.
pub(super) fn owner(event: &LogEvent) -> String {
    let id = |name: &str| event.get(name).and_then(|value| value.as_str()).map(|id| format!("{name}={id}"));
    id(JOB_ID)
        .or_else(|| id(REQUEST_ID))
        .or_else(|| event.span.as_ref().map(|span| format!("trace={}", span.trace_id)))
        .unwrap_or_default()
}

#[derive(Default)]
struct Trail {
    lines: VecDeque<LogEvent>,
    bytes: usize,
    /// An event was sent for it.
    reported: bool,
}

#[derive(Default)]
struct Trails {
    by_owner: HashMap<String, Trail>,
    /// The owners, the oldest first.
    order: VecDeque<String>,
    bytes: usize,
}

/// The lines of each request and job, the last of them.
pub(super) struct Breadcrumbs {
    per_owner: usize,
    trails: Mutex<Trails>,
}

impl Breadcrumbs {
    pub(super) fn new(per_owner: usize) -> Self {
        Self { per_owner, trails: Mutex::default() }
    }

    /// Keeps a line.
    pub(super) fn add(&self, owner: &str, event: &LogEvent) {
        if self.per_owner == 0 {
            return;
        }
        let mut trails = self.trails.lock();
        let bytes = event.size();
        let trail = trails.of(owner);
        trail.lines.push_back(event.clone());
        trail.bytes += bytes;
        let mut freed = 0;
        while trail.lines.len() > self.per_owner {
            if let Some(oldest) = trail.lines.pop_front() {
                freed += oldest.size();
            }
        }
        trail.bytes = trail.bytes.saturating_sub(freed);
        trails.bytes = (trails.bytes + bytes).saturating_sub(freed);
        trails.shrink();
    }

    /// The lines that were kept, the oldest first, and a note that an event was sent.
    pub(super) fn report(&self, owner: &str) -> Vec<LogEvent> {
        let mut trails = self.trails.lock();
        let trail = trails.of(owner);
        trail.reported = true;
        let lines = trail.lines.iter().cloned().collect();
        trails.shrink();
        lines
    }

    /// Whether an event was sent already. Lines that belong to nothing are never told apart.
    pub(super) fn is_reported(&self, owner: &str) -> bool {
        !owner.is_empty() && self.trails.lock().by_owner.get(owner).is_some_and(|trail| trail.reported)
    }
}

impl Trails {
    fn of(&mut self, owner: &str) -> &mut Trail {
        if !self.by_owner.contains_key(owner) {
            self.order.push_back(owner.to_owned());
        }
        self.by_owner.entry(owner.to_owned()).or_default()
    }

    fn shrink(&mut self) {
        while self.order.len() > MAX_OWNERS || (self.bytes > MAX_BYTES && self.order.len() > 1) {
            let Some(oldest) = self.order.pop_front() else { return };
            if let Some(trail) = self.by_owner.remove(&oldest) {
                self.bytes = self.bytes.saturating_sub(trail.bytes);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::Level;

    fn line(request: &str, text: &str) -> LogEvent {
        let mut event = LogEvent::new(Level::Info, "app", text.to_owned());
        event.set(REQUEST_ID, request.to_owned());
        event
    }

    #[test]
    fn lines_stay_with_their_request_and_are_bounded() {
        let breadcrumbs = Breadcrumbs::new(2);
        for (request, text) in [("a", "1"), ("b", "2"), ("a", "3"), ("a", "4")] {
            let event = line(request, text);
            breadcrumbs.add(&owner(&event), &event);
        }
        let texts = |request: &str| -> Vec<String> {
            let lines = breadcrumbs.report(&owner(&line(request, "")));
            lines.into_iter().map(|event| event.event.into_owned()).collect()
        };
        assert_eq!(texts("a"), ["3", "4"]);
        assert!(breadcrumbs.is_reported("request_id=a"));
        assert!(!breadcrumbs.is_reported("request_id=b"));
        for index in 0..MAX_OWNERS {
            let event = line(&format!("r{index}"), "x");
            breadcrumbs.add(&owner(&event), &event);
        }
        assert_eq!(texts("a"), [""; 0]);
        let trails = breadcrumbs.trails.lock();
        assert!(trails.order.len() <= MAX_OWNERS && trails.by_owner.len() == trails.order.len());
    }

    #[test]
    fn bytes_are_bounded() {
        let breadcrumbs = Breadcrumbs::new(100);
        for index in 0..100 {
            let event = line(&format!("r{index}"), &"x".repeat(100_000));
            breadcrumbs.add(&owner(&event), &event);
        }
        assert!(breadcrumbs.trails.lock().bytes <= MAX_BYTES);
    }
}
