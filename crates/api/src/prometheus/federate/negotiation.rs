use http::HeaderMap;
use http::header::ACCEPT;

/// The form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Format {
    /// Messages of protobuf, each after its length; else text.
    pub(super) protobuf: bool,
    /// Names of any characters as they are; else with underscores.
    pub(super) utf8: bool,
}

impl Format {
    /// The first form that the client prefers and that is known; text when there is none.
    pub(super) fn negotiate(headers: &HeaderMap) -> Self {
        let accepted = headers.get_all(ACCEPT).into_iter().filter_map(|value| value.to_str().ok());
        let mut clauses: Vec<Clause<'_>> = accepted.flat_map(|value| value.split(',')).map(Clause::of).collect();
        clauses.sort_by(|one, other| other.quality.total_cmp(&one.quality));
        let mut utf8 = false;
        for clause in clauses {
            // As in Prometheus, a way to write names counts even where the form it stands with is not known.
            if let Some(escaping) = clause.parameter("escaping") {
                utf8 = escaping == "allow-utf-8";
            }
            let is_protobuf = clause.kind == "application/vnd.google.protobuf"
                && clause.parameter("proto") == Some("io.prometheus.client.MetricFamily")
                && clause.parameter("encoding") == Some("delimited");
            let is_text =
                clause.kind == "text/plain" && clause.parameter("version").is_none_or(|version| version == "0.0.4");
            if is_protobuf || is_text {
                return Self { protobuf: is_protobuf, utf8 };
            }
        }
        Self { protobuf: false, utf8 }
    }

    pub(super) fn content_type(self) -> &'static str {
        match (self.protobuf, self.utf8) {
            (true, true) => {
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited; \
                 escaping=allow-utf-8"
            }
            (true, false) => {
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited; \
                 escaping=underscores"
            }
            (false, true) => "text/plain; version=0.0.4; charset=utf-8; escaping=allow-utf-8",
            (false, false) => "text/plain; version=0.0.4; charset=utf-8; escaping=underscores",
        }
    }
}

/// `type/subtype;name=value;q=0.5`
struct Clause<'a> {
    kind: &'a str,
    parameters: &'a str,
    quality: f64,
}

impl<'a> Clause<'a> {
    fn of(text: &'a str) -> Self {
        let (kind, parameters) = text.split_once(';').unwrap_or((text, ""));
        let mut clause = Self { kind: kind.trim(), parameters, quality: 1.0 };
        if let Some(quality) = clause.parameter("q") {
            clause.quality = quality.parse().unwrap_or(1.0);
        }
        clause
    }

    fn parameter(&self, name: &str) -> Option<&'a str> {
        let mut pairs = self.parameters.split(';').filter_map(|pair| pair.split_once('='));
        pairs.find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim().trim_matches('"'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_preferred_and_known_is_taken() {
        // What a Prometheus 3 sends that scrapes native histograms, and one that does not.
        let protobuf_first = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;\
            escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
            text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
        let text_first = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
            text/plain;version=0.0.4;q=0.3,application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;\
            encoding=delimited;q=0.2,*/*;q=0.1";
        for (accept, protobuf, utf8) in [
            (protobuf_first, true, true),
            (text_first, false, true),
            ("text/plain; version=1.0.0; escaping=allow-utf-8", false, true),
            ("text/plain", false, false),
            ("application/vnd.google.protobuf;proto=x.Y;encoding=delimited", false, false),
            ("*/*", false, false),
            ("", false, false),
            (";;q=,q=x;=", false, false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, accept.parse().unwrap());
            assert_eq!(Format::negotiate(&headers), Format { protobuf, utf8 }, "{accept}");
        }
    }
}
