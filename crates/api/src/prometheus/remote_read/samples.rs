//! `SAMPLES`: a `prometheus.ReadResponse`, whole, as a block of Snappy.

use http::StatusCode;
use prost::encoding::{double, int64, sint32, uint32};
use tripod_model::series::{CounterResetHint, FloatHistogram, NativeSpan, Samples};
use tripod_storage::series::{MillisRange, SelectedSeries};

use super::{Refusal, failed, labels, nested};

/// The response of at most so many samples, compressed, and the number of its series.
pub(super) fn encode(
    selected: Vec<(Vec<SelectedSeries>, MillisRange)>,
    limit: usize,
) -> Result<(Vec<u8>, u64), Refusal> {
    let (mut response, mut result, mut message, mut part) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut rows, mut count) = (0, 0);
    for (series, range) in selected {
        result.clear();
        for each in series {
            let samples = each.samples(range).map_err(failed)?;
            if samples.is_empty() {
                continue;
            }
            count += samples.len();
            if count > limit {
                return Err((StatusCode::BAD_REQUEST, format!("exceeded sample limit ({limit})")));
            }
            message.clear();
            labels(&each.labels, &mut part, &mut message);
            push_samples(&samples, &mut part, &mut message);
            nested(1, &message, &mut result);
            rows += 1;
        }
        nested(1, &result, &mut response);
    }
    let compressed = snap::raw::Encoder::new().compress_vec(&response);
    compressed.map(|body| (body, rows)).map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
}

fn push_samples(samples: &Samples, part: &mut Vec<u8>, message: &mut Vec<u8>) {
    for (time, value) in samples.floats.timestamps.iter().zip(&samples.floats.values) {
        part.clear();
        double::encode(1, value, part);
        int64::encode(2, time, part);
        nested(2, part, message);
    }
    for (time, value) in samples.histograms.timestamps.iter().zip(&samples.histograms.values) {
        part.clear();
        histogram(value, part);
        int64::encode(15, time, part);
        nested(4, part, message);
    }
}

fn histogram(histogram: &FloatHistogram, out: &mut Vec<u8>) {
    double::encode(2, &histogram.count, out);
    double::encode(3, &histogram.sum, out);
    sint32::encode(4, &histogram.schema, out);
    double::encode(5, &histogram.zero_threshold, out);
    double::encode(7, &histogram.zero_count, out);
    spans(8, &histogram.negative_spans, out);
    double::encode_packed(10, &histogram.negative_buckets, out);
    spans(11, &histogram.positive_spans, out);
    double::encode_packed(13, &histogram.positive_buckets, out);
    let hint = match histogram.counter_reset_hint {
        CounterResetHint::Unknown => 0,
        CounterResetHint::CounterReset => 1,
        CounterResetHint::NotCounterReset => 2,
        CounterResetHint::Gauge => 3,
    };
    uint32::encode(14, &hint, out);
    double::encode_packed(16, &histogram.custom_values, out);
}

fn spans(field: u32, spans: &[NativeSpan], out: &mut Vec<u8>) {
    let mut body = Vec::new();
    for span in spans {
        body.clear();
        sint32::encode(1, &span.offset, &mut body);
        uint32::encode(2, &span.length, &mut body);
        nested(field, &body, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_over_the_limit_are_refused() {
        let mut samples = Samples::default();
        samples.floats.insert(0, 1, 1.0, 0);
        samples.floats.insert(1, 2, 1.0, 0);
        let labels = tripod_model::series::Labels::from_pairs([("__name__", "up")]);
        let chunks = vec![tripod_storage::series::Chunk::Samples(std::sync::Arc::new(samples))];
        let selected = vec![(vec![SelectedSeries { labels, chunks }], MillisRange::ALL)];
        assert_eq!(encode(selected.clone(), 2).unwrap().1, 1);
        assert_eq!(encode(selected, 1), Err((StatusCode::BAD_REQUEST, "exceeded sample limit (1)".to_owned())));
    }
}
