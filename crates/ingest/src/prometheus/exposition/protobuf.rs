//! The protobuf form: `io.prometheus.client.MetricFamily` messages, each after its length.
//!
//! <https://github.com/prometheus/client_model/blob/master/io/prometheus/client/metrics.proto>. The only form that
//! carries native histograms. A message's fields come in any order, so each is read twice: first what tells what it is,
//! then its samples.

use std::sync::Arc;

use tripod_model::series::{CounterResetHint, METRIC_NAME, MetricType};

use super::number::{NORMAL_NAN, write_label_float};
use super::sink::OwnedExemplar;
use super::{ExpositionError, ExpositionSink, HistogramPoint, LabelSet, Metadata, ParseOptions, Sample};
use crate::prometheus::native_histogram::WireHistogram;
use crate::prometheus::protobuf::{Field, Malformed, Message, malformed};

type Result<T> = std::result::Result<T, Malformed>;

/// Reads a whole body.
pub(super) fn parse(
    body: &[u8],
    options: &ParseOptions,
    sink: &mut impl ExpositionSink,
) -> std::result::Result<(), ExpositionError> {
    let mut reader = Reader::new(options);
    let mut stream = Message::new(body);
    while !stream.is_empty() {
        reader.families += 1;
        reader.metrics = 0;
        let read = stream.next_delimited().map_err(Malformed::from).and_then(|family| reader.family(family, sink));
        read.map_err(|error| ExpositionError { line: reader.families, column: reader.metrics, message: error.0 })?;
    }
    Ok(())
}

#[derive(Default)]
struct Reader {
    classic_beside_native: bool,
    native: bool,
    families: u64,
    metrics: u64,
    /// Of the metric that is read: its own labels, then those of the sample that is given out.
    own: LabelSet,
    labels: LabelSet,
    histogram: WireHistogram,
    exemplars: Vec<OwnedExemplar>,
}

struct Family<'a> {
    name: &'a str,
    metric_type: MetricType,
}

#[derive(Clone, Copy)]
struct At {
    timestamp: Option<i64>,
    start: i64,
}

impl Reader {
    fn new(options: &ParseOptions) -> Self {
        Self { classic_beside_native: options.classic_histograms, native: options.native_histograms, ..Self::default() }
    }

    fn family(&mut self, bytes: &[u8], sink: &mut impl ExpositionSink) -> Result<()> {
        let (mut name, mut help, mut unit, mut kind) = ("", "", "", 0);
        let mut message = Message::new(bytes);
        while let Some((number, field)) = message.next()? {
            match number {
                1 => name = field.text()?,
                2 => help = field.text()?,
                3 => kind = field.varint()?,
                5 => unit = field.text()?,
                _ => {}
            }
        }
        if name.is_empty() {
            return Err(malformed("a metric family has no name"));
        }
        let metric_type = match kind {
            0 => MetricType::Counter,
            1 => MetricType::Gauge,
            2 => MetricType::Summary,
            3 => MetricType::Unknown,
            4 => MetricType::Histogram,
            5 => MetricType::GaugeHistogram,
            other => return Err(malformed(format!("{name:?} has the type {other}, which is not known"))),
        };
        sink.metadata(name, Metadata::Help(help));
        if !unit.is_empty() {
            sink.metadata(name, Metadata::Unit(unit));
        }
        sink.metadata(name, Metadata::Type(metric_type));
        let family = Family { name, metric_type };
        let mut message = Message::new(bytes);
        while let Some((number, field)) = message.next()? {
            if number == 4 {
                self.metrics += 1;
                self.metric(&family, field.bytes()?, sink)?;
            }
        }
        Ok(())
    }

    fn metric(&mut self, family: &Family<'_>, bytes: &[u8], sink: &mut impl ExpositionSink) -> Result<()> {
        self.own.clear();
        let mut timestamp = 0;
        let mut value = None;
        let mut message = Message::new(bytes);
        while let Some((number, field)) = message.next()? {
            match number {
                1 => label(field, &mut self.own)?,
                6 => timestamp = field.int64()?,
                2..=5 | 7 => value = Some(field.bytes()?),
                _ => {}
            }
        }
        if let Some(name) = self.own.duplicate() {
            return Err(malformed(format!("the label {name:?} is given twice")));
        }
        if self.own.len() > 1024 {
            return Err(malformed("there are more than 1024 labels"));
        }
        // A message without a value is one whose value is 0.
        let value = value.unwrap_or_default();
        sink.metric();
        // The format cannot tell 0 from absent; Prometheus takes it for absent.
        let timestamp = (timestamp != 0).then_some(timestamp);
        match family.metric_type {
            MetricType::Histogram | MetricType::GaugeHistogram => self.histogram(family, value, timestamp, sink),
            MetricType::Summary => self.summary(family, value, timestamp, sink),
            _ => self.scalar(family, value, timestamp, sink),
        }
    }

