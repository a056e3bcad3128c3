//! What is known of metric families, kept over restarts as one small JSON file.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use tripod_model::series::{MetricType, SeriesMetadata};

use super::Metadata;
use crate::LakeError;

#[derive(Serialize, Deserialize)]
struct Stored {
    metric: String,
    r#type: String,
    unit: String,
    help: String,
}

/// Reads the file; nothing when it is not there.
pub(super) fn load(path: &Path) -> Result<Metadata, LakeError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Metadata::new()),
        Err(error) => return Err(error.into()),
    };
    let stored: Vec<Stored> = serde_json::from_str(&text).map_err(|error| {
        LakeError::Unexpected(format!(
            "{} cannot be read: {error}; delete it, what sends metrics describes them again",
            path.display()
        ))
    })?;
    let entry = |Stored { metric, r#type, unit, help }| {
        let metric_type = MetricType::from_name(&r#type).unwrap_or_default();
        (metric, SeriesMetadata { metric_type, unit, help })
    };
    Ok(stored.into_iter().map(entry).collect())
}

/// Writes the file aside and renames it, so that a crash leaves the old one or the new one.
pub(super) fn store(path: &Path, metadata: &Metadata) -> Result<(), LakeError> {
    let stored: Vec<Stored> = metadata
        .iter()
        .map(|(metric, metadata)| Stored {
            metric: metric.clone(),
            r#type: metadata.metric_type.name().to_owned(),
            unit: metadata.unit.clone(),
            help: metadata.help.clone(),
        })
        .collect();
    let text = serde_json::to_string(&stored).map_err(|error| LakeError::Io(error.into()))?;
    let aside = path.with_extension("json.new");
    let mut file = File::create(&aside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&aside, path)?;
    if let Some(directory) = path.parent() {
        File::open(directory)?.sync_all()?;
    }
    Ok(())
}
