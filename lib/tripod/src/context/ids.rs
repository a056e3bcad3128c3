//! Ids of traces and spans, as W3C Trace Context writes them.

use std::fmt;
use std::sync::Arc;

use super::random;

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// The id of a trace: 16 bytes, never all zero in a valid span context.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
pub struct TraceId(pub [u8; 16]);

/// The id of a span: 8 bytes, never all zero in a valid span context.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
pub struct SpanId(pub [u8; 8]);

/// The flags of W3C Trace Context: bit 0 sampled, bit 1 random (level 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct TraceFlags(pub u8);

/// The `tracestate` that came with a trace, passed on as it came. Cloning shares.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct TraceState(Option<Arc<str>>);

/// What identifies a span across processes.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct SpanContext {
    /// The trace.
    pub trace_id: TraceId,
    /// The span.
    pub span_id: SpanId,
    /// Sampled and random.
    pub flags: TraceFlags,
    /// What vendors upstream noted.
    pub state: TraceState,
}

impl TraceId {
    /// A random id, never zero. All 16 bytes are random: the level 2 flag may be set.
    pub fn random() -> Self {
        loop {
            let mut bytes = [0; 16];
            bytes[..8].copy_from_slice(&random::next().to_be_bytes());
            bytes[8..].copy_from_slice(&random::next().to_be_bytes());
            if bytes != [0; 16] {
                return Self(bytes);
            }
        }
    }

    /// Reads 32 lower-case hexadecimal digits; `None` for anything else and for zero.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = lower_hex::<16>(text.as_bytes())?;
        (bytes != [0; 16]).then_some(Self(bytes))
    }

    /// The id's 32 digits, without an allocation.
    pub fn digits(self) -> [u8; 32] {
        let mut out = [0; 32];
        write_hex(&self.0, &mut out);
        out
    }

    /// Whether it is not all zero.
    pub fn is_valid(self) -> bool {
        self.0 != [0; 16]
    }
}

impl SpanId {
    /// A random id, never zero.
    pub fn random() -> Self {
        loop {
            let bytes = random::next().to_be_bytes();
            if bytes != [0; 8] {
                return Self(bytes);
            }
        }
    }

    /// Reads 16 lower-case hexadecimal digits; `None` for anything else and for zero.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = lower_hex::<8>(text.as_bytes())?;
        (bytes != [0; 8]).then_some(Self(bytes))
    }

    /// The id's 16 digits, without an allocation.
    pub fn digits(self) -> [u8; 16] {
        let mut out = [0; 16];
        write_hex(&self.0, &mut out);
        out
    }

    /// Whether it is not all zero.
    pub fn is_valid(self) -> bool {
        self.0 != [0; 8]
    }
}

impl TraceFlags {
    /// The trace is recorded upstream (level 1).
    pub const SAMPLED: Self = Self(1);
    /// The right-most 7 bytes of the trace id are random (level 2).
    pub const RANDOM: Self = Self(2);

    /// Whether the sampled flag is set.
    pub fn is_sampled(self) -> bool {
        self.0 & Self::SAMPLED.0 != 0
    }

    /// Whether the random flag is set.
    pub fn is_random(self) -> bool {
        self.0 & Self::RANDOM.0 != 0
    }

    /// The flags with the sampled flag set or cleared.
    #[must_use]
    pub fn with_sampled(self, sampled: bool) -> Self {
        if sampled { Self(self.0 | Self::SAMPLED.0) } else { Self(self.0 & !Self::SAMPLED.0) }
    }
}

impl TraceState {
    /// Keeps a `tracestate` whose syntax was checked.
    pub(crate) fn new(text: &str) -> Self {
        Self((!text.is_empty()).then(|| text.into()))
    }

    /// The text of the header, `""` when there is none.
    pub fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or_default()
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.as_str().split(',').find_map(|member| member.split_once('=').filter(|(name, _)| *name == key)).map(|m| m.1)
    }
}

impl SpanContext {
    /// Whether both ids are valid.
    pub fn is_valid(&self) -> bool {
        self.trace_id.is_valid() && self.span_id.is_valid()
    }

    /// Whether the trace is recorded.
    pub fn is_sampled(&self) -> bool {
        self.flags.is_sampled()
    }
}

/// Reads exactly `2 * N` lower-case hexadecimal digits.
pub(crate) fn lower_hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    if text.len() != 2 * N {
        return None;
    }
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

fn write_hex(bytes: &[u8], out: &mut [u8]) {
    for (byte, pair) in bytes.iter().zip(out.chunks_exact_mut(2)) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.digits()).unwrap_or_default())
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.digits()).unwrap_or_default())
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_print_and_parse_back() {
        let (trace, span) = (TraceId::random(), SpanId::random());
        assert_eq!(TraceId::parse(&trace.to_string()), Some(trace));
        assert_eq!(SpanId::parse(&span.to_string()), Some(span));
        assert_eq!(TraceId::parse("00000000000000000000000000000000"), None);
        assert_eq!(TraceId::parse("4BF92F3577B34DA6A3CE929D0E0E4736"), None, "upper case is not valid");
        assert_eq!(SpanId::parse("00f067aa0ba902b"), None);
    }

    #[test]
    fn threads_walk_different_sequences() {
        let ids: Vec<_> = (0..4)
            .map(|_| std::thread::spawn(|| (0..1000).map(|_| TraceId::random()).collect::<Vec<_>>()))
            .flat_map(|thread| thread.join().unwrap())
            .collect();
        let unique: std::collections::HashSet<_> = ids.iter().collect();
        assert_eq!(unique.len(), ids.len());
    }
}
