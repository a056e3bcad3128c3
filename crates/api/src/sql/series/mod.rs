//! Series as tables: `series`, `labels`, and the table function `points`.
//!
//! Read through [`SeriesStore`]. Conditions on time, on the metric's name and on labels go down as far as a store can use
//! them; DataFusion evaluates all of them once more.

mod points;
mod tables;

use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::logical_expr::Expr;
use tripod_model::series::{Labels, METRIC_NAME};
use tripod_storage::schema::{Column, Kind};
use tripod_storage::series::{LabelMatcher, MillisRange};
use tripod_storage::{Predicate, Scalar, TimeRange};

use super::pushdown::{Pushdown, Shape, translate};

pub(super) use points::PointsFunction;
pub(super) use tables::Listing;

const NANOS_PER_MILLI: i64 = 1_000_000;

const NAME: Column = column("name", Kind::Text, "The metric's name.");
const LABELS: Column = column("labels", Kind::Json, "All other labels.");

const fn column(name: &'static str, kind: Kind, doc: &'static str) -> Column {
    Column { name, kind, nullable: true, promoted: None, doc }
}

fn schema(columns: &[Column]) -> SchemaRef {
    let field = |column: &Column| Field::new(column.name, column.kind.data_type(), column.nullable);
    Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()))
}

/// Which series and samples a `WHERE` clause lets through at most.
fn narrow(shape: Shape, filters: &[Expr]) -> (Vec<LabelMatcher>, MillisRange) {
    let Pushdown { time, matchers, .. } =
        filters.iter().filter_map(|filter| translate(shape, filter)).fold(Pushdown::none(), Pushdown::and);
    let matchers = matchers.into_iter().filter_map(|matcher| {
        let Predicate::Eq(Scalar::Text(value)) = matcher.predicate else { return None };
        let name = match (matcher.column.as_str(), matcher.attribute) {
            ("name", None) => METRIC_NAME.to_owned(),
            ("labels", Some(key)) => key,
            _ => return None,
        };
        Some(LabelMatcher::equal(name, value))
    });
    (matchers.collect(), millis(time))
}

/// The whole milliseconds in a half-open range of nanoseconds.
fn millis(TimeRange { start, end }: TimeRange) -> MillisRange {
    let up = |nanos: i64| nanos.div_euclid(NANOS_PER_MILLI) + i64::from(nanos.rem_euclid(NANOS_PER_MILLI) > 0);
    MillisRange {
        start: if start == i64::MIN { i64::MIN } else { up(start) },
        end: if end == i64::MAX { i64::MAX } else { up(end) - 1 },
    }
}

/// Labels but for the metric's name as a JSON object.
fn labels_json(labels: &Labels) -> String {
    crate::prometheus::labels_json(&labels.without_metric_name())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_of_nanoseconds_holds_whole_milliseconds() {
        let range = |start, end| millis(TimeRange { start, end });
        assert_eq!(range(i64::MIN, i64::MAX), MillisRange::ALL);
        assert_eq!(range(1, 2_000_000), MillisRange { start: 1, end: 1 });
        assert_eq!(range(-1, 2_000_001), MillisRange { start: 0, end: 2 });
        assert_eq!(range(-1_000_000, 0), MillisRange { start: -1, end: -1 });
    }
}
