//! The answer of a query for people: columns side by side, or a column a line when they do not fit.

use std::fmt::Write;

use serde::Deserialize;
use serde_json::Value;

/// Cells are cut beyond this many characters when they stand side by side.
const WIDEST_CELL: usize = 60;

/// An answer of `/api/v1/sql` as JSON.
#[derive(Debug, Deserialize)]
pub(crate) struct Answer {
    /// In order.
    pub(crate) columns: Vec<Column>,
    /// A value for each column.
    pub(crate) rows: Vec<Vec<Value>>,
    /// Whether there are more rows than were sent.
    #[serde(default)]
    pub(crate) truncated: bool,
    /// What went wrong after the first rows were sent.
    pub(crate) error: Option<String>,
}

/// A column of an answer.
#[derive(Debug, Deserialize)]
pub(crate) struct Column {
    /// As the query names it.
    pub(crate) name: String,
}

/// Lays an answer out for a terminal of so many characters; `None` when it may be as wide as it likes.
pub(crate) fn lay_out(answer: &Answer, width: Option<usize>) -> String {
    let cells: Vec<Vec<String>> = answer.rows.iter().map(|row| row.iter().map(cell).collect()).collect();
    let widths: Vec<usize> = answer
        .columns
        .iter()
        .enumerate()
        .map(|(index, column)| {
            let widest = cells.iter().filter_map(|row| row.get(index)).map(|cell| count(cell)).max().unwrap_or(0);
            widest.min(WIDEST_CELL).max(count(&column.name))
        })
        .collect();
    let whole = widths.iter().sum::<usize>() + 3 * widths.len().saturating_sub(1);
    match width {
        Some(width) if whole > width && !cells.is_empty() => one_below_another(answer, &cells),
        _ => side_by_side(answer, &cells, &widths),
    }
}

fn side_by_side(answer: &Answer, cells: &[Vec<String>], widths: &[usize]) -> String {
    let mut text = String::new();
    let names: Vec<String> = answer.columns.iter().map(|column| column.name.clone()).collect();
    line(&mut text, &names, widths, |_| false);
    let rule: Vec<String> = widths.iter().map(|width| "─".repeat(*width)).collect();
    let _ = writeln!(text, "{}", rule.join("─┼─"));
    for (row, values) in cells.iter().zip(&answer.rows) {
        line(&mut text, row, widths, |index| values.get(index).is_some_and(Value::is_number));
    }
    text
}

fn line(text: &mut String, cells: &[String], widths: &[usize], is_number: impl Fn(usize) -> bool) {
    let start = text.len();
    for (index, (cell, width)) in cells.iter().zip(widths).enumerate() {
        if index > 0 {
            text.push_str(" │ ");
        }
        let cut = if count(cell) > *width {
            let kept: String = cell.chars().take(width.saturating_sub(1)).collect();
            format!("{kept}…")
        } else {
            cell.clone()
        };
        let _ = match is_number(index) {
            true => write!(text, "{cut:>width$}"),
            false => write!(text, "{cut:<width$}"),
        };
    }
    text.truncate(text.trim_end_matches(' ').len().max(start));
    text.push('\n');
}

fn one_below_another(answer: &Answer, cells: &[Vec<String>]) -> String {
    let mut text = String::new();
    let widest = answer.columns.iter().map(|column| count(&column.name)).max().unwrap_or(0);
    for (number, row) in cells.iter().enumerate() {
        let _ = writeln!(text, "─── row {} {}", number + 1, "─".repeat(20));
        for (column, cell) in answer.columns.iter().zip(row) {
            let _ = writeln!(text, "{}", format!("{:<widest$} │ {cell}", column.name).trim_end());
        }
    }
    text
}

/// A text on one line.
pub(crate) fn one_line(text: &str) -> String {
    cell(&Value::from(text))
}

/// A value on one line. Control characters are written as escapes: what an application logged must not move the
/// cursor of whoever reads it.
fn cell(value: &Value) -> String {
    let text = match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    if !text.contains(char::is_control) {
        return text;
    }
    text.chars().fold(String::with_capacity(text.len() + 8), |mut line, letter| {
        match letter {
            letter if letter.is_control() => line.extend(letter.escape_default()),
            letter => line.push(letter),
        }
        line
    })
}

fn count(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer() -> Answer {
        let text = r#"{"columns":[{"name":"service","type":"text"},{"name":"n","type":"int"}],
                       "rows":[["api",12],["worker\nnode",3],[null,1200]]}"#;
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn columns_stand_side_by_side() {
        let expected = "service      │ n\n\
                        ─────────────┼─────\n\
                        api          │   12\n\
                        worker\\nnode │    3\n             │ 1200\n";
        assert_eq!(lay_out(&answer(), None), expected);
        assert_eq!(lay_out(&answer(), Some(19)), expected);
    }

    #[test]
    fn what_is_too_wide_goes_one_below_another() {
        let text = lay_out(&answer(), Some(10));
        assert!(text.contains("─── row 3 "), "{text}");
        assert!(text.contains("service │ worker\\nnode\nn       │ 3\n"), "{text}");
    }

    #[test]
    fn long_cells_are_cut_and_no_rows_leave_the_names() {
        let mut answer = answer();
        answer.rows = vec![vec![Value::from("x".repeat(100)), Value::Null]];
        assert!(lay_out(&answer, None).contains(&format!("{}… │", "x".repeat(WIDEST_CELL - 1))));
        answer.rows.clear();
        assert_eq!(lay_out(&answer, Some(5)), "service │ n\n────────┼──\n");
    }
}
