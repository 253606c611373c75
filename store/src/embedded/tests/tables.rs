//! What is on disk: found, merged, expired, and in whose hands.

use std::fs;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use confab_chat::{ChatKey, Timestamp, UserId};
use lsm_tree::AbstractTree;
use proptest::prelude::*;
use tokio::time::timeout;

use super::{NEVER, open, options};
use crate::conformance::{self, dialog, get, record, row, scan, user};
use crate::embedded::keys;
use crate::embedded::merger::{BRAKE, MOST_UNMERGED, SLOWED};
use crate::embedded::{Embedded, EmbeddedOptions};
use crate::{Key, NoLog, Range, Store, Take, Write};

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

/// Otherwise what a store takes in memory would grow with what it holds.
#[tokio::test]
async fn filters_of_merged_tables_do_not_stay_in_memory() {
    const TABLES: u64 = 40;
    const ROWS: u64 = 2000;
    let dir = tempfile::tempdir().unwrap();
    let options = EmbeddedOptions {
        save_every: NEVER,
        ..options()
    };
    let store = open(dir.path(), options);
    for table in 0..TABLES {
        let key = |n: u64| Key::Inbox(user(&format!("u{n}")), table + 1);
        let rows: Vec<_> = (0..ROWS).map(|n| row(key(n), table + 1, "event")).collect();
        store.write(rows).await.unwrap();
        store.sync().await.unwrap();
    }
    let tree = store.0.shared.tree.clone();
    let merged = async {
        while tree.l0_run_count() >= 12 {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(60), merged).await.unwrap();
    let of_all = (TABLES * ROWS * 10 / 8) as usize;
    let kept = tree.pinned_filter_size();
    assert!(kept < of_all / 2, "{kept} bytes of some {of_all}");
}

#[tokio::test]
async fn rows_are_saved_ever_slower_while_nothing_is_merged_and_at_last_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let save_every = NEVER;
    let options = EmbeddedOptions {
        save_every,
        ..options()
    };
    let store = open(dir.path(), options);
    store.0.saver.stop_merger();
    let soon = Duration::from_secs(20);
    let mut took = Vec::new();
    for table in 1..=MOST_UNMERGED as u64 {
        store.write(events(table)).await.unwrap();
        let begun = Instant::now();
        timeout(soon, store.sync()).await.unwrap().unwrap();
        took.push(begun.elapsed());
    }
    for (waited, took) in (1..).zip(&took[SLOWED..]) {
        assert!(*took >= BRAKE * waited, "{waited}: {took:?}");
    }
    store.write(events(100)).await.unwrap();
    let mut sync = pin!(store.sync());
    let longest = BRAKE * MOST_UNMERGED as u32;
    assert!(timeout(longest, &mut sync).await.is_err(), "there is no room");
    store.close();
    timeout(soon, sync).await.unwrap().unwrap();
}

/// Of two users: the tables of several such writes overlap.
fn events(number: u64) -> Vec<Write> {
    let event = |of| row(Key::Inbox(user(of), number), number, "event");
    vec![event("ann"), event("bob")]
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
