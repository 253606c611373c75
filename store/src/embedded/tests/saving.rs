//! How rows come to the disk: whole, in order, and never before their log.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use confab_chat::row::MarkKind;
use lsm_tree::{AbstractTree, Guard};
use tokio::time::timeout;

use super::{Manual, NEVER, open, options};
use crate::conformance::{self, dialog, get, record, row, scan, user};
use crate::embedded::keys;
use crate::embedded::{Embedded, EmbeddedOptions};
use crate::{Horizon, Key, Range, Store, StoreError, Take};

#[tokio::test]
async fn what_was_written_is_there_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let (ann, chat) = (user("ann"), dialog("ann", "bob"));
    let written: Vec<_> = conformance::keys(&ann, &chat, 7)
        .into_iter()
        .map(|key| row(key, 5, "value"))
        .collect();
    let store = open(
        dir.path(),
        EmbeddedOptions {
            save_every: NEVER,
            ..options()
        },
    );
    store.write(written.clone()).await.unwrap();
    store.close();
    assert!(matches!(
        store.write(written.clone()).await,
        Err(StoreError::Unavailable(_))
    ));
    drop(store);
    let store = open(dir.path(), options());
    for write in &written {
        assert_eq!(get(&store, &write.key).await, Some(record(write)));
    }
    // Against what is on disk the newer stands too, in memory and once saved.
    let head = Key::Head(chat);
    for (time, value) in [(4, "z"), (5, "a")] {
        store.write(vec![row(head.clone(), time, value)]).await.unwrap();
        assert_eq!(get(&store, &head).await.unwrap().value, "value");
        store.sync().await.unwrap();
        assert_eq!(get(&store, &head).await.unwrap().value, "value");
    }
}

#[tokio::test]
async fn no_row_is_saved_before_its_entry_is_durable() {
    let log = Arc::new(Manual::default());
    let dir = tempfile::tempdir().unwrap();
    let eager = || EmbeddedOptions {
        save_every: Duration::from_millis(1),
        save_bytes: 1,
        ..options()
    };
    let chat = dialog("ann", "bob");
    for durable in [0, 1, 7, 10] {
        let dir = dir.path().join(durable.to_string());
        log.appended.store(0, Ordering::SeqCst);
        log.committed.store(0, Ordering::SeqCst);
        let store = Embedded::open(&dir, eager(), Arc::clone(&log) as Arc<dyn Horizon>).unwrap();
        for entry in 1..=10 {
            log.appended.store(entry, Ordering::SeqCst);
            let rows = vec![
                row(Key::Message(chat.clone(), entry), entry, "row"),
                row(Key::Head(chat.clone()), entry, entry.to_string()),
            ];
            store.write(rows).await.unwrap();
            if entry == durable {
                log.committed.store(entry, Ordering::SeqCst);
                store.sync().await.unwrap();
            }
        }
        let all = Range::Messages {
            chat: chat.clone(),
            from: 0,
            to: 99,
        };
        assert_eq!(scan(&store, &all, Take::All).await.len(), 10);
        store.close();
        drop(store);
        let store = open(&dir, options());
        let rows = scan(&store, &all, Take::All).await;
        assert_eq!(
            rows.len() as u64,
            durable,
            "rows of entries that the log does not have"
        );
        // The head as it was then, though a newer one had replaced it in memory.
        let head = get(&store, &Key::Head(chat.clone()))
            .await
            .map_or(0, |head| head.timestamp);
        assert_eq!(head, durable);
    }
}

#[tokio::test]
async fn of_a_write_all_rows_are_saved_or_none() {
    let dir = tempfile::tempdir().unwrap();
    let eager = EmbeddedOptions {
        save_every: Duration::from_millis(1),
        save_bytes: 1,
        ..options()
    };
    let store = open(dir.path(), eager);
    // Far apart, so that a line that is drawn in the middle of a write would go through it.
    let heads = |version: u64| -> Vec<_> {
        let chats = (0..50).map(|n| dialog("ann", &format!("u{n}")));
        chats
            .map(|chat| row(Key::Head(chat), version, version.to_string()))
            .collect()
    };
    for version in 1..300 {
        store.write(heads(version)).await.unwrap();
        if version % 10 == 0 {
            let saved = store.0.shared.tree.iter(lsm_tree::SeqNo::MAX, None);
            let saved: BTreeSet<_> = saved
                .map(|row| row.into_inner().unwrap().1[..8].to_vec())
                .collect();
            assert!(saved.len() <= 1, "rows of different writes: {saved:?}");
        }
    }
}

#[tokio::test]
async fn a_sync_that_meets_a_close_is_answered() {
    let log = Arc::new(Manual::default());
    log.appended.store(1, Ordering::SeqCst);
    let dir = tempfile::tempdir().unwrap();
    let store = Embedded::open(dir.path(), options(), Arc::clone(&log) as Arc<dyn Horizon>).unwrap();
    store
        .write(vec![row(Key::Head(dialog("ann", "bob")), 1, "row")])
        .await
        .unwrap();
    let shared = &store.0.shared;
    // The saver waits for the log with the first, and the second stands behind it.
    let close = async {
        while !shared.overlay.is_saving() {
            tokio::task::yield_now().await;
        }
        let close = async {
            while shared.queue.syncs_waiting() < 1 {
                tokio::task::yield_now().await;
            }
            store.close();
        };
        tokio::join!(store.sync(), close).0
    };
    let answers = async { tokio::join!(store.sync(), close) };
    let (first, second) = timeout(Duration::from_secs(20), answers).await.unwrap();
    for answer in [first, second] {
        assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answer:?}");
    }
}

