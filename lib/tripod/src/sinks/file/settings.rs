use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::super::writer::DEFAULT_QUEUE_BYTES;

/// How often a new file is begun. Periods follow UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// At every full hour.
    Hour,
    /// At midnight.
    Day,
    /// At multiples of so many seconds since the Unix epoch.
    Seconds(u64),
}

impl Period {
    pub(super) fn seconds(self) -> u64 {
        match self {
            Self::Hour => 3_600,
            Self::Day => 86_400,
            Self::Seconds(seconds) => seconds.max(1),
        }
    }
}

/// A rotated file: where it is, when a new one is begun, and which old ones are kept.
#[derive(Clone, Debug)]
pub struct FileSettings {
    pub(super) path: PathBuf,
    pub(super) archive_prefix: String,
    pub(super) archive_suffix: String,
    pub(super) max_bytes: Option<u64>,
    pub(super) period: Option<Period>,
    pub(super) keep_for: Option<Duration>,
    pub(super) keep_files: Option<usize>,
    pub(super) keep_bytes: Option<u64>,
    pub(super) gzip: bool,
    pub(super) queue_bytes: usize,
}

/// A setting of a file that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidFileSetting {
    text: String,
    expected: &'static str,
}

impl fmt::Display for InvalidFileSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not {}", self.text, self.expected)
    }
}

impl std::error::Error for InvalidFileSetting {}

impl FileSettings {
    /// A new file at 100 MB; old ones are kept for 30 days, uncompressed.
    ///
    /// Old files carry the time of their end: `app.log` becomes `app.2026-01-16_10-30-45_123456.log`. `{time}` in the file's
    /// name says where: `optimizer_{time}.log` is written as `optimizer.log` and becomes
    /// `optimizer_2026-01-16_10-30-45_123456.log`.
    pub fn new(path: impl AsRef<Path>) -> Self {
        let path = path.as_ref();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let (before, after) = match name.split_once("{time}") {
            Some((before, after)) => (before.to_owned(), after.to_owned()),
            None => match name.rsplit_once('.') {
                Some((stem, extension)) if !stem.is_empty() => (format!("{stem}."), format!(".{extension}")),
                _ => (format!("{name}."), String::new()),
            },
        };
        let active =
            if name.contains("{time}") { format!("{}{after}", before.trim_end_matches(['.', '_', '-'])) } else { name };
        Self {
            path: path.with_file_name(active),
            archive_prefix: before,
            archive_suffix: after,
            max_bytes: Some(100_000_000),
            period: None,
            keep_for: Some(Duration::from_secs(30 * 86_400)),
            keep_files: None,
            keep_bytes: None,
            gzip: false,
            queue_bytes: DEFAULT_QUEUE_BYTES,
        }
    }

    /// The file that is written to.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Begins a new file before the old one grows beyond so many bytes; `None` for no limit.
    pub fn max_bytes(mut self, bytes: Option<u64>) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Begins a new file at the end of each period.
    pub fn every(mut self, period: Period) -> Self {
        self.period = Some(period);
        self
    }

    /// Deletes old files that ended longer ago; `None` keeps them.
    pub fn keep_for(mut self, age: Option<Duration>) -> Self {
        self.keep_for = age;
        self
    }

    /// Keeps no more than so many old files.
    pub fn keep_files(mut self, count: usize) -> Self {
        self.keep_files = Some(count);
        self
    }

    /// Keeps no more than so many bytes of old files.
    pub fn keep_bytes(mut self, bytes: u64) -> Self {
        self.keep_bytes = Some(bytes);
        self
    }

    /// Compresses old files with gzip.
    pub fn gzip(mut self) -> Self {
        self.gzip = true;
        self
    }

    /// Bytes that may wait for a slow disk; more is dropped and counted.
    pub fn queue_bytes(mut self, bytes: usize) -> Self {
        self.queue_bytes = bytes.max(1024);
        self
    }

    /// When a new file is begun, as text: a size such as `100 MB`, a period such as `1 day`, `hourly` or `daily`.
    ///
    /// # Errors
    /// When it is neither.
    pub fn rotation(mut self, text: &str) -> Result<Self, InvalidFileSetting> {
        if let Some(bytes) = parse_bytes(text) {
            self.max_bytes = Some(bytes);
        } else if let Some(age) = parse_duration(text).filter(|age| age.as_secs() > 0) {
            self.period = Some(Period::Seconds(age.as_secs()));
        } else {
            let expected = "a size such as `100 MB` or a period such as `1 day`, `hourly`, `daily`";
            return Err(InvalidFileSetting { text: text.to_owned(), expected });
        }
        Ok(self)
    }

