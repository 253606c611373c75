use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use confab_chat::row::MarkKind;
use confab_chat::{ActorKey, ChatKey, Timestamp, UserId};
use proptest::prelude::*;
use tokio::time::timeout;

use lsm_tree::{AbstractTree, Guard};

use super::keys;
use super::{Embedded, EmbeddedOptions};
use crate::conformance::{self, Subject, dialog, get, record, row, scan, user};
use crate::faulty::{Faulty, StoreFaults};
use crate::{Horizon, Key, NoLog, Range, Record, StatePart, Store, StoreError, Take, Write};

/// Longer than any test takes.
const NEVER: Duration = Duration::from_secs(3600);

fn options() -> EmbeddedOptions {
    EmbeddedOptions::new(Arc::new(|| 1000))
}

fn open(dir: &Path, options: EmbeddedOptions) -> Embedded {
    Embedded::open(dir, options, Arc::new(NoLog)).unwrap()
}

/// A log that a test moves by hand.
#[derive(Debug, Default)]
struct Manual {
    appended: AtomicU64,
    committed: AtomicU64,
}

impl Horizon for Manual {
    fn appended(&self) -> u64 {
        self.appended.load(Ordering::SeqCst)
    }

    fn committed(&self) -> u64 {
        self.committed.load(Ordering::SeqCst)
    }
}

/// A store in a directory of its own, whose clock moves by hand.
fn subject(options: impl FnOnce(EmbeddedOptions) -> EmbeddedOptions) -> Subject<Embedded> {
    let clock = Arc::new(AtomicU64::new(1_000_000));
    let (read, moved) = (Arc::clone(&clock), Arc::clone(&clock));
    let dir = tempfile::tempdir().unwrap();
    let made = EmbeddedOptions::new(Arc::new(move || read.load(Ordering::SeqCst)));
    let store = open(dir.path(), options(made));
    Subject {
        store,
        now: Box::new(move || Timestamp(clock.load(Ordering::SeqCst))),
        pass: Box::new(move |time| {
            moved.fetch_add(u64::try_from(time.as_millis()).unwrap(), Ordering::SeqCst);
            // The directory lives as long as this does.
            let _ = &dir;
            Box::pin(async {})
        }),
    }
}