    /// Counter, gauge and untyped: all have the value as field 1.
    fn scalar(
        &mut self,
        family: &Family<'_>,
        bytes: &[u8],
        timestamp: Option<i64>,
        sink: &mut impl ExpositionSink,
    ) -> Result<()> {
        let mut at = At { timestamp, start: 0 };
        let (mut value, mut has_exemplar) = (0.0, false);
        self.exemplars.clear();
        let mut message = Message::new(bytes);
        while let Some((number, field)) = message.next()? {
            match number {
                1 => value = field.double()?,
                2 if family.metric_type == MetricType::Counter => {
                    has_exemplar = true;
                    self.exemplars.push(exemplar(field)?);
                }
                3 if family.metric_type == MetricType::Counter => at.start = time(field)?,
                _ => {}
            }
        }
        let exemplar = self.exemplars.pop().filter(|_| has_exemplar);
        self.sample(family, "", None, value, at, exemplar.as_ref(), sink);
        Ok(())
    }

    fn summary(
        &mut self,
        family: &Family<'_>,
        bytes: &[u8],
        timestamp: Option<i64>,
        sink: &mut impl ExpositionSink,
    ) -> Result<()> {
        let mut at = At { timestamp, start: 0 };
        let (mut count, mut sum) = (0.0, 0.0);
        let mut message = Message::new(bytes);
        while let Some((number, field)) = message.next()? {
            match number {
                1 => count = field.varint()? as f64,
                2 => sum = field.double()?,
                4 => at.start = time(field)?,
                _ => {}
            }
        }
        self.sample(family, "_count", None, count, at, None, sink);
        self.sample(family, "_sum", None, sum, at, None, sink);
        let mut message = Message::new(bytes);
        while let Some((number, field)) = message.next()? {
            if number == 3 {
                let (mut quantile, mut value) = (0.0, 0.0);
                let mut message = Message::new(field.bytes()?);
                while let Some((number, field)) = message.next()? {
                    match number {
                        1 => quantile = field.double()?,
                        2 => value = field.double()?,
                        _ => {}
                    }
                }
                self.sample(family, "", Some(("quantile", quantile)), value, at, None, sink);
            }
        }
        Ok(())
    }

    fn histogram(
        &mut self,
        family: &Family<'_>,
        bytes: &[u8],
        timestamp: Option<i64>,
        sink: &mut impl ExpositionSink,
    ) -> Result<()> {
        let mut at = At { timestamp, start: 0 };
        let mut has_classic = false;
        let mut has_zero_threshold = false;
        let wire = &mut self.histogram;
        wire.clear();
        self.exemplars.clear();
        // A float beats the integer of the same meaning, if it is above 0.
        let (mut float_count, mut float_zero_count) = (0.0, 0.0);
        let mut message = Message::new(bytes);
        while let Some((number, field)) = message.next()? {
            match number {
                1 => wire.count = field.varint()? as f64,
                2 => wire.sum = normal(field.double()?),
                3 => has_classic = true,
                4 => float_count = field.double()?,
                5 => wire.schema = field.sint32()?,
                6 => wire.zero_threshold = field.double()?,
                7 => wire.zero_count = field.varint()? as f64,
                8 => float_zero_count = field.double()?,
                9 => wire.negative.span(field)?,
                10 => wire.negative.deltas(field)?,
                11 => wire.negative.counts(field)?,
                12 => wire.positive.span(field)?,
                13 => wire.positive.deltas(field)?,
                14 => wire.positive.counts(field)?,
                15 => at.start = time(field)?,
                16 => self.exemplars.push(exemplar(field)?),
                _ => {}
            }
            has_zero_threshold |= wire.zero_threshold > 0.0;
        }
        wire.is_float = float_count > 0.0 || float_zero_count > 0.0;
        if wire.is_float {
            (wire.count, wire.zero_count) = (float_count, float_zero_count);
        }
        let count = wire.count;
        let sum = wire.sum;
        let is_native = self.native
            && (has_zero_threshold
                || wire.zero_count > 0.0
                || !wire.positive.spans.is_empty()
                || !wire.negative.spans.is_empty());
        if is_native {
            if family.metric_type == MetricType::GaugeHistogram {
                wire.hint = CounterResetHint::Gauge;
            }
            let value = Arc::new(wire.to_float().map_err(malformed)?);
            if self.exemplars.is_empty() {
                self.bucket_exemplars(bytes)?;
            }
            self.exemplars.retain(|exemplar| exemplar.timestamp.is_some());
            self.compose(family, "", None);
            let (labels, exemplars) = (&self.labels, &self.exemplars);
            sink.histogram(HistogramPoint { labels, value, timestamp: at.timestamp, start: at.start, exemplars });
            if !(self.classic_beside_native && has_classic) {
                return Ok(());
            }
        }
        self.sample(family, "_count", None, count, at, None, sink);
        self.sample(family, "_sum", None, sum, at, None, sink);
        let mut has_infinite = false;
        let mut message = Message::new(bytes);
        while let Some((number, field)) = message.next()? {
            if number == 3 {
                let bucket = bucket(field)?;
                has_infinite |= bucket.bound == f64::INFINITY;
                let exemplar = bucket.exemplar.as_ref();
                self.sample(family, "_bucket", Some(("le", bucket.bound)), bucket.count, at, exemplar, sink);
            }
        }
        if !has_infinite {
            self.sample(family, "_bucket", Some(("le", f64::INFINITY)), count, at, None, sink);
        }
        Ok(())
    }

