/// Adds a number to a sum and what was lost in rounding to the compensation: Kahan's summation as Neumaier improved it.
/// Once the sum is infinite there is nothing left to compensate.
#[inline]
pub(crate) fn add(number: f64, sum: &mut f64, compensation: &mut f64) {
    let total = *sum + number;
    if total.is_infinite() {
        *compensation = 0.0;
    } else if sum.abs() >= number.abs() {
        *compensation += (*sum - total) + number;
    } else {
        *compensation += (number - total) + *sum;
    }
    *sum = total;
}

/// A mean that is computed from the sum as long as that is finite, and then from the mean so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mean {
    /// The sum, or the mean once `incremental`.
    value: f64,
    compensation: f64,
    count: f64,
    incremental: bool,
}

impl Mean {
    /// The mean of one number.
    pub(crate) fn of(first: f64) -> Self {
        Self { value: first, compensation: 0.0, count: 1.0, incremental: false }
    }

    pub(crate) fn add(&mut self, number: f64) {
        self.count += 1.0;
        let before = self.count - 1.0;
        if !self.incremental {
            let (mut sum, mut compensation) = (self.value, self.compensation);
            add(number, &mut sum, &mut compensation);
            if !sum.is_infinite() {
                (self.value, self.compensation) = (sum, compensation);
                return;
            }
            self.incremental = true;
            self.value /= before;
            self.compensation /= before;
        }
        let share = before / self.count;
        self.value *= share;
        self.compensation *= share;
        add(number / self.count, &mut self.value, &mut self.compensation);
    }

    pub(crate) fn finish(self) -> f64 {
        match self.incremental {
            true => self.value + self.compensation,
            false => self.value / self.count + self.compensation / self.count,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_numbers_survive_large_ones() {
        let (mut sum, mut compensation) = (0.0, 0.0);
        for number in [1.0, 1e100, 1.0, -1e100] {
            add(number, &mut sum, &mut compensation);
        }
        assert_eq!(sum + compensation, 2.0);
    }

    #[test]
    fn a_mean_survives_an_overflow_of_the_sum() {
        let mut mean = Mean::of(f64::MAX);
        mean.add(f64::MAX);
        assert_eq!(mean.finish(), f64::MAX);
    }
}