#[tokio::test]
async fn passes_the_suite_with_everything_in_memory() {
    conformance::all(async || {
        subject(|options| EmbeddedOptions {
            save_every: NEVER,
            ..options
        })
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passes_the_suite_while_everything_is_being_saved_and_merged() {
    conformance::all(async || {
        subject(|options| EmbeddedOptions {
            save_every: Duration::from_millis(1),
            save_bytes: 1,
            ..options
        })
    })
    .await;
}

#[tokio::test]
async fn passes_the_suite_through_a_wrapper_without_faults() {
    conformance::all(async || {
        let Subject { store, now, pass } = subject(|options| options);
        Subject {
            store: Faulty::new(store, 1, StoreFaults::default()),
            now,
            pass,
        }
    })
    .await;
}

#[tokio::test]
async fn faults_are_really_injected_and_a_retried_write_stands() {
    let faults = StoreFaults {
        write_lost: 150,
        write_stored: 150,
        write_late: 150,
        read_failed: 100,
    };
    for seed in 0..5 {
        let subject = subject(|options| EmbeddedOptions {
            save_every: Duration::from_millis(1),
            ..options
        });
        let store = Faulty::new(subject.store, seed, faults);
        let actor = ActorKey::Chat(dialog("ann", "bob"));
        for version in 1..=100 {
            let write = row(
                Key::Message(dialog("ann", "bob"), version % 7),
                version,
                version.to_string(),
            );
            while store.write(vec![write.clone()]).await.is_err() {}
            let part = row(
                Key::State(actor.clone(), StatePart::Head),
                version,
                version.to_string(),
            );
            while store
                .write_state(actor.clone(), vec![part.clone()])
                .await
                .is_err()
            {}
            let found = loop {
                if let Ok(found) = store.get(part.key.clone()).await {
                    break found;
                }
            };
            assert_eq!(found, Some(record(&part)));
        }
        store.settle().await.unwrap();
        let counts = store.counts();
        for count in [
            counts.write_lost,
            counts.write_stored,
            counts.write_late,
            counts.read_failed,
        ] {
            assert!(count > 0, "{counts:?}");
        }
        store.set_faults(StoreFaults::default());
        let all = Range::Messages {
            chat: dialog("ann", "bob"),
            from: 0,
            to: 9,
        };
        let times: Vec<_> = scan(&store, &all, Take::All)
            .await
            .iter()
            .map(|row| row.timestamp)
            .collect();
        assert_eq!(
            times,
            [98, 99, 100, 94, 95, 96, 97],
            "a late write beat a newer one"
        );
    }
}

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

#[tokio::test]
async fn expired_rows_are_removed_from_the_disk() {
    let clock = Arc::new(AtomicU64::new(1000));
    let read = Arc::clone(&clock);
    let dir = tempfile::tempdir().unwrap();
    let options = EmbeddedOptions {
        save_every: NEVER,
        ..EmbeddedOptions::new(Arc::new(move || read.load(Ordering::SeqCst)))
    };
    let store = open(dir.path(), options);
    let event = |user: &UserId, id: u64| Write {
        expires: Some(Timestamp(2000 + 100 * id)),
        ..row(Key::Inbox(user.clone(), id), id, "event")
    };
    let users: Vec<_> = (0..700).map(|n| user(&format!("u{n}"))).collect();
    let events: Vec<_> = users
        .iter()
        .flat_map(|user| (1..=4).map(|id| event(user, id)))
        .collect();
    store.write(events).await.unwrap();
    store.sync().await.unwrap();
    let tree = store.0.shared.tree.clone();
    let on_disk = || tree.iter(lsm_tree::SeqNo::MAX, None).count();
    assert_eq!(on_disk(), 2800);
    clock.store(2200, Ordering::SeqCst);
    // Whatever is merged with them leaves them behind, and what is saved is merged before long.
    let mut heads = 0;
    let removed = async {
        while on_disk() > 1400 + heads {
            for user in users.iter().step_by(7) {
                let head = Key::Head(ChatKey::dialog(user, user));
                store
                    .write(vec![row(head, clock.load(Ordering::SeqCst), "head")])
                    .await
                    .unwrap();
            }
            heads = users.len() / 7;
            clock.fetch_add(1, Ordering::SeqCst);
            store.sync().await.unwrap();
        }
    };
    timeout(Duration::from_secs(30), removed).await.unwrap();
    for user in &users {
        let range = Range::Inbox {
            user: user.clone(),
            from: 1,
            to: 9,
        };
        let left = scan(&store, &range, Take::All).await;
        assert_eq!(left, [record(&event(user, 3)), record(&event(user, 4))]);
    }
}

#[test]
fn a_directory_that_is_in_use_or_something_else_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir.path().join("store"), options());
    let error = Embedded::open(&dir.path().join("store"), options(), Arc::new(NoLog)).unwrap_err();
    assert!(error.to_string().contains("in use"), "{error}");
    drop(store);
    open(&dir.path().join("store"), options());
    let error = Embedded::open(dir.path(), options(), Arc::new(NoLog)).unwrap_err();
    assert!(error.to_string().contains("not a store"), "{error}");
    let earlier = dir.path().join("earlier");
    fs::create_dir_all(earlier.join("keyspaces")).unwrap();
    let error = Embedded::open(&earlier, options(), Arc::new(NoLog)).unwrap_err();
    assert!(error.to_string().contains("another directory"), "{error}");
    fs::write(dir.path().join("file"), b"").unwrap();
    assert!(Embedded::open(&dir.path().join("file"), options(), Arc::new(NoLog)).is_err());
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// What one round of [`reopened_after_a_cut`] writes: a message, the head, and a state that says how far they are.
fn round(number: u64, size: usize) -> Vec<Write> {
    let chat = dialog("ann", "bob");
    vec![
        row(Key::Message(chat.clone(), number), number, vec![b'm'; size]),
        row(Key::Head(chat.clone()), number, number.to_string()),
        row(
            Key::State(ActorKey::Chat(chat), StatePart::Head),
            number,
            number.to_string(),
        ),
    ]
}

/// All files under a directory, by their path in it.
fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = PathBuf::from(path.file_name().unwrap());
        if path.is_dir() {
            let inside = files(&path).into_iter();
            found.extend(inside.map(|(inner, bytes)| (name.join(inner), bytes)));
        } else {
            found.insert(name, fs::read(path).unwrap());
        }
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// After a power cut in the middle of a save the store is as it was before: whatever of the files is there that the save
    /// had begun.
    #[test]
    fn reopened_after_a_cut_it_is_as_it_was_when_last_saved(
        rounds in 1..6_u64,
        size in prop_oneof![0..300_usize, 4_000..14_000_usize],
        lost in prop::collection::vec(any::<bool>(), 64),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let dir = tempfile::tempdir().unwrap();
            let (live, cut) = (dir.path().join("live"), dir.path().join("cut"));
            let save_every = NEVER;
            let store = open(&live, EmbeddedOptions { save_every, ..options() });
            for number in 1..=rounds {
                store.write(round(number, 100)).await.unwrap();
                store.sync().await.unwrap();
            }
            // No merge is under way while the files are copied.
            store.0.saver.stop_merger();
            copy(&live, &cut);
            let before = files(&live);
            store.write(round(rounds + 1, size)).await.unwrap();
            store.sync().await.unwrap();
            // Of files that are new some pages were never written back; what points to them is written last.
            let new = files(&live).into_iter().filter(|(name, _)| !before.contains_key(name));
            let mut pages = lost.iter().cycle();
            let mut torn = 0;
            for (name, mut bytes) in new {
                for page in bytes.chunks_mut(4096).filter(|_| *pages.next().unwrap()) {
                    page.fill(0);
                }
                fs::write(cut.join(name), bytes).unwrap();
                torn += 1;
            }
            assert!(torn > 0, "a save makes files");
            let store = open(&cut, options());
            let chat = dialog("ann", "bob");
            let all = Range::Messages { chat: chat.clone(), from: 0, to: u64::MAX };
            let messages: Vec<_> = scan(&store, &all, Take::All).await.iter().map(|row| row.timestamp).collect();
            assert_eq!(messages, (1..=rounds).collect::<Vec<_>>());
            assert_eq!(get(&store, &Key::Head(chat.clone())).await.unwrap().timestamp, rounds);
            let state = scan(&store, &Range::State(ActorKey::Chat(chat)), Take::All).await;
            assert_eq!(state[0].timestamp, rounds);
            // And it goes on.
            store.write(round(rounds + 1, 10)).await.unwrap();
            store.close();
            drop(store);
            assert_eq!(scan(&open(&cut, options()), &all, Take::All).await.len() as u64, rounds + 1);
        });
    }

    /// Any writes, in any order, saved at any time, read back as the newest of each key.
    #[test]
    fn any_writes_read_back_as_the_newest(
        writes in prop::collection::vec((0..6_u64, 0..6_u64, 0..4_u8, any::<bool>()), 1..60),
        restart in 0..60_usize,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let dir = tempfile::tempdir().unwrap();
            let mut store = open(dir.path(), EmbeddedOptions { save_every: NEVER, ..options() });
            let mut model: BTreeMap<Key, (u64, Bytes)> = BTreeMap::new();
            for (n, (id, time, text, sync)) in writes.into_iter().enumerate() {
                let write = row(Key::Message(dialog("ann", "bob"), id), time, vec![text]);
                let (key, new) = (write.key.clone(), (time, write.value.clone()));
                store.write(vec![write]).await.unwrap();
                let stands = model.entry(key).or_insert_with(|| new.clone());
                *stands = stands.clone().max(new);
                if sync {
                    store.sync().await.unwrap();
                }
                if n == restart {
                    store.close();
                    drop(store);
                    store = open(dir.path(), EmbeddedOptions { save_every: NEVER, ..options() });
                }
                let all = Range::Messages { chat: dialog("ann", "bob"), from: 0, to: 9 };
                let expected: Vec<_> = model
                    .iter()
                    .map(|(key, (timestamp, value))| Record { key: key.clone(), timestamp: *timestamp, value: value.clone() })
                    .collect();
                assert_eq!(scan(&store, &all, Take::All).await, expected);
                for record in &expected {
                    assert_eq!(get(&store, &record.key).await.as_ref(), Some(record));
                }
                for limit in 0..4 {
                    let (first, last) = (Take::First(limit), Take::Last(limit));
                    let down: Vec<_> = expected.iter().rev().take(limit).cloned().collect();
                    assert_eq!(scan(&store, &all, first).await, expected[..limit.min(expected.len())]);
                    assert_eq!(scan(&store, &all, last).await, down);
                }
            }
        });
    }
}

