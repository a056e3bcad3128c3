//! What is running: service, version, commit.

use super::collector::{Collection, Collector};
use crate::field::Name;

/// The metric `PREFIX_build_info`: always 1, with labels that say what is running. Joined to other metrics it tells
/// which version an error belongs to.
#[derive(Clone, Debug)]
pub struct BuildInfo {
    name: Name,
    labels: Vec<(Name, String)>,
}

impl BuildInfo {
    /// Build information of a service. The prefix may be empty.
    pub fn new(prefix: &str, service: &str, version: &str) -> Self {
        let name = if prefix.is_empty() { Name::Borrowed("build_info") } else { format!("{prefix}_build_info").into() };
        let labels = vec![("service".into(), service.into()), ("version".into(), version.into())];
        Self { name, labels }
    }

    /// Adds a label, such as `revision` or `environment`. Empty values are left out.
    pub fn label(mut self, name: &'static str, value: impl Into<String>) -> Self {
        let value = value.into();
        if !value.is_empty() && !self.labels.iter().any(|(known, _)| known == name) {
            self.labels.push((name.into(), value));
        }
        self
    }
}

impl Collector for BuildInfo {
    fn collect(&self, out: &mut Collection) {
        out.info(self.name.clone(), "What is running; always 1", self.labels.clone());
    }
}
