//! What sends the telemetry: service, host, process, container, commit.

use std::env;
use std::fs;

use crate::field::{Fields, Name, Value};

/// Attributes of the service, by the semantic conventions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Resource(Fields);

impl Resource {
    /// No attributes.
    pub fn new() -> Self {
        Self::default()
    }

    /// The attributes.
    pub fn attributes(&self) -> &Fields {
        &self.0
    }

    /// The value of an attribute.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(attribute, _)| attribute == name).map(|(_, value)| value)
    }

    /// The resource with an attribute set.
    #[must_use]
    pub fn with(mut self, name: impl Into<Name>, value: impl Into<Value>) -> Self {
        let (name, value) = (name.into(), value.into());
        match self.0.iter_mut().find(|(attribute, _)| *attribute == name) {
            Some(attribute) => attribute.1 = value,
            None => self.0.push((name, value)),
        }
        self
    }

    /// The resource with an attribute set unless it has one of the name.
    #[must_use]
    pub fn with_default(self, name: impl Into<Name>, value: impl Into<Value>) -> Self {
        let name = name.into();
        if self.get(&name).is_some() { self } else { self.with(name, value) }
    }

    /// Adds what the system knows: host, operating system, process, container, commit, and who sends
    /// (`telemetry.sdk.*`). What is set already stays.
    #[must_use]
    pub fn detect(self) -> Self {
        let text =
            |path: &str| fs::read_to_string(path).ok().map(|text| text.trim().to_owned()).filter(|t| !t.is_empty());
        let mut found: Vec<(&'static str, Option<Value>)> = vec![
            ("telemetry.sdk.name", Some("tripod".into())),
            ("telemetry.sdk.language", Some("rust".into())),
            ("telemetry.sdk.version", Some(env!("CARGO_PKG_VERSION").into())),
            ("host.name", text("/proc/sys/kernel/hostname").or_else(|| env::var("HOSTNAME").ok()).map(Value::from)),
            ("host.arch", Some(arch().into())),
            ("os.type", Some(env::consts::OS.into())),
            ("process.pid", Some(i64::from(std::process::id()).into())),
            ("process.runtime.name", Some("rust".into())),
            ("container.id", container_id().map(Value::from)),
            ("vcs.ref.head.revision", commit().map(Value::from)),
            ("service.instance.id", Some(crate::context::TraceId::random().to_string().into())),
        ];
        if let Ok(path) = env::current_exe() {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
            found.push(("process.executable.name", name.map(Value::from)));
        }
        found.into_iter().fold(self, |resource, (name, value)| match value {
            Some(value) => resource.with_default(name, value),
            None => resource,
        })
    }
}

/// The names of the semantic conventions.
fn arch() -> &'static str {
    match env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// The commit of which the service is made, if its environment says so.
fn commit() -> Option<String> {
    let names = ["GIT_COMMIT_SHA", "GIT_COMMIT", "GIT_SHA", "SOURCE_COMMIT", "GITHUB_SHA", "CI_COMMIT_SHA"];
    let value = names.into_iter().find_map(|name| env::var(name).ok())?;
    let value = value.trim().to_owned();
    (!value.is_empty() && value.len() <= 64).then_some(value)
}

/// The id that container runtimes leave in the control group, or, with version 2 of these, in the mounts.
fn container_id() -> Option<String> {
    let cgroup = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    container_id_in(&cgroup).or_else(|| {
        // Only mounts that a runtime makes for each container; layers of images have such names too.
        let lines = mounts.lines().filter(|line| line.contains("/containers/") && line.contains("/hostname"));
        lines.into_iter().find_map(container_id_in)
    })
}

/// A run of exactly 64 hexadecimal digits.
fn container_id_in(text: &str) -> Option<String> {
    let is_digit = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    text.split(|c| !is_digit(c)).find(|word| word.len() == 64).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_container_in_both_versions_of_control_groups() {
        let id = "3f1c".repeat(16);
        assert_eq!(container_id_in(&format!("12:pids:/docker/{id}\n")), Some(id.clone()));
        assert_eq!(container_id_in(&format!("0::/system.slice/docker-{id}.scope")), Some(id.clone()));
        assert_eq!(container_id_in("0::/user.slice"), None);
    }

    #[test]
    fn what_is_set_counts_before_what_is_found() {
        let resource = Resource::new().with("host.name", "mine").detect();
        assert_eq!(resource.get("host.name"), Some(&"mine".into()));
        assert_eq!(resource.get("process.pid"), Some(&Value::Integer(std::process::id().into())));
        assert_eq!(resource.get("telemetry.sdk.name"), Some(&"tripod".into()));
    }
}
