//! `SAMPLES`: a `prometheus.ReadResponse`, whole, as a block of Snappy.

use http::StatusCode;
use prost::encoding::{double, int64};
use tripod_model::series::Samples;
use tripod_prometheus_proto::{histogram, labels, nested};
use tripod_storage::series::{MillisRange, SelectedSeries};

use super::{Refusal, failed};

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
