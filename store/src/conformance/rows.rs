//! Single rows: which one stands, and what is seen together.

use bytes::Bytes;
use confab_chat::{ActorKey, UserId};
use futures_util::future::join_all;

use super::{Subject, dialog, get, keys, record, row, scan, user};
use crate::{Key, Range, StatePart, Store, Take};

/// A row of every table is read as it was written, and no other; also an empty one, and a large one.
pub async fn every_table_keeps_its_rows<S: Store>(subject: Subject<S>) {
    let store = subject.store;
    let (ann, chat) = (user("ann"), dialog("ann", "bob"));
    let written: Vec<_> = keys(&ann, &chat, 5)
        .into_iter()
        .enumerate()
        .map(|(n, key)| row(key, 3 + n as u64, format!("row {n}")))
        .collect();
    for write in &written {
        assert_eq!(get(&store, &write.key).await, None);
    }
    store.write(written.clone()).await.unwrap();
    for write in &written {
        assert_eq!(get(&store, &write.key).await, Some(record(write)));
    }
    for key in keys(&user("an"), &dialog("ann", "bo"), 6) {
        assert_eq!(get(&store, &key).await, None, "{key:?} was never written");
    }
    for value in [Bytes::new(), Bytes::from(vec![0xA5; 300_000])] {
        let write = row(Key::Message(chat.clone(), 9), 1 + value.len() as u64, value);
        store.write(vec![write.clone()]).await.unwrap();
        assert_eq!(get(&store, &write.key).await, Some(record(&write)));
    }
    store.write(Vec::new()).await.unwrap();
}

/// The tables whose rows change.
fn mutable() -> Vec<Key> {
    let all = keys(&user("ann"), &dialog("ann", "bob"), 5);
    all.into_iter()
        .filter(|key| !matches!(key, Key::ClientId(..) | Key::Mark(..) | Key::Inbox(..)))
        .collect()
}

/// Of writes of one key the one with the highest timestamp stands, in whatever order they arrive, together or apart.
pub async fn the_newest_stands_in_whatever_order<S: Store>(subject: Subject<S>) {
    let store = subject.store;
    let orders: [&[&[u64]]; 8] = [
        &[&[1], &[2], &[3]],
        &[&[3], &[2], &[1]],
        &[&[2], &[3], &[1]],
        &[&[2, 3, 1]],
        &[&[3, 1], &[2]],
        &[&[3], &[3], &[2]],
        &[&[1, 2], &[3, 3]],
        &[&[(1 << 50) - 1], &[1], &[3]],
    ];
    // A timestamp for each order, above those of the orders before it.
    for (n, order) in orders.iter().enumerate() {
        let base = 10 * n as u64;
        let at = |time: u64| if time > 3 { time } else { base + time };
        for batch in *order {
            for key in mutable() {
                // The older, the larger the bytes: they must not decide.
                let writes = batch
                    .iter()
                    .map(|time| row(key.clone(), at(*time), (u64::MAX - at(*time)).to_string()));
                store.write(writes.collect::<Vec<_>>()).await.unwrap();
            }
        }
        let newest = at(*order.iter().copied().flatten().max().unwrap());
        for key in mutable() {
            let expected = row(key.clone(), newest, (u64::MAX - newest).to_string());
            assert_eq!(
                get(&store, &key).await,
                Some(record(&expected)),
                "after {order:?}"
            );
        }
    }
}

/// At equal timestamps the larger bytes stand, whichever arrives first.
pub async fn of_equal_times_the_larger_bytes_stand<S: Store>(subject: Subject<S>) {
    let store = subject.store;
    for (n, (one, other)) in [
        ("a", "b"),
        ("b", "a"),
        ("aa", "b"),
        ("", "a"),
        ("\u{7f}", "\u{80}"),
        ("ab", "a"),
    ]
    .iter()
    .enumerate()
    {
        for key in mutable() {
            let time = 1 + 2 * n as u64;
            for text in [one, other, one] {
                store
                    .write(vec![row(key.clone(), time, (*text).to_owned())])
                    .await
                    .unwrap();
            }
            let larger = if one > other { one } else { other };
            assert_eq!(
                get(&store, &key).await.unwrap().value,
                larger.as_bytes(),
                "{one:?} and {other:?} of {key:?}"
            );
            let both = [one, other].map(|text| row(key.clone(), time + 1, (*text).to_owned()));
            store.write(both).await.unwrap();
            assert_eq!(
                get(&store, &key).await.unwrap().value,
                larger.as_bytes(),
                "{one:?} and {other:?} of {key:?} in one call"
            );
        }
    }
}

