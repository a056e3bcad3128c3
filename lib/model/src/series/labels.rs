use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// The label that holds a metric's name.
pub const METRIC_NAME: &str = "__name__";

/// The identity of a series: label names with their values, sorted by name, each name once, no empty value.
///
/// Kept as one packed allocation (`length, name, length, value, ...`), because a store holds millions of them; cloning
/// copies a pointer. A label with an empty value is the same as no label, as in Prometheus.
#[derive(Clone)]
pub struct Labels(Arc<[u8]>);

impl Labels {
    /// No label at all: `{}`.
    pub fn empty() -> Self {
        Self(Arc::from([]))
    }

    /// Labels from pairs in any order. Of a name given twice the last value counts.
    pub fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut builder = LabelsBuilder::default();
        for (name, value) in pairs {
            builder.set(name, value);
        }
        builder.build()
    }

    /// Labels from pairs that are in the order of their names, without the work of putting them in order. Labels with an
    /// empty value are left out.
    ///
    /// # Errors
    /// `None` when a name is not after the one before.
    pub fn from_sorted<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Option<Self> {
        let mut packed = Vec::with_capacity(256);
        let mut before: Option<&str> = None;
        for (name, value) in pairs {
            if before.is_some_and(|before| before >= name) {
                return None;
            }
            before = Some(name);
            if !value.is_empty() {
                put(&mut packed, name);
                put(&mut packed, value);
            }
        }
        Some(Self(packed.into()))
    }

    /// The labels in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> + Clone {
        let mut rest: &[u8] = &self.0;
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let name = take(&mut rest);
            let value = take(&mut rest);
            Some((name, value))
        })
    }

    /// Names and values as bytes, which is enough to compare them: that they are UTF-8 is looked into for each text anew.
    fn raw(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut rest: &[u8] = &self.0;
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let name = take_bytes(&mut rest)?;
            Some((name, take_bytes(&mut rest)?))
        })
    }

    /// The value of a label; `None` when the series has no such label.
    pub fn get(&self, name: &str) -> Option<&str> {
        for (each, value) in self.raw() {
            match each.cmp(name.as_bytes()) {
                Ordering::Less => {}
                Ordering::Equal => return std::str::from_utf8(value).ok(),
                Ordering::Greater => break,
            }
        }
        None
    }

    /// The metric's name, `__name__`; `None` when there is none.
    pub fn metric_name(&self) -> Option<&str> {
        self.get(METRIC_NAME)
    }

    /// How many labels there are.
    pub fn len(&self) -> usize {
        self.raw().count()
    }

    /// Whether there is no label.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A builder that starts with these labels.
    pub fn to_builder(&self) -> LabelsBuilder {
        LabelsBuilder { pairs: self.iter().map(|(name, value)| (name.into(), value.into())).collect() }
    }

    /// The same labels without the metric's name.
    pub fn without_metric_name(&self) -> Self {
        if self.metric_name().is_none() {
            return self.clone();
        }
        self.keep(|name| name != METRIC_NAME)
    }

    /// Only the labels whose name the function accepts.
    pub fn keep(&self, mut accept: impl FnMut(&str) -> bool) -> Self {
        let mut packed = Vec::with_capacity(self.0.len());
        for (name, value) in self.iter().filter(|(name, _)| accept(name)) {
            put(&mut packed, name);
            put(&mut packed, value);
        }
        Self(packed.into())
    }

    /// The packed form: equal labels have equal bytes. For hashing, for keys of maps and for storage.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Labels from their packed form.
    ///
    /// # Errors
    /// `None` when the bytes are not what [`Labels::as_bytes`] gives: a length past the end, text that is not UTF-8,
    /// names out of order or twice, an empty value.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        let mut before: Option<&str> = None;
        while !rest.is_empty() {
            let name = checked_take(&mut rest)?;
            let value = checked_take(&mut rest)?;
            if value.is_empty() || before.is_some_and(|before| before >= name) {
                return None;
            }
            before = Some(name);
        }
        Some(Self(bytes.into()))
    }
}

/// A length as LEB128, then the text.
fn put(packed: &mut Vec<u8>, text: &str) {
    let mut length = text.len();
    while length >= 0x80 {
        packed.push(length as u8 | 0x80);
        length >>= 7;
    }
    packed.push(length as u8);
    packed.extend_from_slice(text.as_bytes());
}

fn checked_take<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    std::str::from_utf8(take_bytes(rest)?).ok()
}

fn take_bytes<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let mut length = 0usize;
    let mut shift = 0;
    loop {
        let (&byte, tail) = rest.split_first()?;
        *rest = tail;
        length |= usize::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            // One spelling per length, so that equal labels have equal bytes.
            if byte == 0 && shift > 0 {
                return None;
            }
            break;
        }
        shift += 7;
        if shift > 28 {
            return None;
        }
    }
    let (text, tail) = rest.split_at_checked(length)?;
    *rest = tail;
    Some(text)
}

/// As [`checked_take`], for bytes that were checked when the labels were made.
fn take<'a>(rest: &mut &'a [u8]) -> &'a str {
    checked_take(rest).expect("packed labels were checked when they were made")
}

impl Default for Labels {
    fn default() -> Self {
        Self::empty()
    }
}

