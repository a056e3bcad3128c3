//! Stores of the crate `object_store` 0.13 with a span for every call.

use std::fmt;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::Stream;
use futures_core::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions,
    PutOptions, PutPayload, PutResult, RenameOptions, Result, UploadPart,
};
use tracing::Instrument as _;

use super::{Storage, StorageCall};

/// A store whose calls have a span each. The span of a download ends when its bytes begin to come; that of a list when its
/// last entry has come or nobody wants more.
#[derive(Clone, Debug)]
pub struct Traced<S> {
    inner: S,
    storage: Storage,
}

impl Storage {
    /// Follows the calls of a store.
    pub fn wrap<S: ObjectStore>(&self, store: S) -> Traced<S> {
        Traced { inner: store, storage: self.clone() }
    }
}

impl<S: fmt::Display> fmt::Display for Traced<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

fn ended<T>(mut call: StorageCall, result: Result<T>) -> Result<T> {
    match &result {
        Ok(_) => call.end(""),
        Err(error) => call.end_failed(error),
    }
    result
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: ObjectStore> ObjectStore for Traced<S> {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let mut call = self.storage.call("PutObject", location.as_ref());
        call.set("http.request.body.size", payload.content_length());
        let future = self.inner.put_opts(location, payload, options).instrument(call.span().clone());
        ended(call, future.await)
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let call = self.storage.call("CreateMultipartUpload", location.as_ref());
        let future = self.inner.put_multipart_opts(location, options).instrument(call.span().clone());
        let inner = ended(call, future.await)?;
        Ok(Box::new(Upload { inner, storage: self.storage.clone(), location: location.clone(), parts: 0 }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let method = if options.head { "HeadObject" } else { "GetObject" };
        let mut call = self.storage.call(method, location.as_ref());
        let result = self.inner.get_opts(location, options).instrument(call.span().clone()).await;
        if let Ok(answer) = &result {
            call.set("http.response.body.size", answer.range.end.saturating_sub(answer.range.start));
        }
        ended(call, result)
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let mut call = self.storage.call("GetObject", location.as_ref());
        call.set("range_count", ranges.len());
        let future = self.inner.get_ranges(location, ranges).instrument(call.span().clone());
        ended(call, future.await)
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let call = self.storage.call("DeleteObjects", "");
        Box::pin(Followed { inner: self.inner.delete_stream(locations), call, entries: 0 })
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let call = self.storage.call("ListObjectsV2", prefix.map(AsRef::as_ref).unwrap_or_default());
        Box::pin(Followed { inner: self.inner.list(prefix), call, entries: 0 })
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        let call = self.storage.call("ListObjectsV2", prefix.map(AsRef::as_ref).unwrap_or_default());
        Box::pin(Followed { inner: self.inner.list_with_offset(prefix, offset), call, entries: 0 })
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let call = self.storage.call("ListObjectsV2", prefix.map(AsRef::as_ref).unwrap_or_default());
        let future = self.inner.list_with_delimiter(prefix).instrument(call.span().clone());
        ended(call, future.await)
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let mut call = self.storage.call("CopyObject", to.as_ref());
        call.set("aws.s3.copy_source", from.to_string());
        let future = self.inner.copy_opts(from, to, options).instrument(call.span().clone());
        ended(call, future.await)
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        let mut call = self.storage.call("RenameObject", to.as_ref());
        call.set("aws.s3.copy_source", from.to_string());
        let future = self.inner.rename_opts(from, to, options).instrument(call.span().clone());
        ended(call, future.await)
    }
}

/// Entries on their way to the application; ends the call with the last.
struct Followed<T> {
    inner: BoxStream<'static, Result<T>>,
    call: StorageCall,
    entries: u64,
}

impl<T> Stream for Followed<T> {
    type Item = Result<T>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self { inner, call, entries } = &mut *self;
        let polled = call.span().clone().in_scope(|| inner.as_mut().poll_next(context));
        match &polled {
            Poll::Pending => {}
            Poll::Ready(Some(Ok(_))) => *entries += 1,
            Poll::Ready(Some(Err(error))) => call.end_failed(error),
            Poll::Ready(None) => {
                call.set("entry_count", *entries);
                call.end("");
            }
        }
        polled
    }
}

impl<T> Drop for Followed<T> {
    fn drop(&mut self) {
        // Whoever has seen enough has not cancelled anything.
        self.call.set("entry_count", self.entries);
        self.call.end("");
    }
}

#[derive(Debug)]
struct Upload {
    inner: Box<dyn MultipartUpload>,
    storage: Storage,
    location: Path,
    parts: u64,
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.parts += 1;
        let mut call = self.storage.call("UploadPart", self.location.as_ref());
        call.set("aws.s3.part_number", self.parts);
        call.set("http.request.body.size", data.content_length());
        let part = self.inner.put_part(data);
        Box::pin(async move {
            let future = part.instrument(call.span().clone());
            ended(call, future.await)
        })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let call = self.storage.call("CompleteMultipartUpload", self.location.as_ref());
        let future = self.inner.complete().instrument(call.span().clone());
        ended(call, future.await)
    }

    async fn abort(&mut self) -> Result<()> {
        let call = self.storage.call("AbortMultipartUpload", self.location.as_ref());
        let future = self.inner.abort().instrument(call.span().clone());
        ended(call, future.await)
    }
}
