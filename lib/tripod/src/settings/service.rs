//! Who the service is.

use super::Variables;
use crate::resource::Resource;

/// Who the service is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceSettings {
    /// `OTEL_SERVICE_NAME`, `SERVICE_NAME`, or what the code says.
    pub name: String,
    /// `SERVICE_VERSION`.
    pub version: Option<String>,
    /// `ENVIRONMENT`: `development`, `staging`, `production` or another word. Unset it is `production`, or `development`
    /// where standard output is a terminal.
    pub environment: String,
}

impl ServiceSettings {
    /// Whether the service runs on somebody's desk: `development`, `dev`, `local` or `test`.
    pub fn is_development(&self) -> bool {
        matches!(self.environment.to_ascii_lowercase().as_str(), "development" | "dev" | "local" | "test")
    }
}

pub(super) fn read(variables: &mut Variables, name: &str) -> (ServiceSettings, Resource) {
    let attributes = variables.pairs("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default();
    let attribute = |name: &str| attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    let first = |variables: &Variables, names: &[&str]| names.iter().find_map(|name| variables.text(name));
    let found = first(variables, &["OTEL_SERVICE_NAME", "SERVICE_NAME"]).or_else(|| attribute("service.name"));
    let service = ServiceSettings {
        name: found.unwrap_or_else(|| name.to_owned()),
        version: first(variables, &["SERVICE_VERSION"]).or_else(|| attribute("service.version")),
        environment: first(variables, &["ENVIRONMENT"])
            .or_else(|| attribute("deployment.environment.name"))
            .or_else(|| attribute("deployment.environment"))
            .unwrap_or_else(|| {
                let terminal = std::io::IsTerminal::is_terminal(&std::io::stdout());
                if terminal { "development" } else { "production" }.to_owned()
            }),
    };
    if service.name.is_empty() {
        variables.mistake("SERVICE_NAME", "a service needs a name");
    }
    let mut resource = Resource::new().with("service.name", service.name.clone());
    if let Some(version) = &service.version {
        resource = resource.with("service.version", version.clone());
    }
    // Both names of the conventions: the older one is what most dashboards have.
    resource = resource
        .with("deployment.environment.name", service.environment.clone())
        .with("deployment.environment", service.environment.clone());
    for (key, value) in attributes {
        resource = resource.with_default(key, value);
    }
    if let Some(namespace) = variables.text("SERVICE_NAMESPACE") {
        resource = resource.with("service.namespace", namespace);
    }
    (service, resource)
}
