use std::io;
use std::sync::Arc;
use std::time::Instant;

use sentry::{Client, ClientOptions, Hub};

use crate::accounts::Accounts;
use crate::field::Value;
use crate::logs::{Level, LogEvent};
use crate::network::Network;
use crate::redaction::Redactor;
use crate::sinks::Sink;

use super::breadcrumbs::{Breadcrumbs, owner};
use super::settings::SentrySettings;
use super::transactions::SentrySpans;
use super::transport::{Given, NetworkTransport};
use super::{event, scrub};

/// Makes events of Sentry from log lines; booked as `sentry`.
pub struct SentrySink {
    client: Arc<Client>,
    transport: Arc<NetworkTransport>,
    breadcrumbs: Breadcrumbs,
    settings: SentrySettings,
}

impl std::fmt::Debug for SentrySink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("SentrySink").field(&self.settings).finish()
    }
}

impl SentrySink {
    /// Makes the client and opens its queue.
    ///
    /// # Errors
    /// When there can be no client for the DSN's address, for example because the system's certificates cannot be read.
    pub fn start(
        settings: SentrySettings,
        redactor: &Redactor,
        network: &Network,
        accounts: &Accounts,
    ) -> io::Result<Self> {
        let transport = Arc::new(NetworkTransport::start(&settings, redactor.clone(), network, accounts)?);
        let client = Arc::new(Client::with_options(options(&settings, redactor, transport.clone())));
        if settings.bind_hub {
            Hub::main().bind_client(Some(client.clone()));
        }
        let breadcrumbs = Breadcrumbs::new(settings.max_breadcrumbs);
        Ok(Self { client, transport, breadcrumbs, settings })
    }

    /// The client, for hubs of the `sentry` crate.
    pub fn client(&self) -> Arc<Client> {
        self.client.clone()
    }

    /// What makes transactions from spans, when the settings want any.
    pub(crate) fn spans(&self, accounts: &Accounts) -> Option<SentrySpans> {
        let wanted = self.settings.traces_sample_rate > 0.0;
        wanted.then(|| SentrySpans::new(self.transport.clone(), self.settings.clone(), accounts))
    }

    /// Whether the line reports an answer with a status code that counts as failed.
    fn is_failed_answer(&self, line: &LogEvent) -> bool {
        let status = line.fields.iter().find_map(|(name, value)| match (name.as_ref(), value) {
            ("status_code" | "http.response.status_code", Value::Integer(status)) => u16::try_from(*status).ok(),
            ("status_code" | "http.response.status_code", Value::Unsigned(status)) => u16::try_from(*status).ok(),
            _ => None,
        });
        status.is_some_and(|status| self.settings.failed_status_codes.contains(&status))
    }
}

fn options(settings: &SentrySettings, redactor: &Redactor, transport: Arc<NetworkTransport>) -> ClientOptions {
    let mut options = ClientOptions::new()
        .sample_rate(settings.sample_rate)
        .traces_sample_rate(settings.traces_sample_rate)
        .send_default_pii(settings.send_default_pii)
        .max_breadcrumbs(settings.max_breadcrumbs)
        .maybe_release(settings.release.clone())
        .in_app_include(settings.in_app_include.iter().copied());
    options.environment = settings.environment.clone();
    options.server_name = settings.server_name.clone();
    let (scrubber, before_send, pii) = (redactor.clone(), settings.before_send.clone(), settings.send_default_pii);
    let options = options.before_send(move |event| {
        let event = scrub::event(&scrubber, event, pii)?;
        match &before_send {
            // A panic in there must not reach the thread that logs; the event is then kept at home.
            Some(before_send) => {
                std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| before_send(event))).ok().flatten()
            }
            None => Some(event),
        }
    });
    let mut options = sentry::apply_defaults(options);
    // What the settings leave open stays open, whatever the crate found in the environment.
    options.release = settings.release.clone();
    options.environment = settings.environment.clone();
    options.dsn = Some(settings.dsn.clone());
    options.transport = Some(Arc::new(Given(transport)));
    options
}

impl Sink for SentrySink {
    fn emit(&self, line: &LogEvent) {
        let owner = owner(line);
        let reports = line.level >= Level::Error
            // The error itself, with its cause, was logged before the answer was.
            || (self.is_failed_answer(line) && !self.breadcrumbs.is_reported(&owner));
        if reports {
            let before = self.breadcrumbs.report(&owner);
            self.client.capture_event(event::event(line, &before), None);
        }
        if line.level >= Level::Info {
            self.breadcrumbs.add(&owner, line);
        }
    }

    fn flush(&self, deadline: Instant) -> bool {
        self.transport.flush_until(deadline)
    }
}
