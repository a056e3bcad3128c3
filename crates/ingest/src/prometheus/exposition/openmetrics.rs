//! OpenMetrics 1.0 text.
//!
//! <https://github.com/prometheus/OpenMetrics/blob/v1.0.0/specification/OpenMetrics.md>

use tripod_model::series::MetricType;

use super::family::CurrentFamily;
use super::line::{Line, Spacing, unescape};
use super::number::millis;
use super::rules::FamilyRules;
use super::{Exemplar, ExpositionError, ExpositionSink, LabelSet, Metadata, ParseOptions, Rules, Sample};

/// Reads OpenMetrics line by line.
#[derive(Debug)]
pub(super) struct OpenMetricsParser {
    family: CurrentFamily,
    labels: LabelSet,
    exemplar: LabelSet,
    rules: Option<FamilyRules>,
    created_series: bool,
    ended: bool,
}

impl OpenMetricsParser {
    pub(super) fn new(options: &ParseOptions) -> Self {
        Self {
            family: CurrentFamily::default(),
            labels: LabelSet::default(),
            exemplar: LabelSet::default(),
            rules: (options.rules == Rules::Specification).then(FamilyRules::default),
            created_series: options.created_series,
            ended: false,
        }
    }

    pub(super) fn line(
        &mut self,
        text: &str,
        number: u64,
        sink: &mut impl ExpositionSink,
    ) -> Result<(), ExpositionError> {
        let mut line = Line::new(text, number, Spacing::Exact);
        if self.ended {
            return line.error("nothing may follow # EOF");
        }
        if text == "# EOF" {
            self.ended = true;
            return match &mut self.rules {
                Some(rules) => rules.finish().or_else(|message| line.error(message)),
                None => Ok(()),
            };
        }
        if text.is_empty() {
            return line.error("empty lines are not allowed in OpenMetrics");
        }
        if line.eat("# ") { self.metadata(line, sink) } else { self.sample(line, sink) }
    }

    /// To be called after the last line.
    pub(super) fn finish(&self, number: u64) -> Result<(), ExpositionError> {
        if self.ended {
            return Ok(());
        }
        let message =
            "the exposition does not end with # EOF; it was cut off, or its source does not speak OpenMetrics";
        Err(ExpositionError { line: number, column: 1, message: message.to_owned() })
    }

    fn metadata(&mut self, mut line: Line<'_>, sink: &mut impl ExpositionSink) -> Result<(), ExpositionError> {
        let keyword = line.word();
        if !matches!(keyword, "HELP" | "TYPE" | "UNIT") {
            return line.error("after # come HELP, TYPE, UNIT or EOF; there are no other comments in OpenMetrics");
        }
        line.gap()?;
        let name = line.family_name()?;
        line.gap()?;
        let text = line.rest();
        let metadata = match keyword {
            "HELP" => Metadata::Help(&unescape(text)),
            "UNIT" => {
                let suffix = name.strip_suffix(text).is_some_and(|rest| rest.ends_with('_'));
                if !text.is_empty() && !suffix {
                    return line.error(format!("the unit {text:?} is no suffix of the metric name {name:?}"));
                }
                Metadata::Unit(text)
            }
            _ => match MetricType::from_name(text).filter(|_| text != "untyped") {
                Some(metric_type) => Metadata::Type(metric_type),
                None => {
                    return line.error(format!(
                        "{text:?} is no type; the types are counter, gauge, histogram, gaugehistogram, summary, info, \
                         stateset and unknown"
                    ));
                }
            },
        };
        if let Some(rules) = &mut self.rules {
            rules.metadata(&name, metadata).or_else(|message| line.error(message))?;
        }
        if self.family.name != *name {
            self.family.begin(&name, MetricType::Unknown);
        }
        if let Metadata::Type(metric_type) = metadata {
            self.family.begin(&name, metric_type);
        }
        sink.metadata(&name, metadata);
        Ok(())
    }

    fn sample(&mut self, mut line: Line<'_>, sink: &mut impl ExpositionSink) -> Result<(), ExpositionError> {
        line.series(&mut self.labels)?;
        if self.rules.is_some() && line.ends_with_comma() {
            return line.error("a comma must be followed by a label");
        }
        line.gap()?;
        let value = line.float("a value")?;
        let mut seconds = None;
        let mut exemplar = None;
        if !line.is_at_end() && !line.rest().starts_with(" # ") {
            line.gap()?;
            seconds = Some(time(&mut line, "a time in seconds")?);
        }
        if !line.is_at_end() {
            if !line.eat(" # ") {
                return line.error("expected the end of the line or \" # \" and an exemplar");
            }
            self.exemplar.clear();
            line.labels(&mut self.exemplar, false)?;
            line.gap()?;
            let value = line.float("the exemplar's value")?;
            let mut timestamp = None;
            if !line.is_at_end() {
                line.gap()?;
                timestamp = Some(millis(time(&mut line, "the exemplar's time in seconds")?));
            }
            if !line.is_at_end() {
                return line.error("expected the end of the line");
            }
            exemplar = Some(Exemplar { labels: &self.exemplar, value, timestamp });
        }
        if let Some(rules) = &mut self.rules {
            rules.sample(&self.labels, value, seconds, exemplar.as_ref()).or_else(|message| line.error(message))?;
        }
        let mut is_created = false;
        if matches!(self.family.metric_type, MetricType::Counter | MetricType::Histogram | MetricType::Summary) {
            self.family.normalize(&mut self.labels);
            if self.family.begins_metric(&self.labels) {
                sink.metric();
            }
            is_created = self.family.suffix(self.labels.metric_name()) == Some("_created");
            if is_created {
                sink.created(millis(value));
            }
        }
        if !is_created || self.created_series {
            let timestamp = seconds.map(millis);
            sink.sample(Sample { labels: &self.labels, value, timestamp, start: 0, exemplar });
        }
        Ok(())
    }
}

fn time(line: &mut Line<'_>, what: &str) -> Result<f64, ExpositionError> {
    let seconds = line.float(what)?;
    if seconds.is_finite() { Ok(seconds) } else { line.error(format!("expected {what}, which is finite")) }
}
