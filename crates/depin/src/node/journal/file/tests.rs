use super::*;

fn network() -> NetworkId {
    NetworkId(depin_core::sha256(&[b"a network"]))
}

fn entries(count: u8) -> Vec<Vec<u8>> {
    (0..count).map(|index| vec![index; usize::from(index) * 7 + 1]).collect()
}

fn open_at(dir: &Path) -> Result<FileJournal, JournalError> {
    FileJournal::open_on(Arc::new(FileSystem), dir, network(), 400)
}

/// A journal to which each entry was appended on its own.
async fn written(dir: &Path, count: u8) -> Vec<PathBuf> {
    let journal = open_at(dir).unwrap();
    for entry in entries(count) {
        journal.append(vec![entry]).await.unwrap();
    }
    journal.close().await.unwrap();
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|end| end == "seg"));
    paths.sort();
    paths
}

async fn all(journal: &FileJournal, from: u64) -> Vec<Vec<u8>> {
    journal.read(from, usize::MAX).await.unwrap()
}

#[tokio::test]
async fn what_was_appended_is_read_after_reopening_whatever_segment_it_is_in() {
    let dir = tempfile::tempdir().unwrap();
    assert!(written(dir.path(), 30).await.len() > 3);
    let journal = open_at(dir.path()).unwrap();
    for from in [29, 0, 7, 8, 15, 3, 30, 99] {
        let expected = entries(30).get(usize::try_from(from).unwrap()..).unwrap_or_default().to_vec();
        assert_eq!(all(&journal, from).await, expected, "{from}");
        let some = journal.read(from, 100).await.unwrap();
        assert!(expected.starts_with(&some) && (expected.is_empty() || !some.is_empty()));
    }
    assert_eq!(journal.size().await.unwrap(), 30);
    drop(journal);
    let summary = FileJournal::check(dir.path()).unwrap();
    assert_eq!((summary.network, summary.first, summary.size), (network(), 0, 30));
}

#[tokio::test]
async fn each_segment_knows_the_log_before_it() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), 30).await;
    let starts = open_at(dir.path()).unwrap().starts().await.unwrap();
    for start in starts {
        let mut log = Frontier::default();
        entries(30)
            .iter()
            .take(usize::try_from(start.size()).unwrap())
            .for_each(|entry| log.push(leaf_hash(entry)));
        assert_eq!(log, start);
    }
}

#[tokio::test]
async fn a_tail_torn_at_any_byte_is_cut_off_and_an_append_is_there_as_a_whole() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open_at(dir.path()).unwrap();
    journal.append(entries(3)).await.unwrap();
    journal.append(entries(4)).await.unwrap();
    journal.close().await.unwrap();
    let path = dir.path().join(segment::name(0));
    let whole = std::fs::read(&path).unwrap();
    let start = Header { network: network(), before: Frontier::default(), previous: None }.to_bytes().len();
    for len in start..whole.len() {
        std::fs::write(&path, &whole[..len]).unwrap();
        let journal = open_at(dir.path()).unwrap();
        let kept = all(&journal, 0).await;
        assert!(kept.is_empty() || kept == entries(3), "{len}");
        journal.append(vec![b"next".to_vec()]).await.unwrap();
        assert!(matches!(open_at(dir.path()), Err(JournalError::Busy { .. })), "one writer at a time");
        drop(journal);
        let again = all(&open_at(dir.path()).unwrap(), 0).await;
        assert_eq!(again, [kept, vec![b"next".to_vec()]].concat(), "{len}");
    }
}

#[tokio::test]
async fn a_tail_of_which_blocks_are_missing_is_cut_off() {
    let dir = tempfile::tempdir().unwrap();
    let path = written(dir.path(), 2).await.remove(0);
    let before = std::fs::read(&path).unwrap().len();
    let journal = FileJournal::open(dir.path(), network()).unwrap();
    journal.append(entries(40)).await.unwrap();
    journal.close().await.unwrap();
    let whole = std::fs::read(&path).unwrap();
    for start in (before..whole.len()).step_by(37) {
        let mut holed = whole.clone();
        holed[start..(start + 64).min(whole.len())].fill(0);
        std::fs::write(&path, &holed).unwrap();
        let journal = FileJournal::open(dir.path(), network()).unwrap();
        assert_eq!(all(&journal, 0).await, entries(2), "{start}");
        journal.close().await.unwrap();
        std::fs::write(&path, &whole).unwrap();
    }
}

