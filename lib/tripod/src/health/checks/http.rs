//! A service behind an HTTP address.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Request, Uri, header};
use tokio::sync::Mutex;

use crate::field::Name;
use crate::health::{Check, Outcome};
use crate::network::http::{HttpClient, Tls};

/// A check of a service by a `GET` of this address: healthy when it answers 2xx or 3xx. The connection is kept between two
/// runs. `https` services must be trusted by the system.
///
/// # Errors
/// When the address is not an `http` or `https` URL, or the system trusts nobody.
pub fn http_service(name: impl Into<Name>, url: &str) -> io::Result<Check> {
    let uri: Uri = url.parse().map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    let client = Arc::new(Mutex::new(HttpClient::new(&uri, &Tls::default())?));
    let name = name.into();
    let called = name.clone();
    Ok(Check::new(name, move || {
        let (client, uri, name) = (client.clone(), uri.clone(), called.clone());
        async move {
            let mut request = Request::new(Bytes::new());
            *request.uri_mut() = uri;
            request.headers_mut().insert(header::USER_AGENT, HeaderValue::from_static("tripod-health"));
            match client.lock().await.send(request).await {
                Ok(answer) => {
                    let status = answer.status;
                    let well = status.is_success() || status.is_redirection() || status.is_informational();
                    let outcome = if well { Outcome::healthy } else { Outcome::unhealthy };
                    outcome(format!("{name} answered {status}")).detail("status_code", u32::from(status.as_u16()))
                }
                Err(error) => Outcome::unhealthy(format!("{name} cannot be reached: {error}")),
            }
        }
    }))
}
