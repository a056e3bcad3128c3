//! Answers as bytes, batch by batch.
//!
//! | `Accept` | rows | when something fails on the way | when rows are left out |
//! |---|---|---|---|
//! | `application/json` | `{"columns":[{"name","type"}],"rows":[[…]]}` | ends with a member `"error"` | `"truncated":true` |
//! | `application/x-ndjson`, `application/jsonl` | an object a line | last line `{"error":…}` | last line `{"truncated":true}` |
//! | `text/csv` | a header line, then a line a row (RFC 4180) | the connection breaks | not said |
//! | `application/vnd.apache.arrow.stream` | Arrow IPC | the connection breaks | not said |
//!
//! In JSON an integer is a number of up to 64 bits, a float that is not finite a string (`"NaN"`, `"inf"`, `"-inf"`), a time
//! RFC 3339 with nanoseconds in UTC, and a list, struct or map is JSON's own.

mod csv;
mod json;
mod value;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;
use bytes::Bytes;

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    JsonLines,
    Csv,
    Arrow,
}

/// Writes one answer: `start`, then `rows` for each batch, then `finish`.
pub(super) enum Writer {
    Json { any: bool, columns: Vec<u8> },
    JsonLines(json::LineWriter),
    Csv(Vec<u8>),
    Arrow(StreamWriter<Vec<u8>>),
}

impl Writer {
    /// A writer for rows of a schema; what comes before the first row is in its buffer already.
    pub(super) fn new(format: Format, schema: &Schema) -> Result<Self, ArrowError> {
        Ok(match format {
            Format::Json => Self::Json { any: false, columns: json::head(schema) },
            Format::JsonLines => Self::JsonLines(json::LineWriter::new(schema)),
            Format::Csv => Self::Csv(csv::header(schema)),
            Format::Arrow => Self::Arrow(StreamWriter::try_new(Vec::new(), schema)?),
        })
    }

    /// The bytes of a batch, and of what comes before it.
    pub(super) fn rows(&mut self, rows: &RecordBatch) -> Result<Bytes, ArrowError> {
        Ok(match self {
            Self::Json { any, columns } => {
                let mut out = std::mem::take(columns);
                json::rows(rows, any, &mut out)?;
                out.into()
            }
            Self::JsonLines(lines) => lines.rows(rows)?.into(),
            Self::Csv(header) => {
                let mut out = std::mem::take(header);
                csv::rows(rows, &mut out)?;
                out.into()
            }
            Self::Arrow(writer) => {
                writer.write(rows)?;
                std::mem::take(writer.get_mut()).into()
            }
        })
    }

    /// The end of an answer.
    pub(super) fn finish(self, truncated: bool) -> Result<Bytes, ArrowError> {
        Ok(match self {
            Self::Json { columns, .. } => {
                let mut out = columns;
                out.extend_from_slice(if truncated { b"],\"truncated\":true}\n" } else { b"]}\n" });
                out.into()
            }
            Self::JsonLines(_) if truncated => Bytes::from_static(b"{\"truncated\":true}\n"),
            Self::JsonLines(_) => Bytes::new(),
            Self::Csv(header) => header.into(),
            Self::Arrow(mut writer) => {
                writer.finish()?;
                std::mem::take(writer.get_mut()).into()
            }
        })
    }

    /// The end of an answer that failed on the way; `None` when the format has no place for it and the connection
    /// has to break.
    pub(super) fn fail(self, error: &str) -> Option<Bytes> {
        let error = serde_json::Value::from(error);
        match self {
            Self::Json { columns, .. } => {
                let mut out = columns;
                out.extend_from_slice(format!("],\"error\":{error}}}\n").as_bytes());
                Some(out.into())
            }
            Self::JsonLines(_) => Some(format!("{{\"error\":{error}}}\n").into()),
            Self::Csv(_) | Self::Arrow(_) => None,
        }
    }
}

impl Format {
    /// The `Content-Type` of an answer.
    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::JsonLines => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Arrow => "application/vnd.apache.arrow.stream",
        }
    }

    /// The format that an `Accept` header prefers, by its quality values and then by its order; JSON when there is no
    /// header, `None` when it names nothing that there is.
    pub(super) fn accepted(header: Option<&str>) -> Option<Self> {
        let Some(header) = header.filter(|header| !header.trim().is_empty()) else { return Some(Self::Json) };
        let mut best: Option<(Self, f32)> = None;
        for range in header.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let format = match parts.next().unwrap_or_default().to_ascii_lowercase().as_str() {
                "*/*" | "application/*" | "application/json" => Self::Json,
                "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Self::JsonLines,
                "text/csv" | "text/*" => Self::Csv,
                "application/vnd.apache.arrow.stream" => Self::Arrow,
                _ => continue,
            };
            let quality = parts.find_map(|part| part.strip_prefix("q=")?.parse().ok()).unwrap_or(1.0);
            if quality > best.map_or(0.0, |(_, quality)| quality) {
                best = Some((format, quality));
            }
        }
        best.map(|(format, _)| format)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_accept_header_is_negotiated() {
        for (header, format) in [
            (None, Some(Format::Json)),
            (Some(""), Some(Format::Json)),
            (Some("*/*"), Some(Format::Json)),
            (Some("application/jsonl"), Some(Format::JsonLines)),
            (Some("text/html, application/xhtml+xml, */*;q=0.8"), Some(Format::Json)),
            (Some("application/json;q=0.5, text/csv"), Some(Format::Csv)),
            (Some("text/csv; q=0, application/vnd.apache.arrow.stream"), Some(Format::Arrow)),
            (Some("image/png"), None),
        ] {
            assert_eq!(Format::accepted(header), format, "{header:?}");
        }
    }
}
