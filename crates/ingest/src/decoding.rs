use bytes::Bytes;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use crate::admission::Permit;
use crate::compression::{Encoding, decompress};
use crate::refusal::{Reason, Refusal};

/// Up to this size a body is decoded where it arrived: about a millisecond. Above, that would keep other connections of
/// the same thread waiting.
const MAX_INLINE_BYTES: usize = 256 * 1024;

/// Decompresses and decodes bodies, large ones on threads of their own.
///
/// `spawn_blocking` rather than `block_in_place`: the latter stalls the other futures of its task, which under HTTP/2
/// are the other requests of the connection, and panics on a current-thread runtime.
pub(crate) struct Decoding {
    max_decompressed_bytes: usize,
    // As many large bodies at a time as there are cores: more would only share the same cores and hold memory longer.
    large: Semaphore,
}

/// A decoded body.
pub(crate) struct Decoded<T> {
    pub(crate) value: T,
    /// The body's size after decompression.
    pub(crate) decompressed_bytes: usize,
    /// What the body holds until the store has answered.
    pub(crate) permit: Permit,
}

impl Decoding {
    pub(crate) fn new(max_decompressed_bytes: usize) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self { max_decompressed_bytes, large: Semaphore::new(cores) }
    }

    /// Decompresses a body that holds its bytes with the permit, and decodes it.
    ///
    /// When the future is dropped, a body that is being decoded on another thread keeps its permit to the end of that,
    /// so that what is counted is what is there.
    pub(crate) async fn decode<T: Send + 'static>(
        &self,
        encoding: Encoding,
        received: Bytes,
        permit: Permit,
        decode: impl FnOnce(&[u8]) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<Decoded<T>, Refusal> {
        let mut body = Compressed { encoding, received, permit };
        if body.expected_size() <= MAX_INLINE_BYTES {
            match body.decompress(self.max_decompressed_bytes.min(MAX_INLINE_BYTES)) {
                // It was more than expected. Begin again beside, where there is time for it.
                Err(refusal) if refusal.reason == Reason::TooLarge => {}
                decompressed => return body.decode(decompressed?, decode),
            }
        }
        // The semaphore is never closed; if it were, decoding without a turn would do no harm.
        let turn = self.large.acquire().await.ok();
        let limit = self.max_decompressed_bytes;
        let decoded = spawn_blocking(move || {
            let decompressed = body.decompress(limit)?;
            body.decode(decompressed, decode)
        });
        let decoded = decoded.await;
        drop(turn);
        decoded.unwrap_or_else(|error| {
            tracing::error!(%error, "a decoder panicked");
            Err(Refusal::new(Reason::Failed, "the server failed to decode the request; its log says more"))
        })
    }
}

struct Compressed {
    encoding: Encoding,
    received: Bytes,
    permit: Permit,
}

impl Compressed {
    /// A guess: streamed Zstandard does not tell, and telemetry compresses to a tenth or so.
    fn expected_size(&self) -> usize {
        self.encoding.claimed_size(&self.received).unwrap_or(self.received.len().saturating_mul(10))
    }

    fn decompress(&mut self, limit: usize) -> Result<Bytes, Refusal> {
        if self.encoding != Encoding::Identity {
            return decompress(self.encoding, &self.received, limit, &mut self.permit).map(Bytes::from);
        }
        if self.received.len() > limit {
            return Err(crate::compression::too_large(limit));
        }
        Ok(self.received.clone())
    }

    fn decode<T>(
        self,
        decompressed: Bytes,
        decode: impl FnOnce(&[u8]) -> Result<T, Refusal>,
    ) -> Result<Decoded<T>, Refusal> {
        let value = decode(&decompressed)?;
        Ok(Decoded { value, decompressed_bytes: decompressed.len(), permit: self.permit })
    }
}

#[cfg(test)]
mod tests {
    use metrics::Gauge;

    use super::*;
    use crate::admission::Admission;

    #[tokio::test]
    async fn small_and_large_bodies_are_decoded_and_give_their_bytes_back() {
        let decoding = Decoding::new(1 << 20);
        let admission = Admission::new(1, usize::MAX, Gauge::noop());
        for size in [0, 10, MAX_INLINE_BYTES, MAX_INLINE_BYTES + 1, 1 << 20] {
            let body = vec![1; size];
            let compressed = zstd::encode_all(body.as_slice(), 1).unwrap();
            for (encoding, received) in [(Encoding::Identity, body), (Encoding::Zstd, compressed)] {
                let permit = admission.enter().unwrap();
                let caller = std::thread::current().id();
                let decode = move |body: &[u8]| Ok((body.len(), std::thread::current().id() == caller));
                let decoded = decoding.decode(encoding, received.into(), permit, decode).await.unwrap();
                assert_eq!(decoded.value, (size, size <= MAX_INLINE_BYTES), "{encoding:?}");
                assert_eq!(decoded.decompressed_bytes, size);
            }
        }
        assert_eq!(admission.held(), (0, 0));
    }

    #[tokio::test]
    async fn a_false_claim_of_a_small_size_does_no_harm() {
        // Two gzip members: the trailer of the second one claims the size of that member only.
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut encoder, &vec![1; 300_000]).unwrap();
        let mut received = encoder.finish().unwrap();
        received.extend(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()).finish().unwrap());
        let admission = Admission::new(1, usize::MAX, Gauge::noop());
        for (limit, expected) in [(300_000, Ok(300_000)), (299_999, Err(Reason::TooLarge))] {
            let permit = admission.enter().unwrap();
            let decoded = Decoding::new(limit)
                .decode(Encoding::Gzip, received.clone().into(), permit, |body| Ok(body.len()))
                .await
                .map(|decoded| decoded.value)
                .map_err(|refusal| refusal.reason);
            assert_eq!(decoded, expected);
        }
        assert_eq!(admission.held(), (0, 0));
    }

    #[tokio::test]
    async fn a_panic_in_a_decoder_is_a_refusal() {
        let admission = Admission::new(1, usize::MAX, Gauge::noop());
        let permit = admission.enter().unwrap();
        let body = Bytes::from(vec![0; MAX_INLINE_BYTES + 1]);
        let decode = |_: &[u8]| -> Result<(), Refusal> { panic!("on purpose") };
        let refusal = Decoding::new(1 << 20).decode(Encoding::Identity, body, permit, decode).await.err();
        assert_eq!(refusal.map(|refusal| refusal.reason), Some(Reason::Failed));
        assert_eq!(admission.held(), (0, 0));
    }
}
