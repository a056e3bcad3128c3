use regex::Regex;
use tripod_model::series::Labels;

use super::series::{Point, parse_series, parse_start_times};
use super::text::{Cursor, parse_duration};

/// A test script: commands in their order.
#[derive(Clone, Debug)]
pub struct Script {
    pub(super) commands: Vec<Command>,
}

/// A line of a script that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct ScriptError {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub reason: String,
}

#[derive(Clone, Debug)]
pub(super) enum Command {
    Clear,
    Load(Load),
    Eval(Eval),
}

/// `load <step>` with its series.
#[derive(Clone, Debug)]
pub(super) struct Load {
    pub(super) line: usize,
    /// Milliseconds between two values; the first is at the epoch.
    pub(super) step_ms: i64,
    /// Whether classic histograms are to be loaded as native ones too.
    pub(super) with_nhcb: bool,
    pub(super) series: Vec<LoadSeries>,
}

#[derive(Clone, Debug)]
pub(super) struct LoadSeries {
    pub(super) labels: Labels,
    pub(super) points: Vec<Point>,
    /// Offsets of the start times from the times of the points; as many as points, or none.
    pub(super) start_times: Vec<Option<i64>>,
}

/// `eval` with what is expected of it.
#[derive(Clone, Debug)]
pub(super) struct Eval {
    pub(super) line: usize,
    pub(super) query: String,
    pub(super) when: When,
    pub(super) expected: Expected,
    pub(super) ordered: bool,
    /// The query must fail, and if these are given, with such a message.
    pub(super) fail: Option<Option<Message>>,
    pub(super) warnings: Remarks,
    pub(super) infos: Remarks,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum When {
    Instant { at: i64 },
    Range { start: i64, end: i64, step: i64 },
}

/// What a query must give.
#[derive(Clone, Debug)]
pub(super) enum Expected {
    Scalar(f64),
    String(String),
    /// Values of series in the script's order: one for an instant query, one per step otherwise.
    Series {
        series: Vec<(Labels, Vec<Point>)>,
        /// The steps of a matrix that an instant query gives.
        steps: Option<(i64, i64, i64)>,
    },
}

/// What is expected of warnings or infos.
#[derive(Clone, Debug, Default)]
pub(super) struct Remarks {
    pub(super) none: bool,
    pub(super) some: Vec<Message>,
}

/// The text of an error or annotation.
#[derive(Clone, Debug)]
pub(super) enum Message {
    Any,
    Exactly(String),
    Matching(Regex),
}

impl Message {
    pub(super) fn matches(&self, text: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exactly(expected) => expected == text,
            Self::Matching(regex) => regex.is_match(text),
        }
    }
}

impl Script {
    /// Reads a script. Queries are not parsed here: one that is no PromQL fails when it is evaluated.
    ///
    /// # Errors
    /// The first line that cannot be read, and why.
    pub fn parse(text: &str) -> Result<Self, ScriptError> {
        let lines: Vec<&str> =
            text.lines().map(str::trim).map(|line| if line.starts_with('#') { "" } else { line }).collect();
        let mut commands = Vec::new();
        let mut at = 0;
        while at < lines.len() {
            let command = lines[at].split_whitespace().next().unwrap_or_default().to_ascii_lowercase();
            let body = lines[at + 1..].iter().take_while(|line| !line.is_empty()).count();
            let block = Block { first: at, lines: &lines[at..=at + body] };
            match command.as_str() {
                "" => {}
                "clear" => commands.push(Command::Clear),
                _ if command.starts_with("load") => commands.push(Command::Load(load(&block)?)),
                _ if command.starts_with("eval") => {
                    let (eval, used) = eval(&block)?;
                    commands.push(Command::Eval(eval));
                    at += used;
                    continue;
                }
                _ => return Err(block.error(0, format!("unknown command {command:?}: expected clear, load or eval"))),
            }
            at += if command.starts_with("load") { body + 1 } else { 1 };
        }
        Ok(Self { commands })
    }

