//! How a series goes on from scrape to scrape.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// What kind of values a series has.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// The same integer at every scrape.
    Constant { up_to: f64 },
    /// A counter of integers; the rate swings over the hours and jitters from scrape to scrape.
    Counter { per_second: f64 },
    /// A counter of bytes in blocks of 512.
    Blocks { per_second: f64 },
    /// A counter that mostly stands still.
    Rare { chance: f64 },
    /// A counter of seconds in hundredths.
    Seconds { busy: f64 },
    /// A counter of seconds in thousandths.
    MilliSeconds { busy: f64 },
    /// A counter of seconds with a full mantissa.
    FineSeconds { busy: f64 },
    /// Observations of a histogram at or below a bound: counts of one histogram rise together.
    Bucket { per_second: f64 },
    /// A gauge in pages of 4096 bytes.
    Pages { around: f64 },
    /// A gauge in multiples of a unit that often stays what it is.
    Level { around: f64, spread: f64, unit: f64 },
    /// A load average, in hundredths.
    Load,
    /// A gauge with a full mantissa.
    Fraction { around: f64 },
    /// The time of the host.
    Clock,
}

/// Seconds between scrapes.
pub(super) const INTERVAL: f64 = 15.0;

/// Seconds after which the rate of a counter comes again.
const SWING: f64 = 6.0 * 3600.0;

/// The state of a series.
#[derive(Clone, Debug)]
pub(super) struct Walk {
    kind: Kind,
    rng: SmallRng,
    share: f64,
    /// What the value is computed from: a sum in the kind's unit, or the value itself.
    state: f64,
    phase: f64,
    /// The scrape at which the process starts anew, if it does.
    restart: Option<usize>,
}

impl Walk {
    /// `seed` alone decides about all values.
    pub(super) fn new(kind: Kind, share: f64, seed: u64, restart: Option<usize>) -> Self {
        let mut rng = SmallRng::seed_from_u64(seed);
        let drawn: f64 = rng.random();
        let state = match kind {
            Kind::Constant { up_to } => (drawn * up_to).ceil(),
            Kind::Pages { around } => around * (0.3 + drawn) / 4096.0,
            Kind::Level { around, .. } | Kind::Fraction { around } => around * (0.5 + drawn),
            Kind::Load => 40.0 + 600.0 * drawn,
            Kind::Clock => 0.0,
            // The host has been up for some days.
            Kind::Counter { per_second } => (drawn * 1e6 * per_second * share).floor(),
            Kind::Bucket { per_second } => (drawn * 1e6 * per_second).floor(),
            Kind::Blocks { per_second } => (drawn * 1e6 * per_second * share / 512.0).floor(),
            Kind::Rare { .. } => (drawn * 50.0).floor(),
            Kind::Seconds { busy } => (drawn * 1e8 * busy * share).floor(),
            Kind::MilliSeconds { busy } => (drawn * 1e9 * busy * share).floor(),
            Kind::FineSeconds { busy } => drawn * 1e6 * busy * share,
        };
        let phase = rng.random::<f64>() * std::f64::consts::TAU;
        Self { kind, rng, share, state, phase, restart }
    }

    /// The value at the next scrape, the `step`th, at `time` milliseconds since the epoch.
    pub(super) fn next(&mut self, step: usize, time: i64) -> f64 {
        if self.restart == Some(step) {
            self.state = 0.0;
        }
        if matches!(self.kind, Kind::Constant { .. }) {
            return self.state;
        }
        let (jitter, chance) = (0.6 + 0.8 * self.rng.random::<f64>(), self.rng.random());
        let swing = step as f64 * INTERVAL / SWING * std::f64::consts::TAU + self.phase;
        let grow = |per_second: f64| INTERVAL * per_second * (1.0 + 0.5 * swing.sin()) * jitter;
        match self.kind {
            Kind::Constant { .. } => self.state,
            Kind::Counter { per_second } => {
                self.state += dithered(grow(per_second * self.share), chance);
                self.state
            }
            Kind::Bucket { per_second } => {
                self.state += dithered(grow(per_second), chance);
                (self.state * self.share).floor()
            }
            Kind::Blocks { per_second } => {
                self.state += dithered(grow(per_second * self.share / 512.0), chance);
                self.state * 512.0
            }
            Kind::Rare { chance: rarely } => {
                if self.rng.random_bool(rarely) {
                    self.state += 1.0;
                }
                self.state
            }
            Kind::Seconds { busy } => {
                self.state += dithered(grow(busy * self.share * 100.0), chance);
                self.state / 100.0
            }
            Kind::MilliSeconds { busy } => {
                self.state += dithered(grow(busy * self.share * 1000.0), chance);
                self.state / 1000.0
            }
            Kind::FineSeconds { busy } => {
                self.state += grow(busy * self.share);
                self.state
            }
            Kind::Pages { around } => {
                let home = around / 4096.0;
                let pull = (home - self.state) * 0.002;
                self.state += (pull + home * 0.004 * (self.rng.random::<f64>() - 0.5)).round();
                self.state.max(1.0).floor() * 4096.0
            }
            Kind::Level { around, spread, unit } => {
                if self.rng.random_bool(0.4) {
                    let pull = (around - self.state) * 0.1;
                    self.state += pull + spread * 0.4 * (self.rng.random::<f64>() - 0.5);
                }
                (self.state / unit).round().max(0.0) * unit
            }
            Kind::Load => {
                let pull = (250.0 - self.state) * 0.01;
                self.state = (self.state + pull + 30.0 * (self.rng.random::<f64>() - 0.5)).max(0.0);
                self.state.round() / 100.0
            }
            Kind::Fraction { around } => around * (0.5 + self.rng.random::<f64>()),
            Kind::Clock => time as f64 / 1000.0 + 0.25e-3 * self.rng.random::<f64>(),
        }
    }
}

/// An integer that is `value` on average.
fn dithered(value: f64, chance: f64) -> f64 {
    (value + chance).floor()
}
