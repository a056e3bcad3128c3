use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tripod_model::series::{FloatHistogram, Labels};

/// How many series are added up at once; more are refused.
const MAX_SERIES: usize = 1_000_000;

/// A series without a point for so long is forgotten, milliseconds; it begins anew then.
const MAX_AGE: i64 = 60 * 60 * 1000;

/// Adds up points that count since the point before, so that they count since the beginning.
///
/// Works on series, not on points: a bucket, a sum and a count of a classic histogram add up each on its own. A point that
/// comes again gives what it gave before, so that a request can be sent twice; one that is older is refused.
#[derive(Debug, Default)]
pub struct DeltaToCumulative {
    series: Mutex<HashMap<Labels, Total>>,
}

#[derive(Debug)]
struct Total {
    start: i64,
    time: i64,
    value: Value,
}

#[derive(Debug)]
enum Value {
    Float(f64),
    Histogram(Arc<FloatHistogram>),
}

/// Why a point cannot be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotAdded {
    #[error("a delta point is older than the one before")]
    Older,
    #[error("there are more than {MAX_SERIES} series with delta temporality")]
    TooMany,
    #[error("a delta point is of another kind than the one before")]
    OtherKind,
}

impl DeltaToCumulative {
    /// The sum up to a point, and since when it counts.
    pub(super) fn float(&self, labels: &Labels, start: i64, time: i64, delta: f64) -> Result<(f64, i64), NotAdded> {
        let add = |value: &mut Value| match value {
            Value::Float(sum) => {
                *sum += delta;
                Ok(())
            }
            Value::Histogram(_) => Err(NotAdded::OtherKind),
        };
        self.add(
            labels,
            start,
            time,
            add,
            || Value::Float(delta),
            |value| match value {
                Value::Float(sum) => Ok(*sum),
                Value::Histogram(_) => Err(NotAdded::OtherKind),
            },
        )
    }

    /// As [`DeltaToCumulative::float`] for a histogram.
    pub(super) fn histogram(
        &self,
        labels: &Labels,
        start: i64,
        time: i64,
        delta: FloatHistogram,
    ) -> Result<(Arc<FloatHistogram>, i64), NotAdded> {
        let add = |value: &mut Value| match value {
            Value::Histogram(sum) => {
                let mut added = FloatHistogram::clone(sum);
                added.add(&delta).map_err(|_| NotAdded::OtherKind)?;
                *sum = Arc::new(added);
                Ok(())
            }
            Value::Float(_) => Err(NotAdded::OtherKind),
        };
        self.add(
            labels,
            start,
            time,
            add,
            || Value::Histogram(Arc::new(delta.clone())),
            |value| match value {
                Value::Histogram(sum) => Ok(Arc::clone(sum)),
                Value::Float(_) => Err(NotAdded::OtherKind),
            },
        )
    }

    fn add<T>(
        &self,
        labels: &Labels,
        start: i64,
        time: i64,
        add: impl FnOnce(&mut Value) -> Result<(), NotAdded>,
        first: impl FnOnce() -> Value,
        read: impl FnOnce(&Value) -> Result<T, NotAdded>,
    ) -> Result<(T, i64), NotAdded> {
        let mut series = self.series.lock();
        if series.len() >= MAX_SERIES && !series.contains_key(labels) {
            series.retain(|_, total| total.time > time - MAX_AGE);
            if series.len() >= MAX_SERIES {
                return Err(NotAdded::TooMany);
            }
        }
        let total = series
            .entry(labels.clone())
            .and_modify(|total| {
                if total.time <= time - MAX_AGE {
                    total.time = i64::MIN;
                }
            })
            .or_insert(Total { start, time: i64::MIN, value: Value::Float(0.0) });
        if total.time == i64::MIN {
            *total = Total { start: if start == 0 { time } else { start }, time, value: first() };
        } else if time > total.time {
            add(&mut total.value)?;
            total.time = time;
        } else if time < total.time {
            return Err(NotAdded::Older);
        }
        Ok((read(&total.value)?, total.start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_add_up_and_may_come_twice() {
        let deltas = DeltaToCumulative::default();
        let labels = Labels::from_pairs([("__name__", "a")]);
        assert_eq!(deltas.float(&labels, 5, 10, 1.0), Ok((1.0, 5)));
        assert_eq!(deltas.float(&labels, 10, 20, 2.0), Ok((3.0, 5)));
        assert_eq!(deltas.float(&labels, 10, 20, 2.0), Ok((3.0, 5)), "sent again");
        assert_eq!(deltas.float(&labels, 5, 10, 1.0), Err(NotAdded::Older));
        assert_eq!(deltas.float(&labels, 0, 20 + MAX_AGE, 4.0), Ok((4.0, 20 + MAX_AGE)), "begun anew");
        assert_eq!(deltas.histogram(&labels, 0, 30 + MAX_AGE, FloatHistogram::default()), Err(NotAdded::OtherKind));
    }
}
