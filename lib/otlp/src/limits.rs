use crate::error::{DecodeError, Result};

/// How far nested values are followed whatever the setting says, so that no setting lets a request exhaust the stack.
/// It is protobuf's own default.
const DEEPEST: usize = 100;

/// What a request may hold. What it may weigh in bytes is for the caller to bound before decoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How deep values may nest in arrays and maps; an attribute's or body's own value is level 1. Above 100 it acts
    /// as 100.
    pub max_depth: usize,
    /// How many spans, log records or metric points a request may carry.
    pub max_records: usize,
    /// How many attributes one list may have: of a resource, scope, record, event, link, exemplar or map value.
    pub max_attributes: usize,
    /// How many elements any other list inside one record may have: events, links, exemplars, buckets, array values.
    pub max_elements: usize,
}

impl Default for Limits {
    /// 32 levels, 1,000,000 records, 10,000 attributes in a list, 100,000 elements in any other list.
    fn default() -> Self {
        Self { max_depth: 32, max_records: 1_000_000, max_attributes: 10_000, max_elements: 100_000 }
    }
}

impl Limits {
    /// May a value be read at this level?
    #[inline]
    pub(crate) fn admit_depth(&self, depth: usize) -> Result<()> {
        let most = self.max_depth.min(DEEPEST);
        if depth > most { Err(exceeded(most, "levels of nested values", "flatten the value")) } else { Ok(()) }
    }

    /// May an attribute join a list that holds so many already?
    #[inline]
    pub(crate) fn admit_attribute(&self, held: usize) -> Result<()> {
        let most = self.max_attributes;
        if held >= most { Err(exceeded(most, "attributes in one list", "send fewer")) } else { Ok(()) }
    }

    /// May an element join a list inside a record that holds so many already?
    #[inline]
    pub(crate) fn admit_element(&self, held: usize) -> Result<()> {
        let most = self.max_elements;
        if held >= most { Err(exceeded(most, "elements in one list", "send fewer")) } else { Ok(()) }
    }
}

/// Counts a request's records.
pub(crate) struct RecordCount {
    most: usize,
    left: usize,
}

impl RecordCount {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self { most: limits.max_records, left: limits.max_records }
    }

    /// May one more record be read?
    #[inline]
    pub(crate) fn admit(&mut self) -> Result<()> {
        match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(exceeded(self.most, "records in one request", "send smaller batches")),
        }
    }
}

#[cold]
fn exceeded(most: usize, what: &str, remedy: &str) -> DecodeError {
    DecodeError::new(format!("more than {most} {what}, the limit: {remedy}"))
}
