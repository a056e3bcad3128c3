//! Card and phone numbers.

use std::ops::Range;

use super::Pattern;

/// Calls back for each card and phone number in the text.
pub(super) fn find(text: &str, mut found: impl FnMut(Range<usize>, Pattern)) {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        if !(byte.is_ascii_digit() || matches!(byte, b'+' | b'(')) || !begins(bytes, at) {
            at += 1;
            continue;
        }
        let number = Number::read(bytes, at);
        if let Some(pattern) = number.pattern() {
            found(at..number.end, pattern);
        }
        at = number.end.max(at + 1);
    }
}

/// A number does not begin inside a word or behind a sign or point of another number.
fn begins(bytes: &[u8], at: usize) -> bool {
    let before = at.checked_sub(1).and_then(|before| bytes.get(before));
    before.is_none_or(|byte| {
        !(byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'+' | b'.' | b'-') || *byte >= 0x80)
    })
}

/// Digits in groups, as people write numbers.
struct Number {
    plus: bool,
    parenthesis: bool,
    dashes: bool,
    spaces: bool,
    points: bool,
    /// At most 20 digits are kept; more are neither a card nor a phone.
    digits: [u8; 20],
    count: usize,
    groups: [usize; 6],
    group: usize,
    /// Behind the last digit.
    end: usize,
    ends_word: bool,
}

impl Number {
    fn read(bytes: &[u8], start: usize) -> Self {
        let mut number = Self {
            plus: false,
            parenthesis: false,
            dashes: false,
            spaces: false,
            points: false,
            digits: [0; 20],
            count: 0,
            groups: [0; 6],
            group: 0,
            end: start,
            ends_word: false,
        };
        let mut at = start;
        let mut separators = 0;
        while let Some(byte) = bytes.get(at) {
            match byte {
                b'0'..=b'9' => {
                    if separators > 0 && number.count > 0 {
                        number.group += 1;
                    }
                    separators = 0;
                    if let Some(digit) = number.digits.get_mut(number.count) {
                        *digit = byte - b'0';
                    }
                    number.count += 1;
                    if let Some(size) = number.groups.get_mut(number.group) {
                        *size += 1;
                    }
                    number.end = at + 1;
                }
                b'+' if at == start => number.plus = true,
                b'(' if number.count <= 3 && !number.parenthesis => number.parenthesis = true,
                b')' if number.parenthesis => separators += 1,
                b'-' | b' ' | b'.'
                    if separators < 2
                        && bytes.get(at + 1).is_some_and(|next| next.is_ascii_digit() || *next == b'(') =>
                {
                    separators += 1;
                    number.dashes |= *byte == b'-';
                    number.spaces |= *byte == b' ' && bytes.get(at.wrapping_sub(1)) != Some(&b')');
                    number.points |= *byte == b'.';
                }
                _ => break,
            }
            at += 1;
        }
        number.ends_word = bytes
            .get(number.end)
            .is_none_or(|byte| !(byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':') || *byte >= 0x80));
        number
    }

    fn pattern(&self) -> Option<Pattern> {
        if !self.ends_word || self.count > 19 {
            return None;
        }
        let digits = self.digits.get(..self.count)?;
        if self.plus && !self.points && (8..=15).contains(&self.count) {
            return Some(Pattern::Phone);
        }
        let groups = self.groups.get(..=self.group)?;
        let is_american = matches!(groups, [3, 3, 4] | [1, 3, 3, 4])
            && (self.parenthesis || (self.dashes && !self.spaces && !self.points));
        if is_american {
            return Some(Pattern::Phone);
        }
        let in_groups = !self.parenthesis && !self.points && !self.plus && (!self.dashes || !self.spaces);
        let group_sizes =
            self.group == 0 || matches!(groups, [4, 4, 4, 1..=4] | [4, 6, 5] | [4, 6, 4] | [4, 4, 4, 4, 3]);
        (in_groups && group_sizes && is_card_number(digits)).then_some(Pattern::Card)
    }
}

/// Whether a number that came as a number is that of a card.
pub(super) fn is_card(number: u64) -> bool {
    if number < 1_000_000_000_000 {
        return false;
    }
    let mut digits = [0; 20];
    let mut rest = number;
    let mut count = 0;
    while rest > 0 && count < digits.len() {
        digits[count] = (rest % 10) as u8;
        rest /= 10;
        count += 1;
    }
    digits[..count].reverse();
    is_card_number(&digits[..count])
}

/// Beginning and length as the networks give them out (ISO/IEC 7812), and the Luhn check. The beginnings keep times in
/// milliseconds and nanoseconds, which begin with 1, apart.
fn is_card_number(digits: &[u8]) -> bool {
    let number = |count: usize| digits.iter().take(count).fold(0_u32, |sum, digit| sum * 10 + u32::from(*digit));
    let (two, three, four) = (number(2), number(3), number(4));
    let length = digits.len();
    let fits = match two {
        // Visa
        40..=49 => matches!(length, 13 | 16 | 19),
        // Mastercard
        51..=55 => length == 16,
        22..=27 => length == 16 && (2221..=2720).contains(&four),
        // American Express
        34 | 37 => length == 15,
        // Diners Club
        36 | 38 | 39 => (14..=19).contains(&length),
        30 => (14..=19).contains(&length) && (300..=305).contains(&three),
        // JCB
        35 => (16..=19).contains(&length) && (3528..=3589).contains(&four),
        // Discover, UnionPay
        60 => (16..=19).contains(&length) && four == 6011,
        62 | 64 | 65 => (16..=19).contains(&length),
        // Maestro
        50 | 56..=58 | 63 | 67 => (13..=19).contains(&length),
        _ => false,
    };
    fits && passes_luhn(digits)
}

/// ISO/IEC 7812-1, annex B.
fn passes_luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(index, digit)| match (index % 2, u32::from(*digit)) {
            (0, digit) => digit,
            (_, digit) if digit < 5 => digit * 2,
            (_, digit) => digit * 2 - 9,
        })
        .sum();
    sum.is_multiple_of(10)
}
