use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use confab_chat::{ActorKey, ChatKey, Timestamp, UserId};
use proptest::prelude::*;
use tokio::time::timeout;

use super::keys::{self, Table};
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
async fn passes_the_suite_while_everything_is_being_saved_and_swept() {
    let tick = Duration::from_millis(1);
    conformance::all(async || {
        subject(|options| EmbeddedOptions {
            save_every: tick,
            save_bytes: 1,
            sweep_every: tick,
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
        let store = Embedded::open(&dir, eager(), Arc::clone(&log) as Arc<dyn Horizon>).unwrap();
        log.committed.store(0, Ordering::SeqCst);
        for entry in 1..=10 {
            log.appended.store(entry, Ordering::SeqCst);
            let rows = vec![
                row(Key::Message(chat.clone(), entry), entry, "row"),
                row(Key::Head(chat.clone()), entry, entry.to_string()),
            ];
            store.write(rows).await.unwrap();
        }
        log.committed.store(durable, Ordering::SeqCst);
        store.sync().await.unwrap();
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
    let table = store.0.shared.table(Table::Heads);
    table
        .insert(keys::encode(&head.key).0.on_disk().clone(), "short")
        .unwrap();
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
    let clocked = || {
        EmbeddedOptions::new({
            let read = Arc::clone(&read);
            Arc::new(move || read.load(Ordering::SeqCst))
        })
    };
    let store = open(
        dir.path(),
        EmbeddedOptions {
            sweep_every: Duration::from_millis(1),
            ..clocked()
        },
    );
    let event = |user: &UserId, id: u64| Write {
        expires: Some(Timestamp(2000 + 100 * id)),
        ..row(Key::Inbox(user.clone(), id), id, "event")
    };
    let users: Vec<_> = (0..700).map(|n| user(&format!("u{n}"))).collect();
    store
        .write(
            users
                .iter()
                .flat_map(|user| (1..=4).map(|id| event(user, id)))
                .collect::<Vec<_>>(),
        )
        .await
        .unwrap();
    store.sync().await.unwrap();
    let inbox = store.0.shared.table(Table::Inbox).clone();
    assert_eq!(inbox.len().unwrap(), 2800);
    clock.store(2200, Ordering::SeqCst);
    let halved = async {
        while inbox.len().unwrap() != 1400 {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(30), halved).await.unwrap();
    for user in &users {
        let left = scan(
            &store,
            &Range::Inbox {
                user: user.clone(),
                from: 1,
                to: 9,
            },
            Take::All,
        )
        .await;
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

/// The journal of the engine, and where its last byte is.
fn engine_journal(dir: &Path) -> (std::path::PathBuf, usize) {
    let mut journals: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "jnl"))
        .collect();
    journals.sort();
    let path = journals.pop().unwrap();
    let end = fs::read(&path)
        .unwrap()
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |last| last + 1);
    (path, end)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// After a power cut the store is as it was at some earlier moment, not before the last sync: whatever of the
    /// unsynced part of the engine's journal was written.
    #[test]
    fn reopened_after_a_cut_it_is_as_it_once_was(
        synced in 1..6_u64,
        sizes in prop::collection::vec(prop_oneof![0..300_usize, 4_000..14_000_usize], 1..12),
        lost in prop::collection::vec(any::<bool>(), 64),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let dir = tempfile::tempdir().unwrap();
            let (live, cut) = (dir.path().join("live"), dir.path().join("cut"));
            let save_every = NEVER;
            let store = open(&live, EmbeddedOptions { save_every, ..options() });
            for number in 1..=synced {
                store.write(round(number, 100)).await.unwrap();
            }
            store.sync().await.unwrap();
            let (_, safe) = engine_journal(&live);
            let mut last = synced;
            for size in sizes {
                last += 1;
                store.write(round(last, size)).await.unwrap();
                // A batch of the engine for each.
                store.sync().await.unwrap();
            }
            copy(&live, &cut);
            let (path, end) = engine_journal(&cut);
            let mut bytes = fs::read(&path).unwrap();
            // Pages of the file that were never written back.
            for (page, _) in lost.iter().cycle().zip(safe / 4096..=end / 4096).map(|(lost, page)| (page, lost)).filter(|(_, lost)| **lost) {
                let (from, to) = ((page * 4096).max(safe), ((page + 1) * 4096).min(bytes.len()));
                bytes[from..to].fill(0);
            }
            fs::write(&path, bytes).unwrap();
            let store = open(&cut, options());
            let chat = dialog("ann", "bob");
            let all = Range::Messages { chat: chat.clone(), from: 0, to: u64::MAX };
            let messages: Vec<_> = scan(&store, &all, Take::All).await.iter().map(|row| row.timestamp).collect();
            let reached = messages.len() as u64;
            assert!(reached >= synced && reached <= last, "{reached} of {synced}..={last}");
            assert_eq!(messages, (1..=reached).collect::<Vec<_>>());
            assert_eq!(get(&store, &Key::Head(chat.clone())).await.unwrap().timestamp, reached);
            let state = scan(&store, &Range::State(ActorKey::Chat(chat)), Take::All).await;
            assert_eq!(state[0].timestamp, reached);
            // And it goes on.
            store.write(round(reached + 1, 10)).await.unwrap();
            store.close();
            drop(store);
            assert_eq!(scan(&open(&cut, options()), &all, Take::All).await.len() as u64, reached + 1);
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
            }
        });
    }
}

fn any_user() -> impl Strategy<Value = UserId> {
    "[^\\s\\p{Cc}]{1,12}".prop_filter_map("an id", |text| UserId::parse(&text).ok())
}

proptest! {
    /// A key reads back as itself, and keys of one table stand in the order of what they hold.
    #[test]
    fn keys_are_read_back_and_keep_their_order(a in any_user(), b in any_user(), c in any_user(), n in any::<u64>(), m in any::<u64>()) {
        let chat = ChatKey::dialog(&a, &b);
        let (one, two) = (conformance::keys(&c, &chat, n), conformance::keys(&c, &chat, m));
        for key in one.iter().chain(&two) {
            prop_assert_eq!(&keys::decode(&keys::encode(key).0).unwrap(), key);
        }
        for (one, two) in one.iter().zip(&two) {
            if !matches!(one, Key::ClientId(..) | Key::Cursor(..)) {
                prop_assert_eq!(keys::encode(one).0.cmp(&keys::encode(two).0), one.cmp(two));
            }
        }
        let (a, b) = (conformance::keys(&a, &chat, n), conformance::keys(&b, &chat, n));
        for (a, b) in a.iter().zip(&b) {
            prop_assert_eq!(keys::encode(a).0.cmp(&keys::encode(b).0), a.cmp(b), "{:?} and {:?}", a, b);
        }
    }
}
