//! Which text form a scraper is given.

/// A text form of the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus text format 0.0.4: what everybody reads.
    Prometheus,
    /// OpenMetrics 1.0.0: with exemplars and units.
    OpenMetrics,
}

impl Format {
    /// The form that an `Accept` header asks for. OpenMetrics only when it is asked for by name with at least the weight
    /// of plain text; whatever else the header says, the answer is the Prometheus text format rather than an error.
    pub fn accepted(accept: &str) -> Self {
        let (mut plain, mut open) = (0.0, 0.0);
        for range in accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let media = parts.next().unwrap_or_default();
            let (mut weight, mut version) = (1.0_f32, "");
            for (name, value) in parts.filter_map(|parameter| parameter.split_once('=')) {
                match name.trim().to_ascii_lowercase().as_str() {
                    "q" => weight = value.trim().parse().unwrap_or(0.0),
                    "version" => version = value.trim().trim_matches('"'),
                    _ => {}
                }
            }
            if media.eq_ignore_ascii_case("application/openmetrics-text") && matches!(version, "" | "1.0.0" | "0.0.1") {
                open = weight.max(open);
            } else if ["text/plain", "text/*", "*/*"].iter().any(|plain| media.eq_ignore_ascii_case(plain)) {
                plain = weight.max(plain);
            }
        }
        if open > 0.0 && open >= plain { Self::OpenMetrics } else { Self::Prometheus }
    }

    /// The value of the header `Content-Type`.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scrapers_get_what_they_ask_for() {
        let prometheus_3 = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
                            application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;q=0.4,\
                            text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        assert_eq!(Format::accepted(prometheus_3), Format::OpenMetrics);
        assert_eq!(
            Format::accepted("text/plain;version=0.0.4, application/openmetrics-text;q=0.1"),
            Format::Prometheus
        );
        assert_eq!(Format::accepted("*/*"), Format::Prometheus);
        assert_eq!(Format::accepted(""), Format::Prometheus);
        assert_eq!(Format::accepted("application/openmetrics-text; version=2.0.0"), Format::Prometheus);
        assert_eq!(Format::accepted("application/openmetrics-text;q=0"), Format::Prometheus);
        assert_eq!(Format::accepted("text/html;;q=,=;"), Format::Prometheus);
    }
}
