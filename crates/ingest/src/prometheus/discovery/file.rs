use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::Deserialize;
use tokio::sync::watch;

use super::{TargetGroup, parse, publish};
use crate::prometheus::scrape::resolve;
use crate::prometheus::units::duration;

/// How often the files' times and sizes are looked at. Prometheus is told by the kernel; looking is as good for a few
/// files, works on network file systems too, and needs no library.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// `file_sd_configs`: files of target groups in JSON or YAML.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FileDiscovery {
    /// Paths; the last part may hold one `*`.
    pub files: Vec<PathBuf>,
    /// How often the files are read even when nothing tells that they changed; 5 minutes by default.
    #[serde(deserialize_with = "duration")]
    refresh_interval: Option<Duration>,
}

/// What tells that a file changed.
type Stamp = Vec<(PathBuf, Option<(SystemTime, u64)>)>;

impl FileDiscovery {
    /// Makes relative paths absolute.
    pub(in crate::prometheus) fn resolve(&mut self, folder: &Path) {
        for path in &mut self.files {
            *path = resolve(folder, path);
        }
    }

    /// How often the files are read at least.
    pub(in crate::prometheus) fn refresh(&self) -> Duration {
        self.refresh_interval.unwrap_or(Duration::from_secs(300))
    }

    pub(super) async fn run(&self, job: &str, groups: watch::Sender<Option<Vec<TargetGroup>>>) {
        let refresh = self.refresh().max(LOOK_INTERVAL);
        let mut known: Vec<(PathBuf, Vec<TargetGroup>)> = Vec::new();
        loop {
            let stamp = self.stamp().await;
            known.retain(|(path, _)| stamp.iter().any(|(each, _)| each == path));
            for (path, _) in &stamp {
                match read(path).await {
                    Ok(read) => match known.iter_mut().find(|(each, _)| each == path) {
                        Some((_, groups)) => *groups = read,
                        None => known.push((path.clone(), read)),
                    },
                    Err(error) => {
                        tracing::warn!(job, path = %path.display(), error, "a file of targets cannot be read; the targets that it gave before stay");
                    }
                }
            }
            publish(&groups, known.iter().flat_map(|(_, groups)| groups.iter().cloned()).collect());
            let changed = async {
                let read_again = tokio::time::Instant::now() + refresh;
                loop {
                    tokio::time::sleep(LOOK_INTERVAL).await;
                    if tokio::time::Instant::now() >= read_again || self.stamp().await != stamp {
                        break;
                    }
                }
            };
            tokio::select! {
                () = changed => {}
                () = groups.closed() => return,
            }
        }
    }

    async fn stamp(&self) -> Stamp {
        let mut stamp = Vec::new();
        for pattern in &self.files {
            for path in expand(pattern).await {
                let metadata = tokio::fs::metadata(&path).await.ok();
                let time = metadata.and_then(|metadata| Some((metadata.modified().ok()?, metadata.len())));
                stamp.push((path, time));
            }
        }
        stamp
    }
}

/// The group's files get the label that says where they come from.
async fn read(path: &Path) -> Result<Vec<TargetGroup>, String> {
    let text = tokio::fs::read_to_string(path).await.map_err(|error| error.to_string())?;
    let mut groups = parse(&text)?;
    for group in &mut groups {
        group.labels.insert("__meta_filepath".to_owned(), path.display().to_string());
    }
    Ok(groups)
}

/// The paths that a pattern means: itself, or what fits when its last part holds a `*`.
async fn expand(pattern: &Path) -> Vec<PathBuf> {
    let name = pattern.file_name().and_then(|name| name.to_str()).unwrap_or("");
    let Some((before, after)) = name.split_once('*') else { return vec![pattern.to_owned()] };
    let folder = pattern.parent().unwrap_or(Path::new("."));
    let mut paths = Vec::new();
    let Ok(mut entries) = tokio::fs::read_dir(folder).await else { return paths };
    while let Ok(Some(entry)) = entries.next_entry().await {
        let name = entry.file_name();
        let fits = name.to_str().is_some_and(|name| {
            name.len() >= before.len() + after.len() && name.starts_with(before) && name.ends_with(after)
        });
        if fits {
            paths.push(entry.path());
        }
    }
    paths.sort();
    paths
}