impl PartialEq for Labels {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for Labels {}

impl Hash for Labels {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(&self.0);
    }
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Labels {
    /// By the first label that differs, name before value; a prefix comes first. Prometheus' order.
    fn cmp(&self, other: &Self) -> Ordering {
        if Arc::ptr_eq(&self.0, &other.0) {
            return Ordering::Equal;
        }
        self.raw().cmp(other.raw())
    }
}

impl fmt::Display for Labels {
    /// As Prometheus prints a label set: `{__name__="up", job="api"}`; names that are no identifiers are quoted.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (index, (name, value)) in self.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            if is_label_name(name) {
                f.write_str(name)?
            } else {
                write!(f, "{name:?}")?
            }
            write!(f, "={value:?}")?;
        }
        f.write_str("}")
    }
}

/// Whether a label's name needs no quotes: `[a-zA-Z_][a-zA-Z0-9_]*`.
pub fn is_label_name(name: &str) -> bool {
    !name.contains(':') && is_metric_name(name)
}

/// Whether a metric's name needs no quotes: `[a-zA-Z_:][a-zA-Z0-9_:]*`.
pub fn is_metric_name(name: &str) -> bool {
    name.bytes().next().is_some_and(|first| !first.is_ascii_digit())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':'))
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Labels being put together.
#[derive(Clone, Debug, Default)]
pub struct LabelsBuilder {
    pairs: Vec<(Box<str>, Box<str>)>,
}

impl LabelsBuilder {
    /// Sets a label; an empty value removes it.
    pub fn set(&mut self, name: &str, value: &str) -> &mut Self {
        match self.pairs.iter_mut().find(|(each, _)| **each == *name) {
            Some((_, old)) => *old = value.into(),
            None => self.pairs.push((name.into(), value.into())),
        }
        self
    }

    /// Removes a label.
    pub fn remove(&mut self, name: &str) -> &mut Self {
        self.pairs.retain(|(each, _)| **each != *name);
        self
    }

    /// The value that a label has now; `None` when it is absent or empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(each, value)| **each == *name && !value.is_empty()).map(|(_, value)| &**value)
    }

    /// The labels as they are now, in no promised order, without those that are empty.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| (&**name, &**value))
    }

    /// Removes the labels whose name the function does not accept.
    pub fn retain(&mut self, mut accept: impl FnMut(&str) -> bool) {
        self.pairs.retain(|(name, _)| accept(name));
    }

    /// The labels, sorted, without those that are empty.
    pub fn build(mut self) -> Labels {
        self.pairs.sort_unstable();
        let mut packed = Vec::with_capacity(self.pairs.iter().map(|(name, value)| name.len() + value.len() + 4).sum());
        for (name, value) in self.pairs.iter().filter(|(_, value)| !value.is_empty()) {
            put(&mut packed, name);
            put(&mut packed, value);
        }
        Labels(packed.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_sorted_and_empty_values_are_absent() {
        let labels = Labels::from_pairs([("job", "api"), ("__name__", "up"), ("zone", ""), ("job", "web")]);
        assert_eq!(labels.iter().collect::<Vec<_>>(), [("__name__", "up"), ("job", "web")]);
        assert_eq!(labels.get("zone"), None);
        assert_eq!(labels.to_string(), r#"{__name__="up", job="web"}"#);
        assert_eq!(labels.without_metric_name(), Labels::from_pairs([("job", "web")]));
        assert_eq!(labels.to_builder().build(), labels);
        let mut builder = labels.to_builder();
        builder.retain(|name| name != "job");
        assert_eq!(builder.iter().collect::<Vec<_>>(), [("__name__", "up")]);
    }

    #[test]
    fn sorted_pairs_need_no_sorting() {
        let pairs = [("__name__", "up"), ("job", "api"), ("zone", "")];
        assert_eq!(Labels::from_sorted(pairs.into_iter()), Some(Labels::from_pairs(pairs)));
        assert_eq!(Labels::from_sorted([("b", "1"), ("a", "1")].into_iter()), None);
        assert_eq!(Labels::from_sorted([("a", "1"), ("a", "2")].into_iter()), None);
    }

    #[test]
    fn packed_labels_come_back_and_damage_is_refused() {
        let long = "x".repeat(300);
        let labels = Labels::from_pairs([("a", long.as_str()), ("b", "é")]);
        assert_eq!(Labels::from_bytes(labels.as_bytes()), Some(labels.clone()));
        for end in 1..labels.as_bytes().len() {
            let cut = Labels::from_bytes(&labels.as_bytes()[..end]);
            assert!(cut.is_none_or(|cut| cut.len() == 1), "{end}");
        }
        assert_eq!(Labels::from_bytes(b"\x01b\x01x\x01a\x01x"), None, "names out of order");
        assert_eq!(Labels::from_bytes(b"\x01a\x00"), None, "an empty value");
        assert_eq!(Labels::from_bytes(b"\x81\x00a\x01x"), None, "a length spelled in two bytes");
        assert_eq!(Labels::from_bytes(b"\x01a\x01\xff"), None, "no UTF-8");
    }

    #[test]
    fn order_is_by_name_then_value() {
        let short = Labels::from_pairs([("a", "b")]);
        let long = Labels::from_pairs([("a", "b"), ("c", "d")]);
        let other = Labels::from_pairs([("a", "bb")]);
        assert!(short < long && long < other);
    }
}