#[tokio::test]
async fn rows_that_are_being_saved_and_newer_ones_are_read_as_one() {
    let log = Arc::new(Manual::default());
    let dir = tempfile::tempdir().unwrap();
    let eager = EmbeddedOptions {
        save_every: Duration::from_millis(1),
        save_bytes: 1,
        ..options()
    };
    let store = Embedded::open(dir.path(), eager, Arc::clone(&log) as Arc<dyn Horizon>).unwrap();
    let chat = dialog("ann", "bob");
    let mark = |up_to| Key::Mark(chat.clone(), user("ann"), MarkKind::Read, up_to);
    let write = async |ids: &[u64], version: u64| {
        let messages = ids
            .iter()
            .map(|id| row(Key::Message(chat.clone(), *id), version, "m"));
        let marks = ids.iter().map(|id| row(mark(id * 1000), 1, "r"));
        store
            .write(messages.chain(marks).collect::<Vec<_>>())
            .await
            .unwrap();
    };
    // On disk, waiting for the log, and fresh.
    write(&[1, 4, 7], 1).await;
    store.sync().await.unwrap();
    log.appended.store(1, Ordering::SeqCst);
    write(&[2, 5, 7], 2).await;
    while !store.0.shared.overlay.is_saving() {
        tokio::task::yield_now().await;
    }
    write(&[3, 5, 6], 3).await;
    let all: Vec<(u64, u64)> = vec![(1, 1), (2, 2), (3, 3), (4, 1), (5, 3), (6, 3), (7, 2)];
    let messages = Range::Messages {
        chat: chat.clone(),
        from: 0,
        to: 9,
    };
    let marks = Range::Marks {
        chat: chat.clone(),
        user: user("ann"),
        kind: MarkKind::Read,
        from: 0,
        to: 9000,
    };
    let found = async |range: &Range, take| -> Vec<(Key, u64)> {
        let rows = scan(&store, range, take).await;
        rows.into_iter().map(|row| (row.key, row.timestamp)).collect()
    };
    for limit in 0..9 {
        let first: Vec<_> = all.iter().take(limit).collect();
        let last: Vec<_> = all.iter().rev().take(limit).collect();
        for (take, expected) in [(Take::First(limit), first), (Take::Last(limit), last)] {
            let expect = |key: &dyn Fn(u64) -> Key, mutable: bool| -> Vec<_> {
                let version = |version| if mutable { version } else { 1 };
                let rows = expected.iter().map(|(id, made)| (key(*id), version(*made)));
                rows.collect()
            };
            let message = |id| Key::Message(chat.clone(), id);
            assert_eq!(found(&messages, take).await, expect(&message, true));
            assert_eq!(found(&marks, take).await, expect(&|id| mark(id * 1000), false));
        }
    }
}

#[tokio::test]
async fn a_write_waits_while_too_much_is_unsaved() {
    let log = Arc::new(Manual::default());
    log.appended.store(1, Ordering::SeqCst);
    let dir = tempfile::tempdir().unwrap();
    let tick = Duration::from_millis(1);
    let options = EmbeddedOptions {
        save_every: tick,
        pending_bytes: 10_000,
        ..options()
    };
    let store = Embedded::open(dir.path(), options, Arc::clone(&log) as Arc<dyn Horizon>).unwrap();
    let write = |id| row(Key::Message(dialog("ann", "bob"), id), 1, vec![7; 2000]);
    let mut written = 0;
    while timeout(Duration::from_millis(50), store.write(vec![write(written)]))
        .await
        .is_ok()
    {
        written += 1;
    }
    assert!(
        (4..=5).contains(&written),
        "{written} writes of 2 KB had room in 10 KB"
    );
    let waiting = store.write(vec![write(written)]);
    log.committed.store(1, Ordering::SeqCst);
    timeout(Duration::from_secs(20), waiting).await.unwrap().unwrap();
    assert!(get(&store, &write(written).key).await.is_some());
}

#[tokio::test]
async fn a_store_that_cannot_save_takes_no_more_writes_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(
        dir.path(),
        EmbeddedOptions {
            save_every: NEVER,
            ..options()
        },
    );
    let head = row(Key::Head(dialog("ann", "bob")), 1, "row");
    let mut table = store.0.shared.tree.ingestion().unwrap();
    let key = keys::encode(&head.key).on_disk().clone();
    table.write(key, "short").unwrap();
    table.finish().unwrap();
    store.write(vec![head.clone()]).await.unwrap();
    assert!(store.sync().await.is_err());
    let why = timeout(Duration::from_secs(20), store.failure()).await.unwrap();
    assert!(why.contains("heads"), "{why}");
    let refused = store.write(vec![head.clone()]).await.unwrap_err();
    assert!(
        matches!(&refused, StoreError::Unavailable(text) if text.contains("heads")),
        "{refused}"
    );
    assert!(store.sync().await.is_err());
    assert!(matches!(store.get(head.key).await, Err(StoreError::Corrupt(_))));
}
