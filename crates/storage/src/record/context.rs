//! Resource and scope columns: the same over long runs of rows, so each run is written once.

use std::sync::LazyLock;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Int64Type};
use tripod_model::{EntityRef, Resource, Scope, Value};

use super::promoted::PromotedIndex;
use crate::attribute_json;
use crate::column::{NumberColumn, StoredText, TextColumn};
use crate::schema::RESOURCE;

static PROMOTED: LazyLock<PromotedIndex> = LazyLock::new(|| PromotedIndex::new(RESOURCE));

/// A text column with the value of the current run.
#[derive(Debug)]
struct TextRun {
    column: TextColumn,
    current: Option<StoredText>,
}

/// A count column with the value of the current run; null for 0.
#[derive(Debug)]
struct CountRun {
    column: NumberColumn<Int64Type>,
    current: u32,
}

impl TextRun {
    fn new() -> Self {
        Self { column: TextColumn::new(), current: None }
    }

    fn begin(&mut self, text: &str) {
        self.current = (!text.is_empty()).then(|| self.column.store(text));
    }

    fn begin_with(&mut self, present: bool, write: impl FnOnce(&mut Vec<u8>)) {
        self.current = present.then(|| self.column.store_with(write));
    }

    fn end(&mut self, start: usize, count: usize) {
        if let Some(stored) = self.current {
            self.column.repeat(start, count, stored);
        }
    }
}

impl CountRun {
    fn new() -> Self {
        Self { column: NumberColumn::new(), current: 0 }
    }

    fn end(&mut self, start: usize, count: usize) {
        if self.current > 0 {
            self.column.repeat(start, count, i64::from(self.current));
        }
    }
}

/// The scope and resource columns of a batch under construction.
#[derive(Debug)]
pub(super) struct ContextColumns {
    run_start: usize,
    scope_name: TextRun,
    scope_version: TextRun,
    scope_attributes: TextRun,
    scope_dropped: CountRun,
    scope_schema_url: TextRun,
    promoted: Vec<TextRun>,
    resource_attributes: TextRun,
    resource_dropped: CountRun,
    resource_entity_refs: TextRun,
    resource_schema_url: TextRun,
}

impl ContextColumns {
    pub(super) fn new() -> Self {
        Self {
            run_start: 0,
            scope_name: TextRun::new(),
            scope_version: TextRun::new(),
            scope_attributes: TextRun::new(),
            scope_dropped: CountRun::new(),
            scope_schema_url: TextRun::new(),
            promoted: PROMOTED.kinds().map(|_| TextRun::new()).collect(),
            resource_attributes: TextRun::new(),
            resource_dropped: CountRun::new(),
            resource_entity_refs: TextRun::new(),
            resource_schema_url: TextRun::new(),
        }
    }

    /// A resource that holds from `row` on.
    pub(super) fn resource(&mut self, row: usize, resource: &Resource<'_>) {
        self.end_run(row);
        for run in &mut self.promoted {
            run.current = None;
        }
        let promoted = &mut self.promoted;
        let stored = self.resource_attributes.column.store_with(|out| {
            let start = out.len();
            for attribute in &resource.attributes {
                let run = PROMOTED.find(&attribute.key).map(|index| &mut promoted[index]);
                if let (Some(run), Value::Str(text)) = (run, &attribute.value)
                    && run.current.is_none()
                {
                    run.current = Some(run.column.store(text));
                    continue;
                }
                out.push(if out.len() == start { b'{' } else { b',' });
                attribute_json::write_member(attribute, false, out);
            }
            if out.len() > start {
                out.push(b'}');
            }
        });
        self.resource_attributes.current = stored.non_empty();
        self.resource_dropped.current = resource.dropped_attributes_count;
        let refs = &resource.entity_refs;
        self.resource_entity_refs.begin_with(!refs.is_empty(), |out| write_entity_refs(refs, out));
        self.resource_schema_url.begin(&resource.schema_url);
    }

    /// A scope that holds from `row` on.
    pub(super) fn scope(&mut self, row: usize, scope: &Scope<'_>) {
        self.end_run(row);
        self.scope_name.begin(&scope.name);
        self.scope_version.begin(&scope.version);
        self.scope_attributes.begin_with(!scope.attributes.is_empty(), |out| {
            attribute_json::write_attributes(&scope.attributes, out);
        });
        self.scope_dropped.current = scope.dropped_attributes_count;
        self.scope_schema_url.begin(&scope.schema_url);
    }

    fn end_run(&mut self, row: usize) {
        let (start, count) = (self.run_start, row - self.run_start);
        self.run_start = row;
        if count == 0 {
            return;
        }
        for run in [
            &mut self.scope_name,
            &mut self.scope_version,
            &mut self.scope_attributes,
            &mut self.scope_schema_url,
            &mut self.resource_attributes,
            &mut self.resource_entity_refs,
            &mut self.resource_schema_url,
        ]
        .into_iter()
        .chain(&mut self.promoted)
        {
            run.end(start, count);
        }
        self.scope_dropped.end(start, count);
        self.resource_dropped.end(start, count);
    }

    /// The columns in the order of the schema: scope, then resource.
    pub(super) fn finish(mut self, rows: usize) -> Vec<ArrayRef> {
        self.end_run(rows);
        let mut arrays = vec![
            self.scope_name.column.finish(rows),
            self.scope_version.column.finish(rows),
            self.scope_attributes.column.finish(rows),
            self.scope_dropped.column.finish(rows, &DataType::Int64),
            self.scope_schema_url.column.finish(rows),
        ];
        arrays.extend(self.promoted.into_iter().map(|run| run.column.finish(rows)));
        arrays.extend([
            self.resource_attributes.column.finish(rows),
            self.resource_dropped.column.finish(rows, &DataType::Int64),
            self.resource_entity_refs.column.finish(rows),
            self.resource_schema_url.column.finish(rows),
        ]);
        arrays
    }
}

fn write_entity_refs(refs: &[EntityRef<'_>], out: &mut Vec<u8>) {
    let list = |keys: &[std::borrow::Cow<'_, str>], out: &mut Vec<u8>| {
        out.push(b'[');
        for (index, key) in keys.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            attribute_json::write_text(key, out);
        }
        out.push(b']');
    };
    out.push(b'[');
    for (index, entity) in refs.iter().enumerate() {
        out.extend_from_slice(if index > 0 { b",{\"schemaUrl\":" } else { b"{\"schemaUrl\":" });
        attribute_json::write_text(&entity.schema_url, out);
        out.extend_from_slice(b",\"type\":");
        attribute_json::write_text(&entity.kind, out);
        out.extend_from_slice(b",\"idKeys\":");
        list(&entity.id_keys, out);
        out.extend_from_slice(b",\"descriptionKeys\":");
        list(&entity.description_keys, out);
        out.push(b'}');
    }
    out.push(b']');
}
