//! Emptying a record for the next one while its lists keep their memory.

use std::mem;

use tripod_model::{
    Attribute, Buckets, Exemplar, LogRecord, Metric, Point, PointValue, Quantile, Resource, Scope, Span, SpanEvent,
    SpanLink,
};

use crate::error::{DecodeError, Result};

/// Attribute lists that events, links and exemplars of earlier records no longer need.
#[derive(Default)]
pub(crate) struct SpareLists<'a>(Vec<Vec<Attribute<'a>>>);

/// More spare lists than this are let go, so that one odd record does not pin memory for the rest of the request.
const SPARES: usize = 256;

impl<'a> SpareLists<'a> {
    pub(crate) fn take(&mut self) -> Vec<Attribute<'a>> {
        self.0.pop().unwrap_or_default()
    }

    fn give(&mut self, mut list: Vec<Attribute<'a>>) {
        if list.capacity() > 0 && self.0.len() < SPARES {
            list.clear();
            self.0.push(list);
        }
    }

    pub(crate) fn empty_events(&mut self, events: &mut Vec<SpanEvent<'a>>) {
        events.drain(..).for_each(|event| self.give(event.attributes));
    }

    pub(crate) fn empty_links(&mut self, links: &mut Vec<SpanLink<'a>>) {
        links.drain(..).for_each(|link| self.give(link.attributes));
    }

    pub(crate) fn empty_exemplars(&mut self, exemplars: &mut Vec<Exemplar<'a>>) {
        exemplars.drain(..).for_each(|exemplar| self.give(exemplar.filtered_attributes));
    }
}

fn emptied<T>(list: &mut Vec<T>) -> Vec<T> {
    let mut list = mem::take(list);
    list.clear();
    list
}

pub(crate) fn empty_span<'a>(span: &mut Span<'a>, spare: &mut SpareLists<'a>) {
    spare.empty_events(&mut span.events);
    spare.empty_links(&mut span.links);
    *span = Span {
        attributes: emptied(&mut span.attributes),
        events: mem::take(&mut span.events),
        links: mem::take(&mut span.links),
        ..Span::default()
    };
}

pub(crate) fn empty_log(record: &mut LogRecord<'_>) {
    *record = LogRecord { attributes: emptied(&mut record.attributes), ..LogRecord::default() };
}

pub(crate) fn empty_resource(resource: &mut Resource<'_>) {
    *resource = Resource {
        attributes: emptied(&mut resource.attributes),
        entity_refs: emptied(&mut resource.entity_refs),
        ..Resource::default()
    };
}

pub(crate) fn empty_scope(scope: &mut Scope<'_>) {
    *scope = Scope { attributes: emptied(&mut scope.attributes), ..Scope::default() };
}

pub(crate) fn empty_metric(metric: &mut Metric<'_>) {
    *metric = Metric { metadata: emptied(&mut metric.metadata), ..Metric::default() };
}

/// Leaves the point's value in place: its reader takes the lists out of it.
pub(crate) fn empty_point<'a>(point: &mut Point<'a>, spare: &mut SpareLists<'a>) {
    spare.empty_exemplars(&mut point.exemplars);
    *point = Point {
        attributes: emptied(&mut point.attributes),
        exemplars: mem::take(&mut point.exemplars),
        value: mem::take(&mut point.value),
        ..Point::default()
    };
}

/// A histogram's fields while they are read.
#[derive(Default)]
pub(crate) struct HistogramFields {
    pub(crate) count: u64,
    pub(crate) sum: Option<f64>,
    pub(crate) min: Option<f64>,
    pub(crate) max: Option<f64>,
    pub(crate) explicit_bounds: Vec<f64>,
    pub(crate) bucket_counts: Vec<u64>,
}

impl HistogramFields {
    /// Empty fields with the lists of the point before.
    pub(crate) fn reusing(value: &mut PointValue) -> Self {
        match mem::take(value) {
            PointValue::Histogram { mut explicit_bounds, mut bucket_counts, .. } => {
                explicit_bounds.clear();
                bucket_counts.clear();
                Self { explicit_bounds, bucket_counts, ..Self::default() }
            }
            _ => Self::default(),
        }
    }

    /// The point's value. The error belongs to the field `bucketCounts`.
    pub(crate) fn finish(self) -> Result<PointValue> {
        let Self { count, sum, min, max, explicit_bounds, bucket_counts } = self;
        let (buckets, bounds) = (bucket_counts.len(), explicit_bounds.len());
        if buckets != 0 && buckets != bounds + 1 {
            return Err(DecodeError::new(format!(
                "must have one element more than explicitBounds or none, got {buckets} with {bounds} in explicitBounds"
            )));
        }
        Ok(PointValue::Histogram { count, sum, min, max, explicit_bounds, bucket_counts })
    }
}

/// An exponential histogram's fields while they are read.
#[derive(Default)]
pub(crate) struct ExponentialHistogramFields {
    pub(crate) count: u64,
    pub(crate) sum: Option<f64>,
    pub(crate) min: Option<f64>,
    pub(crate) max: Option<f64>,
    pub(crate) scale: i32,
    pub(crate) zero_count: u64,
    pub(crate) zero_threshold: f64,
    pub(crate) positive: Buckets,
    pub(crate) negative: Buckets,
}

impl ExponentialHistogramFields {
    /// Empty fields with the lists of the point before.
    pub(crate) fn reusing(value: &mut PointValue) -> Self {
        match mem::take(value) {
            PointValue::ExponentialHistogram { mut positive, mut negative, .. } => {
                empty_buckets(&mut positive);
                empty_buckets(&mut negative);
                Self { positive, negative, ..Self::default() }
            }
            _ => Self::default(),
        }
    }

    /// The point's value.
    pub(crate) fn finish(self) -> PointValue {
        let Self { count, sum, min, max, scale, zero_count, zero_threshold, positive, negative } = self;
        PointValue::ExponentialHistogram { count, sum, min, max, scale, zero_count, zero_threshold, positive, negative }
    }
}

pub(crate) fn empty_buckets(buckets: &mut Buckets) {
    *buckets = Buckets { counts: emptied(&mut buckets.counts), ..Buckets::default() };
}

/// An empty list of quantiles, with the memory of the point before.
pub(crate) fn reuse_quantiles(value: &mut PointValue) -> Vec<Quantile> {
    match mem::take(value) {
        PointValue::Summary { mut quantiles, .. } => emptied(&mut quantiles),
        _ => Vec::new(),
    }
}