    /// The queries of the script with their lines.
    pub fn queries(&self) -> impl Iterator<Item = (usize, &str)> {
        self.commands.iter().filter_map(|command| match command {
            Command::Eval(eval) => Some((eval.line, eval.query.as_str())),
            _ => None,
        })
    }
}

/// A command's line and the lines up to the next empty one.
struct Block<'a> {
    first: usize,
    lines: &'a [&'a str],
}

impl Block<'_> {
    fn error(&self, offset: usize, reason: impl Into<String>) -> ScriptError {
        ScriptError { line: self.first + offset + 1, reason: reason.into() }
    }
}

fn load(block: &Block<'_>) -> Result<Load, ScriptError> {
    let (command, step) = block.lines[0].split_once(char::is_whitespace).unwrap_or((block.lines[0], ""));
    let with_nhcb = match command {
        "load" => false,
        "load_with_nhcb" => true,
        _ => return Err(block.error(0, "expected load <step> or load_with_nhcb <step>")),
    };
    let step_ms = parse_duration(step.trim()).map_err(|reason| block.error(0, reason))?;
    let mut series = Vec::new();
    let mut starts: Option<(Labels, Vec<Option<i64>>)> = None;
    for (offset, line) in block.lines.iter().enumerate().skip(1) {
        let error = |reason: String| block.error(offset, reason);
        let (description, values) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        if let Some(description) = description.strip_suffix("@st") {
            let (labels, _) = parse_series(description).map_err(error)?;
            let times = parse_start_times(values).map_err(error)?;
            if starts.replace((labels, times)).is_some() {
                return Err(error("start times without a series".into()));
            }
            continue;
        }
        let (labels, points) = parse_series(line).map_err(error)?;
        let start_times = match starts.take() {
            Some((of, times)) if of == labels && times.len() == points.len() => times,
            Some((of, times)) => {
                return Err(error(format!(
                    "the line before has {} start times of {of}, this one {} values of {labels}",
                    times.len(),
                    points.len()
                )));
            }
            None => Vec::new(),
        };
        let loaded = LoadSeries { labels, points, start_times };
        // Of a series that stands there twice the later line counts.
        match series.iter_mut().find(|known: &&mut LoadSeries| known.labels == loaded.labels) {
            Some(known) => *known = loaded,
            None => series.push(loaded),
        }
    }
    if starts.is_some() {
        return Err(block.error(block.lines.len() - 1, "start times without a series"));
    }
    Ok(Load { line: block.first + 1, step_ms, with_nhcb, series })
}

/// The command, and how many lines it has.
fn eval(block: &Block<'_>) -> Result<(Eval, usize), ScriptError> {
    let here = |reason: String| block.error(0, reason);
    let (command, rest) = block.lines[0].split_once(char::is_whitespace).unwrap_or((block.lines[0], ""));
    let (when, query) = moment(rest.trim()).map_err(here)?;
    let mut eval = Eval {
        line: block.first + 1,
        query: query.into(),
        when,
        expected: Expected::Series { series: Vec::new(), steps: None },
        ordered: false,
        fail: None,
        warnings: Remarks::default(),
        infos: Remarks::default(),
    };
    match command {
        "eval" => {}
        "eval_fail" => eval.fail = Some(None),
        "eval_warn" => eval.warnings.some.push(Message::Any),
        "eval_info" => eval.infos.some.push(Message::Any),
        "eval_ordered" if matches!(when, When::Instant { .. }) => eval.ordered = true,
        _ => return Err(here(format!("unknown command {command:?}"))),
    }
    for (offset, line) in block.lines.iter().enumerate().skip(1) {
        let more = expectation(&mut eval, line).map_err(|reason| block.error(offset, reason))?;
        if !more {
            return Ok((eval, offset + 1));
        }
    }
    Ok((eval, block.lines.len()))
}

