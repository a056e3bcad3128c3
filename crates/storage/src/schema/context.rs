use super::{Column, Kind};

/// The instrumentation scope of a row.
pub(crate) const SCOPE: &[Column] = &[
    Column::optional("scope_name", Kind::Text, "Name of the instrumentation scope (library)."),
    Column::optional("scope_version", Kind::Text, "Version of the instrumentation scope."),
    Column::optional("scope_attributes", Kind::Json, "Attributes of the instrumentation scope."),
    Column::optional(
        "scope_dropped_attributes_count",
        Kind::Int,
        "Scope attributes that the sender dropped; null for 0.",
    ),
    Column::optional("scope_schema_url", Kind::Text, "Schema URL of the row's telemetry."),
];

/// The resource of a row.
pub(crate) const RESOURCE: &[Column] = &[
    Column::promoted("service.name", "service_name", Kind::Text, "The service."),
    Column::promoted("service.namespace", "service_namespace", Kind::Text, "What the service's name is unique in."),
    Column::promoted("service.version", "service_version", Kind::Text, "The service's version."),
    Column::promoted("service.instance.id", "service_instance_id", Kind::Text, "The instance of the service."),
    Column::promoted(
        "deployment.environment.name",
        "deployment_environment_name",
        Kind::Text,
        "The environment, for example production.",
    ),
    Column::promoted(
        "deployment.environment",
        "deployment_environment",
        Kind::Text,
        "The environment under the key of older semantic conventions.",
    ),
    Column::optional("resource_attributes", Kind::Json, "Attributes of the resource that have no column of their own."),
    Column::optional(
        "resource_dropped_attributes_count",
        Kind::Int,
        "Resource attributes that the sender dropped; null for 0.",
    ),
    Column::optional(
        "resource_entity_refs",
        Kind::Json,
        "Entities of the resource: a list of objects with schemaUrl, type, idKeys and descriptionKeys.",
    ),
    Column::optional("resource_schema_url", Kind::Text, "Schema URL of the resource."),
];
