//! `io.prometheus.client.MetricFamily`, each after its length: the form that has a place for native histograms.
//!
//! <https://github.com/prometheus/client_model/blob/master/io/prometheus/client/metrics.proto>

use prost::encoding::{double, encode_varint, int32, int64, sint32};
use tripod_model::series::{FloatHistogram, METRIC_NAME};
use tripod_prometheus_proto::{nested, spans};

use super::{Kind, Newest, PIECE, Value, classic_buckets, escaped};

/// The messages, in pieces.
pub(super) struct Families {
    pub(super) samples: std::iter::Peekable<std::vec::IntoIter<Newest>>,
    pub(super) utf8: bool,
}

impl Iterator for Families {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let (mut piece, mut family, mut metric, mut part) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        while piece.len() < PIECE {
            let Some(first) = self.samples.next() else { break };
            let (name, kind) = (first.name().to_owned(), first.value.kind());
            family.clear();
            nested(1, escaped(&name, true, self.utf8).as_bytes(), &mut family);
            int32::encode(3, &number(kind), &mut family);
            let mut sample = Some(first);
            while let Some(each) = sample {
                metric.clear();
                self.metric(&each, &mut part, &mut metric);
                nested(4, &metric, &mut family);
                sample = self.samples.next_if(|next| next.name() == name && next.value.kind() == kind);
            }
            encode_varint(family.len() as u64, &mut piece);
            piece.extend_from_slice(&family);
        }
        (!piece.is_empty()).then_some(piece)
    }
}

impl Families {
    fn metric(&self, sample: &Newest, part: &mut Vec<u8>, metric: &mut Vec<u8>) {
        let mut label = |name: &str, value: &str| {
            part.clear();
            nested(1, escaped(name, false, self.utf8).as_bytes(), part);
            nested(2, value.as_bytes(), part);
            nested(1, part, metric);
        };
        for (name, value) in sample.labels.iter().filter(|(name, _)| *name != METRIC_NAME) {
            label(name, value);
        }
        // Else the one who scrapes would put its own.
        if sample.labels.get("instance").is_none() {
            label("instance", "");
        }
        part.clear();
        match &sample.value {
            Value::Float(value) => {
                double::encode(1, value, part);
                nested(5, part, metric);
                int64::encode(6, &sample.time, metric);
            }
            Value::Histogram(value) => {
                int64::encode(6, &sample.time, metric);
                histogram(value, part);
                nested(7, part, metric);
            }
        }
    }
}

/// `MetricType`
fn number(kind: Kind) -> i32 {
    match kind {
        Kind::Untyped => 3,
        Kind::Histogram => 4,
        Kind::GaugeHistogram => 5,
    }
}

fn histogram(histogram: &FloatHistogram, out: &mut Vec<u8>) {
    double::encode(2, &histogram.sum, out);
    if histogram.uses_custom_buckets() {
        let mut body = Vec::new();
        for (bound, count) in classic_buckets(histogram) {
            body.clear();
            double::encode(2, &bound, &mut body);
            double::encode(4, &count, &mut body);
            nested(3, &body, out);
        }
        double::encode(4, &histogram.count, out);
        return;
    }
    double::encode(4, &histogram.count, out);
    sint32::encode(5, &histogram.schema, out);
    double::encode(6, &histogram.zero_threshold, out);
    double::encode(8, &histogram.zero_count, out);
    spans(9, &histogram.negative_spans, out);
    double::encode_repeated(11, &histogram.negative_buckets, out);
    spans(12, &histogram.positive_spans, out);
    double::encode_repeated(14, &histogram.positive_buckets, out);
}
