use std::io::{self, Read};

use flate2::bufread::{MultiGzDecoder, ZlibDecoder};
use http::{HeaderMap, HeaderName};

use crate::admission::Permit;
use crate::refusal::{Reason, Refusal};

/// The first piece of output that is allocated when the size is unknown; pieces double from there.
const FIRST_PIECE: usize = 16 * 1024;

/// What a sender may claim about the decompressed size and be believed; beyond, memory grows with what really comes.
const MAX_BELIEVED: usize = 1024 * 1024;

/// Zstandard windows are at most 8 MiB in the HTTP content coding (RFC 9659). Without a bound a frame of a few bytes
/// makes the decoder allocate 128 MiB.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// How a body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Identity,
    Gzip,
    Zstd,
    /// The zlib format, as the HTTP content coding `deflate` is defined.
    Deflate,
    /// One block of Snappy, as remote write has it; not the framed format.
    Snappy,
}

/// The names that are accepted, for a header and for messages.
pub(crate) const ACCEPTED: &str = "gzip, zstd, deflate, identity";

impl Encoding {
    /// Reads `Content-Encoding` or `grpc-encoding`. One compression at most: a stack of them serves bombs only.
    pub(crate) fn from_headers(headers: &HeaderMap, name: &HeaderName) -> Result<Self, Refusal> {
        let mut encoding = Self::Identity;
        for value in headers.get_all(name) {
            let text = value.to_str().map_err(|_| unsupported(name, &String::from_utf8_lossy(value.as_bytes())))?;
            for coding in text.split(',').map(str::trim) {
                let next = match coding {
                    "" => continue,
                    _ if coding.eq_ignore_ascii_case("identity") => continue,
                    _ if coding.eq_ignore_ascii_case("gzip") || coding.eq_ignore_ascii_case("x-gzip") => Self::Gzip,
                    _ if coding.eq_ignore_ascii_case("zstd") => Self::Zstd,
                    _ if coding.eq_ignore_ascii_case("deflate") => Self::Deflate,
                    _ => return Err(unsupported(name, coding)),
                };
                if encoding != Self::Identity {
                    let message = format!("{name}: \"{text}\" compresses more than once; compress once");
                    return Err(Refusal::new(Reason::UnsupportedEncoding, message));
                }
                encoding = next;
            }
        }
        Ok(encoding)
    }

    /// The decompressed size that the bytes claim, if they do. It may be a lie.
    pub(crate) fn claimed_size(self, received: &[u8]) -> Option<usize> {
        let size = match self {
            Self::Identity => return Some(received.len()),
            // The last four bytes of a gzip member are its size.
            Self::Gzip => u64::from(u32::from_le_bytes(*received.last_chunk()?)),
            Self::Zstd => zstd::zstd_safe::get_frame_content_size(received).ok()??,
            Self::Deflate => return None,
            Self::Snappy => return snap::raw::decompress_len(received).ok(),
        };
        usize::try_from(size).ok()
    }

    fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Deflate => "deflate",
            Self::Snappy => "snappy",
        }
    }
}

#[cold]
fn unsupported(name: &HeaderName, coding: &str) -> Refusal {
    let message = format!("{name}: \"{coding}\" is not supported; accepted are {ACCEPTED}");
    Refusal::new(Reason::UnsupportedEncoding, message)
}

/// Decompresses a whole body and holds its bytes with the permit, in pieces, each before it is allocated.
///
/// Gives up as soon as there are more than `limit` bytes. The permit then holds what it held before.
pub(crate) fn decompress(
    encoding: Encoding,
    received: &[u8],
    limit: usize,
    permit: &mut Permit,
) -> Result<Vec<u8>, Refusal> {
    let held = permit.bytes();
    let claimed = encoding.claimed_size(received).map_or(FIRST_PIECE, |size| size.min(MAX_BELIEVED));
    let output = match encoding {
        Encoding::Identity => fill(received, encoding, claimed, limit, permit),
        Encoding::Gzip => fill(MultiGzDecoder::new(received), encoding, claimed, limit, permit),
        Encoding::Deflate => fill(ZlibDecoder::new(received), encoding, claimed, limit, permit),
        Encoding::Snappy => snappy(received, limit, permit),
        Encoding::Zstd => zstd_decoder(received)
            .map_err(|error| malformed(encoding, &error))
            .and_then(|decoder| fill(decoder, encoding, claimed, limit, permit)),
    };
    if output.is_err() {
        permit.release_to(held);
    }
    output
}

