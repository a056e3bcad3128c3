use crate::ast::ValueType::{self, Matrix, Scalar, String, Vector};
use Arity::{Exact, Optional, Unbounded};

/// What a function takes and gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The name in the language.
    pub name: &'static str,
    /// The types of the arguments; the last one is that of all further ones too.
    pub args: &'static [ValueType],
    /// How many of them there may be.
    pub arity: Arity,
    /// The type of the result.
    pub returns: ValueType,
    /// Only to be had with the switch for experimental functions.
    pub experimental: bool,
}

/// How many arguments a function takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arity {
    /// As many as there are types.
    Exact,
    /// The last type may be left out, and repeated so that there are at most this many arguments more than required
    /// ones.
    Optional(usize),
    /// The last type may be left out or be repeated without end.
    Unbounded,
}

impl Signature {
    /// The least number of arguments.
    pub fn least(&self) -> usize {
        self.args.len() - usize::from(self.arity != Exact)
    }

    /// The greatest number of arguments; `None` without a bound.
    pub fn most(&self) -> Option<usize> {
        match self.arity {
            Exact => Some(self.args.len()),
            Optional(more) => Some(self.least() + more),
            Unbounded => None,
        }
    }

    /// The type of an argument, by its place from 0.
    pub fn arg(&self, place: usize) -> Option<ValueType> {
        self.args.get(place).or(self.args.last()).copied()
    }
}

/// The signature of a function; `None` when there is no such function.
pub fn signature(name: &str) -> Option<&'static Signature> {
    SIGNATURES.binary_search_by(|each| each.name.cmp(name)).ok().map(|index| &SIGNATURES[index])
}

const fn stable(name: &'static str, args: &'static [ValueType], arity: Arity, returns: ValueType) -> Signature {
    Signature { name, args, arity, returns, experimental: false }
}

const fn experimental(name: &'static str, args: &'static [ValueType], arity: Arity, returns: ValueType) -> Signature {
    Signature { name, args, arity, returns, experimental: true }
}

