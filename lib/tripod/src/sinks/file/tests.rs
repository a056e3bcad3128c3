use std::collections::HashSet;
use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::super::writer::Output as _;
use super::*;
use crate::logs::{JsonFormat, Level};

/// All files of a folder with their text, old ones first; compressed ones decompressed.
fn files(folder: &Path) -> Vec<(String, String)> {
    let mut files: Vec<(String, String)> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let bytes = fs::read(&path).unwrap();
            let mut text = String::new();
            if path.extension().is_some_and(|extension| extension == "gz") {
                flate2::read::GzDecoder::new(bytes.as_slice()).read_to_string(&mut text).unwrap();
            } else {
                text = String::from_utf8(bytes).unwrap();
            }
            (path.file_name().unwrap().to_str().unwrap().to_owned(), text)
        })
        .collect();
    // `app.log` sorts behind `app.2026…` as letters sort behind digits.
    files.sort();
    files
}

fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.log");
    (folder, path)
}

#[test]
fn a_full_file_is_renamed_and_no_line_is_cut() {
    let (folder, path) = folder();
    let mut output = FileOutput::open(FileSettings::new(&path).max_bytes(Some(10))).unwrap();
    output.write(b"one\ntwo\nthree\n").unwrap();
    output.write(b"a line that is longer than a file\nx\n").unwrap();
    let texts: Vec<String> = files(folder.path()).into_iter().map(|(_, text)| text).collect();
    assert_eq!(texts, ["one\ntwo\n", "three\n", "a line that is longer than a file\n", "x\n"]);
}

#[test]
fn a_new_period_begins_a_new_file() {
    static NOW: AtomicU64 = AtomicU64::new(0);
    fn clock() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(NOW.load(Ordering::Relaxed))
    }
    let (folder, path) = folder();
    // The file is made now; the clock of the test stands in its day, then in the next.
    let today = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    NOW.store(today, Ordering::Relaxed);
    let mut output = FileOutput::open(FileSettings::new(&path).every(Period::Day)).unwrap().with_clock(clock);
    output.write(b"one\n").unwrap();
    output.write(b"two\n").unwrap();
    NOW.store(today + 86_400, Ordering::Relaxed);
    output.write(b"three\n").unwrap();
    output.write(b"four\n").unwrap();
    let texts: Vec<String> = files(folder.path()).into_iter().map(|(_, text)| text).collect();
    assert_eq!(texts, ["one\ntwo\n", "three\nfour\n"]);
}

#[test]
fn old_files_are_compressed_and_deleted_by_count_size_and_age() {
    let (folder, path) = folder();
    fs::write(folder.path().join("app.2001-01-01_00-00-00_000000.log"), "old\n").unwrap();
    fs::write(folder.path().join("app.worker.log"), "another's\n").unwrap();
    let settings = FileSettings::new(&path).max_bytes(Some(4)).gzip().keep_files(3);
    let mut output = FileOutput::open(settings).unwrap();
    output.settle();
    assert!(!files(folder.path()).iter().any(|(name, _)| name.contains("2001")), "older than 30 days");
    for line in ["1\n", "22\n", "333\n", "444\n", "555\n", "666\n"] {
        output.write(line.as_bytes()).unwrap();
        output.settle();
    }
    let files = files(folder.path());
    let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(files.len(), 5, "{names:?}");
    assert!(names[..3].iter().all(|name| name.starts_with("app.2") && name.ends_with(".log.gz")), "{names:?}");
    assert_eq!(names[3..], ["app.log", "app.worker.log"]);
    assert_eq!(
        files.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>(),
        ["333\n", "444\n", "555\n", "666\n", "another's\n"]
    );

    let settings = FileSettings::new(&path).keep_bytes(0);
    FileOutput::open(settings).unwrap().settle();
    let left: Vec<String> = super::tests::files(folder.path()).into_iter().map(|(name, _)| name).collect();
    assert_eq!(left, ["app.log", "app.worker.log"], "without gzip the compressed ones are still known by name");
}