/// `instant at 5m <query>` or `range from 0 to 10m step 1m <query>`.
fn moment(text: &str) -> Result<(When, &str), String> {
    let mut rest = text;
    let mut word = |expected: &str| {
        let (word, after) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        if word != expected {
            return Err(format!("expected {expected:?} before {rest:?}"));
        }
        let (value, after) = match expected {
            "instant" | "range" => ("", after),
            _ => after.trim_start().split_once(char::is_whitespace).unwrap_or((after, "")),
        };
        rest = after.trim_start();
        Ok(value)
    };
    if word("instant").is_ok() {
        let at = parse_duration(word("at")?)?;
        return Ok((When::Instant { at }, rest));
    }
    word("range")?;
    let (start, end, step) =
        (parse_duration(word("from")?)?, parse_duration(word("to")?)?, parse_duration(word("step")?)?);
    if end < start {
        return Err("the range ends before it begins".into());
    }
    Ok((When::Range { start, end, step }, rest))
}

/// One line below `eval`; whether more lines can follow.
fn expectation(eval: &mut Eval, line: &str) -> Result<bool, String> {
    if eval.fail.is_some() {
        if let Some(message) = line.strip_prefix("expected_fail_message") {
            eval.fail = Some(Some(Message::Exactly(message.trim().into())));
            return Ok(false);
        }
        if let Some(pattern) = line.strip_prefix("expected_fail_regexp") {
            eval.fail = Some(Some(matching(pattern)?));
            return Ok(false);
        }
    }
    if let Some(range) = line.strip_prefix("expect range vector ") {
        let (When::Range { start, end, step }, "") = moment(&format!("range {range}"))? else {
            return Err("expected: expect range vector from <time> to <time> step <duration>".into());
        };
        let Expected::Series { steps, .. } = &mut eval.expected else {
            return Err("expect range vector after other expectations".into());
        };
        *steps = Some((start, end, step));
        return Ok(true);
    }
    if let Some(literal) = line.strip_prefix("expect string") {
        let mut cursor = Cursor::new(literal.trim());
        let text = cursor.string()?.filter(|_| cursor.at_end()).ok_or("expected one quoted string")?;
        eval.expected = Expected::String(text);
        return Ok(true);
    }
    if line.split(' ').next() == Some("expect") {
        remark(eval, line)?;
        return Ok(true);
    }
    if let Some(value) = scalar(line) {
        eval.expected = Expected::Scalar(value);
        return Ok(false);
    }
    let (labels, points) = parse_series(line)?;
    let Expected::Series { series, steps } = &mut eval.expected else {
        return Err("a series after another kind of expectation".into());
    };
    if points.len() > 1 && steps.is_none() && matches!(eval.when, When::Instant { .. }) {
        return Err("several values for an instant query: say `expect range vector` if it gives a matrix".into());
    }
    match series.iter_mut().find(|(known, _)| *known == labels) {
        Some((_, known)) => *known = points,
        None => series.push((labels, points)),
    }
    Ok(true)
}

/// `expect warn msg: ...`
fn remark(eval: &mut Eval, line: &str) -> Result<(), String> {
    let rest = line.strip_prefix("expect").unwrap_or_default().trim_start();
    let (kind, rest) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let rest = rest.trim();
    let message = if let Some(text) = rest.strip_prefix("msg:") {
        Message::Exactly(text.trim().into())
    } else if let Some(pattern) = rest.strip_prefix("regex:") {
        matching(pattern)?
    } else if rest.is_empty() {
        Message::Any
    } else {
        return Err(format!("unexpected {rest:?}: expected msg: or regex:"));
    };
    match kind {
        "ordered" => eval.ordered = true,
        "fail" if eval.fail.is_some() => return Err("a second `expect fail`".into()),
        "fail" => eval.fail = Some(Some(message)),
        "warn" => eval.warnings.some.push(message),
        "info" => eval.infos.some.push(message),
        "no_warn" => eval.warnings.none = true,
        "no_info" => eval.infos.none = true,
        _ => return Err(format!("unknown expectation {kind:?}")),
    }
    for (remarks, name) in [(&eval.warnings, "warn"), (&eval.infos, "info")] {
        if remarks.none && !remarks.some.is_empty() {
            return Err(format!("{name} and no_{name} together"));
        }
    }
    Ok(())
}

