use std::borrow::Cow;

use crate::Attribute;

/// What produced the telemetry: a service instance, a host, a browser.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Resource<'a> {
    /// Attributes such as `service.name`; keys are unique by the specification, duplicates are kept in order.
    pub attributes: Vec<Attribute<'a>>,
    /// How many attributes the sender dropped.
    pub dropped_attributes_count: u32,
    /// Entities that the resource is made of (in development in OTLP 1.7).
    pub entity_refs: Vec<EntityRef<'a>>,
    /// Schema of the resource's attributes; empty when unknown.
    pub schema_url: Cow<'a, str>,
}

/// A reference to an entity by attribute keys of its resource.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EntityRef<'a> {
    /// Schema of the entity; empty when unknown.
    pub schema_url: Cow<'a, str>,
    /// The entity's type, for example `service`.
    pub kind: Cow<'a, str>,
    /// Keys of the resource attributes that identify the entity.
    pub id_keys: Vec<Cow<'a, str>>,
    /// Keys of the resource attributes that describe the entity.
    pub description_keys: Vec<Cow<'a, str>>,
}

/// The instrumentation scope: the library that recorded the telemetry.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scope<'a> {
    /// The scope's name, for example a crate or module path; empty when unknown.
    pub name: Cow<'a, str>,
    /// The scope's version; empty when unknown.
    pub version: Cow<'a, str>,
    /// Attributes of the scope.
    pub attributes: Vec<Attribute<'a>>,
    /// How many attributes the sender dropped.
    pub dropped_attributes_count: u32,
    /// Schema of the telemetry in this scope; empty when unknown.
    pub schema_url: Cow<'a, str>,
}
