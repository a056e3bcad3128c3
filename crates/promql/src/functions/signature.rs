use tripod_model::series::FloatHistogram;

use super::{
    changes, convert, dates, histogram_quantile, info, instant_rate, math, over_time, rate, regression, relabel,
    smoothing, sort, time,
};
use crate::ast::ValueType::{self, Matrix, Scalar, String, Vector};
use crate::functions::Eval::{self, Constant, Map, MapWith, Node, Range};
use Arity::{Exact, Optional, Unbounded};

/// What a function takes and gives.
#[derive(Clone, Copy, Debug)]
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
    /// How it is computed.
    pub(crate) eval: Eval,
}

impl PartialEq for Signature {
    /// By name: each function has one of its own.
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Signature {}

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

const fn stable(
    name: &'static str,
    args: &'static [ValueType],
    arity: Arity,
    returns: ValueType,
    eval: Eval,
) -> Signature {
    Signature { name, args, arity, returns, experimental: false, eval }
}

const fn experimental(
    name: &'static str,
    args: &'static [ValueType],
    arity: Arity,
    returns: ValueType,
    eval: Eval,
) -> Signature {
    Signature { name, args, arity, returns, experimental: true, eval }
}

/// All functions of Prometheus 3, sorted by name.
pub const SIGNATURES: &[Signature] = &[
    stable("abs", &[Vector], Exact, Vector, Map(f64::abs)),
    stable("absent", &[Vector], Exact, Vector, Node(convert::absent)),
    stable("absent_over_time", &[Matrix], Exact, Vector, Range(over_time::present)),
    stable("acos", &[Vector], Exact, Vector, Map(f64::acos)),
    stable("acosh", &[Vector], Exact, Vector, Map(math::acosh)),
    stable("asin", &[Vector], Exact, Vector, Map(f64::asin)),
    stable("asinh", &[Vector], Exact, Vector, Map(math::asinh)),
    stable("atan", &[Vector], Exact, Vector, Map(f64::atan)),
    stable("atanh", &[Vector], Exact, Vector, Map(f64::atanh)),
    stable("avg_over_time", &[Matrix], Exact, Vector, Range(over_time::avg)),
    stable("ceil", &[Vector], Exact, Vector, Map(f64::ceil)),
    stable("changes", &[Matrix], Exact, Vector, Range(changes::changes)),
    stable("clamp", &[Vector, Scalar, Scalar], Exact, Vector, MapWith(math::clamp)),
    stable("clamp_max", &[Vector, Scalar], Exact, Vector, MapWith(math::clamp_max)),
    stable("clamp_min", &[Vector, Scalar], Exact, Vector, MapWith(math::clamp_min)),
    stable("cos", &[Vector], Exact, Vector, Map(f64::cos)),
    stable("cosh", &[Vector], Exact, Vector, Map(f64::cosh)),
    stable("count_over_time", &[Matrix], Exact, Vector, Range(over_time::count)),
    stable("day_of_month", &[Vector], Optional(1), Vector, Node(dates::day_of_month)),
    stable("day_of_week", &[Vector], Optional(1), Vector, Node(dates::day_of_week)),
    stable("day_of_year", &[Vector], Optional(1), Vector, Node(dates::day_of_year)),
    stable("days_in_month", &[Vector], Optional(1), Vector, Node(dates::days_in_month)),
    stable("deg", &[Vector], Exact, Vector, Map(math::degrees)),
    stable("delta", &[Matrix], Exact, Vector, Range(rate::delta)),
    stable("deriv", &[Matrix], Exact, Vector, Range(regression::deriv)),
    experimental(
        "double_exponential_smoothing",
        &[Matrix, Scalar, Scalar],
        Exact,
        Vector,
        Range(smoothing::double_exponential),
    ),
    experimental("end", &[], Exact, Scalar, Constant),
    stable("exp", &[Vector], Exact, Vector, Map(f64::exp)),
    stable("first_over_time", &[Matrix], Exact, Vector, Range(over_time::first)),
    stable("floor", &[Vector], Exact, Vector, Map(f64::floor)),
    stable("histogram_avg", &[Vector], Exact, Vector, Eval::Histogram(|histogram| histogram.sum / histogram.count)),
    stable("histogram_count", &[Vector], Exact, Vector, Eval::Histogram(|histogram| histogram.count)),
    stable(
        "histogram_fraction",
        &[Scalar, Scalar, Vector],
        Exact,
        Vector,
        Node(histogram_quantile::histogram_fraction),
    ),
    stable("histogram_quantile", &[Scalar, Vector], Exact, Vector, Node(histogram_quantile::histogram_quantile)),
    experimental(
        "histogram_quantiles",
        &[Vector, String, Scalar, Scalar],
        Optional(9),
        Vector,
        Node(histogram_quantile::histogram_quantiles),
    ),
    stable("histogram_stddev", &[Vector], Exact, Vector, Eval::Histogram(|histogram| histogram.variance().sqrt())),
    stable("histogram_stdvar", &[Vector], Exact, Vector, Eval::Histogram(FloatHistogram::variance)),
    stable("histogram_sum", &[Vector], Exact, Vector, Eval::Histogram(|histogram| histogram.sum)),
    stable("hour", &[Vector], Optional(1), Vector, Node(dates::hour)),
    stable("idelta", &[Matrix], Exact, Vector, Range(instant_rate::idelta)),
    stable("increase", &[Matrix], Exact, Vector, Range(rate::increase)),
    experimental("info", &[Vector, Vector], Optional(1), Vector, Node(info::info)),
    stable("irate", &[Matrix], Exact, Vector, Range(instant_rate::irate)),
    stable("label_join", &[Vector, String, String, String], Unbounded, Vector, Node(relabel::label_join)),
    stable("label_replace", &[Vector, String, String, String, String], Exact, Vector, Node(relabel::label_replace)),
    stable("last_over_time", &[Matrix], Exact, Vector, Range(over_time::last)),
    stable("ln", &[Vector], Exact, Vector, Map(f64::ln)),
    stable("log10", &[Vector], Exact, Vector, Map(f64::log10)),
    stable("log2", &[Vector], Exact, Vector, Map(f64::log2)),
    experimental("mad_over_time", &[Matrix], Exact, Vector, Range(over_time::mad)),
    experimental("max_of", &[Scalar, Scalar], Exact, Scalar, Eval::Scalar(|_, args| math::maximum(args[0], args[1]))),
    stable("max_over_time", &[Matrix], Exact, Vector, Range(over_time::max)),
    experimental("min_of", &[Scalar, Scalar], Exact, Scalar, Eval::Scalar(|_, args| math::minimum(args[0], args[1]))),
    stable("min_over_time", &[Matrix], Exact, Vector, Range(over_time::min)),
    stable("minute", &[Vector], Optional(1), Vector, Node(dates::minute)),
    stable("month", &[Vector], Optional(1), Vector, Node(dates::month)),
    stable("pi", &[], Exact, Scalar, Eval::Scalar(|_, _| std::f64::consts::PI)),
    stable("predict_linear", &[Matrix, Scalar], Exact, Vector, Range(regression::predict_linear)),
    stable("present_over_time", &[Matrix], Exact, Vector, Range(over_time::present)),
    stable("quantile_over_time", &[Scalar, Matrix], Exact, Vector, Range(over_time::quantile_over_time)),
    stable("rad", &[Vector], Exact, Vector, Map(math::radians)),
    experimental("range", &[], Exact, Scalar, Constant),
    stable("rate", &[Matrix], Exact, Vector, Range(rate::rate)),
    stable("resets", &[Matrix], Exact, Vector, Range(changes::resets)),
    stable("round", &[Vector, Scalar], Optional(1), Vector, MapWith(math::round)),
    stable("scalar", &[Vector], Exact, Scalar, Node(convert::scalar)),
    stable("sgn", &[Vector], Exact, Vector, Map(math::sign)),
    stable("sin", &[Vector], Exact, Vector, Map(f64::sin)),
    stable("sinh", &[Vector], Exact, Vector, Map(f64::sinh)),
    stable("sort", &[Vector], Exact, Vector, Node(sort::sort)),
    experimental("sort_by_label", &[Vector, String], Unbounded, Vector, Node(sort::sort_by_label)),
    experimental("sort_by_label_desc", &[Vector, String], Unbounded, Vector, Node(sort::sort_by_label_desc)),
    stable("sort_desc", &[Vector], Exact, Vector, Node(sort::sort_desc)),
    stable("sqrt", &[Vector], Exact, Vector, Map(f64::sqrt)),
    experimental("start", &[], Exact, Scalar, Constant),
    experimental("start_timestamp", &[Vector], Exact, Vector, Node(time::start_timestamp)),
    stable("stddev_over_time", &[Matrix], Exact, Vector, Range(over_time::stddev)),
    stable("stdvar_over_time", &[Matrix], Exact, Vector, Range(over_time::stdvar)),
    experimental("step", &[], Exact, Scalar, Constant),
    stable("sum_over_time", &[Matrix], Exact, Vector, Range(over_time::sum)),
    stable("tan", &[Vector], Exact, Vector, Map(f64::tan)),
    stable("tanh", &[Vector], Exact, Vector, Map(f64::tanh)),
    stable("time", &[], Exact, Scalar, Eval::Scalar(|time, _| time as f64 / 1000.0)),
    stable("timestamp", &[Vector], Exact, Vector, Node(time::timestamp)),
    experimental("ts_of_first_over_time", &[Matrix], Exact, Vector, Range(over_time::time_of_first)),
    experimental("ts_of_last_over_time", &[Matrix], Exact, Vector, Range(over_time::time_of_last)),
    experimental("ts_of_max_over_time", &[Matrix], Exact, Vector, Range(over_time::time_of_max)),
    experimental("ts_of_min_over_time", &[Matrix], Exact, Vector, Range(over_time::time_of_min)),
    stable("vector", &[Scalar], Exact, Vector, Node(convert::vector)),
    stable("year", &[Vector], Optional(1), Vector, Node(dates::year)),
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
