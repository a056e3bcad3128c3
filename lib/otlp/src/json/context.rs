//! The frame that all three signals share: resources, their scopes, and the context of each.

use std::borrow::Cow;

use tripod_model::sink::Sink;
use tripod_model::{EntityRef, Resource, Scope};

use super::attribute::read_attributes;
use super::reader::Reader;
use super::scalar::read_integer;
use crate::Limits;
use crate::error::{DecodeError, Enclose, Result};
use crate::scratch::{empty_resource, empty_scope};
use crate::signal::Signal;

/// Reads one signal's records.
pub(super) trait Records<'a> {
    const SIGNAL: Signal;
    type Sink: Sink;

    fn sink(&mut self) -> &mut Self::Sink;

    /// Reads a record into the sink.
    fn record(&mut self, reader: &mut Reader<'a>) -> Result<()>;
}

/// Reads a request into the sink of `records`.
pub(super) fn read_request<'a, R: Records<'a>>(body: &'a [u8], limits: &Limits, records: &mut R) -> Result<()> {
    let name = R::SIGNAL.resources;
    let mut frame = Frame { limits, resource: Resource::default(), scope: Scope::default(), records };
    let mut reader = Reader::new(body);
    let mut seen = false;
    reader.object(|reader, key| {
        if !name.is(key) {
            return reader.skip_value();
        }
        if std::mem::replace(&mut seen, true) {
            return Err(DecodeError::new("must not occur twice")).field(name.json);
        }
        reader.array(|reader, _| frame.resource(reader)).field(name.json)
    })?;
    reader.end()
}

struct Frame<'a, 'r, R> {
    limits: &'r Limits,
    resource: Resource<'a>,
    scope: Scope<'a>,
    records: &'r mut R,
}

impl<'a, R: Records<'a>> Frame<'a, '_, R> {
    fn resource(&mut self, reader: &mut Reader<'a>) -> Result<()> {
        let name = R::SIGNAL.scopes;
        empty_resource(&mut self.resource);
        let mut schema_url = Cow::Borrowed("");
        let mut scopes = None;
        reader.object(|reader, key| match key {
            "resource" => read_resource(reader, &mut self.resource, self.limits).field("resource"),
            "schemaUrl" | "schema_url" => {
                schema_url = reader.string().field("schemaUrl")?;
                Ok(())
            }
            key if name.is(key) => match reader.defer(&mut scopes) {
                Ok(()) => Ok(()),
                // The array does not end. Reading it shows where exactly; the sink still sees its calls in order.
                Err(error) => {
                    self.records.sink().resource(&self.resource);
                    self.scopes(scopes).and(Err(error).field(name.json))
                }
            },
            _ => reader.skip_value(),
        })?;
        self.resource.schema_url = schema_url;
        self.records.sink().resource(&self.resource);
        self.scopes(scopes)
    }

    fn scopes(&mut self, list: Option<Reader<'a>>) -> Result<()> {
        let Some(mut list) = list else { return Ok(()) };
        list.array(|reader, _| self.scope(reader)).field(R::SIGNAL.scopes.json)
    }

    fn scope(&mut self, reader: &mut Reader<'a>) -> Result<()> {
        let name = R::SIGNAL.records;
        empty_scope(&mut self.scope);
        let mut schema_url = Cow::Borrowed("");
        let mut records = None;
        reader.object(|reader, key| match key {
            "scope" => read_scope(reader, &mut self.scope, self.limits).field("scope"),
            "schemaUrl" | "schema_url" => {
                schema_url = reader.string().field("schemaUrl")?;
                Ok(())
            }
            key if name.is(key) => match reader.defer(&mut records) {
                Ok(()) => Ok(()),
                Err(error) => {
                    self.records.sink().scope(&self.scope);
                    self.records(records).and(Err(error).field(name.json))
                }
            },
            _ => reader.skip_value(),
        })?;
        self.scope.schema_url = schema_url;
        self.records.sink().scope(&self.scope);
        self.records(records)
    }

    fn records(&mut self, list: Option<Reader<'a>>) -> Result<()> {
        let Some(mut list) = list else { return Ok(()) };
        list.array(|reader, _| self.records.record(reader)).field(R::SIGNAL.records.json)
    }
}

fn read_resource<'a>(reader: &mut Reader<'a>, resource: &mut Resource<'a>, limits: &Limits) -> Result<()> {
    empty_resource(resource);
    reader.object(|reader, key| {
        match key {
            "attributes" => read_attributes(reader, &mut resource.attributes, limits).field("attributes")?,
            "droppedAttributesCount" | "dropped_attributes_count" => {
                resource.dropped_attributes_count = read_integer(reader).field("droppedAttributesCount")?;
            }
            "entityRefs" | "entity_refs" => {
                resource.entity_refs.clear();
                reader
                    .array(|reader, index| {
                        limits.admit_element(index)?;
                        resource.entity_refs.push(read_entity(reader, limits)?);
                        Ok(())
                    })
                    .field("entityRefs")?;
            }
            _ => reader.skip_value()?,
        }
        Ok(())
    })
}

fn read_entity<'a>(reader: &mut Reader<'a>, limits: &Limits) -> Result<EntityRef<'a>> {
    let mut entity = EntityRef::default();
    reader.object(|reader, key| {
        match key {
            "schemaUrl" | "schema_url" => entity.schema_url = reader.string().field("schemaUrl")?,
            "type" => entity.kind = reader.string().field("type")?,
            "idKeys" | "id_keys" => read_keys(reader, &mut entity.id_keys, limits).field("idKeys")?,
            "descriptionKeys" | "description_keys" => {
                read_keys(reader, &mut entity.description_keys, limits).field("descriptionKeys")?;
            }
            _ => reader.skip_value()?,
        }
        Ok(())
    })?;
    Ok(entity)
}

fn read_keys<'a>(reader: &mut Reader<'a>, keys: &mut Vec<Cow<'a, str>>, limits: &Limits) -> Result<()> {
    keys.clear();
    reader.array(|reader, index| {
        limits.admit_element(index)?;
        keys.push(reader.string()?);
        Ok(())
    })
}

fn read_scope<'a>(reader: &mut Reader<'a>, scope: &mut Scope<'a>, limits: &Limits) -> Result<()> {
    empty_scope(scope);
    reader.object(|reader, key| {
        match key {
            "name" => scope.name = reader.string().field("name")?,
            "version" => scope.version = reader.string().field("version")?,
            "attributes" => read_attributes(reader, &mut scope.attributes, limits).field("attributes")?,
            "droppedAttributesCount" | "dropped_attributes_count" => {
                scope.dropped_attributes_count = read_integer(reader).field("droppedAttributesCount")?;
            }
            _ => reader.skip_value()?,
        }
        Ok(())
    })
}
