/// The steps at which an expression is evaluated, in milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grid {
    /// The first step.
    pub start: i64,
    /// No step is after this.
    pub end: i64,
    /// From one step to the next; above zero.
    pub interval: i64,
}

impl Grid {
    /// One step alone. The interval counts all the same where a subquery aligns its steps.
    pub(crate) fn instant(time: i64) -> Self {
        Self { start: time, end: time, interval: 1 }
    }

    /// The first step alone.
    pub(crate) fn first(self) -> Self {
        Self { end: self.start, ..self }
    }

    /// How many steps there are.
    pub(crate) fn steps(self) -> usize {
        if self.end < self.start {
            return 0;
        }
        let last = self.end.abs_diff(self.start) / self.interval.unsigned_abs().max(1);
        usize::try_from(last).map_or(usize::MAX, |last| last.saturating_add(1))
    }

    /// The time of a step.
    pub(crate) fn time(self, step: usize) -> i64 {
        self.start.saturating_add(self.interval.saturating_mul(i64::try_from(step).unwrap_or(i64::MAX)))
    }

    /// The times of all steps.
    pub(crate) fn times(self) -> impl Iterator<Item = i64> {
        let mut next = self.start;
        (0..self.steps()).map(move |_| {
            let time = next;
            // After the last step there may be nothing that fits; it is not looked at.
            next = next.wrapping_add(self.interval);
            time
        })
    }

    /// The time of the last step; the start when there is none.
    pub(crate) fn last(self) -> i64 {
        self.time(self.steps().saturating_sub(1))
    }

    /// Whether this could be an instant query.
    pub(crate) fn is_instant(self) -> bool {
        self.start == self.end
    }
}
