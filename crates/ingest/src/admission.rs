use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use metrics::Gauge;

use crate::refusal::{Refusal, SOON};

/// How many requests are being worked on and how many bytes they hold, against what is allowed.
pub(crate) struct Admission {
    max_requests: usize,
    max_bytes: usize,
    requests: AtomicUsize,
    bytes: AtomicUsize,
    in_flight_bytes: Gauge,
}

impl Admission {
    pub(crate) fn new(max_requests: usize, max_bytes: usize, in_flight_bytes: Gauge) -> Arc<Self> {
        Arc::new(Self {
            max_requests,
            max_bytes,
            requests: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            in_flight_bytes,
        })
    }

    /// Lets a request in, or refuses it when there are as many as may be.
    pub(crate) fn enter(self: &Arc<Self>) -> Result<Permit, Refusal> {
        if !take(&self.requests, 1, self.max_requests) {
            let message = format!("{} requests are being worked on, the limit; try again in 1s", self.max_requests);
            return Err(Refusal::overloaded(message, SOON));
        }
        Ok(Permit { admission: Arc::clone(self), bytes: 0 })
    }

    #[cfg(test)]
    pub(crate) fn held(&self) -> (usize, usize) {
        (self.requests.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed))
    }
}

// Relaxed: the counts guard no other memory.
fn take(count: &AtomicUsize, more: usize, max: usize) -> bool {
    count
        .try_update(Ordering::Relaxed, Ordering::Relaxed, |held| held.checked_add(more).filter(|sum| *sum <= max))
        .is_ok()
}

/// One request's place, and the bytes that it holds. Gives both back when it is dropped, however the request ends.
pub(crate) struct Permit {
    admission: Arc<Admission>,
    bytes: usize,
}

impl Permit {
    /// Takes room for so many bytes more, before they are allocated.
    pub(crate) fn hold(&mut self, bytes: usize) -> Result<(), Refusal> {
        let admission = &self.admission;
        if !take(&admission.bytes, bytes, admission.max_bytes) {
            let message =
                format!("all requests together hold {} bytes, the limit; try again in 1s", admission.max_bytes);
            return Err(Refusal::overloaded(message, SOON));
        }
        admission.in_flight_bytes.increment(bytes as f64);
        self.bytes += bytes;
        Ok(())
    }

    /// Gives back what was taken beyond so many bytes.
    pub(crate) fn release_to(&mut self, bytes: usize) {
        let released = self.bytes.saturating_sub(bytes);
        self.bytes -= released;
        self.admission.bytes.fetch_sub(released, Ordering::Relaxed);
        self.admission.in_flight_bytes.decrement(released as f64);
    }

    /// How many bytes it holds.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.release_to(0);
        self.admission.requests.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::refusal::Reason;

    #[test]
    fn requests_and_bytes_are_bounded_and_given_back() {
        let admission = Admission::new(2, 100, Gauge::noop());
        let mut first = admission.enter().unwrap();
        let mut second = admission.enter().unwrap();
        assert_eq!(admission.enter().err().map(|refusal| refusal.reason), Some(Reason::Overloaded));
        first.hold(60).unwrap();
        assert!(second.hold(41).is_err());
        assert!(second.hold(usize::MAX).is_err());
        second.hold(40).unwrap();
        second.release_to(10);
        assert_eq!((admission.held(), second.bytes()), ((2, 70), 10));
        drop(first);
        assert_eq!(admission.held(), (1, 10));
        drop(second);
        assert_eq!(admission.held(), (0, 0));
    }
}
