use serde::{Deserialize, Serialize};

/// How OTLP metrics become series: the section `otlp` of a `prometheus.yml`, and what is ours.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OtlpSeriesSettings {
    /// How names are translated.
    pub translation_strategy: TranslationStrategy,
    /// Resource attributes that become labels of every series.
    pub promote_resource_attributes: Vec<String>,
    /// All of them, but for `ignore_resource_attributes`.
    pub promote_all_resource_attributes: bool,
    /// Not these.
    pub ignore_resource_attributes: Vec<String>,
    /// Whether `target_info` has `service.name`, `service.namespace` and `service.instance.id` too.
    pub keep_identifying_resource_attributes: bool,
    /// Whether histograms with explicit bounds become native ones with custom bounds instead of classic series.
    pub convert_histograms_to_nhcb: bool,
    /// Whether series have the labels `otel_scope_*`.
    pub promote_scope_metadata: bool,
    /// Whether label names that begin with one underscore get `key` before it.
    pub label_name_underscore_sanitization: bool,
    /// Whether several underscores in a label name stay.
    pub label_name_preserve_multiple_underscores: bool,
}

impl Default for OtlpSeriesSettings {
    /// Prometheus' defaults.
    fn default() -> Self {
        Self {
            translation_strategy: TranslationStrategy::default(),
            promote_resource_attributes: Vec::new(),
            promote_all_resource_attributes: false,
            ignore_resource_attributes: Vec::new(),
            keep_identifying_resource_attributes: false,
            convert_histograms_to_nhcb: false,
            promote_scope_metadata: false,
            label_name_underscore_sanitization: true,
            label_name_preserve_multiple_underscores: true,
        }
    }
}

impl OtlpSeriesSettings {
    /// Whether an attribute of the resource becomes a label of every series.
    pub(super) fn promotes(&self, attribute: &str) -> bool {
        if self.promote_all_resource_attributes {
            !self.ignore_resource_attributes.iter().any(|each| each == attribute)
        } else {
            self.promote_resource_attributes.iter().any(|each| each == attribute)
        }
    }
}

/// How names are translated, as Prometheus names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum TranslationStrategy {
    /// `http_server_duration_seconds`: letters that Prometheus did not know of old become underscores; units and
    /// `_total` are added.
    #[default]
    UnderscoreEscapingWithSuffixes,
    /// `http_server_duration`.
    UnderscoreEscapingWithoutSuffixes,
    /// `http.server.duration_seconds`.
    NoUTF8EscapingWithSuffixes,
    /// `http.server.duration`.
    NoTranslation,
}

impl TranslationStrategy {
    pub(super) fn escapes(self) -> bool {
        matches!(self, Self::UnderscoreEscapingWithSuffixes | Self::UnderscoreEscapingWithoutSuffixes)
    }

    pub(super) fn adds_suffixes(self) -> bool {
        matches!(self, Self::UnderscoreEscapingWithSuffixes | Self::NoUTF8EscapingWithSuffixes)
    }
}
