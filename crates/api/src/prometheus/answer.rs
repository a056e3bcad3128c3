use std::iter;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream;
use http::StatusCode;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, VARY};

use super::compression::Gzip;
use super::error::ApiError;
use super::json;

/// Pieces of an answer are sent when they have grown to this size.
pub(super) const PIECE: usize = 64 << 10;

/// How many warnings and infos an answer shows, as Prometheus does.
const SHOWN: usize = 10;

/// Pieces of JSON that make one value.
pub(super) type Pieces = Box<dyn Iterator<Item = Vec<u8>> + Send>;

/// What a request is answered.
pub(super) enum Answer {
    /// Done, and there is nothing to say.
    Nothing,
    /// `data`, with remarks.
    Data {
        /// The value of `data`.
        data: Pieces,
        warnings: Vec<String>,
        infos: Vec<String>,
        /// How many series, labels or the like it holds.
        rows: u64,
    },
}

impl Answer {
    /// One value of JSON.
    pub(super) fn json(write: impl FnOnce(&mut Vec<u8>)) -> Self {
        let mut data = Vec::new();
        write(&mut data);
        Self::Data { data: Box::new(iter::once(data)), warnings: Vec::new(), infos: Vec::new(), rows: 0 }
    }

    /// A list of at most `limit` (unless it is 0) of what the function writes, and a warning when there are more.
    pub(super) fn limited<T: Send + 'static>(
        mut all: Vec<T>,
        limit: usize,
        write: impl Fn(&mut Vec<u8>, &T) + Send + 'static,
    ) -> Self {
        let mut warnings = Vec::new();
        if limit > 0 && all.len() > limit {
            all.truncate(limit);
            warnings.push(TRUNCATED.to_owned());
        }
        let rows = all.len() as u64;
        Self::Data { data: list(all, write), warnings, infos: Vec::new(), rows }
    }

    pub(super) fn rows(&self) -> u64 {
        match self {
            Self::Nothing => 0,
            Self::Data { rows, .. } => *rows,
        }
    }
}

/// What Prometheus says when it leaves out what is over the limit.
pub(super) const TRUNCATED: &str = "results truncated due to limit";

/// A list of what the function writes.
pub(super) fn list<T: Send + 'static>(all: Vec<T>, write: impl Fn(&mut Vec<u8>, &T) + Send + 'static) -> Pieces {
    let mut rest = all.into_iter();
    let mut first = true;
    let mut ended = false;
    Box::new(iter::from_fn(move || {
        if ended {
            return None;
        }
        let mut piece = Vec::new();
        if first {
            piece.push(b'[');
        }
        while piece.len() < PIECE {
            let Some(each) = rest.next() else {
                piece.push(b']');
                ended = true;
                break;
            };
            if !std::mem::take(&mut first) {
                piece.push(b',');
            }
            write(&mut piece, &each);
        }
        Some(piece)
    }))
}

/// The response, written as it is sent.
pub(super) fn into_response(answered: Result<Answer, ApiError>, gzip: bool) -> Response {
    let (status, pieces): (_, Pieces) = match answered {
        Ok(Answer::Nothing) => return StatusCode::NO_CONTENT.into_response(),
        Ok(Answer::Data { data, warnings, infos, .. }) => {
            let mut tail = Vec::new();
            remarks(&mut tail, "warnings", "warning", warnings);
            remarks(&mut tail, "infos", "info", infos);
            tail.push(b'}');
            let head = br#"{"status":"success","data":"#.to_vec();
            (StatusCode::OK, Box::new(iter::once(head).chain(data).chain(iter::once(tail))))
        }
        Err(error) => {
            let mut body = br#"{"status":"error","errorType":"#.to_vec();
            json::text(&mut body, error.kind());
            body.extend_from_slice(br#","error":"#);
            json::text(&mut body, error.message());
            body.push(b'}');
            (error.status(), Box::new(iter::once(body)))
        }
    };
    send(status, "application/json", pieces, gzip)
}

/// A response of pieces, compressed if the client takes that.
pub(super) fn send(status: StatusCode, content_type: &'static str, pieces: Pieces, gzip: bool) -> Response {
    // Small pieces together, so that a short answer is one piece of known length.
    let mut gathered = Gathered { pieces, ended: false };
    let first = gathered.next().unwrap_or_default();
    let pieces: Pieces = Box::new(iter::once(first).chain(gathered));
    let mut pieces = if gzip { Box::new(Gzip::new(pieces)) as Pieces } else { pieces };
    let first = pieces.next().unwrap_or_default();
    let body = match pieces.next() {
        None => Body::from(first),
        Some(second) => {
            let rest = [first, second].into_iter().chain(pieces);
            Body::from_stream(stream::iter(rest.map(|piece| Ok::<_, std::convert::Infallible>(Bytes::from(piece)))))
        }
    };
    let mut response = (status, [(CONTENT_TYPE, content_type)], body).into_response();
    let headers = response.headers_mut();
    headers.append(VARY, http::HeaderValue::from_static("Accept-Encoding"));
    if gzip {
        headers.insert(CONTENT_ENCODING, http::HeaderValue::from_static("gzip"));
    }
    response
}

/// Pieces that are at least [`PIECE`] long, but for the last.
struct Gathered {
    pieces: Pieces,
    ended: bool,
}

impl Iterator for Gathered {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        if self.ended {
            return None;
        }
        let mut gathered = self.pieces.next()?;
        while gathered.len() < PIECE {
            match self.pieces.next() {
                Some(piece) => gathered.extend_from_slice(&piece),
                None => {
                    self.ended = true;
                    break;
                }
            }
        }
        Some(gathered)
    }
}

fn remarks(out: &mut Vec<u8>, name: &str, kind: &str, mut remarks: Vec<String>) {
    if remarks.is_empty() {
        return;
    }
    if remarks.len() > SHOWN {
        let more = remarks.len() - SHOWN;
        remarks.truncate(SHOWN);
        remarks.push(format!("{more} more {kind} annotations omitted"));
    }
    out.push(b',');
    json::text(out, name);
    out.push(b':');
    json::texts(out, remarks);
}