/// The refusal of a body that is larger than `limit` when it is decompressed.
#[cold]
pub(crate) fn too_large(limit: usize) -> Refusal {
    let message = format!(
        "the request is larger than {limit} bytes when it is decompressed, the limit (max_decompressed_bytes); send \
         smaller batches"
    );
    Refusal::new(Reason::TooLarge, message)
}

/// A Snappy block says how large it becomes. That is believed as far as such bytes can go: three of them give 64.
fn snappy(received: &[u8], limit: usize, permit: &mut Permit) -> Result<Vec<u8>, Refusal> {
    let broken = |error: snap::Error| malformed(Encoding::Snappy, &io::Error::other(error));
    let size = snap::raw::decompress_len(received).map_err(broken)?;
    if size > limit {
        return Err(too_large(limit));
    }
    if size > received.len().saturating_mul(22).saturating_add(64) {
        return Err(malformed(Encoding::Snappy, &io::Error::other("it claims to be larger than it can be")));
    }
    permit.hold(size)?;
    let mut output = vec![0; size];
    let written = snap::raw::Decoder::new().decompress(received, &mut output).map_err(broken)?;
    output.truncate(written);
    Ok(output)
}

fn zstd_decoder(received: &[u8]) -> io::Result<impl Read> {
    let mut decoder = zstd::stream::read::Decoder::with_buffer(received)?;
    decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
    Ok(decoder)
}

fn fill(
    mut decoder: impl Read,
    encoding: Encoding,
    first_piece: usize,
    limit: usize,
    permit: &mut Permit,
) -> Result<Vec<u8>, Refusal> {
    let mut output: Vec<u8> = Vec::new();
    let mut filled = 0;
    let mut piece = first_piece.max(1);
    loop {
        if filled == output.len() {
            // Full. One byte more tells whether that was all, so that a right claim allocates no second piece.
            let mut more = [0];
            if read(&mut decoder, &mut more, encoding)? == 0 {
                break;
            }
            let room = limit - filled;
            if room == 0 {
                return Err(too_large(limit));
            }
            let size = piece.min(room);
            permit.hold(size)?;
            output.reserve_exact(size);
            output.resize(filled + size, 0);
            output[filled] = more[0];
            filled += 1;
            piece = output.len();
        } else {
            let count = read(&mut decoder, &mut output[filled..], encoding)?;
            if count == 0 {
                break;
            }
            filled += count;
        }
    }
    output.truncate(filled);
    Ok(output)
}

fn read(decoder: &mut impl Read, buffer: &mut [u8], encoding: Encoding) -> Result<usize, Refusal> {
    loop {
        match decoder.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result.map_err(|error| malformed(encoding, &error)),
        }
    }
}

