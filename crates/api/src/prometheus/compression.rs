use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use http::HeaderMap;
use http::header::ACCEPT_ENCODING;

use super::answer::{PIECE, Pieces};

/// Whether the client takes gzip.
pub(super) fn accepts_gzip(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(ACCEPT_ENCODING).into_iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let refused = weight.trim().strip_prefix("q=").is_some_and(|weight| weight.parse() == Ok(0.0));
        name.trim().eq_ignore_ascii_case("gzip") && !refused
    })
}

/// Pieces compressed into one stream.
pub(super) struct Gzip {
    pieces: Pieces,
    encoder: Option<GzEncoder<Vec<u8>>>,
}

impl Gzip {
    pub(super) fn new(pieces: Pieces) -> Self {
        Self { pieces, encoder: Some(GzEncoder::new(Vec::new(), Compression::fast())) }
    }
}

impl Iterator for Gzip {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let encoder = self.encoder.as_mut()?;
        for piece in self.pieces.by_ref() {
            // Writing into a vector cannot fail.
            let _ = encoder.write_all(&piece);
            if encoder.get_ref().len() >= PIECE {
                return Some(std::mem::take(encoder.get_mut()));
            }
        }
        self.encoder.take()?.finish().ok()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn what_clients_accept_is_understood() {
        for (value, accepted) in
            [("gzip", true), ("deflate, GZIP;q=0.5", true), ("gzip;q=0", false), ("br", false), ("", false)]
        {
            let headers = HeaderMap::from_iter([(ACCEPT_ENCODING, value.parse().unwrap())]);
            assert_eq!(accepts_gzip(&headers), accepted, "{value}");
        }
        assert!(!accepts_gzip(&HeaderMap::new()));
    }

    #[test]
    fn pieces_come_back() {
        let pieces: Vec<Vec<u8>> = (0..200u32)
            .map(|seed| (0..5_000u32).map(|n| (n.wrapping_mul(n).wrapping_mul(seed) >> 7) as u8).collect())
            .collect();
        let whole = pieces.concat();
        let compressed: Vec<Vec<u8>> = Gzip::new(Box::new(pieces.into_iter())).collect();
        assert!(compressed.len() > 2, "{}", compressed.len());
        let mut read = Vec::new();
        flate2::read::GzDecoder::new(&compressed.concat()[..]).read_to_end(&mut read).unwrap();
        assert!(read == whole);
    }
}
