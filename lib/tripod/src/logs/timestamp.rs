//! Time as text: `2026-01-16T10:30:45.123456Z`.

use std::cell::RefCell;
use std::time::{SystemTime, UNIX_EPOCH};

const SECOND: u64 = 1_000_000_000;

/// Nanoseconds since the Unix epoch; 0 when the clock stands before it.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_nanos() as u64)
}

/// Year, month (1–12) and day (1–31) of a day counted from 1970-01-01, in the proleptic Gregorian calendar.
///
/// The arithmetic counts in eras of 400 years from 1 March of year 0, so that the leap day is the last of its year.
pub(crate) fn civil_date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

/// The day counted from 1970-01-01 of a date from then on: the reverse of [`civil_date`]. Nothing for dates that are none.
pub(crate) fn from_civil(year: u64, month: u64, day: u64) -> Option<u64> {
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let shifted_year = if month <= 2 { year - 1 } else { year };
    let year_of_era = shifted_year % 400;
    let day_of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let days = (shifted_year / 400 * 146_097 + day_of_era).checked_sub(719_468)?;
    // 30 February is no date: it does not come back.
    (civil_date(days) == (year, month, day)).then_some(days)
}

/// The first 19 characters, `2026-01-16T10:30:45`, of a time in seconds since the Unix epoch.
pub(crate) fn seconds_text(seconds: u64) -> [u8; 19] {
    let (year, month, day) = civil_date(seconds / 86_400);
    let of_day = seconds % 86_400;
    let mut text = *b"0000-00-00T00:00:00";
    digits(&mut text[0..4], year);
    digits(&mut text[5..7], month);
    digits(&mut text[8..10], day);
    digits(&mut text[11..13], of_day / 3_600);
    digits(&mut text[14..16], of_day / 60 % 60);
    digits(&mut text[17..19], of_day % 60);
    text
}

fn digits(text: &mut [u8], mut number: u64) {
    for digit in text.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

thread_local! {
    // Lines of one second share their first 19 characters.
    static LAST: RefCell<(u64, [u8; 19])> = const { RefCell::new((u64::MAX, [0; 19])) };
}

/// RFC 3339 in UTC with microseconds: 27 bytes of ASCII.
pub(crate) fn rfc3339_micros(nanos: u64) -> [u8; 27] {
    let seconds = nanos / SECOND;
    let mut text = *b"0000-00-00T00:00:00.000000Z";
    let prefix = LAST.with(|last| match last.try_borrow_mut() {
        Ok(mut last) => {
            if last.0 != seconds {
                *last = (seconds, seconds_text(seconds));
            }
            last.1
        }
        Err(_) => seconds_text(seconds),
    });
    text[..19].copy_from_slice(&prefix);
    digits(&mut text[20..26], nanos % SECOND / 1_000);
    text
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, SecondsFormat};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_no_date_is_refused() {
        assert_eq!(from_civil(2026, 2, 29), None);
        assert_eq!(from_civil(2024, 2, 29), Some(19_782));
        assert_eq!(from_civil(1969, 12, 31), None);
        assert_eq!(from_civil(2026, 13, 1), None);
    }

    proptest! {
        #[test]
        fn days_come_back(days in 0..2_900_000_u64) {
            let (year, month, day) = civil_date(days);
            prop_assert_eq!(from_civil(year, month, day), Some(days));
        }

        #[test]
        fn it_is_what_chrono_writes(nanos in 0..i64::MAX as u64) {
            let expected = DateTime::from_timestamp_nanos(nanos as i64).to_rfc3339_opts(SecondsFormat::Micros, true);
            let written = rfc3339_micros(nanos);
            prop_assert_eq!(std::str::from_utf8(&written).unwrap(), expected);
        }
    }
}