#[cold]
fn malformed(encoding: Encoding, error: &io::Error) -> Refusal {
    let name = encoding.name();
    let message = match error.kind() {
        io::ErrorKind::UnexpectedEof => format!("the body ends in the middle of its {name} data"),
        _ => format!("the body is not valid {name} data: {error}"),
    };
    Refusal::new(Reason::Malformed, message)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Arc;

    use flate2::Compression;
    use flate2::write::{GzEncoder, ZlibEncoder};
    use http::HeaderValue;
    use http::header::CONTENT_ENCODING;
    use metrics::Gauge;
    use proptest::prelude::*;

    use super::*;
    use crate::admission::Admission;

    fn admission(max_bytes: usize) -> Arc<Admission> {
        Admission::new(8, max_bytes, Gauge::noop())
    }

    fn compress(encoding: Encoding, data: &[u8]) -> Vec<u8> {
        match encoding {
            Encoding::Identity => data.to_vec(),
            Encoding::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
                encoder.write_all(data).unwrap();
                encoder.finish().unwrap()
            }
            Encoding::Deflate => {
                let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
                encoder.write_all(data).unwrap();
                encoder.finish().unwrap()
            }
            Encoding::Zstd => zstd::encode_all(data, 1).unwrap(),
            Encoding::Snappy => snap::raw::Encoder::new().compress_vec(data).unwrap(),
        }
    }

    const ALL: [Encoding; 5] =
        [Encoding::Identity, Encoding::Gzip, Encoding::Zstd, Encoding::Deflate, Encoding::Snappy];

    fn parse(values: &[&'static str]) -> Result<Encoding, Reason> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(CONTENT_ENCODING, HeaderValue::from_static(value));
        }
        Encoding::from_headers(&headers, &CONTENT_ENCODING).map_err(|refusal| refusal.reason)
    }

    #[test]
    fn one_encoding_is_read_and_a_stack_is_refused() {
        assert_eq!(parse(&[]), Ok(Encoding::Identity));
        assert_eq!(parse(&["GZIP"]), Ok(Encoding::Gzip));
        assert_eq!(parse(&["identity, zstd"]), Ok(Encoding::Zstd));
        assert_eq!(parse(&["deflate", "identity"]), Ok(Encoding::Deflate));
        for stack in [&["gzip, gzip"][..], &["gzip", "zstd"], &["br"], &["gzip;q=1"]] {
            assert_eq!(parse(stack), Err(Reason::UnsupportedEncoding), "{stack:?}");
        }
    }

    #[test]
    fn the_limit_is_exact() {
        let data = vec![7; 100_000];
        for encoding in ALL {
            let sent = compress(encoding, &data);
            let admission = admission(usize::MAX);
            let mut permit = admission.enter().unwrap();
            assert_eq!(decompress(encoding, &sent, 100_000, &mut permit).unwrap(), data, "{encoding:?}");
            assert!((100_000..=200_000).contains(&permit.bytes()), "{encoding:?}: {}", permit.bytes());
            permit.release_to(5);
            let refusal = decompress(encoding, &sent, 99_999, &mut permit).unwrap_err();
            assert_eq!((refusal.reason, permit.bytes()), (Reason::TooLarge, 5), "{encoding:?}");
        }
    }

    #[test]
    fn bytes_in_flight_bound_the_output() {
        let sent = compress(Encoding::Gzip, &vec![0; 1 << 20]);
        let admission = admission(100_000);
        let mut permit = admission.enter().unwrap();
        let refusal = decompress(Encoding::Gzip, &sent, usize::MAX, &mut permit).unwrap_err();
        assert_eq!((refusal.reason, permit.bytes()), (Reason::Overloaded, 0));
    }

    #[test]
    fn every_truncation_is_noticed() {
        let data: Vec<u8> = (0..200_u32).flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        let admission = admission(usize::MAX);
        for encoding in [Encoding::Gzip, Encoding::Zstd, Encoding::Deflate] {
            let sent = compress(encoding, &data);
            for end in 1..sent.len() {
                let mut permit = admission.enter().unwrap();
                let refusal = decompress(encoding, &sent[..end], 1 << 20, &mut permit).unwrap_err();
                assert_eq!(refusal.reason, Reason::Malformed, "{encoding:?} cut at {end}");
            }
        }
    }

    #[test]
    fn a_snappy_block_that_claims_too_much_is_refused_before_memory_is_taken() {
        // 32 MiB claimed by six bytes.
        let block = [0x80, 0x80, 0x80, 0x10, 0x00, 0x00];
        let admission = admission(usize::MAX);
        let refusal = decompress(Encoding::Snappy, &block, 1 << 30, &mut admission.enter().unwrap()).unwrap_err();
        assert_eq!(refusal.reason, Reason::Malformed);
        let zeros = compress(Encoding::Snappy, &vec![0; 1 << 20]);
        let whole = decompress(Encoding::Snappy, &zeros, 1 << 20, &mut admission.enter().unwrap());
        assert_eq!(whole.map(|whole| whole.len()), Ok(1 << 20));
    }

    #[test]
    fn a_wide_zstd_window_is_refused() {
        // A frame header without content size that asks for a window of 128 MiB, then an empty last block.
        let frame = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 17 << 3, 0x01, 0x00, 0x00];
        let admission = admission(usize::MAX);
        let refusal = decompress(Encoding::Zstd, &frame, 1 << 20, &mut admission.enter().unwrap()).unwrap_err();
        assert_eq!(refusal.reason, Reason::Malformed);
        assert!(refusal.message.contains("memory"), "{}", refusal.message);
    }

    proptest! {
        #[test]
        fn what_was_compressed_comes_back(
            data in prop::collection::vec(any::<u8>(), 0..5000),
            repeat in 1_usize..40,
            which in 0_usize..5,
        ) {
            let data = data.repeat(repeat);
            let admission = admission(usize::MAX);
            let sent = compress(ALL[which], &data);
            let back = decompress(ALL[which], &sent, data.len(), &mut admission.enter().unwrap());
            prop_assert_eq!(back.unwrap(), data);
        }

        #[test]
        fn garbage_is_refused_and_never_panics(data in prop::collection::vec(any::<u8>(), 1..500), which in 1_usize..5) {
            let admission = admission(usize::MAX);
            let mut permit = admission.enter().unwrap();
            if decompress(ALL[which], &data, 1 << 20, &mut permit).is_err() {
                prop_assert_eq!(permit.bytes(), 0);
            }
        }
    }
}
