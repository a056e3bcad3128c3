//! The Prometheus text format, 0.0.4, and 1.0.0 with quoted names.
//!
//! <https://prometheus.io/docs/instrumenting/exposition_formats/#text-format-details>

use tripod_model::series::MetricType;

use super::family::CurrentFamily;
use super::line::{Line, Spacing, unescape_help};
use super::{ExpositionError, ExpositionSink, LabelSet, Metadata, Sample};

/// Reads the text format line by line.
#[derive(Debug, Default)]
pub(super) struct TextParser {
    family: CurrentFamily,
    labels: LabelSet,
}

impl TextParser {
    pub(super) fn line(
        &mut self,
        text: &str,
        number: u64,
        sink: &mut impl ExpositionSink,
    ) -> Result<(), ExpositionError> {
        let mut line = Line::new(text, number, Spacing::Free);
        line.skip_blanks();
        if line.is_at_end() {
            return Ok(());
        }
        if line.eat("#") { self.comment(line, sink) } else { self.sample(line, sink) }
    }

    fn comment(&mut self, mut line: Line<'_>, sink: &mut impl ExpositionSink) -> Result<(), ExpositionError> {
        line.skip_blanks();
        let is_help = line.rest().starts_with("HELP");
        if !is_help && !line.rest().starts_with("TYPE") {
            return Ok(());
        }
        line.word();
        if line.is_at_end() || !line.rest().starts_with([' ', '\t']) {
            return Ok(());
        }
        line.skip_blanks();
        let name = line.family_name()?;
        if !line.is_at_end() && !line.rest().starts_with([' ', '\t']) {
            return line.error("expected a space after the metric name");
        }
        line.skip_blanks();
        if is_help {
            sink.metadata(&name, Metadata::Help(&unescape_help(line.rest())));
            return Ok(());
        }
        let metric_type = match line.rest() {
            "counter" => MetricType::Counter,
            "gauge" => MetricType::Gauge,
            "histogram" => MetricType::Histogram,
            "summary" => MetricType::Summary,
            "untyped" => MetricType::Unknown,
            other => {
                return line.error(format!(
                    "{other:?} is no type; the types are counter, gauge, histogram, summary and untyped"
                ));
            }
        };
        self.family.begin(&name, metric_type);
        sink.metadata(&name, Metadata::Type(metric_type));
        Ok(())
    }

    fn sample(&mut self, mut line: Line<'_>, sink: &mut impl ExpositionSink) -> Result<(), ExpositionError> {
        line.series(&mut self.labels)?;
        line.gap()?;
        let value = line.float("a value")?;
        line.skip_blanks();
        let timestamp = if line.is_at_end() { None } else { Some(line.integer("a time in whole milliseconds")?) };
        line.skip_blanks();
        if !line.is_at_end() {
            return line.error("expected the end of the line");
        }
        if matches!(self.family.metric_type, MetricType::Histogram | MetricType::Summary) {
            self.family.normalize(&mut self.labels);
            if self.family.begins_metric(&self.labels) {
                sink.metric();
            }
        }
        sink.sample(Sample { labels: &self.labels, value, timestamp, start: 0, exemplar: None });
        Ok(())
    }
}
