//! Names of OpenTelemetry as names of Prometheus.
//!
//! <https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/#otlp-metric-points-to-prometheus>

use tripod_model::{Metric, MetricKind};

use super::settings::TranslationStrategy;

/// OpenTelemetry's units (UCUM) that Prometheus writes out.
const UNITS: [(&str, &str); 27] = [
    ("d", "days"),
    ("h", "hours"),
    ("min", "minutes"),
    ("s", "seconds"),
    ("ms", "milliseconds"),
    ("us", "microseconds"),
    ("ns", "nanoseconds"),
    ("By", "bytes"),
    ("KiBy", "kibibytes"),
    ("MiBy", "mebibytes"),
    ("GiBy", "gibibytes"),
    ("TiBy", "tibibytes"),
    ("KBy", "kilobytes"),
    ("MBy", "megabytes"),
    ("GBy", "gigabytes"),
    ("TBy", "terabytes"),
    ("m", "meters"),
    ("V", "volts"),
    ("A", "amperes"),
    ("J", "joules"),
    ("W", "watts"),
    ("g", "grams"),
    ("Cel", "celsius"),
    ("Hz", "hertz"),
    ("1", ""),
    ("%", "percent"),
    ("", ""),
];

/// Units behind "per".
const PER_UNITS: [(&str, &str); 7] =
    [("s", "second"), ("m", "minute"), ("h", "hour"), ("d", "day"), ("w", "week"), ("mo", "month"), ("y", "year")];

/// The name of a metric's family.
///
/// # Errors
/// When nothing is left of the name, in words.
pub(super) fn metric_name(metric: &Metric<'_>, strategy: TranslationStrategy) -> Result<String, String> {
    let is_counter = metric.kind == MetricKind::Sum && metric.is_monotonic;
    let is_ratio = metric.kind == MetricKind::Gauge && metric.unit == "1";
    let name = match (strategy.escapes(), strategy.adds_suffixes()) {
        (true, true) => escaped_with_suffixes(&metric.name, &metric.unit, is_counter, is_ratio),
        (true, false) => escaped(&metric.name),
        (false, true) => with_suffixes(&metric.name, &metric.unit, is_counter, is_ratio),
        (false, false) => metric.name.clone().into_owned(),
    };
    if name.is_empty() {
        return Err(format!("normalization for metric {:?} resulted in empty name", metric.name));
    }
    if name != metric.name && name.bytes().all(|byte| byte == b'_') {
        return Err(format!("normalization for metric {:?} resulted in invalid name {name:?}", metric.name));
    }
    Ok(name)
}

/// Letters, digits and colons; all else becomes one underscore between the words that are left.
fn escaped_with_suffixes(name: &str, unit: &str, is_counter: bool, is_ratio: bool) -> String {
    let mut words: Vec<&str> = name.split(|letter| !is_name_letter(letter)).filter(|word| !word.is_empty()).collect();
    let (main, per) = unit_suffixes(unit);
    let (main, per) = (clean_unit(&main), clean_unit(&per));
    let mut main = main.as_str();
    if words.contains(&main) {
        main = "";
    }
    let mut per = if per == "per_" { "" } else { per.strip_suffix('_').unwrap_or(&per) };
    if words.contains(&per) {
        per = "";
    }
    if !per.is_empty() {
        main = main.strip_suffix('_').unwrap_or(main);
    }
    words.extend([main, per].into_iter().filter(|word| !word.is_empty()));
    for (applies, suffix) in [(is_counter, "total"), (is_ratio, "ratio")] {
        if applies {
            words.retain(|word| *word != suffix);
            words.push(suffix);
        }
    }
    not_a_digit_first(words.join("_"))
}

fn escaped(name: &str) -> String {
    let words: Vec<&str> =
        name.split(|letter| !is_name_letter(letter) && letter != '_').filter(|word| !word.is_empty()).collect();
    not_a_digit_first(words.join("_"))
}

fn with_suffixes(name: &str, unit: &str, is_counter: bool, is_ratio: bool) -> String {
    let mut name = name;
    if is_ratio {
        name = without_suffix(name, "ratio");
    }
    if is_counter {
        name = without_suffix(name, "total");
    }
    let (main, per) = unit_suffixes(unit);
    if !per.is_empty() {
        name = without_suffix(name, &per);
    }
    let mut name = name.to_owned();
    if !main.is_empty() && !name.ends_with(&main) {
        name.push('_');
        name.push_str(&main);
    }
    for (applies, suffix) in [(!per.is_empty(), per.as_str()), (is_counter, "total"), (is_ratio, "ratio")] {
        if applies {
            name.push('_');
            name.push_str(suffix);
        }
    }
    name
}

/// Cuts off a suffix with the character before it.
fn without_suffix<'a>(name: &'a str, suffix: &str) -> &'a str {
    let Some(rest) = name.strip_suffix(suffix) else { return name };
    let mut letters = rest.chars();
    letters.next_back();
    if letters.as_str().is_empty() { name } else { letters.as_str() }
}

fn not_a_digit_first(name: String) -> String {
    if name.starts_with(|letter: char| letter.is_ascii_digit()) { format!("_{name}") } else { name }
}

fn is_name_letter(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == ':'
}

/// The unit in words, and what follows "per".
fn unit_suffixes(unit: &str) -> (String, String) {
    let look_up = |map: &[(&str, &str)], unit: &str| {
        let unit = unit.trim();
        if unit.contains(['{', '}']) {
            return String::new();
        }
        map.iter().find(|(each, _)| *each == unit).map_or(unit, |(_, word)| word).to_owned()
    };
    let (main, per) = unit.split_once('/').unwrap_or((unit, ""));
    let per = look_up(&PER_UNITS, per);
    (look_up(&UNITS, main), if per.is_empty() { per } else { format!("per_{per}") })
}

