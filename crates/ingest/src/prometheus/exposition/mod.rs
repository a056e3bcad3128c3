//! The forms in which a program exposes its metrics: read piece by piece into a sink, and written.
//!
//! Three forms: Prometheus text 0.0.4 and 1.0.0, OpenMetrics 1.0 text, and delimited protobuf. Nothing is built up in
//! between: a parser hands each sample to the sink while its labels still lie in a buffer that the next one uses again.
//!
//! What a scrape accepts is what Prometheus accepts. [`Rules::Specification`] asks for all that OpenMetrics demands.
//!
//! Prometheus takes what comes within a label value literally, so a line break in one is refused here (the formats
//! demand `\n`); times before 1970 are read in both text forms, though Prometheus refuses them in its own.

mod batch;
mod custom_buckets;
mod error;
mod family;
mod label_set;
mod line;
mod lint;
mod negotiation;
mod number;
mod openmetrics;
mod protobuf;
mod rules;
mod sink;
mod text;
mod write;

#[cfg(test)]
mod tests;

pub use batch::BatchSink;
pub(in crate::prometheus) use batch::merge;
pub use custom_buckets::CustomBuckets;
pub use error::ExpositionError;
pub use label_set::LabelSet;
pub use lint::{LintProblem, Linter};
pub use negotiation::Format;
pub use number::{NORMAL_NAN, parse_float, write_float, write_label_float};
pub use sink::{Exemplar, ExpositionSink, HistogramPoint, Metadata, OwnedExemplar, Sample};
pub use write::{ExpositionWriter, TextForm};

/// How strict a parser is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rules {
    /// As Prometheus reads: the syntax of each line.
    #[default]
    Prometheus,
    /// As OpenMetrics demands: order, names and values too. No difference for the other forms.
    Specification,
}

/// What a parser makes of what it reads.
#[derive(Clone, Copy, Debug)]
pub struct ParseOptions {
    /// How strict it is.
    pub rules: Rules,
    /// Whether the `_created` samples of OpenMetrics are series too, and not only the start of others. Prometheus has
    /// them as series.
    pub created_series: bool,
    /// Whether native histograms are taken from protobuf; else only the classic part of them.
    pub native_histograms: bool,
    /// Whether a native histogram that has classic buckets too gives these as well.
    pub classic_histograms: bool,
}

impl Default for ParseOptions {
    /// Prometheus' rules, `_created` kept as series, native histograms instead of their classic buckets.
    fn default() -> Self {
        Self { rules: Rules::Prometheus, created_series: true, native_histograms: true, classic_histograms: false }
    }
}

/// Reads a whole exposition.
///
/// What was handed to the sink before an error came stays there: the caller drops it.
///
/// # Errors
/// The first mistake with its line and column.
pub fn parse(
    format: Format,
    body: &[u8],
    options: &ParseOptions,
    sink: &mut impl ExpositionSink,
) -> Result<(), ExpositionError> {
    if format == Format::Protobuf {
        return protobuf::parse(body, options, sink);
    }
    let text = utf8(body)?;
    let mut parser = LineParser::new(format, options);
    for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
        parser.line(line, sink)?;
    }
    parser.finish()
}

/// Reads a text form line by line, for files that are larger than memory.
#[derive(Debug)]
pub struct LineParser {
    number: u64,
    form: Form,
}

#[derive(Debug)]
enum Form {
    Text(text::TextParser),
    OpenMetrics(openmetrics::OpenMetricsParser),
}

impl LineParser {
    /// A parser of a text form; protobuf has no lines and is taken for the Prometheus text format.
    pub fn new(format: Format, options: &ParseOptions) -> Self {
        let form = match format {
            Format::OpenMetrics => Form::OpenMetrics(openmetrics::OpenMetricsParser::new(options)),
            Format::Text | Format::Protobuf => Form::Text(text::TextParser::default()),
        };
        Self { number: 0, form }
    }

    /// Reads the next line, without its line break.
    ///
    /// # Errors
    /// A mistake in the line, or in what it ends.
    pub fn line(&mut self, line: &str, sink: &mut impl ExpositionSink) -> Result<(), ExpositionError> {
        self.number += 1;
        match &mut self.form {
            Form::Text(parser) => parser.line(line, self.number, sink),
            Form::OpenMetrics(parser) => parser.line(line, self.number, sink),
        }
    }

    /// Says that there are no more lines.
    ///
    /// # Errors
    /// When the end of an OpenMetrics exposition is missing.
    pub fn finish(&self) -> Result<(), ExpositionError> {
        match &self.form {
            Form::Text(_) => Ok(()),
            Form::OpenMetrics(parser) => parser.finish(self.number),
        }
    }
}

fn utf8(body: &[u8]) -> Result<&str, ExpositionError> {
    std::str::from_utf8(body).map_err(|error| {
        let before = body.get(..error.valid_up_to()).unwrap_or_default();
        let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        ExpositionError {
            line: before.iter().filter(|byte| **byte == b'\n').count() as u64 + 1,
            column: String::from_utf8_lossy(before.get(line_start..).unwrap_or_default()).chars().count() as u64 + 1,
            message: "a byte that is not UTF-8".to_owned(),
        }
    })
}
