use std::io::{self, IsTerminal, Write};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use reqwest::Url;
use reqwest::header::CONTENT_TYPE;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{NETWORK, read, terminal_width, with_sign_of_life};
use crate::chart;
use crate::cli::{AnswerFormat, QueryArgs};
use crate::client::Client;
use crate::table;

/// Steps of a range when nobody says how long they are.
const STEPS: f64 = 250.0;

/// Lines of the chart of a single series.
const HEIGHT: usize = 8;

/// An answer of `/api/v1/query` or `/api/v1/query_range`.
#[derive(Debug, Deserialize)]
struct Answer {
    data: Data,
    #[serde(default)]
    warnings: Vec<String>,
    #[serde(default)]
    infos: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    result_type: String,
    result: Value,
}

/// A series of a vector or a matrix.
#[derive(Debug, Deserialize)]
struct Series {
    metric: Map<String, Value>,
    #[serde(alias = "value", default)]
    values: Samples,
    #[serde(alias = "histogram", default)]
    histograms: Samples,
}

/// One sample or a list of them.
#[derive(Debug, Default, Deserialize)]
#[serde(untagged)]
enum Samples {
    One((f64, Value)),
    Many(Vec<(f64, Value)>),
    #[default]
    None,
}

impl Samples {
    fn as_slice(&self) -> &[(f64, Value)] {
        match self {
            Self::One(sample) => std::slice::from_ref(sample),
            Self::Many(samples) => samples,
            Self::None => &[],
        }
    }
}

/// The moments of a range query, in seconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Range {
    start: f64,
    end: f64,
    step: f64,
}

impl Range {
    fn new(end: f64, length: Duration, step: Option<Duration>) -> Self {
        let length = length.as_secs_f64();
        let step = step.map_or_else(|| (length / STEPS).round().max(1.0), |step| step.as_secs_f64());
        Self { start: end - length, end, step }
    }

    /// The step of a moment.
    fn place(&self, time: f64) -> usize {
        ((time - self.start) / self.step).round().max(0.0) as usize
    }

    fn steps(&self) -> usize {
        self.place(self.end) + 1
    }
}

/// Asks a question in PromQL and prints the answer.
pub(super) async fn ask(args: &QueryArgs, format: AnswerFormat) -> anyhow::Result<()> {
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    let time = args.at.unwrap_or_else(now);
    let range = args.range.map(|length| Range::new(time, length, args.step));
    let mut form = vec![("query", args.query.clone())];
    match range {
        Some(Range { start, end, step }) => {
            form.extend([("start", start.to_string()), ("end", end.to_string()), ("step", step.to_string())]);
        }
        None => form.push(("time", time.to_string())),
    }
    if let Some(limit) = args.limit {
        form.push(("limit", limit.to_string()));
    }
    let path = if range.is_some() { "/prometheus/api/v1/query_range" } else { "/prometheus/api/v1/query" };
    let client = Client::new(&args.server)?;
    let mut request = client.post(path);
    if let Some(timeout) = args.timeout {
        form.push(("timeout", format!("{}ms", timeout.as_millis())));
        request = request.timeout(timeout + NETWORK);
    }
    let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(encode(&form));
    let response = with_sign_of_life(client.ask(request)).await?;
    let bytes = with_sign_of_life(read(response)).await?;
    let unexpected = "the server's answer is not what was asked for";
    let answer: Answer = serde_json::from_slice(&bytes).context(unexpected)?;
    let mut out = io::stdout().lock();
    if format == AnswerFormat::Json {
        out.write_all(&bytes)?;
        out.write_all(b"\n")?;
    } else {
        let series = series(answer.data).context(unexpected)?;
        let text = match (format, range) {
            (AnswerFormat::Table, Some(range)) => charts(&series, range, terminal_width()),
            (AnswerFormat::Table, None) => {
                table::lay_out(&instant(&series), io::stdout().is_terminal().then(terminal_width))
            }
            (AnswerFormat::Csv, _) => csv(&series),
            (AnswerFormat::Jsonl | AnswerFormat::Json, _) => lines(&series),
        };
        out.write_all(text.as_bytes())?;
    }
    out.flush()?;
    for note in answer.warnings.iter().chain(&answer.infos) {
        eprintln!("tripod: {note}");
    }
    Ok(())
}

