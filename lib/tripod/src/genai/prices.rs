use std::sync::Arc;

use super::Usage;

/// What a model costs, in US dollars for a million tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Price {
    /// Input that is in no cache.
    pub input: f64,
    /// Output, reasoning included.
    pub output: f64,
    /// Input that was read from the provider's cache.
    pub cache_read: f64,
    /// Input that was written to the provider's cache.
    pub cache_creation: f64,
}

impl Price {
    /// A price where reading from a cache costs as much as other input, and writing to it too.
    pub const fn new(input: f64, output: f64) -> Self {
        Self { input, output, cache_read: input, cache_creation: input }
    }

    /// With a price for input that was read from the cache.
    #[must_use]
    pub const fn cache_read(mut self, price: f64) -> Self {
        self.cache_read = price;
        self
    }

    /// With a price for input that was written to the cache.
    #[must_use]
    pub const fn cache_creation(mut self, price: f64) -> Self {
        self.cache_creation = price;
        self
    }

    /// What the usage costs, in US dollars. Cached tokens are part of the input tokens, reasoning tokens of the output.
    pub fn of(&self, usage: &Usage) -> f64 {
        let cached = usage.cache_read_tokens.saturating_add(usage.cache_creation_tokens);
        let fresh = usage.input_tokens.saturating_sub(cached);
        let millions = |tokens: u64, price: f64| tokens as f64 * price / 1e6;
        millions(fresh, self.input)
            + millions(usage.cache_read_tokens, self.cache_read)
            + millions(usage.cache_creation_tokens, self.cache_creation)
            + millions(usage.output_tokens, self.output)
    }
}

/// Prices by model. Cloning is cheap and shares.
#[derive(Clone, Debug)]
pub struct PriceTable(Arc<Vec<(String, Price)>>);

/// List prices of the providers' own APIs, standard tier, short contexts, text, as of [`PriceTable::AS_OF`]:
///
/// - `gpt-*`, `o*`, `text-embedding-*`: <https://openai.com/api/pricing/>
/// - `claude-*`, writing to the cache for five minutes: <https://docs.claude.com/en/docs/about-claude/pricing>
/// - `gemini-*`, up to 200,000 tokens: <https://ai.google.dev/gemini-api/docs/pricing>
///
/// They change: a service that bills by them brings its own table.
const KNOWN: &[(&str, Price)] = &[
    ("gpt-4o", Price::new(2.5, 10.0).cache_read(1.25)),
    ("gpt-4o-mini", Price::new(0.15, 0.6).cache_read(0.075)),
    ("gpt-4.1", Price::new(2.0, 8.0).cache_read(0.5)),
    ("gpt-4.1-mini", Price::new(0.4, 1.6).cache_read(0.1)),
    ("gpt-4.1-nano", Price::new(0.1, 0.4).cache_read(0.025)),
    ("gpt-5", Price::new(1.25, 10.0).cache_read(0.125)),
    ("gpt-5-mini", Price::new(0.25, 2.0).cache_read(0.025)),
    ("gpt-5-nano", Price::new(0.05, 0.4).cache_read(0.005)),
    ("o3", Price::new(2.0, 8.0).cache_read(0.5)),
    ("o4-mini", Price::new(1.1, 4.4).cache_read(0.275)),
    ("text-embedding-3-small", Price::new(0.02, 0.0)),
    ("text-embedding-3-large", Price::new(0.13, 0.0)),
    ("claude-opus-4", Price::new(15.0, 75.0).cache_read(1.5).cache_creation(18.75)),
    ("claude-opus-4-5", Price::new(5.0, 25.0).cache_read(0.5).cache_creation(6.25)),
    ("claude-sonnet-4", Price::new(3.0, 15.0).cache_read(0.3).cache_creation(3.75)),
    ("claude-haiku-4-5", Price::new(1.0, 5.0).cache_read(0.1).cache_creation(1.25)),
    ("claude-3-5-haiku", Price::new(0.8, 4.0).cache_read(0.08).cache_creation(1.0)),
    ("gemini-2.5-pro", Price::new(1.25, 10.0).cache_read(0.125)),
    ("gemini-2.5-flash", Price::new(0.3, 2.5).cache_read(0.03)),
];

impl Default for PriceTable {
    /// List prices of well-known models, as of [`PriceTable::AS_OF`].
    fn default() -> Self {
        KNOWN.iter().map(|(model, price)| (*model, *price)).collect()
    }
}

impl PriceTable {
    /// When the prices that come along were those of their providers: year and month.
    pub const AS_OF: &str = "2025-11";

    /// No prices: no cost is recorded.
    pub fn empty() -> Self {
        Self(Arc::default())
    }

    /// Sets the price of a model and of its versions: `gpt-4o` is also the price of `gpt-4o-2024-08-06`, unless that has one
    /// of its own.
    #[must_use]
    pub fn with(mut self, model: impl Into<String>, price: Price) -> Self {
        let model = model.into().to_ascii_lowercase();
        let prices = Arc::make_mut(&mut self.0);
        prices.retain(|(other, _)| *other != model);
        prices.push((model, price));
        self
    }

    /// The price of a model: its own, or that of the longest name of which it is a version. What stands before a `/`
    /// (`openai/gpt-4o`) does not count.
    pub fn get(&self, model: &str) -> Option<Price> {
        let model = model.rsplit('/').next().unwrap_or(model).to_ascii_lowercase();
        self.0
            .iter()
            .filter(|(name, _)| is_version(&model, name))
            .max_by_key(|(name, _)| name.len())
            .map(|(_, price)| *price)
    }
}

/// Whether the model is this one or a version of it. `gpt-4o-mini` is no version of `gpt-4o`: versions are numbers, dates,
/// and `latest` or `preview`.
fn is_version(model: &str, name: &str) -> bool {
    let Some(version) = model.strip_prefix(name) else { return false };
    let Some(version) = version.strip_prefix(['-', '@', ':', '.']) else { return version.is_empty() };
    version.split(['-', '.', ':', '@']).all(|part| {
        !part.is_empty()
            && (matches!(part, "latest" | "preview" | "v1" | "v2") || part.bytes().all(|byte| byte.is_ascii_digit()))
    })
}

impl<S: Into<String>> FromIterator<(S, Price)> for PriceTable {
    fn from_iter<I: IntoIterator<Item = (S, Price)>>(prices: I) -> Self {
        prices.into_iter().fold(Self::empty(), |table, (model, price)| table.with(model, price))
    }
}
