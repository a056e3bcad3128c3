//! Parts of dates, in UTC.

use crate::engine::{CallPlan, Column, Evaluated, Evaluator, Grid, Node, Notes, QueryError, labels};

/// Years before 0, a multiple of 400, from which seconds are counted. As in Go, what lies before wraps around.
const YEARS_BEFORE_ZERO: i64 = 292_277_022_400;
/// Seconds from the first of March of that year to 1970.
const EPOCH: u64 = 9_223_372_028_741_760_000;
const DAY: u64 = 86_400;
/// Days of 400 years.
const CYCLE: u64 = 146_097;

/// A moment as people write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Date {
    pub year: i64,
    /// From 1.
    pub month: u32,
    /// From 1.
    pub day: u32,
    pub hour: u32,
    pub minute: u32,
    /// From 0, which is Sunday.
    pub weekday: u32,
    /// From 1.
    pub year_day: u32,
}

impl Date {
    /// The date of a moment in seconds since the Unix epoch; any 64 bits are one.
    pub(super) fn of(seconds: i64) -> Self {
        let seconds = EPOCH.wrapping_add(seconds as u64);
        let (days, second) = (seconds / DAY, seconds % DAY);
        // Years are counted from March, so that a leap day is the last of its year. See Howard Hinnant,
        // "chrono-compatible low-level date algorithms".
        let (cycles, day) = (days / CYCLE, days % CYCLE);
        let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let shifted = (5 * day + 2) / 153;
        let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
        let january = u64::from(month < 3);
        let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        Self {
            year: (cycles * 400 + year + january) as i64 - YEARS_BEFORE_ZERO,
            month: month as u32,
            day: (day - (153 * shifted + 2) / 5 + 1) as u32,
            hour: (second / 3600) as u32,
            minute: (second / 60 % 60) as u32,
            // The count began on a Wednesday.
            weekday: ((days + 3) % 7) as u32,
            year_day: (if january == 1 { day - 305 } else { day + 60 + u64::from(leap) }) as u32,
        }
    }
}

fn month_days(date: Date) -> u32 {
    match date.month {
        2 if date.year % 4 == 0 && (date.year % 100 != 0 || date.year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Defines functions that give a part of each date.
macro_rules! date_functions {
    ($($name:ident => |$date:ident| $part:expr;)*) => {$(
        pub(super) fn $name(
            evaluator: &Evaluator,
            _: &Node,
            plan: &CallPlan,
            grid: Grid,
            notes: &mut Notes,
        ) -> Result<Evaluated, QueryError> {
            part(evaluator, plan, grid, notes, |$date| f64::from($part))
        }
    )*};
}

date_functions! {
    days_in_month => |date| month_days(date);
    day_of_month => |date| date.day;
    day_of_week => |date| date.weekday;
    day_of_year => |date| date.year_day;
    hour => |date| date.hour;
    minute => |date| date.minute;
    month => |date| date.month;
}

pub(super) fn year(
    evaluator: &Evaluator,
    _: &Node,
    plan: &CallPlan,
    grid: Grid,
    notes: &mut Notes,
) -> Result<Evaluated, QueryError> {
    part(evaluator, plan, grid, notes, |date| date.year as f64)
}

/// A part of the dates that an argument gives or, without one, of the steps' own times.
fn part(
    evaluator: &Evaluator,
    plan: &CallPlan,
    grid: Grid,
    notes: &mut Notes,
    part: impl Fn(Date) -> f64,
) -> Result<Evaluated, QueryError> {
    let Some(arg) = plan.args.first() else {
        evaluator.context.check_cells(1, grid)?;
        let mut column = Column::absent(Default::default(), grid.steps());
        for (cell, time) in column.floats.iter_mut().zip(grid.times()) {
            *cell = part(Date::of(time / 1000));
        }
        return Ok(Evaluated::Vector(vec![column]));
    };
    let columns = evaluator.vector(arg, grid, notes)?.into_iter().map(|column| {
        let mut column = column.map_floats(|value| part(Date::of(whole_seconds(value))));
        labels::drop_name(evaluator, &mut column);
        column
    });
    let columns = columns.filter(|column| !column.is_empty()).collect();
    labels::merge_unless_delayed(evaluator, columns).map(Evaluated::Vector)
}

/// As Go converts on x86: what does not fit, and NaN, is the least number.
fn whole_seconds(value: f64) -> i64 {
    /// 2^63
    const BOUND: f64 = 9_223_372_036_854_775_808.0;
    if (-BOUND..BOUND).contains(&value) { value as i64 } else { i64::MIN }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_gregorian_calendar() {
        let date = |year, month, day, hour, minute, weekday, year_day| Date {
            year,
            month,
            day,
            hour,
            minute,
            weekday,
            year_day,
        };
        assert_eq!(Date::of(0), date(1970, 1, 1, 0, 0, 4, 1));
        assert_eq!(Date::of(-1), date(1969, 12, 31, 23, 59, 3, 365));
        assert_eq!(Date::of(951_827_696), date(2000, 2, 29, 12, 34, 2, 60));
        assert_eq!(Date::of(4_107_542_399), date(2100, 2, 28, 23, 59, 0, 59));
        assert_eq!(Date::of(-62_135_596_800), date(1, 1, 1, 0, 0, 1, 1));
    }

    #[test]
    fn dates_agree_with_another_calendar() {
        use chrono::{DateTime, Datelike, Timelike};
        // Every 37 hours over 500 years.
        for seconds in (-8_000_000_000i64..8_000_000_000).step_by(133_207) {
            let other = DateTime::from_timestamp(seconds, 0).unwrap();
            let expected = Date {
                year: other.year().into(),
                month: other.month(),
                day: other.day(),
                hour: other.hour(),
                minute: other.minute(),
                weekday: other.weekday().num_days_from_sunday(),
                year_day: other.ordinal(),
            };
            assert_eq!(Date::of(seconds), expected, "{seconds}");
        }
    }
}
