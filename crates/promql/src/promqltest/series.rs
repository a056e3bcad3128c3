//! The notation of series: `metric{label="value"} 1 2+3x4 _ stale {{schema:1 sum:3 buckets:[1 2]}}x2`.

use std::sync::Arc;

use tripod_model::series::{
    CounterResetHint, FloatHistogram, Labels, LabelsBuilder, METRIC_NAME, NativeSpan, STALE_NAN,
};

use super::text::{Cursor, parse_duration};

/// Most values that one line may spell.
const MOST_VALUES: usize = 1_000_000;

/// One place of a sequence.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Point {
    /// No sample.
    Omitted,
    /// A number.
    Float(f64),
    /// A native histogram.
    Histogram {
        /// The histogram.
        value: Arc<FloatHistogram>,
        /// Whether its counter reset hint was written down; only then it is compared.
        hint_given: bool,
    },
}

/// Reads a series with its values.
///
/// # Errors
/// What is wrong and at which column.
pub(super) fn parse_series(line: &str) -> Result<(Labels, Vec<Point>), String> {
    let mut cursor = Cursor::new(line);
    let labels = labels(&mut cursor)?;
    let mut points = Vec::new();
    while !cursor.at_end() {
        if !cursor.skip_space() {
            return Err(cursor.unexpected("a space between values"));
        }
        if cursor.at_end() {
            break;
        }
        item(&mut cursor, &mut points)?;
        if points.len() > MOST_VALUES {
            return Err(format!("more than {MOST_VALUES} values in one line"));
        }
    }
    Ok((labels, points))
}

/// Reads offsets of start times from the times of their samples, in milliseconds: `_ -30s-1mx2`.
///
/// # Errors
/// What is wrong.
pub(super) fn parse_start_times(text: &str) -> Result<Vec<Option<i64>>, String> {
    let mut offsets = Vec::new();
    for item in text.split_whitespace() {
        let (item, times) = match item.rsplit_once('x') {
            Some((item, times)) => {
                (item, Some(times.parse::<usize>().map_err(|_| format!("bad repetition in {item:?}"))?))
            }
            None => (item, None),
        };
        if times.unwrap_or(0).saturating_add(offsets.len()) > MOST_VALUES {
            return Err(format!("more than {MOST_VALUES} values in one line"));
        }
        if item == "_" {
            offsets.extend(std::iter::repeat_n(None, times.unwrap_or(1)));
            continue;
        }
        let second = item.get(1..).and_then(|rest| rest.find(['+', '-'])).map_or(item.len(), |at| at + 1);
        let mut offset = signed_duration(&item[..second])?;
        let step = if second < item.len() { signed_duration(&item[second..])? } else { 0 };
        for _ in 0..=times.unwrap_or(0) {
            offsets.push(Some(offset));
            offset = offset.saturating_add(step);
        }
    }
    Ok(offsets)
}

fn signed_duration(text: &str) -> Result<i64, String> {
    match text.strip_prefix('-') {
        Some(rest) => Ok(-parse_duration(rest)?),
        None => parse_duration(text.strip_prefix('+').unwrap_or(text)),
    }
}

fn labels(cursor: &mut Cursor<'_>) -> Result<Labels, String> {
    let mut builder = LabelsBuilder::default();
    let name = if cursor.rest().starts_with(|c: char| c.is_ascii_digit()) {
        ""
    } else {
        cursor.take_while(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':')
    };
    if !name.is_empty() {
        builder.set(METRIC_NAME, name);
    }
    if !cursor.eat("{") {
        return if name.is_empty() { Err(cursor.unexpected("a metric's name or {")) } else { Ok(builder.build()) };
    }
    loop {
        cursor.skip_space();
        if cursor.eat("}") {
            return Ok(builder.build());
        }
        let quoted = cursor.string()?;
        let label = match &quoted {
            Some(text) => text.as_str(),
            None => cursor.take_while(|c| c.is_ascii_alphanumeric() || c == '_'),
        };
        if label.is_empty() {
            return Err(cursor.unexpected("a label's name"));
        }
        cursor.skip_space();
        if cursor.eat("=") {
            cursor.skip_space();
            let value = cursor.string()?.ok_or_else(|| cursor.unexpected("a quoted value"))?;
            builder.set(label, &value);
        } else if quoted.is_some() {
            builder.set(METRIC_NAME, label);
        } else {
            return Err(cursor.unexpected("="));
        }
        cursor.skip_space();
        if !cursor.eat(",") && !cursor.peek_is('}') {
            return Err(cursor.unexpected(", or }"));
        }
    }
}