#[tokio::test]
async fn a_flipped_bit_anywhere_is_reported_or_in_the_last_append() {
    let dir = tempfile::tempdir().unwrap();
    let paths = written(dir.path(), 30).await;
    for path in &paths {
        let whole = std::fs::read(path).unwrap();
        for at in (0..whole.len()).step_by(3) {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            std::fs::write(path, &damaged).unwrap();
            match FileJournal::check(dir.path()) {
                Err(JournalError::Corrupt { path: named, at: near, .. }) => {
                    assert!(&named == path && near <= u64::try_from(at).unwrap() || at < 200, "{at}");
                }
                Err(JournalError::Format { .. }) => assert!(at < 16),
                Ok(summary) => assert!(path == paths.last().unwrap() && summary.size == 29, "{at}"),
                Err(other) => panic!("{other}"),
            }
        }
        std::fs::write(path, &whole).unwrap();
    }
    assert_eq!(FileJournal::check(dir.path()).unwrap().size, 30);
}

#[tokio::test]
async fn a_damaged_entry_in_an_older_segment_is_named_when_it_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let paths = written(dir.path(), 30).await;
    let mut bytes = std::fs::read(&paths[1]).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&paths[1], bytes).unwrap();
    let journal = open_at(dir.path()).unwrap();
    let error = journal.read(0, usize::MAX).await.unwrap_err();
    assert!(matches!(&error, JournalError::Corrupt { path, .. } if *path == paths[1]), "{error}");
    assert!(error.to_string().contains("entry"));
}

#[tokio::test]
async fn a_missing_or_shortened_segment_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let paths = written(dir.path(), 30).await;
    let bytes = std::fs::read(&paths[1]).unwrap();
    std::fs::write(&paths[1], &bytes[..bytes.len() - 1]).unwrap();
    assert!(matches!(open_at(dir.path()), Err(JournalError::Corrupt { path, .. }) if path == paths[1]));
    std::fs::remove_file(&paths[1]).unwrap();
    assert!(matches!(open_at(dir.path()), Err(JournalError::Missing { path, .. }) if path == paths[1]));
    std::fs::write(&paths[1], bytes).unwrap();
    std::fs::copy(&paths[2], &paths[1]).unwrap();
    assert!(matches!(open_at(dir.path()), Err(JournalError::Corrupt { path, .. }) if path == paths[1]));
}

#[tokio::test]
async fn another_networks_journal_and_other_files_are_not_touched() {
    let dir = tempfile::tempdir().unwrap();
    let path = written(dir.path(), 3).await.remove(0);
    let before = std::fs::read(&path).unwrap();
    let other = NetworkId(depin_core::sha256(&[b"another"]));
    assert!(matches!(FileJournal::open(dir.path(), other), Err(JournalError::Foreign { .. })));
    assert_eq!(std::fs::read(&path).unwrap(), before);
    let diary = dir.path().join("diary");
    std::fs::write(&diary, b"this is somebody's diary").unwrap();
    let error = FileJournal::open(&diary, network()).unwrap_err();
    assert!(matches!(&error, JournalError::Format { found, .. } if found.starts_with("this is")), "{error}");
    assert_eq!(std::fs::read(&diary).unwrap(), b"this is somebody's diary");
    std::fs::write(&path, b"this is somebody's diary").unwrap();
    assert!(matches!(FileJournal::open(dir.path(), network()), Err(JournalError::Format { .. })));
}

#[tokio::test]
async fn removed_entries_leave_no_gap_and_the_log_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), 30).await;
    let journal = open_at(dir.path()).unwrap();
    let starts = journal.starts().await.unwrap();
    let before = starts[2].size() + 1;
    journal.prune(before).await.unwrap();
    let first = journal.starts().await.unwrap()[0].size();
    assert_eq!(first, starts[2].size(), "the entry before which all may go is in the segment that stays");
    assert!(matches!(journal.read(0, 1).await, Err(JournalError::Removed { from: 0, .. })));
    journal.close().await.unwrap();
    let journal = open_at(dir.path()).unwrap();
    journal.append(vec![b"next".to_vec()]).await.unwrap();
    let mut log = Frontier::default();
    entries(30).iter().chain([&b"next".to_vec()]).for_each(|entry| log.push(leaf_hash(entry)));
    journal.prune(u64::MAX).await.unwrap();
    journal.close().await.unwrap();
    assert_eq!(FileJournal::check(dir.path()).unwrap().size, 31);
    let journal = open_at(dir.path()).unwrap();
    assert_eq!(all(&journal, 30).await, [b"next".to_vec()]);
}

#[tokio::test]
async fn a_closed_journal_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open_at(dir.path()).unwrap();
    journal.close().await.unwrap();
    assert!(matches!(journal.append(entries(1)).await, Err(JournalError::Closed)));
    open_at(dir.path()).unwrap();
}
