use std::io::Write;
use std::time::Duration;

use tripod_model::series::Labels;
use tripod_promql::ast::{Expr, ExprKind};
use tripod_promql::engine::{self, MatrixSeries, QueryOptions, QueryStats, SampleValue, Value, VectorSample};
use tripod_promql::parser::{self, parse as parse_promql};
use tripod_promql::{literal, printer};
use tripod_storage::series::{LabelMatcher, LabelQuery};

use super::answer::{Answer, Pieces, TRUNCATED, list};
use super::error::ApiError;
use super::parameters::{Parameters, now, parse_nanos};
use super::{Prometheus, Shared, json};

/// Steps of a range query beyond this are refused: a week by the minute, or a year by the hour.
const MAX_STEPS: i128 = 11_000;

impl Prometheus {
    /// The parts of the language that are switched on.
    pub(super) fn language(&self) -> parser::Options {
        let settings = &self.settings;
        parser::Options {
            experimental_functions: settings.experimental_functions,
            duration_expressions: settings.duration_expressions,
            extended_range_selectors: settings.extended_range_selectors,
            fill_modifiers: settings.fill_modifiers,
        }
    }
}

/// `query`
pub(super) async fn instant(prometheus: Shared, parameters: Parameters) -> Result<Answer, ApiError> {
    let limit = parameters.limit()?;
    let time = parameters.time("time")?.unwrap_or_else(now);
    let options = options(&parameters)?;
    let answered = prometheus.engine.instant(parameters.first("query"), time, options).await;
    answered.map(|answered| answer(answered, limit, &parameters)).map_err(ApiError::query)
}

/// `query_range`
pub(super) async fn range(prometheus: Shared, parameters: Parameters) -> Result<Answer, ApiError> {
    let limit = parameters.limit()?;
    let start = parameters.required_time("start")?;
    let end = parameters.required_time("end")?;
    if end < start {
        return Err(ApiError::invalid("end", "end timestamp must not be before start time"));
    }
    let step = parameters.duration("step")?;
    if step <= 0 {
        let reason = "zero or negative query resolution step widths are not accepted. Try a positive integer";
        return Err(ApiError::invalid("step", reason));
    }
    if (i128::from(end) - i128::from(start)) * 1_000_000 / i128::from(step) > MAX_STEPS {
        return Err(ApiError::bad_data(
            "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution \
             (?step=XX)",
        ));
    }
    let options = options(&parameters)?;
    // The engine counts in milliseconds; a finer step would be none.
    let step = (step / 1_000_000).max(1);
    let answered = prometheus.engine.range(parameters.first("query"), start, end, step, options).await;
    answered.map(|answered| answer(answered, limit, &parameters)).map_err(ApiError::query)
}

/// `query_exemplars`
pub(super) async fn exemplars(prometheus: Shared, parameters: Parameters) -> Result<Answer, ApiError> {
    let range = parameters.range()?;
    if range.end < range.start {
        return Err(ApiError::bad_data("end timestamp must not be before start timestamp"));
    }
    let expr = parse_promql(parameters.first("query"), prometheus.language())
        .map_err(|error| ApiError::bad_data(error.to_string()))?;
    let matcher_sets = selectors(&expr);
    if matcher_sets.is_empty() {
        return Ok(Answer::Nothing);
    }
    let found = prometheus.engine.store().exemplars(LabelQuery { matcher_sets, range, limit: 0 }).await?;
    Ok(Answer::limited(found, 0, |out, (labels, exemplars)| {
        out.extend_from_slice(b"{\"seriesLabels\":");
        json::labels(out, labels);
        out.extend_from_slice(b",\"exemplars\":");
        json::list(out, exemplars, |out, exemplar| {
            out.extend_from_slice(b"{\"labels\":");
            json::labels(out, &exemplar.labels);
            out.extend_from_slice(b",\"value\":");
            json::float(out, exemplar.value);
            out.extend_from_slice(b",\"timestamp\":");
            json::timestamp(out, exemplar.timestamp);
            out.push(b'}');
        });
        out.push(b'}');
    }))
}

/// `format_query`
pub(super) async fn format(prometheus: Shared, parameters: Parameters) -> Result<Answer, ApiError> {
    let expr = read(&prometheus, &parameters)?;
    Ok(Answer::json(|out| json::text(out, &printer::pretty(&expr))))
}

/// `parse_query`
pub(super) async fn parse(prometheus: Shared, parameters: Parameters) -> Result<Answer, ApiError> {
    let expr = read(&prometheus, &parameters)?;
    Ok(Answer::json(|out| out.extend_from_slice(printer::to_json(&expr).as_bytes())))
}

fn read(prometheus: &Prometheus, parameters: &Parameters) -> Result<Expr, ApiError> {
    parse_promql(parameters.first("query"), prometheus.language()).map_err(|error| ApiError::invalid("query", error))
}

/// The conditions of each selector of an expression.
fn selectors(expr: &Expr) -> Vec<Vec<LabelMatcher>> {
    match &expr.kind {
        ExprKind::Vector(vector) => vec![vector.matchers.clone()],
        ExprKind::Matrix(matrix) => vec![matrix.vector.matchers.clone()],
        _ => expr.children().flat_map(selectors).collect(),
    }
}

fn options(parameters: &Parameters) -> Result<QueryOptions, ApiError> {
    let lookback = match parameters.first("lookback_delta") {
        "" => None,
        text => Some(
            parse_nanos(text)
                .map_err(|reason| ApiError::bad_data(format!("error parsing lookback delta duration: {reason}")))?,
        ),
    };
    Ok(QueryOptions {
        timeout: parameters.timeout()?,
        // Zero is as if it were not there.
        lookback_ms: lookback.map(|nanos| nanos / 1_000_000).filter(|millis| *millis != 0),
        per_step_stats: parameters.first("stats") == "all",
    })
}