fn matching(pattern: &str) -> Result<Message, String> {
    Regex::new(pattern.trim()).map(Message::Matching).map_err(|error| format!("invalid regular expression: {error}"))
}

/// A line that is a number alone.
fn scalar(line: &str) -> Option<f64> {
    let (sign, digits) = match line.strip_prefix('-') {
        Some(digits) => (-1.0, digits),
        None => (1.0, line.strip_prefix('+').unwrap_or(line)),
    };
    let hexadecimal = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X"));
    match hexadecimal {
        Some(digits) => i64::from_str_radix(digits, 16).ok().map(|value| sign * value as f64),
        None => digits.parse::<f64>().ok().map(|value| sign * value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_and_expectations() {
        let script = Script::parse(
            "# a comment\nload 5m\n  a{b=\"c\"}@st -1m _\n  a{b=\"c\"} 1 2\n\nclear\n\
             eval instant at 5m sum by (x) (a)\n  expect warn msg: oh (1:2)\n  expect no_info\n  {x=\"1\"} 2\n\n\
             eval range from 0 to 10m step 5m a\n a{b=\"c\"} 1 2 _\n\
             \neval_fail instant at 0 b c\n  expected_fail_message no\neval instant at 0 pi()\n 3.5\n\
             eval instant at 1m a[1m]\n  expect range vector from 10s to 1m step 10s\n  a 1 2\n",
        )
        .unwrap();
        assert_eq!(
            script.queries().collect::<Vec<_>>(),
            [(7, "sum by (x) (a)"), (12, "a"), (15, "b c"), (17, "pi()"), (19, "a[1m]")]
        );
        let Command::Load(load) = &script.commands[0] else { panic!() };
        assert_eq!(load.series[0].start_times, [Some(-60_000), None]);
        let evals: Vec<_> = script
            .commands
            .iter()
            .filter_map(|command| if let Command::Eval(eval) = command { Some(eval) } else { None })
            .collect();
        assert!(evals[0].infos.none && evals[0].warnings.some[0].matches("oh (1:2)"));
        assert_eq!(evals[1].when, When::Range { start: 0, end: 600_000, step: 300_000 });
        assert!(matches!(&evals[2].fail, Some(Some(message)) if message.matches("no") && !message.matches("yes")));
        assert!(matches!(evals[3].expected, Expected::Scalar(value) if value == 3.5));
        assert!(
            matches!(&evals[4].expected, Expected::Series { steps: Some((10_000, 60_000, 10_000)), series } if series.len() == 1)
        );
    }

    #[test]
    fn what_cannot_be_read_is_named_by_its_line() {
        for (script, line) in [
            ("\nlod 5m", 2),
            ("load", 1),
            ("load 5m\n a 1\n b{", 3),
            ("load 5m\n a@st 1s\n b 1", 3),
            ("load 5m\n a@st 1s", 2),
            ("eval instant up", 1),
            ("eval instant at x up", 1),
            ("eval range from 5m to 0 step 1m up", 1),
            ("eval instant at 0 up\n up 1 2", 2),
            ("eval instant at 0 up\n expect warn\n expect no_warn", 3),
            ("eval instant at 0 up\n expect something", 2),
            ("eval instant at 0 up\n expect fail regex: (", 2),
        ] {
            assert_eq!(Script::parse(script).unwrap_err().line, line, "{script}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_is_too_much(
            text in r#"(load|eval|clear| |\n|instant|range|at|from|to|step|expect|warn|string|vector|5m|1h|[a-z_]{1,3}|[{}\[\]"=,+x:@#-]|\{\{|\}\}|schema|buckets|sum|[0-9.e]{1,4}|\PC){0,40}"#,
        ) {
            let _ = Script::parse(&text);
            let _ = Script::parse(&format!("load 1m\n a {text}"));
            let _ = Script::parse(&format!("eval instant at 1m up\n a {text}"));
        }
    }
}
