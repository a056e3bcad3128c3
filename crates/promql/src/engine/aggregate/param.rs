use crate::engine::plan::{Node, NodeKind};

/// The parameter of an aggregation: a number per step and what is known of them all.
#[derive(Debug)]
pub(super) struct Param {
    pub values: Vec<f64>,
    pub min: f64,
    pub max: f64,
    pub any_nan: bool,
    /// Where it stands in the query.
    pub position: usize,
}

impl Param {
    pub(super) fn of(node: &Node, values: Vec<f64>) -> Self {
        let (mut min, mut max) = (f64::MAX, -f64::MAX);
        let any_nan = values.iter().any(|value| value.is_nan());
        if any_nan {
            // As in Go, whose minimum and maximum are NaN when one of the two is.
            (min, max) = (f64::NAN, f64::NAN);
        } else if let NodeKind::Number(value) = node.kind {
            (min, max) = (value, value);
        } else {
            for value in &values {
                (min, max) = (min.min(*value), max.max(*value));
            }
        }
        Self { values, min, max, any_nan, position: node.position }
    }
}
