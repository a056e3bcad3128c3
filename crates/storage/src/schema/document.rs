//! `docs/tables.md`, made from the registry.

use std::fmt::Write;

use super::{Column, Kind, RESOURCE, SCOPE, Signal};

/// The tables' documentation as Markdown.
pub fn document() -> String {
    let mut out = String::from(
        "# Tables\n\n\
         Every signal has a table, in SQL and as a Delta Lake table under `tables/` in the data directory. This page is \
         made from the schema (`UPDATE_DOCS=1 cargo test -p tripod-storage`).\n\n\
         Times are nanoseconds since the Unix epoch: timestamps in SQL, 64-bit integers in the files. In the files each \
         table has one more column, `date`, the day of the event in UTC, by which it is partitioned. A column marked \
         *promoted* holds the attribute named beside it, when that has the column's type; the attribute is then absent \
         from the JSON column. In SQL `attributes->>'http.route'` finds an attribute wherever it is.\n\n\
         JSON columns hold attributes with their types: floats always have a point or an exponent, bytes are \
         `{\"$bytes\":\"<base64>\"}`, floats that are not finite `{\"$double\":\"NaN\"}`.\n",
    );
    for signal in Signal::ALL {
        let _ = write!(out, "\n## {signal}\n\n");
        table(signal.own_columns(), &mut out);
    }
    out.push_str("\n## Scope and resource, in every table\n\n");
    table(&[SCOPE, RESOURCE].concat(), &mut out);
    out
}

fn table(columns: &[Column], out: &mut String) {
    out.push_str("| column | type | meaning |\n|---|---|---|\n");
    for column in columns {
        row("", column, out);
        if let Kind::Structs(fields) = column.kind {
            for field in fields {
                row(&format!("{}.", column.name), field, out);
            }
        }
    }
}

fn row(prefix: &str, column: &Column, out: &mut String) {
    let promoted = column.promoted.map(|key| format!(" *Promoted* from `{key}`.")).unwrap_or_default();
    let null = if column.nullable { ", may be null" } else { "" };
    let _ = writeln!(out, "| `{prefix}{}` | {}{null} | {}{promoted} |", column.name, name(column.kind), column.doc);
}

fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Time => "time",
        Kind::Int => "integer",
        Kind::Double => "float",
        Kind::Bool => "boolean",
        Kind::Text => "text",
        Kind::Json => "JSON text",
        Kind::TraceId => "text, 32 hexadecimal digits",
        Kind::SpanId => "text, 16 hexadecimal digits",
        Kind::Structs(_) => "list of structs",
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_page_is_up_to_date() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/tables.md");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, super::document()).unwrap();
        }
        let page = std::fs::read_to_string(path).unwrap_or_default();
        assert!(page == super::document(), "docs/tables.md is stale: UPDATE_DOCS=1 cargo test -p tripod-storage");
    }
}
