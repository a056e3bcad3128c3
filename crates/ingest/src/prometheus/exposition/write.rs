use tripod_model::series::{METRIC_NAME, MetricType, is_label_name, is_metric_name};

use super::number::millis as millis_of;
use super::{Exemplar, ExpositionSink, HistogramPoint, Metadata, Sample, parse_float, write_float};

/// Which text form is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextForm {
    /// Prometheus text; `version=1.0.0` when a name needs quotes.
    Prometheus,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl TextForm {
    /// The `Content-Type` of what is written.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=allow-utf-8",
        }
    }
}

/// Writes a text form. It is a sink, so that any exposition can be written in another form.
///
/// Text has no native histograms: they are left out and counted. Exemplars and units are written in OpenMetrics only.
#[derive(Debug)]
pub struct ExpositionWriter {
    form: TextForm,
    out: String,
    left_out: usize,
}

impl ExpositionWriter {
    /// A writer of a form.
    pub fn new(form: TextForm) -> Self {
        Self { form, out: String::new(), left_out: 0 }
    }

    /// How many native histograms were left out.
    pub fn left_out(&self) -> usize {
        self.left_out
    }

    /// What was written so far, to be sent; the writer goes on with an empty buffer.
    pub fn take(&mut self) -> String {
        std::mem::take(&mut self.out)
    }

    /// The end: what is left to send.
    pub fn finish(mut self) -> String {
        if self.form == TextForm::OpenMetrics {
            self.out.push_str("# EOF\n");
        }
        self.out
    }

    /// Writes a sample of any labels; those that are empty are left out.
    pub fn float<'a>(
        &mut self,
        labels: impl Iterator<Item = (&'a str, &'a str)> + Clone,
        value: f64,
        timestamp: Option<i64>,
        exemplar: Option<&Exemplar<'_>>,
    ) {
        self.series(labels);
        self.out.push(' ');
        write_float(&mut self.out, value);
        if let Some(timestamp) = timestamp {
            self.out.push(' ');
            self.time(timestamp);
        }
        if let Some(exemplar) = exemplar.filter(|_| self.form == TextForm::OpenMetrics) {
            self.out.push_str(" # ");
            self.labels(exemplar.labels.iter(), None);
            self.out.push(' ');
            write_float(&mut self.out, exemplar.value);
            if let Some(timestamp) = exemplar.timestamp {
                self.out.push(' ');
                self.time(timestamp);
            }
        }
        self.out.push('\n');
    }

    fn series<'a>(&mut self, labels: impl Iterator<Item = (&'a str, &'a str)> + Clone) {
        let name = labels.clone().find(|(name, _)| *name == METRIC_NAME).map_or("", |(_, value)| value);
        let is_quoted = !is_metric_name(name);
        if !is_quoted {
            self.out.push_str(name);
        }
        let rest = labels.filter(|(name, value)| *name != METRIC_NAME && !value.is_empty());
        if is_quoted || rest.clone().next().is_some() {
            self.labels(rest, Some(name).filter(|_| is_quoted));
        }
    }

    fn labels<'a>(&mut self, labels: impl Iterator<Item = (&'a str, &'a str)>, quoted_name: Option<&str>) {
        self.out.push('{');
        if let Some(name) = quoted_name {
            self.quoted(name);
        }
        for (index, (name, value)) in labels.enumerate() {
            if index > 0 || quoted_name.is_some() {
                self.out.push(',');
            }
            if is_label_name(name) {
                self.out.push_str(name);
            } else {
                self.quoted(name);
            }
            self.out.push('=');
            self.quoted(value);
        }
        self.out.push('}');
    }

    fn quoted(&mut self, text: &str) {
        self.out.push('"');
        self.escaped(text, true);
        self.out.push('"');
    }

    fn escaped(&mut self, text: &str, quotes: bool) {
        for letter in text.chars() {
            match letter {
                '\\' => self.out.push_str("\\\\"),
                '\n' => self.out.push_str("\\n"),
                '"' if quotes => self.out.push_str("\\\""),
                _ => self.out.push(letter),
            }
        }
    }

    /// Milliseconds, in OpenMetrics as seconds.
    fn time(&mut self, millis: i64) {
        use std::fmt::Write;
        let _ = match self.form {
            TextForm::Prometheus => write!(self.out, "{millis}"),
            TextForm::OpenMetrics => {
                let from = self.out.len();
                let sign = if millis < 0 { "-" } else { "" };
                let absolute = millis.unsigned_abs();
                let _ = write!(self.out, "{sign}{}.{:03}", absolute / 1000, absolute % 1000);
                // Readers multiply by 1000 and cut; where that would lose a millisecond, one more digit saves it.
                if parse_float(&self.out[from..]).map(millis_of) != Some(millis) {
                    self.out.push('1');
                }
                Ok(())
            }
        };
    }

    fn type_name(&self, metric_type: MetricType) -> &'static str {
        match (self.form, metric_type) {
            (TextForm::OpenMetrics, _) => metric_type.name(),
            // What the text format has no word for.
            (_, MetricType::Unknown | MetricType::GaugeHistogram) => "untyped",
            (_, MetricType::Info | MetricType::StateSet) => "gauge",
            _ => metric_type.name(),
        }
    }
}

impl ExpositionSink for ExpositionWriter {
    fn metadata(&mut self, family: &str, metadata: Metadata<'_>) {
        let keyword = match metadata {
            Metadata::Type(_) => "TYPE",
            Metadata::Help(_) => "HELP",
            Metadata::Unit(_) if self.form == TextForm::Prometheus => return,
            Metadata::Unit(_) => "UNIT",
        };
        self.out.push_str("# ");
        self.out.push_str(keyword);
        self.out.push(' ');
        if is_metric_name(family) {
            self.out.push_str(family);
        } else {
            self.quoted(family);
        }
        self.out.push(' ');
        match metadata {
            Metadata::Type(metric_type) => self.out.push_str(self.type_name(metric_type)),
            Metadata::Help(help) => self.escaped(help, self.form == TextForm::OpenMetrics),
            Metadata::Unit(unit) => self.out.push_str(unit),
        }
        self.out.push('\n');
    }

    fn sample(&mut self, sample: Sample<'_>) {
        self.float(sample.labels.iter(), sample.value, sample.timestamp, sample.exemplar.as_ref());
    }

    fn histogram(&mut self, _: HistogramPoint<'_>) {
        self.left_out += 1;
    }
}