/// All functions of Prometheus 3, sorted by name.
pub const SIGNATURES: &[Signature] = &[
    stable("abs", &[Vector], Exact, Vector),
    stable("absent", &[Vector], Exact, Vector),
    stable("absent_over_time", &[Matrix], Exact, Vector),
    stable("acos", &[Vector], Exact, Vector),
    stable("acosh", &[Vector], Exact, Vector),
    stable("asin", &[Vector], Exact, Vector),
    stable("asinh", &[Vector], Exact, Vector),
    stable("atan", &[Vector], Exact, Vector),
    stable("atanh", &[Vector], Exact, Vector),
    stable("avg_over_time", &[Matrix], Exact, Vector),
    stable("ceil", &[Vector], Exact, Vector),
    stable("changes", &[Matrix], Exact, Vector),
    stable("clamp", &[Vector, Scalar, Scalar], Exact, Vector),
    stable("clamp_max", &[Vector, Scalar], Exact, Vector),
    stable("clamp_min", &[Vector, Scalar], Exact, Vector),
    stable("cos", &[Vector], Exact, Vector),
    stable("cosh", &[Vector], Exact, Vector),
    stable("count_over_time", &[Matrix], Exact, Vector),
    stable("day_of_month", &[Vector], Optional(1), Vector),
    stable("day_of_week", &[Vector], Optional(1), Vector),
    stable("day_of_year", &[Vector], Optional(1), Vector),
    stable("days_in_month", &[Vector], Optional(1), Vector),
    stable("deg", &[Vector], Exact, Vector),
    stable("delta", &[Matrix], Exact, Vector),
    stable("deriv", &[Matrix], Exact, Vector),
    experimental("double_exponential_smoothing", &[Matrix, Scalar, Scalar], Exact, Vector),
    experimental("end", &[], Exact, Scalar),
    stable("exp", &[Vector], Exact, Vector),
    stable("first_over_time", &[Matrix], Exact, Vector),
    stable("floor", &[Vector], Exact, Vector),
    stable("histogram_avg", &[Vector], Exact, Vector),
    stable("histogram_count", &[Vector], Exact, Vector),
    stable("histogram_fraction", &[Scalar, Scalar, Vector], Exact, Vector),
    stable("histogram_quantile", &[Scalar, Vector], Exact, Vector),
    experimental("histogram_quantiles", &[Vector, String, Scalar, Scalar], Optional(9), Vector),
    stable("histogram_stddev", &[Vector], Exact, Vector),
    stable("histogram_stdvar", &[Vector], Exact, Vector),
    stable("histogram_sum", &[Vector], Exact, Vector),
    stable("hour", &[Vector], Optional(1), Vector),
    stable("idelta", &[Matrix], Exact, Vector),
    stable("increase", &[Matrix], Exact, Vector),
    experimental("info", &[Vector, Vector], Optional(1), Vector),
    stable("irate", &[Matrix], Exact, Vector),
    stable("label_join", &[Vector, String, String, String], Unbounded, Vector),
    stable("label_replace", &[Vector, String, String, String, String], Exact, Vector),
    stable("last_over_time", &[Matrix], Exact, Vector),
    stable("ln", &[Vector], Exact, Vector),
    stable("log10", &[Vector], Exact, Vector),
    stable("log2", &[Vector], Exact, Vector),
    experimental("mad_over_time", &[Matrix], Exact, Vector),
    experimental("max_of", &[Scalar, Scalar], Exact, Scalar),
    stable("max_over_time", &[Matrix], Exact, Vector),
    experimental("min_of", &[Scalar, Scalar], Exact, Scalar),
    stable("min_over_time", &[Matrix], Exact, Vector),
    stable("minute", &[Vector], Optional(1), Vector),
    stable("month", &[Vector], Optional(1), Vector),
    stable("pi", &[], Exact, Scalar),
    stable("predict_linear", &[Matrix, Scalar], Exact, Vector),
    stable("present_over_time", &[Matrix], Exact, Vector),
    stable("quantile_over_time", &[Scalar, Matrix], Exact, Vector),
    stable("rad", &[Vector], Exact, Vector),
    experimental("range", &[], Exact, Scalar),
    stable("rate", &[Matrix], Exact, Vector),
    stable("resets", &[Matrix], Exact, Vector),
    stable("round", &[Vector, Scalar], Optional(1), Vector),
    stable("scalar", &[Vector], Exact, Scalar),
    stable("sgn", &[Vector], Exact, Vector),
    stable("sin", &[Vector], Exact, Vector),
    stable("sinh", &[Vector], Exact, Vector),
    stable("sort", &[Vector], Exact, Vector),
    experimental("sort_by_label", &[Vector, String], Unbounded, Vector),
    experimental("sort_by_label_desc", &[Vector, String], Unbounded, Vector),
    stable("sort_desc", &[Vector], Exact, Vector),
    stable("sqrt", &[Vector], Exact, Vector),
    experimental("start", &[], Exact, Scalar),
    experimental("start_timestamp", &[Vector], Exact, Vector),
    stable("stddev_over_time", &[Matrix], Exact, Vector),
    stable("stdvar_over_time", &[Matrix], Exact, Vector),
    experimental("step", &[], Exact, Scalar),
    stable("sum_over_time", &[Matrix], Exact, Vector),
    stable("tan", &[Vector], Exact, Vector),
    stable("tanh", &[Vector], Exact, Vector),
    stable("time", &[], Exact, Scalar),
    stable("timestamp", &[Vector], Exact, Vector),
    experimental("ts_of_first_over_time", &[Matrix], Exact, Vector),
    experimental("ts_of_last_over_time", &[Matrix], Exact, Vector),
    experimental("ts_of_max_over_time", &[Matrix], Exact, Vector),
    experimental("ts_of_min_over_time", &[Matrix], Exact, Vector),
    stable("vector", &[Scalar], Exact, Vector),
    stable("year", &[Vector], Optional(1), Vector),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_function_is_found_under_its_name() {
        assert!(SIGNATURES.windows(2).all(|pair| pair[0].name < pair[1].name), "sorted, each once");
        for each in SIGNATURES {
            assert_eq!(signature(each.name), Some(each));
        }
        assert_eq!(signature("no_such_function"), None);
    }

    #[test]
    fn arguments_are_counted_as_in_prometheus() {
        let counts = |name: &str| signature(name).map(|it| (it.least(), it.most())).unwrap();
        assert_eq!(counts("time"), (0, Some(0)));
        assert_eq!(counts("clamp"), (3, Some(3)));
        assert_eq!(counts("round"), (1, Some(2)));
        assert_eq!(counts("hour"), (0, Some(1)));
        assert_eq!(counts("label_join"), (3, None));
        assert_eq!(counts("histogram_quantiles"), (3, Some(12)));
        assert_eq!(signature("label_join").unwrap().arg(9), Some(String));
        assert_eq!(signature("time").unwrap().arg(0), None);
    }
}