/// The parts of a state that are written together are read together: all of them, or none.
pub async fn a_state_is_read_whole<S: Store>(subject: Subject<S>) {
    let store = &subject.store;
    for actor in [
        ActorKey::Chat(dialog("ann", "bob")),
        ActorKey::Mailbox(user("ann")),
    ] {
        let part = |n: usize| match &actor {
            _ if n == 0 => StatePart::Head,
            ActorKey::Chat(_) => StatePart::Member(user(&format!("member-{n:02}"))),
            ActorKey::Mailbox(_) => StatePart::Seen(dialog("ann", &format!("friend-{n:02}"))),
        };
        let parts = |version: u64| {
            let key = |n| Key::State(actor.clone(), part(n));
            (0..20)
                .map(|n| row(key(n), version, version.to_string()))
                .collect::<Vec<_>>()
        };
        let writer = async {
            for version in 1..=100 {
                store.write_state(actor.clone(), parts(version)).await.unwrap();
                tokio::task::yield_now().await;
            }
        };
        let reader = async |_| {
            let mut last = 0;
            while last < 100 {
                let state = scan(store, &Range::State(actor.clone()), Take::All).await;
                let version = state.first().map_or(0, |record| record.timestamp);
                assert!(version >= last, "the state went back");
                assert!(
                    state.iter().all(|record| record.timestamp == version),
                    "a state in parts"
                );
                assert!(state.len() == 20 || version == 0, "{} parts of 20", state.len());
                last = version;
                tokio::task::yield_now().await;
            }
        };
        futures_util::join!(writer, join_all((0..3).map(reader)));
        let expected: Vec<_> = parts(100).iter().map(record).collect();
        assert_eq!(
            scan(store, &Range::State(actor.clone()), Take::All).await,
            expected
        );
        // A part alone: the others stay.
        let changed = row(Key::State(actor.clone(), part(7)), 101, "changed");
        store
            .write_state(actor.clone(), vec![changed.clone()])
            .await
            .unwrap();
        let state = scan(store, &Range::State(actor.clone()), Take::All).await;
        assert_eq!((state.len(), &state[7]), (20, &record(&changed)));
    }
}

/// Many writers at once, each of its own rows: every one reads its own writes at once, and all are there at the end.
pub async fn writers_at_once_do_not_disturb_each_other<S: Store>(subject: Subject<S>) {
    let store = &subject.store;
    let writer = async |n: usize| {
        let (own, chat): (UserId, _) = (user(&format!("user-{n}")), dialog(&format!("user-{n}"), "zoe"));
        for round in 1..=30 {
            let written: Vec<_> = keys(&own, &chat, round)
                .into_iter()
                .map(|key| row(key, round, format!("{n}/{round}")))
                .collect();
            // The partitions' rows are one writer's each.
            let shared = |key: &Key| matches!(key, Key::Checkpoint(_) | Key::Reach(_));
            let written: Vec<_> = written.into_iter().filter(|write| !shared(&write.key)).collect();
            store.write(written.clone()).await.unwrap();
            for write in &written {
                assert_eq!(
                    get(store, &write.key).await,
                    Some(record(write)),
                    "a writer does not read its own write"
                );
            }
        }
        let all = Range::Messages {
            chat,
            from: 1,
            to: u64::MAX,
        };
        assert_eq!(scan(store, &all, Take::All).await.len(), 30);
    };
    join_all((0..16).map(writer)).await;
}
