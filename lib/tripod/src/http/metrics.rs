//! What is counted about requests, and under which names.

use std::time::Duration;

use crate::field::Name;
use crate::metrics::{Counter, DEFAULT_BUCKETS, Family, Gauge, GaugeGuard, Histogram, MetricError, Registry};

/// The names of the metrics of a server. All have the labels `endpoint` (the matched route), `method` and `status_code`,
/// the gauge only `method`.
#[derive(Clone, Debug)]
pub struct HttpMetrics {
    requests: Option<Name>,
    duration: Option<Name>,
    in_flight: Option<Name>,
    endpoint: &'static str,
    status: &'static str,
    namespaced: bool,
    buckets: Vec<f64>,
}

impl Default for HttpMetrics {
    fn default() -> Self {
        Self::standard()
    }
}

impl HttpMetrics {
    /// `http_requests_total`, `http_request_duration_seconds` and `http_requests_in_flight`, the same in every service.
    pub fn standard() -> Self {
        Self {
            requests: Some("http_requests_total".into()),
            duration: Some("http_request_duration_seconds".into()),
            in_flight: Some("http_requests_in_flight".into()),
            endpoint: "endpoint",
            status: "status_code",
            namespaced: false,
            buckets: DEFAULT_BUCKETS.to_vec(),
        }
    }

    /// `PREFIX_api_latency_seconds` and `PREFIX_api_requests_in_flight`, with the namespace of the registry.
    pub fn api_latency() -> Self {
        Self {
            requests: None,
            duration: Some("api_latency_seconds".into()),
            in_flight: Some("api_requests_in_flight".into()),
            namespaced: true,
            ..Self::standard()
        }
    }

    /// No metrics.
    pub fn none() -> Self {
        Self { requests: None, duration: None, in_flight: None, ..Self::standard() }
    }

    /// The name of the counter of requests, or `None` for none: the histogram counts them as well.
    pub fn requests(mut self, name: Option<&'static str>) -> Self {
        self.requests = name.map(Name::Borrowed);
        self
    }

    /// The name of the latency histogram, in seconds.
    pub fn duration(mut self, name: Option<&'static str>) -> Self {
        self.duration = name.map(Name::Borrowed);
        self
    }

    /// The name of the gauge of requests in flight.
    pub fn in_flight(mut self, name: Option<&'static str>) -> Self {
        self.in_flight = name.map(Name::Borrowed);
        self
    }

    /// The names of the labels of route and status: `handler` and `status` in some dashboards.
    pub fn labels(mut self, endpoint: &'static str, status: &'static str) -> Self {
        self.endpoint = endpoint;
        self.status = status;
        self
    }

    /// Whether the names get the namespace of the registry.
    pub fn namespaced(mut self, namespaced: bool) -> Self {
        self.namespaced = namespaced;
        self
    }

    /// The bounds of the latency histogram, in seconds.
    pub fn buckets(mut self, bounds: &[f64]) -> Self {
        self.buckets = bounds.to_vec();
        self
    }

    pub(super) fn register(self, registry: &Registry) -> Result<Instruments, MetricError> {
        let labels = [self.endpoint, "method", self.status];
        let requests = self.requests.map(|name| {
            let counter = registry.counter(name, "Requests that were answered, by matched route");
            let counter = if self.namespaced { counter } else { counter.without_namespace() };
            counter.labels(labels).register()
        });
        let duration = self.duration.map(|name| {
            let histogram = registry.histogram(name, "Time from a request to the end of its response");
            let histogram = histogram.unit("seconds").buckets(&self.buckets);
            let histogram = if self.namespaced { histogram } else { histogram.without_namespace() };
            histogram.labels(labels).register()
        });
        let in_flight = self.in_flight.map(|name| {
            let gauge = registry.gauge(name, "Requests that are being answered");
            let gauge = if self.namespaced { gauge } else { gauge.without_namespace() };
            gauge.labels(["method"]).register()
        });
        Ok(Instruments {
            requests: requests.transpose()?,
            duration: duration.transpose()?,
            in_flight: in_flight.transpose()?,
        })
    }
}

/// The registered metrics.
#[derive(Clone, Debug)]
pub(super) struct Instruments {
    requests: Option<Family<Counter, 3>>,
    duration: Option<Family<Histogram, 3>>,
    in_flight: Option<Family<Gauge, 1>>,
}

impl Instruments {
    pub(super) fn track(&self, method: &'static str) -> Option<GaugeGuard> {
        self.in_flight.as_ref().map(|gauge| gauge.with([method]).track())
    }

    pub(super) fn record(&self, endpoint: &str, method: &'static str, status: u16, took: Duration) {
        let mut digits = itoa::Buffer::new();
        let labels = [endpoint, method, digits.format(status)];
        if let Some(requests) = &self.requests {
            requests.with(labels).inc();
        }
        if let Some(duration) = &self.duration {
            duration.with(labels).observe_duration(took);
        }
    }
}