fn answer(answered: engine::Answer, limit: usize, parameters: &Parameters) -> Answer {
    let mut warnings = answered.annotations.warnings;
    let mut value = answered.value;
    let rows = match &mut value {
        Value::Vector(samples) => truncate(samples, limit, &mut warnings),
        Value::Matrix(series) => truncate(series, limit, &mut warnings),
        Value::Scalar { .. } | Value::String { .. } => 1,
    };
    let stats = parameters.first("stats");
    if !matches!(stats, "" | "true" | "all") {
        let given = literal::quote(stats);
        warnings.push(format!(
            "value {given} for parameter \"stats\" is deprecated and will be rejected in the next major release, use \
             \"true\" or \"all\""
        ));
    }
    let mut tail = Vec::new();
    if !stats.is_empty() {
        tail.extend_from_slice(b",\"stats\":");
        write_stats(&mut tail, &answered.stats);
    }
    tail.push(b'}');
    let (kind, result) = result(value);
    let head = format!(r#"{{"resultType":"{kind}","result":"#).into_bytes();
    let data = Box::new(std::iter::once(head).chain(result).chain(std::iter::once(tail)));
    Answer::Data { data, warnings, infos: answered.annotations.infos, rows }
}

fn truncate<T>(all: &mut Vec<T>, limit: usize, warnings: &mut Vec<String>) -> u64 {
    if limit > 0 && all.len() > limit {
        all.truncate(limit);
        warnings.push(TRUNCATED.to_owned());
    }
    all.len() as u64
}

fn result(value: Value) -> (&'static str, Pieces) {
    let one = |write: &dyn Fn(&mut Vec<u8>)| -> Pieces {
        let mut out = Vec::new();
        write(&mut out);
        Box::new(std::iter::once(out))
    };
    match value {
        Value::Scalar { timestamp, value } => {
            // Unlike those of a vector, without an exponent.
            let number = literal::format_float(value);
            ("scalar", one(&|out| write_pair(out, timestamp, |out| json::text(out, &number))))
        }
        Value::String { timestamp, value } => {
            ("string", one(&|out| write_pair(out, timestamp, |out| json::text(out, &value))))
        }
        Value::Vector(samples) => ("vector", list(samples, write_sample)),
        Value::Matrix(series) => ("matrix", list(series, write_series)),
    }
}

fn write_pair(out: &mut Vec<u8>, timestamp: i64, write: impl FnOnce(&mut Vec<u8>)) {
    out.push(b'[');
    json::timestamp(out, timestamp);
    out.push(b',');
    write(out);
    out.push(b']');
}

fn write_metric(out: &mut Vec<u8>, labels: &Labels) {
    out.extend_from_slice(b"{\"metric\":");
    json::labels(out, labels);
}

fn write_sample(out: &mut Vec<u8>, sample: &VectorSample) {
    write_metric(out, &sample.labels);
    match &sample.value {
        SampleValue::Float(value) => {
            out.extend_from_slice(b",\"value\":");
            write_pair(out, sample.timestamp, |out| json::float(out, *value));
        }
        SampleValue::Histogram(value) => {
            out.extend_from_slice(b",\"histogram\":");
            write_pair(out, sample.timestamp, |out| json::histogram(out, value));
        }
    }
    out.push(b'}');
}

fn write_series(out: &mut Vec<u8>, series: &MatrixSeries) {
    write_metric(out, &series.labels);
    let (floats, histograms) = (&series.samples.floats, &series.samples.histograms);
    if !floats.timestamps.is_empty() {
        out.extend_from_slice(b",\"values\":");
        json::list(out, floats.timestamps.iter().zip(&floats.values), |out, (time, value)| {
            write_pair(out, *time, |out| json::float(out, *value));
        });
    }
    if !histograms.timestamps.is_empty() {
        out.extend_from_slice(b",\"histograms\":");
        json::list(out, histograms.timestamps.iter().zip(&histograms.values), |out, (time, value)| {
            write_pair(out, *time, |out| json::histogram(out, value));
        });
    }
    out.push(b'}');
}

fn write_stats(out: &mut Vec<u8>, stats: &QueryStats) {
    let seconds = |time: Duration| time.as_secs_f64();
    let total = stats.queue + stats.prepare + stats.evaluate;
    // Sorting is part of the evaluation here, and takes no time of its own.
    let _ = write!(
        out,
        r#"{{"timings":{{"evalTotalTime":{},"resultSortTime":0,"queryPreparationTime":{},"innerEvalTime":{},"execQueueTime":{},"execTotalTime":{}}},"samples":{{"#,
        seconds(stats.prepare + stats.evaluate),
        seconds(stats.prepare),
        seconds(stats.evaluate),
        seconds(stats.queue),
        seconds(total),
    );
    if !stats.samples_per_step.is_empty() {
        out.extend_from_slice(b"\"totalQueryableSamplesPerStep\":");
        json::list(out, &stats.samples_per_step, |out, (time, samples)| {
            write_pair(out, *time, |out| json::integer(out, *samples));
        });
        out.push(b',');
    }
    let _ = write!(
        out,
        r#""totalQueryableSamples":{},"samplesRead":{},"peakSamples":{}}}}}"#,
        stats.total_samples, stats.samples_read, stats.peak_samples
    );
}
