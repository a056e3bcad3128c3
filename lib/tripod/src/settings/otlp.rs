//! `OTEL_EXPORTER_OTLP_*`, and the shorter `OTLP_ENDPOINT`, `TEMPO_ENDPOINT`, `JAEGER_ENDPOINT`.

use std::fs;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Uri};

use super::Variables;
use crate::network::http::Tls;
use crate::sinks::otlp::{OtlpSettings, Protocol};

/// A signal, by its names in variables and paths.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signal {
    pub(super) variable: &'static str,
    pub(super) path: &'static str,
}

pub(super) const TRACES: Signal = Signal { variable: "TRACES", path: "v1/traces" };
pub(super) const LOGS: Signal = Signal { variable: "LOGS", path: "v1/logs" };
pub(super) const METRICS: Signal = Signal { variable: "METRICS", path: "v1/metrics" };

const PROTOCOLS: [(&str, Protocol); 3] =
    [("grpc", Protocol::Grpc), ("http/protobuf", Protocol::HttpProtobuf), ("http/json", Protocol::HttpJson)];

/// Whether an endpoint is set for the signal, so that it is exported without further word.
pub(super) fn is_wanted(variables: &Variables, signal: Signal) -> bool {
    let own = format!("OTEL_EXPORTER_OTLP_{}_ENDPOINT", signal.variable);
    variables.is_set(&own) || variables.is_set("OTEL_EXPORTER_OTLP_ENDPOINT") || variables.is_set("OTLP_ENDPOINT")
}

