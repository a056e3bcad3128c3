use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tripod_model::series::{FloatHistogram, Labels};

/// How many series are added up at once; more are refused.
const MAX_SERIES: usize = 1_000_000;

/// A series without a point for so long begins anew, milliseconds.
const MAX_AGE: i64 = 60 * 60 * 1000;

/// A series for which no point came for so long is forgotten.
const MAX_SILENCE: Duration = Duration::from_millis(MAX_AGE as u64);

/// Number of series at which those are first looked for that are to be forgotten.
const FIRST_SWEEP: usize = 1_000;

/// How often they are looked for when there is no room for more.
const SWEEP_PAUSE: Duration = Duration::from_secs(60);

/// Adds up points that count since the point before, so that they count since the beginning.
///
/// Works on series, not on points: a bucket, a sum and a count of a classic histogram add up each on its own. A point that
/// comes again gives what it gave before, so that a request can be sent twice; one that is older is refused.
#[derive(Debug, Default)]
pub struct DeltaToCumulative {
    totals: Mutex<Totals>,
}

#[derive(Debug)]
struct Totals {
    series: HashMap<Labels, Total>,
    /// Number of series at which the forgotten ones are looked for: twice as many as the last time.
    sweep_at: usize,
    swept: Instant,
}

impl Default for Totals {
    fn default() -> Self {
        Self { series: HashMap::new(), sweep_at: FIRST_SWEEP, swept: Instant::now() }
    }
}

impl Totals {
    /// Makes room for one more series.
    fn make_room(&mut self, now: Instant) -> Result<(), NotAdded> {
        let is_full = self.series.len() >= MAX_SERIES;
        if self.series.len() < self.sweep_at || (is_full && now.duration_since(self.swept) < SWEEP_PAUSE) {
            return if is_full { Err(NotAdded::TooMany) } else { Ok(()) };
        }
        // By when points came: what they say of their time may be anything.
        self.series.retain(|_, total| now.duration_since(total.seen) < MAX_SILENCE);
        self.swept = now;
        self.sweep_at = (self.series.len() * 2).clamp(FIRST_SWEEP, MAX_SERIES);
        self.series.shrink_to(self.sweep_at);
        if self.series.len() >= MAX_SERIES { Err(NotAdded::TooMany) } else { Ok(()) }
    }
}

#[derive(Debug)]
struct Total {
    /// When the last point came.
    seen: Instant,
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
        let mut totals = self.totals.lock();
        let seen = Instant::now();
        if !totals.series.contains_key(labels) {
            totals.make_room(seen)?;
        }
        let total = totals
            .series
            .entry(labels.clone())
            .and_modify(|total| {
                if total.time <= time - MAX_AGE {
                    total.time = i64::MIN;
                }
            })
            .or_insert(Total { seen, start, time: i64::MIN, value: Value::Float(0.0) });
        total.seen = seen;
        if total.time == i64::MIN {
            *total = Total { seen, start: if start == 0 { time } else { start }, time, value: first() };
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
    fn silent_series_are_forgotten_as_others_come() {
        let mut totals = Totals::default();
        let begun = totals.swept;
        let mut add = |number: u64, seen: Instant| {
            let labels = Labels::from_pairs([("__name__", &*number.to_string())]);
            totals.make_room(seen).unwrap();
            totals.series.insert(labels, Total { seen, start: 0, time: 0, value: Value::Float(0.0) });
            (totals.series.len(), totals.series.capacity())
        };
        for number in 0..100_000 {
            let (there, room) = add(number, begun + Duration::from_secs(number));
            assert!(there <= 7_200 && room <= 30_000, "{there} series, room for {room}");
        }
    }

    #[test]
    fn a_full_house_is_not_searched_for_every_point() {
        let mut totals = Totals::default();
        let seen = totals.swept;
        for number in 0..MAX_SERIES {
            let labels = Labels::from_pairs([("__name__", &*number.to_string())]);
            totals.make_room(seen).unwrap();
            totals.series.insert(labels, Total { seen, start: 0, time: 0, value: Value::Float(0.0) });
        }
        assert_eq!(totals.make_room(seen + SWEEP_PAUSE), Err(NotAdded::TooMany));
        assert_eq!(totals.swept, seen + SWEEP_PAUSE);
        let later = seen + SWEEP_PAUSE * 3 / 2;
        assert_eq!(totals.make_room(later), Err(NotAdded::TooMany));
        assert_eq!(totals.swept, seen + SWEEP_PAUSE, "not again so soon");
        assert_eq!(totals.make_room(seen + MAX_SILENCE), Ok(()));
        assert!(totals.series.is_empty());
    }

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