/// What was saved a while ago is looked for in another way than what was saved lately.
#[tokio::test]
async fn a_row_is_found_however_long_ago_it_was_saved() {
    let dir = tempfile::tempdir().unwrap();
    let reopened = || {
        let save_every = NEVER;
        open(
            dir.path(),
            EmbeddedOptions {
                save_every,
                ..options()
            },
        )
    };
    let mut store = reopened();
    let key = |n: u64| Key::ClientId(dialog("ann", "bob"), user("ann"), format!("c{n}").into());
    for number in 0..90 {
        store
            .write(vec![row(key(number), number + 1, "x")])
            .await
            .unwrap();
        if number % 5 == 4 {
            store.sync().await.unwrap();
        }
        if number == 60 {
            store.close();
            drop(store);
            store = reopened();
        }
        for earlier in 0..=number {
            let found = get(&store, &key(earlier)).await;
            assert_eq!(found.map(|row| row.timestamp), Some(earlier + 1), "at {number}");
        }
        assert_eq!(get(&store, &key(number + 1)).await, None);
    }
}

fn any_user() -> impl Strategy<Value = UserId> {
    "[^\\s\\p{Cc}]{1,12}".prop_filter_map("an id", |text| UserId::parse(&text).ok())
}

#[test]
fn a_key_is_in_the_shard_where_it_was_saved() {
    let shards = ["ann", "bob", "g:ann 1"].map(|text| {
        let key = keys::KeyWriter::under(keys::Table::Inbox, text).finish();
        (key.shard(), key.on_disk()[..3].to_vec())
    });
    let expected = [
        (712, vec![2, 200, 7]),
        (229, vec![0, 229, 7]),
        (470, vec![1, 214, 7]),
    ];
    assert_eq!(shards, expected);
}

proptest! {
    /// A key reads back as itself, and keys of one table and one shard stand in the order of what they hold.
    #[test]
    fn keys_are_read_back_and_keep_their_order(a in any_user(), b in any_user(), c in any_user(), n in any::<u64>(), m in any::<u64>()) {
        let chat = ChatKey::dialog(&a, &b);
        let (one, two) = (conformance::keys(&c, &chat, n), conformance::keys(&c, &chat, m));
        for key in one.iter().chain(&two) {
            prop_assert_eq!(&keys::decode(&keys::encode(key)).unwrap(), key);
        }
        for (one, two) in one.iter().zip(&two) {
            if !matches!(one, Key::ClientId(..) | Key::Cursor(..)) {
                prop_assert_eq!(keys::encode(one).cmp(&keys::encode(two)), one.cmp(two));
            }
        }
        let (a, b) = (conformance::keys(&a, &chat, n), conformance::keys(&b, &chat, n));
        for (a, b) in a.iter().zip(&b) {
            let (one, two) = (keys::encode(a), keys::encode(b));
            if one.shard() == two.shard() {
                prop_assert_eq!(one.cmp(&two), a.cmp(b), "{:?} and {:?}", a, b);
            }
        }
    }
}
