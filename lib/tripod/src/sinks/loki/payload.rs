//! The body of `POST /loki/api/v1/push`, as JSON and as protobuf.

use std::collections::BTreeMap;

use crate::logs::Level;
use crate::logs::json;

/// A line on its way to Loki.
#[derive(Clone, Debug)]
pub(super) struct Line {
    /// Nanoseconds since the Unix epoch.
    pub(super) time: u64,
    pub(super) level: Level,
    /// Labels of this line beyond those of all.
    pub(super) labels: Vec<(String, String)>,
    /// Structured metadata.
    pub(super) metadata: Vec<(String, String)>,
    /// The formatted line; UTF-8.
    pub(super) text: Vec<u8>,
}

impl Line {
    /// Memory, in bytes, about.
    pub(super) fn size(&self) -> usize {
        let pairs =
            |pairs: &[(String, String)]| pairs.iter().map(|(name, value)| name.len() + value.len() + 48).sum::<usize>();
        size_of::<Self>() + self.text.len() + pairs(&self.labels) + pairs(&self.metadata)
    }
}

/// The lines of each combination of labels, in the order of their times.
pub(super) struct Streams(BTreeMap<Vec<(String, String)>, Vec<Line>>);

impl Streams {
    pub(super) fn new(constant: &[(String, String)], batch: Vec<Line>) -> Self {
        let mut streams: BTreeMap<Vec<(String, String)>, Vec<Line>> = BTreeMap::new();
        for mut line in batch {
            let mut labels = std::mem::take(&mut line.labels);
            labels.push(("level".to_owned(), line.level.as_str().to_owned()));
            for (name, value) in constant {
                if !labels.iter().any(|(other, _)| other == name) {
                    labels.push((name.clone(), value.clone()));
                }
            }
            labels.sort();
            streams.entry(labels).or_default().push(line);
        }
        for lines in streams.values_mut() {
            // Threads race between the clock and the queue; Loki likes order within a stream.
            lines.sort_by_key(|line| line.time);
        }
        Self(streams)
    }

    /// `{"streams":[{"stream":{"service":"api"},"values":[["1768559445123456000","…",{"trace_id":"…"}]]}]}`
    pub(super) fn json(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend_from_slice(b"{\"streams\":[");
        for (index, (labels, lines)) in self.0.iter().enumerate() {
            comma(index, &mut out);
            out.extend_from_slice(b"{\"stream\":");
            object(labels, &mut out);
            out.extend_from_slice(b",\"values\":[");
            for (index, line) in lines.iter().enumerate() {
                comma(index, &mut out);
                out.extend_from_slice(b"[\"");
                out.extend_from_slice(itoa::Buffer::new().format(line.time).as_bytes());
                out.extend_from_slice(b"\",");
                json::string(&String::from_utf8_lossy(&line.text), &mut out);
                if !line.metadata.is_empty() {
                    out.push(b',');
                    object(&line.metadata, &mut out);
                }
                out.push(b']');
            }
            out.extend_from_slice(b"]}");
        }
        out.extend_from_slice(b"]}");
        out
    }

    /// `logproto.PushRequest`:
    ///
    /// ```protobuf
    /// message PushRequest { repeated Stream streams = 1; }
    /// message Stream { string labels = 1; repeated Entry entries = 2; }
    /// message Entry { google.protobuf.Timestamp timestamp = 1; string line = 2; repeated Pair structured_metadata = 3; }
    /// message Pair { string name = 1; string value = 2; }
    /// ```
    pub(super) fn protobuf(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for (labels, lines) in &self.0 {
            let mut stream = Vec::new();
            bytes(1, selector(labels).as_bytes(), &mut stream);
            for line in lines {
                let mut time = Vec::new();
                integer(1, line.time / 1_000_000_000, &mut time);
                integer(2, line.time % 1_000_000_000, &mut time);
                let mut entry = Vec::new();
                bytes(1, &time, &mut entry);
                bytes(2, &line.text, &mut entry);
                for (name, value) in &line.metadata {
                    let mut pair = Vec::new();
                    bytes(1, name.as_bytes(), &mut pair);
                    bytes(2, value.as_bytes(), &mut pair);
                    bytes(3, &pair, &mut entry);
                }
                bytes(2, &entry, &mut stream);
            }
            bytes(1, &stream, &mut out);
        }
        out
    }

    /// All lines with their line breaks, for another place than Loki.
    pub(super) fn text(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for line in self.0.values().flatten() {
            out.extend_from_slice(&line.text);
            out.push(b'\n');
        }
        out
    }
}

fn comma(index: usize, out: &mut Vec<u8>) {
    if index > 0 {
        out.push(b',');
    }
}

fn object(pairs: &[(String, String)], out: &mut Vec<u8>) {
    out.push(b'{');
    for (index, (name, value)) in pairs.iter().enumerate() {
        comma(index, out);
        json::string(name, out);
        out.push(b':');
        json::string(value, out);
    }
    out.push(b'}');
}

/// Labels as Loki writes them: `{level="info", service="api"}`, values quoted as in Go.
fn selector(labels: &[(String, String)]) -> String {
    let mut out = String::from("{");
    for (index, (name, value)) in labels.iter().enumerate() {
        if index > 0 {
            out.push_str(", ");
        }
        out.push_str(name);
        out.push_str("=\"");
        for character in value.chars() {
            match character {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                control if u32::from(control) < 0x20 || control == '\x7f' => {
                    out.push_str(&format!("\\x{:02x}", u32::from(control)));
                }
                other => out.push(other),
            }
        }
        out.push('"');
    }
    out.push('}');
    out
}

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn integer(field: u64, value: u64, out: &mut Vec<u8>) {
    varint(field << 3, out);
    varint(value, out);
}

