//! What the tests share: a client of S3, and what no sink may ever be given.

use std::sync::Arc;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::{Credentials, Region};
use tripod::field::Value;
use tripod::testing::Capture;
use tripod::traces::SpanData;

/// An id of a key as AWS gives them.
pub const ACCESS_KEY: &str = "AKIAIOSFODNN7EXAMPLE";
/// The key.
pub const SECRET_KEY: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
/// What comes with keys for a time.
pub const SESSION_TOKEN: &str = "FwoGZXIvYXdzECANARYSESSIONTOKEN";
/// Where nobody listens.
pub const NOWHERE: &str = "http://127.0.0.1:1";

/// The server that the environment names.
///
/// # Panics
/// When there is none.
pub fn endpoint() -> String {
    std::env::var("S3_ENDPOINT").expect("S3_ENDPOINT is set by interop/sdk/s3/run")
}

/// AWS's own client, which tries once.
pub fn client(endpoint: &str) -> Client {
    let credentials = Credentials::new(ACCESS_KEY, SECRET_KEY, Some(SESSION_TOKEN.to_owned()), None, "test");
    let config = aws_sdk_s3::Config::builder()
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .region(Region::new("eu-central-1"))
        .credentials_provider(credentials)
        .endpoint_url(endpoint)
        .force_path_style(true)
        .retry_config(RetryConfig::disabled())
        .build();
    Client::from_conf(config)
}

/// The spans of the SDK, in the order of their ends: name, key, and whether it failed.
pub fn calls(capture: &Capture) -> Vec<(String, String, bool)> {
    let text = |span: &SpanData, name| span.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    spans(capture).iter().map(|span| (span.name.to_string(), text(span, "aws.s3.key"), span.is_error())).collect()
}

/// The spans of the SDK. The clients have some of their own.
pub fn spans(capture: &Capture) -> Vec<Arc<SpanData>> {
    capture.spans().into_iter().filter(|span| span.scope == "tripod::cloud").collect()
}

/// # Panics
/// When anything that a sink would have been given, the clients' own lines at every level included, has a credential.
pub fn assert_no_credential(capture: &Capture) {
    let all = format!("{:#?}\n{:#?}", capture.spans(), capture.logs());
    for secret in [ACCESS_KEY, SECRET_KEY, SESSION_TOKEN] {
        let lines: Vec<_> = all.lines().filter(|line| line.contains(secret)).collect();
        assert!(lines.is_empty(), "{secret} is in {lines:#?}");
    }
}
