//! The log as its callers see it: what was acknowledged is there after every kind of end.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use tripod_wal::{Lsn, Options, Record, Recovery, Wal};

fn options(directory: &Path) -> Options {
    Options {
        directory: directory.to_owned(),
        segment_bytes: 64 * 1024 * 1024,
        fsync: true,
        floor: 0,
        progress: Arc::default(),
    }
}

/// Number, tag and payload.
type Replayed = (Lsn, u8, Vec<u8>);

fn open(options: Options) -> (Wal, Vec<Replayed>, Recovery) {
    let mut records = Vec::new();
    let (wal, recovery) = Wal::open(options, |lsn, tag, payload| records.push((lsn, tag, payload.to_vec()))).unwrap();
    (wal, records, recovery)
}

async fn append(wal: &Wal, text: &str) -> Lsn {
    wal.append(Record { tag: 1, payload: vec![text.as_bytes().to_vec()] }, |_| {}).await.unwrap()
}

fn segments(directory: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "wal"))
        .collect();
    paths.sort();
    paths
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_writers_get_numbers_without_gaps_and_in_the_order_of_the_log() {
    let directory = tempfile::tempdir().unwrap();
    let (wal, _, _) = open(options(directory.path()));
    let wal = Arc::new(wal);
    let order = Arc::new(Mutex::new(Vec::new()));
    let writers = (0..8).map(|writer| {
        let (wal, order) = (Arc::clone(&wal), Arc::clone(&order));
        tokio::spawn(async move {
            for index in 0..50 {
                let order = Arc::clone(&order);
                let payload = vec![format!("{writer}-").into_bytes(), index.to_string().into_bytes()];
                wal.append(Record { tag: 2, payload }, move |lsn| order.lock().push(lsn)).await.unwrap();
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    assert_eq!(*order.lock(), (1..=400).collect::<Vec<_>>());
    drop(wal);
    let (_, records, recovery) = open(options(directory.path()));
    assert_eq!(records.iter().map(|record| record.0).collect::<Vec<_>>(), (1..=400).collect::<Vec<_>>());
    assert_eq!((recovery.last_lsn, recovery.torn_bytes, recovery.damage.len()), (400, 0, 0));
}

#[tokio::test]
async fn numbers_go_on_after_restarts_and_above_the_floor() {
    let directory = tempfile::tempdir().unwrap();
    let (wal, _, _) = open(options(directory.path()));
    assert_eq!(append(&wal, "one").await, 1);
    drop(wal);
    let (wal, records, _) = open(options(directory.path()));
    assert_eq!(records, [(1, 1, b"one".to_vec())]);
    drop(wal);
    let (wal, _, _) = open(Options { floor: 41, ..options(directory.path()) });
    assert_eq!(append(&wal, "two").await, 42);
}

#[tokio::test]
async fn released_segments_go_and_later_ones_stay() {
    let directory = tempfile::tempdir().unwrap();
    let (wal, _, _) = open(Options { segment_bytes: 1, ..options(directory.path()) });
    for index in 0..5 {
        append(&wal, &format!("record {index}")).await;
    }
    assert_eq!(segments(directory.path()).len(), 5);
    wal.release(3).unwrap();
    assert_eq!(segments(directory.path()).len(), 2);
    assert!(wal.retained_bytes() > 0);
    drop(wal);
    let (wal, records, recovery) = open(Options { floor: 3, ..options(directory.path()) });
    assert_eq!(records.iter().map(|record| record.0).collect::<Vec<_>>(), [4, 5]);
    assert!(recovery.damage.is_empty(), "{:?}", recovery.damage);
    wal.release(5).unwrap();
    assert_eq!(segments(directory.path()).len(), 0);
}

#[tokio::test]
async fn a_write_torn_at_any_byte_is_cut_and_writing_goes_on() {
    let source = tempfile::tempdir().unwrap();
    let (wal, _, _) = open(options(source.path()));
    for text in ["first", "second", "the last record"] {
        append(&wal, text).await;
    }
    drop(wal);
    let path = &segments(source.path())[0];
    let bytes = fs::read(path).unwrap();
    let last = bytes.len() - tripod_wal::HEADER_BYTES - "the last record".len();
    for end in last + 1..bytes.len() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(path.file_name().unwrap()), &bytes[..end]).unwrap();
        let (wal, records, recovery) = open(options(directory.path()));
        assert_eq!(records.len(), 2, "cut at {end}");
        assert_eq!(recovery.torn_bytes, (end - last) as u64);
        assert!(recovery.damage.is_empty());
        assert_eq!(append(&wal, "again").await, 3);
        drop(wal);
        let (_, records, recovery) = open(options(directory.path()));
        assert_eq!(records.last(), Some(&(3, 1, b"again".to_vec())), "cut at {end}");
        assert_eq!((recovery.torn_bytes, recovery.damage.len()), (0, 0));
    }
}

#[tokio::test]
async fn damage_in_the_middle_is_reported_set_aside_and_passed_over() {
    let directory = tempfile::tempdir().unwrap();
    let (wal, _, _) = open(options(directory.path()));
    for text in ["first", "second", "third", "fourth"] {
        append(&wal, text).await;
    }
    drop(wal);
    let path = segments(directory.path()).remove(0);
    let mut bytes = fs::read(&path).unwrap();
    let place = bytes.windows(6).position(|window| window == b"second").unwrap();
    bytes[place] ^= 0x20;
    fs::write(&path, &bytes).unwrap();
    let (wal, records, recovery) = open(options(directory.path()));
    assert_eq!(records.iter().map(|record| record.0).collect::<Vec<_>>(), [1, 3, 4]);
    let [damage] = recovery.damage.as_slice() else { panic!("{:?}", recovery.damage) };
    assert_eq!((damage.missing, damage.bytes), (Some((2, 2)), (tripod_wal::HEADER_BYTES + 6) as u64));
    assert_eq!(fs::read(&damage.kept_at).unwrap(), bytes);
    assert_eq!(append(&wal, "fifth").await, 5);
}

#[tokio::test]
async fn a_segment_that_is_gone_is_reported() {
    let directory = tempfile::tempdir().unwrap();
    let (wal, _, _) = open(Options { segment_bytes: 1, ..options(directory.path()) });
    for text in ["first", "second", "third"] {
        append(&wal, text).await;
    }
    drop(wal);
    fs::remove_file(&segments(directory.path())[1]).unwrap();
    let (_, records, recovery) = open(options(directory.path()));
    assert_eq!(records.len(), 2);
    assert_eq!(recovery.damage[0].missing, Some((2, 2)));
}

#[tokio::test]
async fn a_closed_log_refuses() {
    let directory = tempfile::tempdir().unwrap();
    let (wal, _, _) = open(options(directory.path()));
    wal.close();
    let refused = wal.append(Record { tag: 0, payload: vec![] }, |_| panic!("not written")).await;
    assert!(matches!(refused, Err(tripod_wal::WriteError::Closed)));
}

#[tokio::test]
async fn whoever_watches_sees_which_segment_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let small = || Options { segment_bytes: 1, ..options(directory.path()) };
    let (wal, _, _) = open(small());
    for text in ["a", "b", "c"] {
        append(&wal, text).await;
    }
    drop(wal);
    let options = small();
    let progress = Arc::clone(&options.progress);
    let mut seen = Vec::new();
    let visit = |_, _, payload: &[u8]| seen.push((payload.to_vec(), progress.current(), progress.segments()));
    let opened = Wal::open(options, visit).unwrap();
    assert_eq!(seen, [(b"a".to_vec(), 0, 3), (b"b".to_vec(), 1, 3), (b"c".to_vec(), 2, 3)]);
    drop(opened);
}
