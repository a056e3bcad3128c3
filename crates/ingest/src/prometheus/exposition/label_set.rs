use tripod_model::series::{Labels, LabelsBuilder, METRIC_NAME};

/// The labels of a line or message while it is read: one buffer that is used again and again.
///
/// Labels are kept in the order in which they came, the metric's name among them as `__name__`.
#[derive(Clone, Debug, Default)]
pub struct LabelSet {
    text: String,
    pairs: Vec<Pair>,
}

/// Where a name begins, where its value begins, where that ends.
#[derive(Clone, Copy, Debug)]
struct Pair {
    name: u32,
    value: u32,
    end: u32,
}

impl LabelSet {
    /// Forgets all labels.
    pub fn clear(&mut self) {
        self.text.clear();
        self.pairs.clear();
    }

    /// Adds a label.
    pub fn push(&mut self, name: &str, value: &str) {
        self.push_with(name, |text| text.push_str(value));
    }

    /// Adds a label whose value is written by a function.
    pub(crate) fn push_with(&mut self, name: &str, write: impl FnOnce(&mut String)) {
        // Bodies are far smaller than 4 GiB, and so is one line of them.
        let start = self.text.len() as u32;
        self.text.push_str(name);
        let value = self.text.len() as u32;
        write(&mut self.text);
        self.pairs.push(Pair { name: start, value, end: self.text.len() as u32 });
    }

    /// Exchanges the value of a label that is there.
    pub(crate) fn replace(&mut self, name: &str, write: impl FnOnce(&mut String)) {
        let Some(at) = self.iter().position(|(each, _)| each == name) else { return };
        self.push_with(name, write);
        if let Some(pair) = self.pairs.pop() {
            self.pairs[at] = pair;
        }
    }

    /// The labels in the order in which they came.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> + Clone {
        self.pairs.iter().map(|pair| {
            (&self.text[pair.name as usize..pair.value as usize], &self.text[pair.value as usize..pair.end as usize])
        })
    }

    /// How many labels there are, with the metric's name.
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// The value of a label; of several the first.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(each, _)| *each == name).map(|(_, value)| value)
    }

    /// The metric's name; empty when there is none.
    pub fn metric_name(&self) -> &str {
        self.get(METRIC_NAME).unwrap_or("")
    }

    /// A name that is given twice.
    pub fn duplicate(&self) -> Option<&str> {
        self.iter()
            .enumerate()
            .find(|(index, (name, _))| self.iter().take(*index).any(|(each, _)| each == *name))
            .map(|(_, (name, _))| name)
    }

    /// The identity of a series.
    pub fn to_labels(&self) -> Labels {
        if let Some(labels) = Labels::from_sorted(self.iter()) {
            return labels;
        }
        let mut pairs: Vec<_> = self.iter().collect();
        pairs.sort_unstable_by_key(|(name, _)| *name);
        // A name that is given twice: the last value counts.
        Labels::from_sorted(pairs.into_iter()).unwrap_or_else(|| Labels::from_pairs(self.iter()))
    }

    /// A builder that begins with these labels.
    pub fn to_builder(&self) -> LabelsBuilder {
        let mut builder = LabelsBuilder::default();
        for (name, value) in self.iter() {
            builder.set(name, value);
        }
        builder
    }

    /// Writes bytes that are equal for equal labels in equal order, and different otherwise.
    pub fn write_key(&self, key: &mut Vec<u8>) {
        key.clear();
        key.extend_from_slice(self.text.as_bytes());
        for pair in &self.pairs {
            key.extend_from_slice(&pair.value.to_le_bytes());
            key.extend_from_slice(&pair.end.to_le_bytes());
        }
    }
}