    fn bucket_exemplars(&mut self, bytes: &[u8]) -> Result<()> {
        let mut message = Message::new(bytes);
        while let Some((number, field)) = message.next()? {
            if number == 3 {
                self.exemplars.extend(bucket(field)?.exemplar);
            }
        }
        Ok(())
    }

    #[allow(clippy::too_many_arguments)] // one sample with all that belongs to it
    fn sample(
        &mut self,
        family: &Family<'_>,
        suffix: &str,
        bound: Option<(&str, f64)>,
        value: f64,
        at: At,
        exemplar: Option<&OwnedExemplar>,
        sink: &mut impl ExpositionSink,
    ) {
        self.compose(family, suffix, bound);
        sink.sample(Sample {
            labels: &self.labels,
            value: normal(value),
            timestamp: at.timestamp,
            start: at.start,
            exemplar: exemplar.map(OwnedExemplar::borrow),
        });
    }

    fn compose(&mut self, family: &Family<'_>, suffix: &str, bound: Option<(&str, f64)>) {
        self.labels.clear();
        self.labels.push_with(METRIC_NAME, |text| {
            text.push_str(family.name);
            text.push_str(suffix);
        });
        for (name, value) in self.own.iter() {
            self.labels.push(name, value);
        }
        if let Some((name, value)) = bound {
            self.labels.push_with(name, |text| write_label_float(text, value));
        }
    }
}

/// One NaN for all, so that none is taken for the stale marker.
fn normal(value: f64) -> f64 {
    if value.is_nan() { NORMAL_NAN } else { value }
}

fn label(field: Field<'_>, labels: &mut LabelSet) -> Result<()> {
    let (mut name, mut value) = ("", "");
    let mut message = Message::new(field.bytes()?);
    while let Some((number, field)) = message.next()? {
        match number {
            1 => name = field.text()?,
            2 => value = field.text()?,
            _ => {}
        }
    }
    if name.is_empty() {
        return Err(malformed("a label has no name"));
    }
    labels.push(name, value);
    Ok(())
}

struct Bucket {
    bound: f64,
    count: f64,
    exemplar: Option<OwnedExemplar>,
}

fn bucket(field: Field<'_>) -> Result<Bucket> {
    let mut bucket = Bucket { bound: 0.0, count: 0.0, exemplar: None };
    let mut float_count = 0.0;
    let mut message = Message::new(field.bytes()?);
    while let Some((number, field)) = message.next()? {
        match number {
            1 => bucket.count = field.varint()? as f64,
            2 => bucket.bound = field.double()?,
            3 => bucket.exemplar = Some(exemplar(field)?),
            4 => float_count = field.double()?,
            _ => {}
        }
    }
    if float_count > 0.0 {
        bucket.count = float_count;
    }
    Ok(bucket)
}

fn exemplar(field: Field<'_>) -> Result<OwnedExemplar> {
    let mut exemplar = OwnedExemplar { labels: LabelSet::default(), value: 0.0, timestamp: None };
    let mut message = Message::new(field.bytes()?);
    while let Some((number, field)) = message.next()? {
        match number {
            1 => label(field, &mut exemplar.labels)?,
            2 => exemplar.value = field.double()?,
            3 => exemplar.timestamp = Some(time(field)?),
            _ => {}
        }
    }
    Ok(exemplar)
}

/// `google.protobuf.Timestamp` in milliseconds.
fn time(field: Field<'_>) -> Result<i64> {
    let (mut seconds, mut nanos) = (0_i64, 0_i64);
    let mut message = Message::new(field.bytes()?);
    while let Some((number, field)) = message.next()? {
        match number {
            1 => seconds = field.int64()?,
            2 => nanos = field.int64()?,
            _ => {}
        }
    }
    Ok(seconds.saturating_mul(1000).saturating_add(nanos / 1_000_000))
}