fn item(cursor: &mut Cursor<'_>, points: &mut Vec<Point>) -> Result<(), String> {
    if cursor.eat("_") {
        let times = repetition(cursor)?.unwrap_or(1);
        points.extend(std::iter::repeat_n(Point::Omitted, times));
        return Ok(());
    }
    if cursor.eat("{{") {
        return histograms(cursor, points);
    }
    if cursor.eat("stale") {
        let times = repetition(cursor)?.unwrap_or(0);
        points.extend(std::iter::repeat_n(Point::Float(STALE_NAN), times + 1));
        return Ok(());
    }
    let mut value = number(cursor)?;
    let step = if cursor.peek_is('+') || cursor.peek_is('-') { Some(number(cursor)?) } else { None };
    let times = repetition(cursor)?;
    if step.is_some() && times.is_none() {
        return Err(cursor.unexpected("x and a number of steps"));
    }
    for _ in 0..=times.unwrap_or(0) {
        points.push(Point::Float(value));
        value += step.unwrap_or(0.0);
    }
    Ok(())
}

/// After `{{`.
fn histograms(cursor: &mut Cursor<'_>, points: &mut Vec<Point>) -> Result<(), String> {
    let (base, mut hint_given) = histogram(cursor)?;
    let sign = if cursor.eat("+{{") {
        Some(1.0)
    } else if cursor.eat("-{{") {
        Some(-1.0)
    } else {
        None
    };
    let Some(sign) = sign else {
        let value = Arc::new(base);
        let times = repetition(cursor)?.unwrap_or(0);
        points.extend(std::iter::repeat_n(Point::Histogram { value, hint_given }, times + 1));
        return Ok(());
    };
    let (step, step_hint_given) = histogram(cursor)?;
    hint_given = step_hint_given;
    let times = repetition(cursor)?.ok_or_else(|| cursor.unexpected("x and a number of steps"))?;
    let mut current = base;
    for turn in 0..=times {
        if turn > 0 {
            if current.schema > step.schema {
                return Err(format!(
                    "error combining histograms: cannot merge from schema {} to {}",
                    step.schema, current.schema
                ));
            }
            let combined = if sign > 0.0 { current.add(&step) } else { current.sub(&step) };
            combined.map_err(|error| error.to_string())?;
        }
        points.push(Point::Histogram { value: Arc::new(current.clone()), hint_given });
    }
    Ok(())
}

/// After `{{`, up to and with `}}`; whether the hint was given.
fn histogram(cursor: &mut Cursor<'_>) -> Result<(FloatHistogram, bool), String> {
    let mut histogram = FloatHistogram::default();
    let (mut offset, mut negative_offset, mut hint_given) = (0, 0, false);
    loop {
        cursor.skip_space();
        if cursor.eat("}}") {
            break;
        }
        let key = cursor.take_while(|c| c.is_ascii_alphabetic() || c == '_');
        if !cursor.eat(":") {
            return Err(cursor.unexpected("a part of a histogram, for example buckets:[5 10 7]"));
        }
        match key {
            "schema" => histogram.schema = integer(cursor)?,
            "sum" => histogram.sum = number(cursor)?,
            "count" => histogram.count = number(cursor)?,
            "z_bucket" => histogram.zero_count = number(cursor)?,
            "z_bucket_w" => histogram.zero_threshold = number(cursor)?,
            "custom_values" => histogram.custom_values = numbers(cursor)?,
            "buckets" => histogram.positive_buckets = numbers(cursor)?,
            "offset" => offset = integer(cursor)?,
            "n_buckets" => histogram.negative_buckets = numbers(cursor)?,
            "n_offset" => negative_offset = integer(cursor)?,
            "counter_reset_hint" => {
                hint_given = true;
                histogram.counter_reset_hint = match cursor.take_while(|c| c.is_ascii_alphabetic() || c == '_') {
                    "unknown" => CounterResetHint::Unknown,
                    "reset" => CounterResetHint::CounterReset,
                    "not_reset" => CounterResetHint::NotCounterReset,
                    "gauge" => CounterResetHint::Gauge,
                    _ => return Err(cursor.unexpected("unknown, reset, not_reset or gauge")),
                };
            }
            _ => return Err(cursor.unexpected("a known part of a histogram")),
        }
    }
    let spans = |offset, buckets: &[f64]| match buckets.len() {
        0 => Vec::new(),
        length => vec![NativeSpan { offset, length: length as u32 }],
    };
    histogram.positive_spans = spans(offset, &histogram.positive_buckets);
    histogram.negative_spans = spans(negative_offset, &histogram.negative_buckets);
    Ok((histogram, hint_given))
}

fn numbers(cursor: &mut Cursor<'_>) -> Result<Vec<f64>, String> {
    if !cursor.eat("[") {
        return Err(cursor.unexpected("["));
    }
    let mut values = Vec::new();
    loop {
        cursor.skip_space();
        if cursor.eat("]") {
            return Ok(values);
        }
        values.push(number(cursor)?);
    }
}