fn clean_unit(unit: &str) -> String {
    let mut out = String::with_capacity(unit.len());
    for letter in unit.chars() {
        let letter = if is_name_letter(letter) { letter } else { '_' };
        if letter != '_' || !out.ends_with('_') {
            out.push(letter);
        }
    }
    out.strip_prefix('_').unwrap_or(&out).to_owned()
}

/// The unit as metadata has it.
pub(super) fn unit_name(unit: &str) -> String {
    let (main, per) = unit_suffixes(unit);
    let (main, per) = (clean_unit(&main), clean_unit(&per));
    let joined = match (main.is_empty(), per.is_empty()) {
        (false, false) => format!("{main}_{per}"),
        (false, true) => main,
        _ => per,
    };
    let joined = joined.strip_prefix('_').unwrap_or(&joined);
    joined.strip_suffix('_').unwrap_or(joined).to_owned()
}

/// The name of a label.
///
/// # Errors
/// When nothing but underscores is left of the name.
pub(super) fn label_name(
    name: &str,
    strategy: TranslationStrategy,
    preserve: bool,
    sanitize: bool,
) -> Result<String, String> {
    if name.is_empty() {
        return Err("label name is empty".to_owned());
    }
    let mut label = name.to_owned();
    if strategy.escapes() {
        label = if preserve {
            name.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '_' }).collect()
        } else {
            collapsed(name)
        };
        if label.starts_with(|letter: char| letter.is_ascii_digit()) {
            label.insert_str(0, "key_");
        } else if sanitize && label.starts_with('_') && !label.starts_with("__") {
            label.insert_str(0, "key");
        }
    }
    if label.bytes().all(|byte| byte == b'_') {
        return Err(format!("normalization for label name {name:?} resulted in invalid name {label:?}"));
    }
    Ok(label)
}

/// Every run of what no label may have becomes one underscore; a name that is reserved keeps its own.
fn collapsed(name: &str) -> String {
    let inner = name.strip_prefix("__").and_then(|rest| rest.strip_suffix("__"));
    let mut out = String::with_capacity(name.len());
    for letter in inner.unwrap_or(name).chars() {
        if letter.is_ascii_alphanumeric() {
            out.push(letter);
        } else if !out.ends_with('_') {
            out.push('_');
        }
    }
    if inner.is_some() { format!("__{out}__") } else { out }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(name: &str, unit: &str, kind: MetricKind, strategy: TranslationStrategy) -> String {
        let is_monotonic = kind == MetricKind::Sum;
        let metric = Metric { name: name.into(), unit: unit.into(), kind, is_monotonic, ..Metric::default() };
        metric_name(&metric, strategy).unwrap()
    }

    #[test]
    fn metrics_are_named_as_the_specification_says() {
        use MetricKind::{Gauge, Histogram, Sum};
        for (given, unit, kind, expected) in [
            ("http.server.request.duration", "s", Histogram, "http_server_request_duration_seconds"),
            ("requests.count", "1", Sum, "requests_count_total"),
            ("requests_total", "{request}", Sum, "requests_total"),
            ("memory.usage", "By", Gauge, "memory_usage_bytes"),
            ("system.cpu.utilization", "1", Gauge, "system_cpu_utilization_ratio"),
            ("network.io", "By/s", Gauge, "network_io_bytes_per_second"),
            ("a__b..c", "", Gauge, "a_b_c"),
            ("1st", "", Gauge, "_1st"),
            ("speed", "km/h", Gauge, "speed_km_per_hour"),
            ("odd", "$^2/", Gauge, "odd_2"),
            ("active_seconds_x", "s", Gauge, "active_seconds_x"),
        ] {
            assert_eq!(name(given, unit, kind, TranslationStrategy::UnderscoreEscapingWithSuffixes), expected);
        }
        for (given, unit, kind, strategy, expected) in [
            ("http.duration", "s", Histogram, TranslationStrategy::UnderscoreEscapingWithoutSuffixes, "http_duration"),
            ("http.duration", "s", Histogram, TranslationStrategy::NoUTF8EscapingWithSuffixes, "http.duration_seconds"),
            ("requests.total", "1", Sum, TranslationStrategy::NoUTF8EscapingWithSuffixes, "requests_total"),
            ("io", "By/s", Sum, TranslationStrategy::NoUTF8EscapingWithSuffixes, "io_bytes_per_second_total"),
            ("http.duration", "s", Histogram, TranslationStrategy::NoTranslation, "http.duration"),
        ] {
            assert_eq!(name(given, unit, kind, strategy), expected, "{strategy:?}");
        }
        let metric = Metric { name: "???".into(), ..Metric::default() };
        assert!(metric_name(&metric, TranslationStrategy::default()).is_err());
    }

    #[test]
    fn labels_and_units_are_named() {
        let strategy = TranslationStrategy::default();
        for (given, preserve, expected) in [
            ("http.method", true, "http_method"),
            ("a..b", true, "a__b"),
            ("a..b", false, "a_b"),
            ("1a", true, "key_1a"),
            ("_a", true, "key_a"),
            ("__a__", false, "__a__"),
        ] {
            assert_eq!(label_name(given, strategy, preserve, true).as_deref(), Ok(expected));
        }
        assert!(label_name("..", strategy, true, true).is_err());
        assert_eq!(label_name("a.b", TranslationStrategy::NoTranslation, true, true).as_deref(), Ok("a.b"));
        assert_eq!(
            ["s", "By/s", "{x}", "1", "m/s"].map(unit_name),
            ["seconds", "bytes_per_second", "", "", "meters_per_second"]
        );
    }
}
