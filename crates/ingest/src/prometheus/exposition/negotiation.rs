/// A form of an exposition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus text, `text/plain`, versions 0.0.4 and 1.0.0.
    Text,
    /// OpenMetrics text, `application/openmetrics-text`.
    OpenMetrics,
    /// Delimited protobuf, `application/vnd.google.protobuf`.
    Protobuf,
}

impl Format {
    /// The form that a `Content-Type` names, whatever its parameters.
    pub fn from_content_type(content_type: &str) -> Option<Self> {
        let essence = content_type.split(';').next()?.trim();
        [
            ("text/plain", Self::Text),
            ("application/openmetrics-text", Self::OpenMetrics),
            ("application/vnd.google.protobuf", Self::Protobuf),
        ]
        .into_iter()
        .find(|(name, _)| essence.eq_ignore_ascii_case(name))
        .map(|(_, format)| format)
    }
}