    /// Which old files are kept, as text: an age such as `30 days`, a size such as `1 GB`, a count such as `10`.
    ///
    /// # Errors
    /// When it is none of these.
    pub fn retention(mut self, text: &str) -> Result<Self, InvalidFileSetting> {
        if let Ok(count) = text.trim().parse() {
            self.keep_files = Some(count);
        } else if let Some(bytes) = parse_bytes(text) {
            self.keep_bytes = Some(bytes);
        } else if let Some(age) = parse_duration(text) {
            self.keep_for = Some(age);
        } else {
            let expected = "an age such as `30 days`, a size such as `1 GB` or a count of files";
            return Err(InvalidFileSetting { text: text.to_owned(), expected });
        }
        Ok(self)
    }
}

fn number_and_unit(text: &str) -> Option<(f64, String)> {
    let text = text.trim();
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let number: f64 = text.get(..end)?.parse().ok()?;
    Some((number, text.get(end..)?.trim().to_ascii_lowercase()))
}

fn parse_bytes(text: &str) -> Option<u64> {
    let (number, unit) = number_and_unit(text)?;
    let factor: u64 = match unit.as_str() {
        "b" | "byte" | "bytes" => 1,
        "k" | "kb" => 1_000,
        "m" | "mb" => 1_000_000,
        "g" | "gb" => 1_000_000_000,
        "t" | "tb" => 1_000_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        "tib" => 1 << 40,
        _ => return None,
    };
    Some((number * factor as f64) as u64)
}

fn parse_duration(text: &str) -> Option<Duration> {
    let seconds = match text.trim().to_ascii_lowercase().as_str() {
        "hourly" => 3_600.0,
        "daily" => 86_400.0,
        "weekly" => 604_800.0,
        _ => {
            let (number, unit) = number_and_unit(text)?;
            let unit = match unit.strip_suffix('s') {
                Some(singular) if !singular.is_empty() => singular,
                _ => unit.as_str(),
            };
            let factor = match unit {
                "s" | "sec" | "second" => 1.0,
                "min" | "minute" => 60.0,
                "h" | "hour" => 3_600.0,
                "d" | "day" => 86_400.0,
                "w" | "week" => 604_800.0,
                "month" => 30.0 * 86_400.0,
                "year" => 365.0 * 86_400.0,
                _ => return None,
            };
            number * factor
        }
    };
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files() {
        let settings = FileSettings::new("logs/optimizer_{time}.log");
        assert_eq!(settings.path(), Path::new("logs/optimizer.log"));
        assert_eq!((settings.archive_prefix.as_str(), settings.archive_suffix.as_str()), ("optimizer_", ".log"));
        let settings = FileSettings::new("/var/log/app.log");
        assert_eq!((settings.archive_prefix.as_str(), settings.archive_suffix.as_str()), ("app.", ".log"));
        let settings = FileSettings::new("app");
        assert_eq!((settings.archive_prefix.as_str(), settings.archive_suffix.as_str()), ("app.", ""));
    }

    #[test]
    fn settings_as_the_guides_write_them() {
        let settings = FileSettings::new("a.log").rotation("100 MB").unwrap().retention("30 days").unwrap();
        assert_eq!(settings.max_bytes, Some(100_000_000));
        assert_eq!(settings.keep_for, Some(Duration::from_secs(30 * 86_400)));
        assert_eq!(FileSettings::new("a").rotation("512 KiB").unwrap().max_bytes, Some(524_288));
        assert_eq!(FileSettings::new("a").rotation("1 day").unwrap().period, Some(Period::Seconds(86_400)));
        assert_eq!(FileSettings::new("a").rotation("hourly").unwrap().period, Some(Period::Seconds(3_600)));
        assert_eq!(FileSettings::new("a").retention("10").unwrap().keep_files, Some(10));
        assert_eq!(FileSettings::new("a").retention("1 GB").unwrap().keep_bytes, Some(1_000_000_000));
        let error = FileSettings::new("a").rotation("soon").unwrap_err();
        assert!(error.to_string().starts_with("`soon` is not a size such as"), "{error}");
        assert!(FileSettings::new("a").retention("x days").is_err());
    }
}
