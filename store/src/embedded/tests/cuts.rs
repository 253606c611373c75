//! What is there after a loss of power, and what any writes read back as.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use confab_chat::ActorKey;
use proptest::prelude::*;

use super::{NEVER, open, options};
use crate::conformance::{dialog, get, row, scan};
use crate::embedded::EmbeddedOptions;
use crate::{Key, Range, Record, StatePart, Store, Take, Write};

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
