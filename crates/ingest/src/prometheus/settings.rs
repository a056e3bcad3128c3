use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::otlp::OtlpSeriesSettings;
use super::push::PushSettings;
use super::scrape::ScrapeConfiguration;

/// What is scraped, and how else series come in.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// A `prometheus.yml`, whose `global` and `scrape_configs` are used.
    pub config_file: Option<PathBuf>,
    /// The section `global` of a `prometheus.yml`, for `scrape_configs` here.
    pub global: Map<String, Value>,
    /// The section `scrape_configs` of a `prometheus.yml`.
    pub scrape_configs: Vec<Value>,
    /// Pushes of batch jobs.
    pub push: PushSettings,
    /// How OTLP metrics become series.
    pub otlp: OtlpSeriesSettings,
}

impl Default for Settings {
    /// Nothing is scraped.
    fn default() -> Self {
        Self {
            config_file: None,
            global: Map::new(),
            scrape_configs: Vec::new(),
            push: PushSettings::default(),
            otlp: OtlpSeriesSettings::default(),
        }
    }
}

impl Settings {
    /// Reads what is to be scraped: the jobs of the file, and those that stand here.
    ///
    /// # Errors
    /// All mistakes, each beginning with the key that it is about.
    pub fn load(&self) -> Result<ScrapeConfiguration, Vec<String>> {
        let mut configuration = match &self.config_file {
            None => ScrapeConfiguration::default(),
            Some(path) => {
                let in_file = |mistake: String| format!("config_file: {}: {mistake}", path.display());
                let text = std::fs::read_to_string(path).map_err(|error| vec![in_file(error.to_string())])?;
                let folder = path.parent().unwrap_or(Path::new(""));
                ScrapeConfiguration::from_yaml(&text, folder)
                    .map_err(|mistakes| mistakes.into_iter().map(in_file).collect::<Vec<_>>())?
            }
        };
        let global = Value::Object(self.global.clone());
        let here = ScrapeConfiguration::from_values(global, self.scrape_configs.clone(), Path::new(""))?;
        for job in here.jobs {
            if configuration.jobs.iter().any(|other| other.name == job.name) {
                return Err(vec![format!("scrape_configs: the job {:?} stands in config_file too", job.name)]);
            }
            configuration.jobs.push(job);
        }
        configuration.external_labels.extend(here.external_labels);
        Ok(configuration)
    }

    /// Looks for values that cannot work.
    ///
    /// # Errors
    /// As [`Settings::load`].
    pub fn check(&self) -> Result<(), Vec<String>> {
        self.load().map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_come_from_the_file_and_from_here() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("prometheus.yml");
        std::fs::write(&path, "global: {scrape_interval: 5s}\nscrape_configs: [{job_name: a}]\n").unwrap();
        let with = |jobs: &str| Settings {
            config_file: Some(path.clone()),
            scrape_configs: serde_json::from_str(jobs).unwrap(),
            ..Settings::default()
        };
        let names =
            |settings: &Settings| settings.load().unwrap().jobs.iter().map(|job| job.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&with(r#"[{"job_name": "b"}]"#)), ["a", "b"]);
        assert!(with(r#"[{"job_name": "a"}]"#).check().unwrap_err()[0].contains("stands in config_file too"));
        std::fs::write(&path, "scrape_configs: [{job: a}]").unwrap();
        let mistakes = with("[]").check().unwrap_err();
        assert!(mistakes[0].starts_with("config_file: ") && mistakes[0].contains("job_name"), "{mistakes:?}");
    }
}
