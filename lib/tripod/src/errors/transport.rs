use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Uri, header};
use sentry::Envelope;
use sentry::protocol::EnvelopeItem;
use sentry::types::Dsn;

use crate::accounts::{Account, Accounts, Reason};
use crate::network::http::{HttpClient, Tls};
use crate::network::{Delivery, Network, Queue, Transport};
use crate::redaction::Redactor;

use super::scrub;
use super::settings::SentrySettings;

const CLIENT: &str = concat!("tripod/", env!("CARGO_PKG_VERSION"));

/// Envelopes larger than this are refused by Sentry.
const MAX_ENVELOPE: usize = 1 << 20;

/// Hands envelopes over to the network thread.
pub(super) struct NetworkTransport {
    queue: Queue<Bytes>,
    account: Account,
    redactor: Redactor,
}

impl NetworkTransport {
    pub(super) fn start(
        settings: &SentrySettings,
        redactor: Redactor,
        network: &Network,
        accounts: &Accounts,
    ) -> io::Result<Self> {
        let account = accounts.open("sentry", "errors");
        let sender = Sender::new(&settings.dsn, &settings.tls)?;
        let queue = network.queue(account.clone(), settings.queue.clone(), sender);
        Ok(Self { queue, account, redactor })
    }

    pub(super) fn flush_until(&self, deadline: Instant) -> bool {
        self.queue.flush(deadline)
    }

    /// The envelope with those of its items redacted that have not been on their way here: whatever an application sends
    /// with the functions of the `sentry` crate. An item that cannot be redacted is left out.
    fn redacted(&self, envelope: Envelope) -> Envelope {
        let mut redacted = Envelope::new().with_headers(envelope.headers().clone());
        for item in envelope.into_items() {
            match item {
                EnvelopeItem::Transaction(transaction) => {
                    if let Some(transaction) = scrub::transaction(&self.redactor, &transaction) {
                        redacted.add_item(transaction);
                    }
                }
                EnvelopeItem::Attachment(mut attachment) => {
                    // Bytes that are no text cannot be looked through.
                    if let Ok(text) = String::from_utf8(attachment.buffer) {
                        attachment.buffer = self.redactor.text(&text).into_owned().into_bytes();
                        redacted.add_item(attachment);
                    }
                }
                other => redacted.add_item(other),
            }
        }
        redacted
    }
}

impl NetworkTransport {
    /// Sends what has passed the redactor already.
    pub(super) fn send_redacted(&self, envelope: Envelope) {
        let mut bytes = Vec::new();
        if envelope.to_writer(&mut bytes).is_err() {
            self.account.emit(1);
            return self.account.drop(Reason::Encoding, 1);
        }
        if bytes.len() > MAX_ENVELOPE {
            self.account.emit(1);
            return self.account.drop(Reason::TooLarge, 1);
        }
        let length = bytes.len();
        // What does not fit is counted by the queue.
        let _ = self.queue.try_send(Bytes::from(bytes), length);
    }
}

impl sentry::Transport for NetworkTransport {
    fn send_envelope(&self, envelope: Envelope) {
        self.send_redacted(self.redacted(envelope));
    }

    fn flush(&self, timeout: Duration) -> bool {
        self.flush_until(Instant::now() + timeout)
    }
}

/// What the client takes transports from.
pub(super) struct Given(pub(super) Arc<NetworkTransport>);

impl sentry::TransportFactory for Given {
    fn create_transport_with_options(&self, _: sentry::TransportOptions) -> Arc<dyn sentry::Transport> {
        self.0.clone()
    }
}

/// Sends one envelope after the other.
struct Sender {
    client: HttpClient,
    uri: Uri,
    auth: HeaderValue,
}

impl Sender {
    fn new(dsn: &Dsn, tls: &Tls) -> io::Result<Self> {
        let invalid = |cause: &str| io::Error::new(io::ErrorKind::InvalidInput, cause.to_owned());
        let uri: Uri = dsn.envelope_api_url().as_str().parse().map_err(|_| invalid("the DSN's address is none"))?;
        let mut auth: HeaderValue =
            dsn.to_auth(Some(CLIENT)).to_string().parse().map_err(|_| invalid("the DSN's key is none"))?;
        auth.set_sensitive(true);
        Ok(Self { client: HttpClient::new(&uri, tls)?, uri, auth })
    }
}

impl Transport<Bytes> for Sender {
    type Request = Bytes;

    fn encode(&mut self, mut batch: Vec<Bytes>) -> Option<Bytes> {
        batch.pop()
    }

    async fn send(&mut self, envelope: &Bytes) -> Delivery {
        let mut request = Request::new(envelope.clone());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        let headers = request.headers_mut();
        headers.insert("x-sentry-auth", self.auth.clone());
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-sentry-envelope"));
        headers.insert(header::USER_AGENT, HeaderValue::from_static(CLIENT));
        match self.client.send(request).await {
            Ok(answer) => answer.delivery(),
            Err(_) => Delivery::Retry { after: None },
        }
    }
}