/// `x5`
fn repetition(cursor: &mut Cursor<'_>) -> Result<Option<usize>, String> {
    if !cursor.eat("x") {
        return Ok(None);
    }
    let digits = cursor.take_while(|c| c.is_ascii_digit());
    match digits.parse() {
        Ok(times) if times <= MOST_VALUES => Ok(Some(times)),
        _ => Err(format!("invalid repetition in series values: {digits:?}")),
    }
}

fn integer(cursor: &mut Cursor<'_>) -> Result<i32, String> {
    let sign = if cursor.eat("-") { -1 } else { 1 };
    let digits = cursor.take_while(|c| c.is_ascii_digit());
    digits.parse::<i32>().map(|value| sign * value).map_err(|_| cursor.unexpected("a whole number"))
}

/// A number with or without a sign; a duration is a number of seconds.
fn number(cursor: &mut Cursor<'_>) -> Result<f64, String> {
    let sign = if cursor.eat("-") {
        -1.0
    } else {
        cursor.eat("+");
        1.0
    };
    let word = cursor.take_while(|c| c.is_ascii_alphabetic());
    if !word.is_empty() {
        return match word.to_ascii_lowercase().as_str() {
            "inf" => Ok(sign * f64::INFINITY),
            "nan" => Ok(f64::NAN),
            _ => Err(format!("unexpected {word:?}, expected a number or \"stale\"")),
        };
    }
    let start = cursor.rest();
    cursor.take_while(|c| c.is_ascii_digit() || c == '.' || c == '_');
    if cursor.peek_is('e') || cursor.peek_is('E') {
        cursor.advance();
        if !cursor.eat("-") {
            cursor.eat("+");
        }
        cursor.take_while(|c| c.is_ascii_digit());
    } else if !cursor.peek_is('x') {
        // The letters and further digits of a duration; `x` repeats.
        cursor.take_while(|c| c.is_ascii_alphanumeric() && c != 'x');
    }
    let text = &start[..start.len() - cursor.rest().len()];
    match text.replace('_', "").parse::<f64>() {
        Ok(value) => Ok(sign * value),
        Err(_) => match parse_duration(text) {
            Ok(millis) => Ok(sign * millis as f64 / 1000.0),
            Err(_) => Err(cursor.unexpected("a number")),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn floats(line: &str) -> Vec<f64> {
        let (_, points) = parse_series(line).unwrap();
        points.iter().map(|point| if let Point::Float(value) = point { *value } else { f64::MAX }).collect()
    }

    #[test]
    fn sequences_of_numbers() {
        assert_eq!(
            floats("a 1 2+3x2 -4-.5x1 1e-2x1 0x2 Inf -Inf 1m"),
            [1.0, 2.0, 5.0, 8.0, -4.0, -4.5, 0.01, 0.01, 0.0, 0.0, 0.0, f64::INFINITY, f64::NEG_INFINITY, 60.0]
        );
        assert_eq!(floats("a _ _x2 3"), [f64::MAX, f64::MAX, f64::MAX, 3.0]);
        assert_eq!(floats("a stale")[0].to_bits(), STALE_NAN.to_bits());
        for wrong in
            ["a 1+2", "a x", "a 1x", "a 1,2", "a stalex99999999999", "a {{", "a {{schema}}", "a b", "1x1000001 2", ""]
        {
            assert!(parse_series(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn names_may_be_quoted() {
        let (labels, _) = parse_series(r#"{"a.b", 'c d'="e\"f", g=`h`,} 1"#).unwrap();
        assert_eq!(labels, Labels::from_pairs([(METRIC_NAME, "a.b"), ("c d", "e\"f"), ("g", "h")]));
    }

    #[test]
    fn histograms_grow_by_a_step() {
        let (_, points) = parse_series(
            "a {{schema:0 sum:4 count:4 buckets:[1 2 1] n_offset:-1 n_buckets:[1]}}+{{count:1 buckets:[1]}}x1",
        )
        .unwrap();
        let Point::Histogram { value, hint_given: false } = &points[1] else { panic!("{points:?}") };
        assert_eq!(value.to_notation(), "{{count:5 sum:4 buckets:[2 2 1] n_offset:-1 n_buckets:[1]}}");
        let (_, points) = parse_series("a {{schema:-53 custom_values:[5 10] counter_reset_hint:gauge}}x2").unwrap();
        assert_eq!(points.len(), 3);
        let Point::Histogram { value, hint_given: true } = &points[2] else { panic!("{points:?}") };
        assert_eq!(value.to_notation(), "{{schema:-53 custom_values:[5 10] counter_reset_hint:gauge}}");
    }

    #[test]
    fn start_times_count_from_their_samples() {
        let minute = 60_000;
        assert_eq!(
            parse_start_times("_ -30s-1mx1 _x2 -0ms 1s").unwrap(),
            [None, Some(-30_000), Some(-30_000 - minute), None, None, Some(0), Some(1000)]
        );
        assert!(parse_start_times("a").is_err());
        assert!(parse_start_times("1sx").is_err());
    }
}
