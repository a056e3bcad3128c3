use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use sentry::protocol::Event;
use sentry::types::Dsn;

use crate::network::QueueOptions;
use crate::network::http::Tls;

/// What an application does with an event before it is sent; `None` keeps it at home.
pub(super) type BeforeSend = Arc<dyn Fn(Event<'static>) -> Option<Event<'static>> + Send + Sync>;

/// Where Sentry is and what it gets.
#[derive(Clone)]
pub struct SentrySettings {
    pub(super) dsn: Dsn,
    pub(super) release: Option<Cow<'static, str>>,
    pub(super) environment: Option<Cow<'static, str>>,
    pub(super) server_name: Option<Cow<'static, str>>,
    pub(super) sample_rate: f32,
    pub(super) traces_sample_rate: f32,
    pub(super) failed_status_codes: BTreeSet<u16>,
    pub(super) max_breadcrumbs: usize,
    pub(super) send_default_pii: bool,
    pub(super) before_send: Option<BeforeSend>,
    pub(super) in_app_include: Vec<&'static str>,
    pub(super) bind_hub: bool,
    pub(super) tls: Tls,
    pub(super) queue: QueueOptions,
}

impl fmt::Debug for SentrySettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SentrySettings")
            .field("host", &self.dsn.host())
            .field("release", &self.release)
            .field("environment", &self.environment)
            .field("sample_rate", &self.sample_rate)
            .field("traces_sample_rate", &self.traces_sample_rate)
            .field("failed_status_codes", &self.failed_status_codes)
            .finish_non_exhaustive()
    }
}

/// A setting that Sentry would not take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InvalidSentrySettings {
    /// The DSN cannot be read. It is not repeated here: it holds a key.
    Dsn(String),
    /// A rate is no number from 0 to 1.
    Rate(&'static str),
}

impl fmt::Display for InvalidSentrySettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dsn(cause) => write!(f, "no DSN of Sentry ({cause}); an example is https://key@sentry.example/1"),
            Self::Rate(what) => write!(f, "the {what} must be a number from 0 to 1"),
        }
    }
}

impl std::error::Error for InvalidSentrySettings {}

impl SentrySettings {
    /// Everything that fails is sent, nothing personal with it; no transactions. Status codes 500 to 599 count as
    /// failed.
    ///
    /// # Errors
    /// When the DSN cannot be read.
    pub fn new(dsn: &str) -> Result<Self, InvalidSentrySettings> {
        let dsn = dsn
            .trim()
            .parse()
            .map_err(|error: sentry::types::ParseDsnError| InvalidSentrySettings::Dsn(error.to_string()))?;
        Ok(Self {
            dsn,
            release: None,
            environment: None,
            server_name: None,
            sample_rate: 1.0,
            traces_sample_rate: 0.0,
            failed_status_codes: (500..600).collect(),
            max_breadcrumbs: 50,
            send_default_pii: false,
            before_send: None,
            in_app_include: Vec::new(),
            bind_hub: false,
            tls: Tls::default(),
            queue: QueueOptions { batch_items: 1, ..QueueOptions::default() },
        })
    }

    /// The release: a version or a commit.
    pub fn release(mut self, release: impl Into<Cow<'static, str>>) -> Self {
        self.release = Some(release.into());
        self
    }

    /// The environment: `production`, `staging`.
    pub fn environment(mut self, environment: impl Into<Cow<'static, str>>) -> Self {
        self.environment = Some(environment.into());
        self
    }

    /// The machine's name; that of the system when not set.
    pub fn server_name(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    /// The share of events that is sent, from 0 to 1.
    ///
    /// # Errors
    /// When it is no such number.
    pub fn sample_rate(mut self, rate: f32) -> Result<Self, InvalidSentrySettings> {
        self.sample_rate = checked(rate, "sample rate")?;
        Ok(self)
    }

    /// The share of transactions that is sent, from 0 to 1, of those that spans become and of those that are begun with
    /// `sentry::start_transaction`. Of spans it is a share of the traces that the sampler has chosen.
    ///
    /// # Errors
    /// When it is no such number.
    pub fn traces_sample_rate(mut self, rate: f32) -> Result<Self, InvalidSentrySettings> {
        self.traces_sample_rate = checked(rate, "traces sample rate")?;
        Ok(self)
    }

    /// The status codes of answers that count as failed.
    pub fn failed_status_codes(mut self, codes: impl IntoIterator<Item = u16>) -> Self {
        self.failed_status_codes = codes.into_iter().collect();
        self
    }

    /// How many log lines before an event are sent with it, at most.
    pub fn max_breadcrumbs(mut self, count: usize) -> Self {
        self.max_breadcrumbs = count;
        self
    }

    /// Sends the user's address, name and e-mail address too, where they are known. What the redactor hides stays hidden.
    pub fn send_default_pii(mut self) -> Self {
        self.send_default_pii = true;
        self
    }

    /// Looks at each event, already redacted, and may change it or keep it at home.
    pub fn before_send(
        mut self,
        before_send: impl Fn(Event<'static>) -> Option<Event<'static>> + Send + Sync + 'static,
    ) -> Self {
        self.before_send = Some(Arc::new(before_send));
        self
    }

    /// Modules whose frames Sentry shows as the application's own.
    pub fn in_app_include(mut self, modules: impl IntoIterator<Item = &'static str>) -> Self {
        self.in_app_include = modules.into_iter().collect();
        self
    }

    /// Lets the functions of the `sentry` crate (`sentry::capture_message` and the like) use this client too. The hub that
    /// they use is one for the whole process.
    pub fn bind_hub(mut self) -> Self {
        self.bind_hub = true;
        self
    }

    /// What Sentry is trusted by, if not by the certificates of the system.
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = tls;
        self
    }

    /// Bytes that wait, and pauses.
    pub fn queue(mut self, options: QueueOptions) -> Self {
        // An envelope is a request of its own.
        self.queue = QueueOptions { batch_items: 1, ..options };
        self
    }
}

fn checked(rate: f32, what: &'static str) -> Result<f32, InvalidSentrySettings> {
    if (0.0..=1.0).contains(&rate) { Ok(rate) } else { Err(InvalidSentrySettings::Rate(what)) }
}
