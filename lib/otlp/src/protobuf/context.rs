//! The frame that all three signals share: resources, their scopes, and the context of each.
//!
//! `ResourceSpans`, `ResourceLogs` and `ResourceMetrics` have the same field numbers, and so do the messages of a scope:
//! 1 is the resource or scope, 2 the nested list, 3 the schema URL.

use std::borrow::Cow;

use tripod_model::sink::Sink;
use tripod_model::{EntityRef, Resource, Scope};
use tripod_protobuf::{Field, Message};

use super::attribute::push_attribute;
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
    fn record(&mut self, message: &'a [u8]) -> Result<()>;
}

/// Reads a request into the sink of `records`.
pub(super) fn read_request<'a, R: Records<'a>>(body: &'a [u8], limits: &Limits, records: &mut R) -> Result<()> {
    let mut frame = Frame { limits, resource: Resource::default(), scope: Scope::default(), records };
    each(Message::new(body), 1, R::SIGNAL.resources.json, |message| frame.resource(message))
}

struct Frame<'a, 'r, R> {
    limits: &'r Limits,
    resource: Resource<'a>,
    scope: Scope<'a>,
    records: &'r mut R,
}

impl<'a, R: Records<'a>> Frame<'a, '_, R> {
    fn resource(&mut self, message: &'a [u8]) -> Result<()> {
        empty_resource(&mut self.resource);
        let mut wire = Message::new(message);
        while let Some((number, raw)) = wire.next()? {
            match number {
                1 => merge_resource(&mut self.resource, raw, self.limits).field("resource")?,
                3 => self.resource.schema_url = Cow::Borrowed(raw.text().field("schemaUrl")?),
                _ => {}
            }
        }
        self.records.sink().resource(&self.resource);
        each(Message::new(message), 2, R::SIGNAL.scopes.json, |message| self.scope(message))
    }

    fn scope(&mut self, message: &'a [u8]) -> Result<()> {
        empty_scope(&mut self.scope);
        let mut wire = Message::new(message);
        while let Some((number, raw)) = wire.next()? {
            match number {
                1 => merge_scope(&mut self.scope, raw, self.limits).field("scope")?,
                3 => self.scope.schema_url = Cow::Borrowed(raw.text().field("schemaUrl")?),
                _ => {}
            }
        }
        self.records.sink().scope(&self.scope);
        each(Message::new(message), 2, R::SIGNAL.records.json, |message| self.records.record(message))
    }
}

/// Calls `read` with each element of a repeated message field and skips all other fields.
pub(super) fn each<'a>(
    mut wire: Message<'a>,
    field: u32,
    name: &'static str,
    mut read: impl FnMut(&'a [u8]) -> Result<()>,
) -> Result<()> {
    let mut index = 0;
    while let Some((number, raw)) = wire.next()? {
        if number == field {
            raw.bytes().map_err(DecodeError::from).and_then(&mut read).index(index).field(name)?;
            index += 1;
        }
    }
    Ok(())
}

fn merge_resource<'a>(resource: &mut Resource<'a>, raw: Field<'a>, limits: &Limits) -> Result<()> {
    let mut wire = Message::new(raw.bytes()?);
    while let Some((number, raw)) = wire.next()? {
        match number {
            1 => push_attribute(&mut resource.attributes, raw, limits).field("attributes")?,
            2 => resource.dropped_attributes_count = raw.uint32().field("droppedAttributesCount")?,
            3 => {
                let index = resource.entity_refs.len();
                let entity = limits.admit_element(index).and_then(|()| read_entity(raw, limits));
                resource.entity_refs.push(entity.index(index).field("entityRefs")?);
            }
            _ => {}
        }
    }
    Ok(())
}

fn read_entity<'a>(raw: Field<'a>, limits: &Limits) -> Result<EntityRef<'a>> {
    let mut entity = EntityRef::default();
    let mut wire = Message::new(raw.bytes()?);
    while let Some((number, raw)) = wire.next()? {
        match number {
            1 => entity.schema_url = Cow::Borrowed(raw.text().field("schemaUrl")?),
            2 => entity.kind = Cow::Borrowed(raw.text().field("type")?),
            3 => push_key(&mut entity.id_keys, raw, limits).field("idKeys")?,
            4 => push_key(&mut entity.description_keys, raw, limits).field("descriptionKeys")?,
            _ => {}
        }
    }
    Ok(entity)
}

fn push_key<'a>(keys: &mut Vec<Cow<'a, str>>, raw: Field<'a>, limits: &Limits) -> Result<()> {
    let index = keys.len();
    let key = limits.admit_element(index).and_then(|()| Ok(raw.text()?));
    keys.push(Cow::Borrowed(key.index(index)?));
    Ok(())
}

fn merge_scope<'a>(scope: &mut Scope<'a>, raw: Field<'a>, limits: &Limits) -> Result<()> {
    let mut wire = Message::new(raw.bytes()?);
    while let Some((number, raw)) = wire.next()? {
        match number {
            1 => scope.name = Cow::Borrowed(raw.text().field("name")?),
            2 => scope.version = Cow::Borrowed(raw.text().field("version")?),
            3 => push_attribute(&mut scope.attributes, raw, limits).field("attributes")?,
            4 => scope.dropped_attributes_count = raw.uint32().field("droppedAttributesCount")?,
            _ => {}
        }
    }
    Ok(())
}
