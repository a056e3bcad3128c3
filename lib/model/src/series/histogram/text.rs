use std::fmt::{self, Write};

use super::{CounterResetHint, FloatHistogram, NativeSpan};
use crate::series::ShortFloat;

/// Longest run of empty buckets that [`FloatHistogram::to_notation`] writes out.
const MOST_EMPTY: usize = 1000;

impl fmt::Display for FloatHistogram {
    /// As Prometheus prints it: `{count:5, sum:7, [-0.5,0.5]:1, (1,2]:4}`; empty buckets are left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{count:{}, sum:{}", ShortFloat(self.count), ShortFloat(self.sum))?;
        for bucket in self.negative_bucket_iter().rev().filter(|bucket| bucket.count != 0.0) {
            write!(f, ", {bucket}")?;
        }
        if self.zero_count != 0.0 {
            write!(f, ", {}", self.zero_bucket())?;
        }
        for bucket in self.positive_bucket_iter().filter(|bucket| bucket.count != 0.0) {
            write!(f, ", {bucket}")?;
        }
        f.write_char('}')
    }
}

impl FloatHistogram {
    /// In the notation of series in test scripts: `{{schema:1 sum:3 count:22 buckets:[5 10 7]}}`.
    ///
    /// Buckets of one side that are more than a thousand indices apart cannot be written in it; then a second `offset` and
    /// `buckets` follow, for the eye alone.
    pub fn to_notation(&self) -> String {
        let mut histogram = self.clone();
        histogram.compact(MOST_EMPTY);
        let mut parts = Vec::new();
        if histogram.schema != 0 {
            parts.push(format!("schema:{}", histogram.schema));
        }
        for (key, value) in [
            ("count", histogram.count),
            ("sum", histogram.sum),
            ("z_bucket", histogram.zero_count),
            ("z_bucket_w", histogram.zero_threshold),
        ] {
            if value != 0.0 {
                parts.push(format!("{key}:{}", ShortFloat(value)));
            }
        }
        if histogram.uses_custom_buckets() {
            parts.push(format!("custom_values:[{}]", list(&histogram.custom_values)));
        }
        match histogram.counter_reset_hint {
            CounterResetHint::Unknown => {}
            CounterResetHint::CounterReset => parts.push("counter_reset_hint:reset".into()),
            CounterResetHint::NotCounterReset => parts.push("counter_reset_hint:not_reset".into()),
            CounterResetHint::Gauge => parts.push("counter_reset_hint:gauge".into()),
        }
        side(&mut parts, "offset", "buckets", &histogram.positive_spans, &histogram.positive_buckets);
        side(&mut parts, "n_offset", "n_buckets", &histogram.negative_spans, &histogram.negative_buckets);
        format!("{{{{{}}}}}", parts.join(" "))
    }
}

fn side(parts: &mut Vec<String>, offset: &str, buckets: &str, spans: &[NativeSpan], counts: &[f64]) {
    let mut rest = counts;
    for span in spans {
        if span.offset != 0 {
            parts.push(format!("{offset}:{}", span.offset));
        }
        let (own, later) = rest.split_at((span.length as usize).min(rest.len()));
        rest = later;
        if !own.is_empty() {
            parts.push(format!("{buckets}:[{}]", list(own)));
        }
    }
}

fn list(values: &[f64]) -> String {
    values.iter().map(|value| ShortFloat(*value).to_string()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_notations() {
        let histogram = FloatHistogram {
            schema: 0,
            counter_reset_hint: CounterResetHint::Gauge,
            zero_threshold: 0.001,
            zero_count: 2.0,
            count: 1_000_000.0,
            sum: -0.5,
            positive_spans: vec![NativeSpan { offset: 0, length: 1 }, NativeSpan { offset: 2, length: 1 }],
            positive_buckets: vec![1.0, 2.5],
            negative_spans: vec![NativeSpan { offset: 1, length: 2 }],
            negative_buckets: vec![0.0, 3.0],
            ..FloatHistogram::default()
        };
        let text = "{count:1e+06, sum:-0.5, [-4,-2):3, [-0.001,0.001]:2, (0.5,1]:1, (4,8]:2.5}";
        assert_eq!(histogram.to_string(), text);
        let notation = "{{count:1e+06 sum:-0.5 z_bucket:2 z_bucket_w:0.001 counter_reset_hint:gauge buckets:[1 0 0 2.5] \
                        n_offset:2 n_buckets:[3]}}";
        assert_eq!(histogram.to_notation(), notation);
        assert_eq!(FloatHistogram::default().to_notation(), "{{}}");
    }
}