/// The pairs as a form's body.
fn encode(form: &[(&str, String)]) -> String {
    let mut url = Url::parse("http://form").expect("it is one");
    url.query_pairs_mut().extend_pairs(form);
    url.query().unwrap_or_default().to_owned()
}

/// Scalars and strings are a series without a name.
fn series(Data { result_type, result }: Data) -> anyhow::Result<Vec<Series>> {
    match result_type.as_str() {
        "vector" | "matrix" => Ok(serde_json::from_value(result)?),
        "scalar" | "string" => {
            let values = Samples::One(serde_json::from_value(result)?);
            Ok(vec![Series { metric: Map::new(), values, histograms: Samples::None }])
        }
        other => bail!("an answer of type {other} is not known here"),
    }
}

/// `name{label="value"}`.
fn title(metric: &Map<String, Value>) -> String {
    let name = metric.get("__name__").and_then(Value::as_str).unwrap_or_default();
    let labels = metric.iter().filter(|(label, _)| *label != "__name__");
    let labels: Vec<_> = labels.map(|(label, value)| format!("{label}={value}")).collect();
    if labels.is_empty() && !name.is_empty() { name.to_owned() } else { format!("{name}{{{}}}", labels.join(", ")) }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Object(histogram) => {
            let part = |name: &str| histogram.get(name).and_then(Value::as_str).unwrap_or("?");
            format!("count {}, sum {}", part("count"), part("sum"))
        }
        other => other.to_string(),
    }
}

fn samples(series: &Series) -> impl Iterator<Item = &(f64, Value)> {
    series.values.as_slice().iter().chain(series.histograms.as_slice())
}

/// A column for each label, and the value.
fn instant(series: &[Series]) -> table::Answer {
    let mut labels: Vec<&String> = series.iter().flat_map(|series| series.metric.keys()).collect();
    labels.sort_unstable();
    labels.dedup();
    let value = |series: &Series| {
        // A range selector has several samples at one moment.
        let all: Vec<_> = samples(series).collect();
        match all[..] {
            [(_, Value::String(number))] => {
                number.parse().map_or_else(|_| number.as_str().into(), |number: f64| json!(number))
            }
            [(_, value)] => text(value).into(),
            _ => {
                all.iter().map(|(time, value)| format!("{} @{time}", text(value))).collect::<Vec<_>>().join(" ").into()
            }
        }
    };
    let row = |series: &Series| {
        let known = labels.iter().map(|label| series.metric.get(*label).cloned().unwrap_or_default());
        known.chain([value(series)]).collect()
    };
    let name = |label: &str| if label == "__name__" { "name" } else { label }.to_owned();
    let names = labels.iter().map(|label| name(label)).chain(["value".to_owned()]);
    table::Answer {
        columns: names.map(|name| table::Column { name }).collect(),
        rows: series.iter().map(row).collect(),
        truncated: false,
        error: None,
    }
}

/// A chart for each series: a single one is drawn higher.
fn charts(series: &[Series], range: Range, width: usize) -> String {
    let mut out = String::new();
    let height = if series.len() == 1 { HEIGHT } else { 1 };
    for series in series {
        let mut values = vec![None; range.steps()];
        for (time, value) in series.values.as_slice() {
            if let (Some(place), Some(value)) =
                (values.get_mut(range.place(*time)), value.as_str().and_then(|text| text.parse().ok()))
            {
                *place = Some(value);
            }
        }
        let last = samples(series).last().map(|(_, value)| text(value)).unwrap_or_default();
        out.push_str(&table::one_line(&title(&series.metric)));
        match chart::draw(&values, width, height) {
            Some(chart) => {
                out.push_str(&format!("  min {}  max {}  last {last}\n", chart.low, chart.high));
                for line in chart.lines {
                    out.push_str(line.trim_end());
                    out.push('\n');
                }
            }
            None => out.push_str(&format!("  last {last}\n")),
        }
    }
    out
}

