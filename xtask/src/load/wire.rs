//! Finding fields in encoded protobuf, so that they can be changed in place.

use anyhow::{Context, Result, bail};

/// What a field of a message is, as far as templates care.
#[derive(Clone, Copy)]
pub(super) enum Field {
    /// A message with these fields.
    Message(&'static [(u32, Field)]),
    /// Bytes of a trace or span id.
    Id,
    /// A fixed64 of nanoseconds since the epoch.
    Time,
    /// The same, where a span ends.
    End,
    /// Text in which ids may be left blank.
    Text,
    /// A gauge: a double.
    Level,
    /// A counter: a fixed64 integer, one or packed.
    Count,
    /// A counter: a double.
    Amount,
}

const VALUE: Field = Field::Message(&[(1, Field::Text)]);
const ATTRIBUTE: Field = Field::Message(&[(2, VALUE)]);

/// `ExportTraceServiceRequest`.
pub(super) const SPANS: &[(u32, Field)] = &[(
    1,
    Field::Message(&[(
        2,
        Field::Message(&[(
            2,
            Field::Message(&[
                (1, Field::Id),
                (2, Field::Id),
                (4, Field::Id),
                (7, Field::Time),
                (8, Field::End),
                (9, ATTRIBUTE),
                (11, Field::Message(&[(1, Field::Time)])),
            ]),
        )]),
    )]),
)];

/// `ExportLogsServiceRequest`.
pub(super) const LOGS: &[(u32, Field)] = &[(
    1,
    Field::Message(&[(
        2,
        Field::Message(&[(
            2,
            Field::Message(&[
                (1, Field::Time),
                (5, VALUE),
                (6, ATTRIBUTE),
                (9, Field::Id),
                (10, Field::Id),
                (11, Field::Time),
            ]),
        )]),
    )]),
)];

const GAUGE_POINT: Field = Field::Message(&[(3, Field::Time), (4, Field::Level)]);
const SUM_POINT: Field = Field::Message(&[(3, Field::Time), (4, Field::Amount), (6, Field::Count)]);
const HISTOGRAM_POINT: Field =
    Field::Message(&[(3, Field::Time), (4, Field::Count), (5, Field::Amount), (6, Field::Count)]);

/// `ExportMetricsServiceRequest`.
pub(super) const METRICS: &[(u32, Field)] = &[(
    1,
    Field::Message(&[(
        2,
        Field::Message(&[(
            2,
            Field::Message(&[
                (5, Field::Message(&[(1, GAUGE_POINT)])),
                (7, Field::Message(&[(1, SUM_POINT)])),
                (9, Field::Message(&[(1, HISTOGRAM_POINT)])),
            ]),
        )]),
    )]),
)];

/// Calls `found` with the kind, the offset and the bytes of every field that `fields` names, in the order of the bytes.
pub(super) fn walk(bytes: &[u8], fields: &[(u32, Field)], found: &mut impl FnMut(Field, usize, &[u8])) -> Result<()> {
    walk_range(bytes, 0, bytes.len(), fields, found)
}

fn walk_range(
    bytes: &[u8],
    mut at: usize,
    end: usize,
    fields: &[(u32, Field)],
    found: &mut impl FnMut(Field, usize, &[u8]),
) -> Result<()> {
    while at < end {
        let key = varint(bytes, &mut at)?;
        let number = u32::try_from(key >> 3).context("a field number is too large")?;
        let length = match key & 7 {
            0 => {
                varint(bytes, &mut at)?;
                continue;
            }
            1 => 8,
            2 => usize::try_from(varint(bytes, &mut at)?)?,
            5 => 4,
            other => bail!("wire type {other} of field {number} is unknown"),
        };
        let stop = at.checked_add(length).filter(|stop| *stop <= end).context("a field is longer than its message")?;
        match fields.iter().find(|(known, _)| *known == number) {
            Some((_, Field::Message(inner))) => walk_range(bytes, at, stop, inner, found)?,
            Some((_, field)) => found(*field, at, &bytes[at..stop]),
            None => {}
        }
        at = stop;
    }
    Ok(())
}

fn varint(bytes: &[u8], at: &mut usize) -> Result<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.get(*at).context("a message ends within a number")?;
        *at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    bail!("a number is longer than ten bytes")
}