fn bytes(field: u64, value: &[u8], out: &mut Vec<u8>) {
    varint(field << 3 | 2, out);
    varint(value.len() as u64, out);
    out.extend_from_slice(value);
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;
    use prost::Message;

    use super::*;

    // The messages as Loki declares them, read by somebody else's decoder.
    #[derive(Clone, PartialEq, Message)]
    pub(crate) struct PushRequest {
        #[prost(message, repeated, tag = "1")]
        pub(crate) streams: Vec<Stream>,
    }

    #[derive(Clone, PartialEq, Message)]
    pub(crate) struct Stream {
        #[prost(string, tag = "1")]
        pub(crate) labels: String,
        #[prost(message, repeated, tag = "2")]
        pub(crate) entries: Vec<Entry>,
    }

    #[derive(Clone, PartialEq, Message)]
    pub(crate) struct Entry {
        #[prost(message, optional, tag = "1")]
        pub(crate) timestamp: Option<Timestamp>,
        #[prost(string, tag = "2")]
        pub(crate) line: String,
        #[prost(message, repeated, tag = "3")]
        pub(crate) metadata: Vec<Pair>,
    }

    #[derive(Clone, PartialEq, Message)]
    pub(crate) struct Timestamp {
        #[prost(int64, tag = "1")]
        pub(crate) seconds: i64,
        #[prost(int32, tag = "2")]
        pub(crate) nanos: i32,
    }

    #[derive(Clone, PartialEq, Message)]
    pub(crate) struct Pair {
        #[prost(string, tag = "1")]
        pub(crate) name: String,
        #[prost(string, tag = "2")]
        pub(crate) value: String,
    }

    fn line(time: u64, level: Level, text: &str) -> Line {
        Line { time, level, labels: Vec::new(), metadata: Vec::new(), text: text.as_bytes().to_vec() }
    }

    fn constant() -> Vec<(String, String)> {
        vec![("service".to_owned(), "api".to_owned()), ("environment".to_owned(), "a \"b\"\n".to_owned())]
    }

    #[test]
    fn json_of_the_guide() {
        let mut first = line(1_768_559_445_123_456_000, Level::Info, r#"{"event":"a"}"#);
        first.metadata.push(("trace_id".to_owned(), "abc".to_owned()));
        let streams = Streams::new(&constant(), vec![line(2, Level::Error, "x"), first, line(1, Level::Error, "y")]);
        let parsed: serde_json::Value = serde_json::from_slice(&streams.json()).unwrap();
        assert_eq!(
            parsed,
            serde_json::json!({"streams": [
                {
                    "stream": {"environment": "a \"b\"\n", "level": "error", "service": "api"},
                    "values": [["1", "y"], ["2", "x"]]
                },
                {
                    "stream": {"environment": "a \"b\"\n", "level": "info", "service": "api"},
                    "values": [["1768559445123456000", "{\"event\":\"a\"}", {"trace_id": "abc"}]]
                }
            ]})
        );
        assert_eq!(streams.text(), b"y\nx\n{\"event\":\"a\"}\n");
    }

    #[test]
    fn protobuf_is_read_by_a_decoder_of_others() {
        let mut only = line(1_768_559_445_123_456_789, Level::Warning, "text");
        only.labels.push(("job_type".to_owned(), "research".to_owned()));
        only.metadata.push(("trace_id".to_owned(), "abc".to_owned()));
        let request = PushRequest::decode(Streams::new(&constant(), vec![only]).protobuf().as_slice()).unwrap();
        let stream = &request.streams[0];
        assert_eq!(stream.labels, r#"{environment="a \"b\"\n", job_type="research", level="warning", service="api"}"#);
        let entry = &stream.entries[0];
        assert_eq!(entry.timestamp, Some(Timestamp { seconds: 1_768_559_445, nanos: 123_456_789 }));
        assert_eq!(entry.line, "text");
        assert_eq!(entry.metadata, [Pair { name: "trace_id".to_owned(), value: "abc".to_owned() }]);
    }

    proptest! {
        #[test]
        fn every_line_arrives(lines in proptest::collection::vec((any::<u64>(), any::<String>(), any::<bool>()), 0..20)) {
            let batch: Vec<Line> = lines
                .iter()
                .map(|(time, text, error)| line(*time, if *error { Level::Error } else { Level::Info }, text))
                .collect();
            let streams = Streams::new(&constant(), batch);
            let request = PushRequest::decode(streams.protobuf().as_slice()).unwrap();
            let mut arrived: Vec<String> = request.streams.into_iter().flat_map(|stream| stream.entries).map(|entry| entry.line).collect();
            let parsed: serde_json::Value = serde_json::from_slice(&streams.json()).unwrap();
            let mut in_json: Vec<String> = parsed["streams"].as_array().unwrap().iter()
                .flat_map(|stream| stream["values"].as_array().unwrap().clone())
                .map(|value| value[1].as_str().unwrap().to_owned())
                .collect();
            let mut sent: Vec<String> = lines.into_iter().map(|(_, text, _)| text).collect();
            sent.sort();
            arrived.sort();
            in_json.sort();
            prop_assert_eq!(&sent, &arrived);
            prop_assert_eq!(&sent, &in_json);
        }
    }
}
