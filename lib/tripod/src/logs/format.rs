use super::LogEvent;

/// Turns log lines into bytes.
pub trait Format: Send + Sync {
    /// Appends the line, without a line break at its end.
    fn write(&self, event: &LogEvent, out: &mut Vec<u8>);
}