/// The exporter of a signal by the variables of the specification, or by `OTLP_ENDPOINT` where these name no endpoint.
pub(super) fn read(variables: &mut Variables, signal: Signal) -> Option<OtlpSettings> {
    let own = |name: &str| format!("OTEL_EXPORTER_OTLP_{}_{name}", signal.variable);
    let either = |variables: &Variables, name: &str| {
        let own = own(name);
        if variables.is_set(&own) { own } else { format!("OTEL_EXPORTER_OTLP_{name}") }
    };
    let protocol_name = either(variables, "PROTOCOL");
    let protocol = variables.choice(&protocol_name, &PROTOCOLS);
    let insecure_name = either(variables, "INSECURE");
    let insecure = variables.flag(&insecure_name);

    let (name, whole) = match variables.text(&own("ENDPOINT")) {
        Some(_) => (own("ENDPOINT"), true),
        None => ("OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(), false),
    };
    let mut settings = match variables.text(&name) {
        Some(text) => endpoint(&text, protocol, insecure.unwrap_or(false), whole, signal),
        None => match variables.text("OTLP_ENDPOINT") {
            Some(text) => short(&text, protocol, signal).map_err(|message| format!("OTLP_ENDPOINT: {message}")),
            None => {
                let port = if protocol == Some(Protocol::Grpc) { 4317 } else { 4318 };
                endpoint(&format!("http://localhost:{port}"), protocol, true, false, signal)
            }
        },
    }
    .map_err(|message| variables.mistake(&name, message))
    .ok()?;

    if let Some(key) = variables.text("OTLP_API_KEY") {
        match HeaderValue::try_from(api_key(&settings.endpoint, &key).1) {
            Ok(mut value) => {
                value.set_sensitive(true);
                settings.headers.push((HeaderName::from_static(api_key(&settings.endpoint, &key).0), value));
            }
            Err(_) => variables.mistake("OTLP_API_KEY", "expected visible characters only"),
        }
    }
    let headers_name = either(variables, "HEADERS");
    for (name, value) in variables.pairs(&headers_name).unwrap_or_default() {
        match (HeaderName::try_from(&name), HeaderValue::try_from(value)) {
            (Ok(header), Ok(mut value)) => {
                value.set_sensitive(true);
                settings.headers.push((header, value));
            }
            _ => variables.mistake(&headers_name, format!("{name:?} cannot be a header with this value")),
        }
    }
    let compression = either(variables, "COMPRESSION");
    settings.gzip = variables.choice(&compression, &[("gzip", true), ("none", false)]).unwrap_or_default();
    let timeout = either(variables, "TIMEOUT");
    settings.timeout = variables.milliseconds(&timeout).filter(|time| !time.is_zero()).unwrap_or(settings.timeout);
    settings.tls = tls(variables, either);
    Some(settings)
}

fn tls(variables: &mut Variables, either: impl Fn(&Variables, &str) -> String) -> Tls {
    let read = |variables: &mut Variables, name: &str| {
        let name = either(variables, name);
        let path = variables.text(&name)?;
        fs::read(&path).map_err(|error| variables.mistake(&name, format!("cannot read {path}: {error}"))).ok()
    };
    let ca = read(variables, "CERTIFICATE");
    let chain = read(variables, "CLIENT_CERTIFICATE");
    let key = read(variables, "CLIENT_KEY");
    let (chain_name, key_name) = (either(variables, "CLIENT_CERTIFICATE"), either(variables, "CLIENT_KEY"));
    match (variables.is_set(&chain_name), variables.is_set(&key_name)) {
        (true, false) => variables.mistake(key_name, "a client certificate needs its key"),
        (false, true) => variables.mistake(chain_name, "a client key needs its certificate"),
        _ => {}
    }
    let tls = Tls { ca, identity: chain.zip(key) };
    if (tls.ca.is_some() || tls.identity.is_some())
        && let Err(error) = tls.client_config()
    {
        variables.mistake(either(variables, "CERTIFICATE"), error.to_string());
    }
    tls
}

/// An endpoint as the specification has it. Where a signal's own endpoint has no path at all, the signal's path is added
/// (the specification would send to `/`, where no collector listens).
fn endpoint(
    text: &str,
    protocol: Option<Protocol>,
    insecure: bool,
    whole: bool,
    signal: Signal,
) -> Result<OtlpSettings, String> {
    let scheme = if insecure { "http" } else { "https" };
    let text = if text.contains("://") { text.to_owned() } else { format!("{scheme}://{text}") };
    let uri = parse(&text)?;
    let protocol = protocol.unwrap_or_else(|| guess(&uri));
    let has_path = uri.path() != "/" || text.ends_with('/');
    if protocol == Protocol::Grpc || (whole && has_path) {
        return Ok(OtlpSettings::new(uri, protocol));
    }
    Ok(OtlpSettings::new(parse(&format!("{}/{}", text.trim_end_matches('/'), signal.path))?, protocol))
}

/// `OTLP_ENDPOINT`: `host:4317`, `http://host:4318`, or the whole address of one signal, from which those of the others
/// follow.
pub(super) fn short(text: &str, protocol: Option<Protocol>, signal: Signal) -> Result<OtlpSettings, String> {
    let base = [TRACES, LOGS, METRICS].iter().find_map(|other| text.strip_suffix(other.path));
    let protocol = protocol.or(base.map(|_| Protocol::HttpProtobuf));
    endpoint(base.unwrap_or(text), protocol, true, false, signal)
}

/// Port 4317 is that of gRPC; the specification's default is HTTP.
fn guess(uri: &Uri) -> Protocol {
    if uri.port_u16() == Some(4317) { Protocol::Grpc } else { Protocol::HttpProtobuf }
}

fn parse(text: &str) -> Result<Uri, String> {
    let expected = || "expected an address such as http://localhost:4318".to_owned();
    let uri: Uri = text.parse().map_err(|_| expected())?;
    let scheme = matches!(uri.scheme_str(), Some("http" | "https"));
    if scheme && uri.host().is_some_and(|host| !host.is_empty()) { Ok(uri) } else { Err(expected()) }
}

/// The header in which a vendor wants its key.
fn api_key(endpoint: &Uri, key: &str) -> (&'static str, String) {
    let host = endpoint.host().unwrap_or_default();
    let is_of = |domain: &str| host == domain || host.ends_with(&format!(".{domain}"));
    match () {
        () if is_of("honeycomb.io") => ("x-honeycomb-team", key.to_owned()),
        () if is_of("nr-data.net") => ("api-key", key.to_owned()),
        () if is_of("datadoghq.com") => ("dd-api-key", key.to_owned()),
        () => ("authorization", format!("Bearer {key}")),
    }
}

/// Exporters beside the first: Tempo by OTLP, Jaeger by OTLP.
pub(super) fn further_traces(variables: &mut Variables) -> Vec<OtlpSettings> {
    let mut exporters = Vec::new();
    for name in ["TEMPO_ENDPOINT", "JAEGER_ENDPOINT"] {
        let Some(text) = variables.text(name) else { continue };
        match jaeger_otlp(&text).and_then(|text| short(&text, None, TRACES)) {
            Ok(settings) => exporters.push(settings),
            Err(message) => variables.mistake(name, message),
        }
    }
    exporters
}

/// Jaeger takes OTLP since 1.35 and nothing else from new clients since 2.0. Its former ports stand for the same host's
/// OTLP ports: 14268 (Thrift over HTTP) for 4318, 6831 (Thrift over UDP) and 14250 (gRPC) for 4317.
fn jaeger_otlp(text: &str) -> Result<String, String> {
    let text = text.trim_end_matches('/').trim_end_matches("/api/traces");
    for (former, port) in [(":14268", ":4318"), (":6831", ":4317"), (":14250", ":4317")] {
        if let Some(host) = text.strip_suffix(former) {
            return Ok(format!("{host}{port}"));
        }
    }
    Ok(text.to_owned())
}

/// A time for one attempt that is no longer than the signal's export timeout.
pub(super) fn limit_timeout(settings: &mut [OtlpSettings], limit: Option<Duration>) {
    if let Some(limit) = limit.filter(|limit| !limit.is_zero()) {
        settings.iter_mut().for_each(|settings| settings.timeout = settings.timeout.min(limit));
    }
}
