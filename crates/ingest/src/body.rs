use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use tokio::time::timeout;

use crate::admission::Permit;
use crate::refusal::{Reason, Refusal};

/// How much of a refused request's body is read and thrown away, so that its sender gets to read the answer. What is
/// longer is cut off with the connection.
const MAX_DISCARDED: usize = 256 * 1024;

/// For how long.
const DISCARD_TIME: Duration = Duration::from_secs(2);

/// Reads a body to its end, as it comes over the network, and holds its bytes with the permit.
///
/// Gives up as soon as more than `limit` bytes arrive or the sender pauses for longer than `patience`.
pub(crate) async fn receive(
    body: &mut Body,
    limit: usize,
    patience: Duration,
    permit: &mut Permit,
) -> Result<Bytes, Refusal> {
    // Most bodies come in one piece, which then is not copied.
    let mut first = Bytes::new();
    let mut joined = BytesMut::new();
    let mut length = 0;
    loop {
        let frame = match timeout(patience, body.frame()).await {
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(error))) => {
                return Err(Refusal::new(Reason::Malformed, format!("the body could not be read to its end: {error}")));
            }
            Ok(None) => break,
            Err(_) => {
                let message = format!("nothing of the body arrived for {}s", patience.as_secs());
                return Err(Refusal::new(Reason::TimedOut, message));
            }
        };
        let Ok(data) = frame.into_data() else { continue };
        length += data.len();
        if length > limit {
            return Err(too_large(limit));
        }
        permit.hold(data.len())?;
        if joined.is_empty() {
            if first.is_empty() {
                first = data;
                continue;
            }
            joined.extend_from_slice(&first);
        }
        joined.extend_from_slice(&data);
    }
    Ok(if joined.is_empty() { first } else { joined.freeze() })
}

/// The refusal of a body that is larger than `limit` as received.
pub(crate) fn too_large(limit: usize) -> Refusal {
    let message =
        format!("the request is larger than {limit} bytes, the limit (max_request_bytes); send smaller batches");
    Refusal::new(Reason::TooLarge, message)
}

/// Reads a little of a refused request's body for nothing.
pub(crate) async fn discard(body: &mut Body) {
    let read = async {
        let mut length = 0;
        while let Some(Ok(frame)) = body.frame().await {
            length += frame.data_ref().map_or(0, Bytes::len);
            if length > MAX_DISCARDED {
                break;
            }
        }
    };
    // Whether time ran out does not matter: the answer is the same.
    let _ = timeout(DISCARD_TIME, read).await;
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures::stream;
    use metrics::Gauge;

    use super::*;
    use crate::admission::Admission;

    fn pieces(pieces: &[&'static str]) -> Body {
        let pieces: Vec<_> =
            pieces.iter().map(|piece| Ok::<_, Infallible>(Bytes::from_static(piece.as_bytes()))).collect();
        Body::from_stream(stream::iter(pieces))
    }

    #[tokio::test]
    async fn pieces_are_joined_and_held() {
        let admission = Admission::new(1, 100, Gauge::noop());
        for (sent, whole) in [(vec![], ""), (vec!["one"], "one"), (vec!["", "one", "", "two", "three"], "onetwothree")]
        {
            let mut permit = admission.enter().unwrap();
            let received = receive(&mut pieces(&sent), 11, Duration::from_secs(5), &mut permit).await.unwrap();
            assert_eq!((received.as_ref(), permit.bytes()), (whole.as_bytes(), whole.len()));
        }
    }

    #[tokio::test]
    async fn what_is_too_much_is_refused_while_it_arrives() {
        let admission = Admission::new(1, 4, Gauge::noop());
        let mut permit = admission.enter().unwrap();
        let endless = || Body::from_stream(stream::repeat(Ok::<_, Infallible>(Bytes::from_static(b"x"))));
        let refusal = receive(&mut endless(), 3, Duration::from_secs(5), &mut permit).await.unwrap_err();
        assert_eq!(refusal.reason, Reason::TooLarge);
        permit.release_to(0);
        let refusal = receive(&mut endless(), 100, Duration::from_secs(5), &mut permit).await.unwrap_err();
        assert_eq!(refusal.reason, Reason::Overloaded);
        discard(&mut endless()).await;
    }
}