#[test]
fn logrotate_may_rename_or_copy_and_truncate_or_delete() {
    let (folder, path) = folder();
    let mut output = FileOutput::open(FileSettings::new(&path)).unwrap();
    output.write(b"one\n").unwrap();
    fs::rename(&path, folder.path().join("app.log.1")).unwrap();
    output.write(b"two\n").unwrap();
    assert_eq!(fs::read_to_string(folder.path().join("app.log.1")).unwrap(), "one\n");
    assert_eq!(fs::read_to_string(&path).unwrap(), "two\n");
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(0).unwrap();
    output.write(b"three\n").unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "three\n");
    fs::remove_dir_all(folder.path()).unwrap();
    output.write(b"four\n").unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "four\n");
}

#[test]
fn a_line_that_broke_off_does_not_swallow_the_next() {
    let (_folder, path) = folder();
    fs::write(&path, "broken").unwrap();
    let mut output = FileOutput::open(FileSettings::new(&path)).unwrap();
    output.write(b"whole\n").unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "broken\nwhole\n");
}

#[test]
fn a_line_that_broke_off_adds_nothing_to_a_new_file() {
    let (folder, path) = folder();
    fs::write(&path, "broken").unwrap();
    let mut output = FileOutput::open(FileSettings::new(&path).max_bytes(Some(8))).unwrap();
    output.write(b"whole\n").unwrap();
    let texts: Vec<String> = files(folder.path()).into_iter().map(|(_, text)| text).collect();
    assert_eq!(texts, ["broken", "whole\n"]);
}

#[test]
fn a_line_that_another_process_is_writing_is_not_a_broken_one() {
    let (_folder, path) = folder();
    let mut other = fs::OpenOptions::new().append(true).create(true).open(&path).unwrap();
    other.lock_shared().unwrap();
    other.write_all(b"fir").unwrap();
    let writer = std::thread::spawn(move || {
        // Long enough for the output below to look at the file; it passes too when that comes later.
        std::thread::sleep(Duration::from_millis(50));
        other.write_all(b"st\n").unwrap();
        other.unlock().unwrap();
    });
    let mut output = FileOutput::open(FileSettings::new(&path)).unwrap();
    output.write(b"second\n").unwrap();
    writer.join().unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "first\nsecond\n");
}

#[test]
fn a_path_that_cannot_be_written_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    assert!(FileSink::open(FileSettings::new(folder.path()), JsonFormat::default(), &Accounts::new()).is_err());
    assert!(FileOutput::open(FileSettings::new("/")).is_err());
}

const LINES: usize = 2_000;
const PROCESSES: usize = 4;
const FOLDER: &str = "TRIPOD_TEST_FILE_SINK_FOLDER";

/// A child of the next test: writes its lines through a sink with small files. Does nothing when run by itself.
#[test]
fn child_process() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let path = Path::new(&folder).join("app.log");
    let accounts = Accounts::new();
    let settings = FileSettings::new(path).max_bytes(Some(20_000)).gzip();
    let sink = FileSink::open(settings, JsonFormat::default(), &accounts).unwrap();
    for index in 0..LINES {
        let mut event = LogEvent::new(Level::Error, "child", "line");
        event.set("id", format!("{}-{index}", std::process::id()));
        sink.emit(&event);
        if index % 10 == 0 {
            assert!(sink.flush(Instant::now() + Duration::from_secs(60)));
        }
    }
    assert!(sink.flush(Instant::now() + Duration::from_secs(60)));
    assert_eq!(accounts.open("file", "logs").balance().delivered, LINES as u64);
}

#[test]
fn several_processes_share_a_file_and_lose_nothing() {
    let (folder, path) = folder();
    let children: Vec<_> = (0..PROCESSES)
        .map(|_| {
            Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "sinks::file::tests::child_process"])
                .env(FOLDER, folder.path())
                .stdout(std::process::Stdio::null())
                .spawn()
                .unwrap()
        })
        .collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    // Compresses what the children left behind, as the next start of a service does.
    FileOutput::open(FileSettings::new(&path).max_bytes(Some(20_000)).gzip()).unwrap().settle();
    let files = files(folder.path());
    let mut ids = HashSet::new();
    for (name, text) in &files {
        assert!(text.ends_with('\n') || text.is_empty(), "{name}");
        assert!(name == "app.log" || name.ends_with(".log.gz"), "{name}");
        for line in text.lines() {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            assert!(ids.insert(line["id"].as_str().unwrap().to_owned()), "twice: {line}");
        }
    }
    assert_eq!(ids.len(), LINES * PROCESSES);
    assert!(files.len() > 10, "{}", files.len());
}