/// A line for each series, as in the answer.
fn lines(series: &[Series]) -> String {
    let mut out = String::new();
    for series in series {
        let mut line = json!({ "metric": series.metric });
        for (one, many, samples) in
            [("value", "values", &series.values), ("histogram", "histograms", &series.histograms)]
        {
            match samples {
                Samples::One(sample) => line[one] = json!(sample),
                Samples::Many(samples) if !samples.is_empty() => line[many] = json!(samples),
                Samples::Many(_) | Samples::None => {}
            }
        }
        out.push_str(&line.to_string());
        out.push('\n');
    }
    out
}

/// A line for each sample.
fn csv(series: &[Series]) -> String {
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let mut out = "time,series,value\n".to_owned();
    for series in series {
        let title = quoted(&title(&series.metric));
        for (time, value) in samples(series) {
            let value = match value {
                Value::String(text) if !text.contains([',', '"', '\r', '\n']) => text.clone(),
                Value::String(text) => quoted(text),
                other => quoted(&other.to_string()),
            };
            out.push_str(&format!("{time},{title},{value}\n"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(result_type: &str, result: Value) -> Vec<Series> {
        series(Data { result_type: result_type.to_owned(), result }).unwrap()
    }

    #[test]
    fn a_range_has_a_sensible_step() {
        let hour = Duration::from_secs(3600);
        assert_eq!(Range::new(7200.0, hour, None), Range { start: 3600.0, end: 7200.0, step: 14.0 });
        let range = Range::new(7200.0, hour, Some(Duration::from_secs(15)));
        assert_eq!((range.step, range.steps(), range.place(3615.0)), (15.0, 241, 1));
        assert_eq!(Range::new(60.0, Duration::from_secs(60), None).step, 1.0);
    }

    #[test]
    fn every_type_of_answer_is_laid_out() {
        let vector = parsed(
            "vector",
            json!([
                { "metric": {"__name__": "up", "job": "a\"b"}, "value": [5, "1"] },
                { "metric": {}, "histogram": [5, {"count": "3", "sum": "1.5"}] },
            ]),
        );
        let text = table::lay_out(&instant(&vector), None);
        assert_eq!(
            text,
            "name │ job │ value\n─────┼─────┼─────────────────\nup   │ a\"b │              1.0\n     │     │ count 3, sum 1.5\n"
        );
        assert_eq!(csv(&vector[..1]), "time,series,value\n5,\"up{job=\"\"a\\\"\"b\"\"}\",1\n");
        assert_eq!(
            lines(&vector[..1]),
            "{\"metric\":{\"__name__\":\"up\",\"job\":\"a\\\"b\"},\"value\":[5.0,\"1\"]}\n"
        );
        for kind in ["scalar", "string"] {
            let text = table::lay_out(&instant(&parsed(kind, json!([5, "2"]))), None);
            assert_eq!(text, "value\n─────\n  2.0\n", "{kind}");
        }
        assert!(series(Data { result_type: "table".to_owned(), result: json!([]) }).is_err());
    }

    #[test]
    fn a_series_is_drawn_where_it_has_samples() {
        let matrix = parsed(
            "matrix",
            json!([
                { "metric": {"__name__": "a"}, "values": [[0, "1"], [10, "2"], [30, "3"]] },
                { "metric": {"__name__": "b"}, "values": [[20, "NaN"]] },
            ]),
        );
        let range = Range { start: 0.0, end: 30.0, step: 10.0 };
        let text = charts(&matrix, range, 80);
        assert_eq!(text, "a  min 1  max 3  last 3\n▁▅ █\nb  last NaN\n");
        assert_eq!(charts(&matrix[..1], range, 80).lines().count(), 1 + HEIGHT);
    }
}
