//! What all checks found together, and its JSON.

use std::fmt::Write;

use super::check::{Outcome, Status};
use crate::field::Name;
use crate::logs::json;
use crate::logs::timestamp;

/// What all checks found together.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The worst that the checks allow.
    pub status: Status,
    /// When it was made: nanoseconds since the Unix epoch.
    pub time: u64,
    /// The version of the service.
    pub version: String,
    /// Where it runs.
    pub environment: String,
    /// Since its start.
    pub uptime_seconds: f64,
    /// Each check, in the order in which they were added.
    pub checks: Vec<CheckReport>,
}

/// What one check found.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckReport {
    /// The check's name.
    pub name: Name,
    /// How long it took.
    pub duration_ms: f64,
    /// What it found.
    pub outcome: Outcome,
}

impl Report {
    /// 200 when requests are answered (healthy, degraded), 503 when not.
    pub fn http_status(&self) -> u16 {
        if self.status == Status::Unhealthy { 503 } else { 200 }
    }

    /// The JSON object: `status`, `timestamp` (RFC 3339, UTC), `version`, `environment`, `uptime_seconds`, `checks`; a
    /// check has `name`, `status`, `duration_ms`, `message`, and `details` when it has any.
    pub fn to_json(&self) -> String {
        let mut out = Vec::with_capacity(200 + 150 * self.checks.len());
        member(&mut out, b'{', "status", self.status.as_str());
        let timestamp = timestamp::rfc3339_micros(self.time);
        member(&mut out, b',', "timestamp", &String::from_utf8_lossy(&timestamp));
        member(&mut out, b',', "version", &self.version);
        member(&mut out, b',', "environment", &self.environment);
        number(&mut out, "uptime_seconds", self.uptime_seconds, 1e3);
        out.extend_from_slice(b",\"checks\":[");
        for (index, check) in self.checks.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            check.write_json(&mut out);
        }
        out.extend_from_slice(b"]}");
        String::from_utf8_lossy(&out).into_owned()
    }
}

impl CheckReport {
    fn write_json(&self, out: &mut Vec<u8>) {
        member(out, b'{', "name", &self.name);
        member(out, b',', "status", self.outcome.status.as_str());
        number(out, "duration_ms", self.duration_ms, 1e2);
        member(out, b',', "message", &self.outcome.message);
        for (index, (name, value)) in self.outcome.details.iter().enumerate() {
            out.extend_from_slice(if index == 0 { b",\"details\":{" } else { b"," });
            json::string(name, out);
            out.push(b':');
            json::value(value, out, 0);
        }
        out.extend_from_slice(if self.outcome.details.is_empty() { b"}" } else { b"}}" });
    }
}

fn member(out: &mut Vec<u8>, before: u8, name: &str, value: &str) {
    out.push(before);
    json::string(name, out);
    out.push(b':');
    json::string(value, out);
}

fn number(out: &mut Vec<u8>, name: &str, value: f64, precision: f64) {
    out.push(b',');
    json::string(name, out);
    let mut text = String::from(":");
    let _ = write!(text, "{:?}", (value * precision).round() / precision);
    out.extend_from_slice(text.as_bytes());
}
