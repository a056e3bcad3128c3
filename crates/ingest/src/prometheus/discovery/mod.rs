//! Where targets come from: lists in the configuration, files that are read again when they change, and HTTP.
//!
//! <https://prometheus.io/docs/prometheus/latest/configuration/configuration/#file_sd_config>,
//! <https://prometheus.io/docs/prometheus/latest/http_sd/>

mod file;
mod http;

use std::collections::BTreeMap;

use serde::Deserialize;
use tokio::sync::watch;

pub use self::file::FileDiscovery;
pub use self::http::HttpDiscovery;
use crate::prometheus::yaml;

/// Targets that share labels: a `static_config`, or an element of what a file or an HTTP source gives.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TargetGroup {
    /// Addresses, `host:port`.
    pub targets: Vec<String>,
    /// Labels of all of them.
    pub labels: BTreeMap<String, String>,
}

/// One source of targets.
#[derive(Clone, Debug)]
pub enum DiscoveryConfig {
    /// A list in the configuration.
    Static(TargetGroup),
    /// Files.
    File(FileDiscovery),
    /// An HTTP endpoint.
    Http(HttpDiscovery),
}

impl DiscoveryConfig {
    /// Gives the groups of the source now and whenever they change, until nobody listens any more. An error of the
    /// source leaves what it gave before.
    pub(super) async fn run(&self, job: &str, groups: watch::Sender<Option<Vec<TargetGroup>>>) {
        match self {
            Self::Static(group) => {
                publish(&groups, vec![group.clone()]);
                groups.closed().await;
            }
            Self::File(files) => files.run(job, groups).await,
            Self::Http(source) => source.run(job, groups).await,
        }
    }
}

/// Hands over groups; who listens is woken only when they differ.
fn publish(groups: &watch::Sender<Option<Vec<TargetGroup>>>, new: Vec<TargetGroup>) {
    groups.send_if_modified(|old| {
        let is_new = old.as_ref() != Some(&new);
        if is_new {
            *old = Some(new);
        }
        is_new
    });
}

/// Reads groups from JSON or YAML, of which JSON is a part.
fn parse(text: &str) -> Result<Vec<TargetGroup>, String> {
    serde_path_to_error::deserialize(yaml::read(text)?).map_err(|error| error.to_string())
}
