use tripod_model::series::{METRIC_NAME, ShortFloat, is_metric_name};

use super::{Kind, Newest, PIECE, Value, classic_buckets, escaped, is_plain};

/// The text, in pieces.
pub(super) struct Text {
    pub(super) samples: std::vec::IntoIter<Newest>,
    /// Name and type of the family that is being written.
    pub(super) family: Option<(String, Kind)>,
    pub(super) utf8: bool,
}

impl Iterator for Text {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let mut text = String::new();
        while text.len() < PIECE {
            let Some(sample) = self.samples.next() else { break };
            self.write(&mut text, &sample);
        }
        (!text.is_empty()).then(|| text.into_bytes())
    }
}

impl Text {
    fn write(&mut self, text: &mut String, sample: &Newest) {
        let name = sample.name();
        let family = (name.to_owned(), sample.value.kind());
        if self.family.as_ref() != Some(&family) {
            text.push_str("# TYPE ");
            self.name(text, name, true);
            text.push_str(match family.1 {
                Kind::Untyped => " untyped\n",
                // There is no other word for a gauge in this form.
                Kind::Histogram | Kind::GaugeHistogram => " histogram\n",
            });
            self.family = Some(family);
        }
        match &sample.value {
            Value::Float(value) => self.line(text, sample, "", None, *value),
            Value::Histogram(histogram) => {
                for (bound, count) in classic_buckets(histogram) {
                    self.line(text, sample, "_bucket", Some(bound), count);
                }
                self.line(text, sample, "_bucket", Some(f64::INFINITY), histogram.count);
                self.line(text, sample, "_sum", None, histogram.sum);
                self.line(text, sample, "_count", None, histogram.count);
            }
        }
    }

    fn line(&self, text: &mut String, sample: &Newest, suffix: &str, bound: Option<f64>, value: f64) {
        let name = sample.name().to_owned() + suffix;
        let quoted = self.utf8 && !is_metric_name(&name);
        text.push_str(if quoted { "{" } else { "" });
        self.name(text, &name, true);
        text.push_str(if quoted { "," } else { "{" });
        let mut instance = false;
        for (label, value) in sample.labels.iter().filter(|(label, _)| *label != METRIC_NAME) {
            instance |= label == "instance";
            self.name(text, label, false);
            text.push('=');
            push_quoted(text, value);
            text.push(',');
        }
        // Else the one who scrapes would put its own.
        if !instance {
            text.push_str("instance=\"\",");
        }
        if let Some(bound) = bound {
            text.push_str(&format!("le=\"{}\",", ShortFloat(bound)));
        }
        text.pop();
        text.push_str(&format!("}} {} {}\n", ShortFloat(value), sample.time));
    }

    /// A name, in quotes or with underscores where it is no plain one.
    fn name(&self, text: &mut String, name: &str, metric: bool) {
        let escaped = escaped(name, metric, self.utf8);
        if is_plain(&escaped, metric) {
            text.push_str(&escaped);
        } else {
            push_quoted(text, &escaped);
        }
    }
}

fn push_quoted(text: &mut String, value: &str) {
    text.push('"');
    for each in value.chars() {
        match each {
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '"' => text.push_str("\\\""),
            each => text.push(each),
        }
    }
    text.push('"');
}
