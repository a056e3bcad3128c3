//! Calls of object storage: S3 and its like.
//!
//! Any client is followed by [`Storage::run`], `aws-sdk-s3` for one; with the feature `object-store` a store of the crate
//! `object_store` is wrapped as a whole ([`Traced`]).
//!
//! ```
//! # async fn upload() -> Result<(), std::io::Error> {
//! use tripod::cloud::Storage;
//!
//! let images = Storage::s3("images").region("eu-central-1");
//! let put = async { Ok::<_, std::io::Error>(()) }; // client.put_object().bucket("images").key("cat.png").send()
//! images.run("PutObject", "cat.png", put).await?;
//! # Ok(())
//! # }
//! ```

#[cfg(feature = "object-store")]
mod store;

#[cfg(feature = "object-store")]
pub use store::Traced;

use std::error::Error;
use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use tracing::{Instrument as _, Span};

use crate::field::{Name, Value};
use crate::metrics::{Family, Histogram, MetricError, Registry};
use crate::span::SpanExt as _;
use crate::traces::Status;

/// A bucket as it is called from here. Cloning is cheap and shares.
#[derive(Clone, Debug)]
pub struct Storage(Arc<Shared>);

#[derive(Clone, Debug)]
struct Shared {
    system: Name,
    service: Name,
    bucket: String,
    region: Option<String>,
    duration: Option<Family<Histogram, 3>>,
}

/// Bounds in seconds.
const SECONDS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

impl Storage {
    /// A bucket of S3, or of a server that speaks its protocol.
    pub fn s3(bucket: impl Into<String>) -> Self {
        Self::new("aws-api", "S3", bucket)
    }

    /// A bucket of another system, with the service that names spans: `gcp`, `GCS`.
    pub fn new(system: impl Into<Name>, service: impl Into<Name>, bucket: impl Into<String>) -> Self {
        let shared = Shared {
            system: system.into(),
            service: service.into(),
            bucket: bucket.into(),
            region: None,
            duration: None,
        };
        Self(Arc::new(shared))
    }

    /// The region.
    #[must_use]
    pub fn region(mut self, region: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.0).region = Some(region.into());
        self
    }

    /// Measures calls in this registry: `object_storage_call_duration_seconds` with the labels `service`, `method` and
    /// `error_type`.
    ///
    /// # Errors
    /// When the name is in use for something else.
    pub fn metrics(mut self, registry: &Registry) -> Result<Self, MetricError> {
        let histogram = registry.histogram("object_storage_call_duration_seconds", "Calls of object storage");
        let family = histogram.buckets(SECONDS).labels(["service", "method", "error_type"]).register()?;
        Arc::make_mut(&mut self.0).duration = Some(family);
        Ok(self)
    }

    /// Begins a call by the method's name in the API of S3: `GetObject`, `PutObject`, `ListObjectsV2`. The key is empty for
    /// methods without one.
    pub fn call(&self, method: &'static str, key: &str) -> StorageCall {
        let shared = &self.0;
        let span = tracing::info_span!(
            target: "tripod::cloud",
            "storage",
            otel.name = format!("{}.{method}", shared.service),
            otel.kind = "client",
            rpc.system = shared.system.as_ref(),
            rpc.service = shared.service.as_ref(),
            rpc.method = method,
            aws.s3.bucket = shared.bucket.as_str(),
            aws.s3.key = (!key.is_empty()).then_some(key),
            cloud.region = shared.region.as_deref(),
        );
        StorageCall { storage: self.clone(), method, span, started: Instant::now(), ended: false }
    }

    /// Follows a call that any client makes.
    ///
    /// # Errors
    /// What the client gives.
    pub async fn run<T, E: Error>(
        &self,
        method: &'static str,
        key: &str,
        future: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let call = self.call(method, key);
        let result = future.instrument(call.span().clone()).await;
        match &result {
            Ok(_) => call.finish(),
            Err(error) => call.fail(error),
        }
        result
    }
}

/// A call of object storage. Ends with [`finish`](Self::finish) or [`fail`](Self::fail); dropped before, it counts as
/// cancelled.
#[derive(Debug)]
pub struct StorageCall {
    storage: Storage,
    method: &'static str,
    span: Span,
    started: Instant,
    ended: bool,
}

impl StorageCall {
    /// The span; what happens within it lies below the call.
    pub fn span(&self) -> &Span {
        &self.span
    }

    /// Sets an attribute: `aws.request_id` or any other.
    pub fn set(&mut self, name: impl Into<Name>, value: impl Into<Value>) -> &mut Self {
        self.span.set_attribute(name, value);
        self
    }

    /// The storage has answered.
    pub fn finish(mut self) {
        self.end("");
    }

    /// The call failed.
    pub fn fail(mut self, error: &(impl Error + ?Sized)) {
        self.end_failed(error);
    }

    fn end_failed(&mut self, error: &(impl Error + ?Sized)) {
        self.span.record_error(error);
        self.end("error");
    }

    /// `error` is empty when all went well.
    fn end(&mut self, error: &str) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        if let Some(duration) = &self.storage.0.duration {
            duration.with([&self.storage.0.service, self.method, error]).observe_duration(self.started.elapsed());
        }
        self.span.end();
    }
}

impl Drop for StorageCall {
    fn drop(&mut self) {
        if !self.ended {
            self.span.set_attribute("error.type", "cancelled");
            self.span.set_status(Status::Error("cancelled".into()));
            self.end("cancelled");
        }
    }
}

#[cfg(test)]
mod tests;
