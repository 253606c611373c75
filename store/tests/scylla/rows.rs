//! What the suite does not ask of every form: sizes, lifetimes, open ends, and rows that others have spoilt.

use std::collections::BTreeSet;

use bytes::Bytes;
use confab_chat::limits::{BUCKET_MESSAGES, MEMBERS};
use confab_chat::row::MarkKind;
use confab_chat::{ActorKey, ChatKey, Timestamp, UserId};
use confab_store::scylla::Scylla;
use confab_store::{Key, Range, StatePart, Store, StoreError, Take, Write};
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use scylla::client::session::Session;

use crate::harness::{now, session, with_store};

fn user(id: &str) -> UserId {
    UserId::parse(id).unwrap()
}

fn group(name: &str) -> ChatKey {
    ChatKey::parse(&format!("g:{name}")).unwrap()
}

fn row(key: Key, timestamp: u64, value: impl Into<Bytes>) -> Write {
    Write {
        key,
        timestamp,
        value: value.into(),
        expires: None,
    }
}

/// One keyspace for all of it: each part has keys of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows() {
    with_store(async |store, options| {
        let session = session(&options.nodes[0]).await;
        futures_util::join!(
            the_largest_group_is_written_and_read_whole(&store),
            a_state_too_large_is_not_written_in_part(&store),
            another_actors_part_is_refused(&store),
            open_ends_are_found(&store),
            an_inbox_that_has_expired_at_its_beginning_is_read(&store),
            more_rows_than_a_page_are_read(&store),
            numbers_that_no_row_can_hold_are_refused(&store),
            lifetimes_end_when_they_should(&store, &session, &options.keyspace),
            rows_of_all_sizes_are_written_in_one_call(&store),
            spoilt_rows_are_no_outage(&store, &session, &options.keyspace),
        );
        the_database_tells_about_itself(&store).await;
    })
    .await;
}

/// A group as large as they get, with the longest ids there are: several times what a database allows in a batch of
/// several partitions.
async fn the_largest_group_is_written_and_read_whole(store: &Scylla) {
    let actor = ActorKey::Chat(group("largest"));
    let part = |n: usize, version: u64| {
        let part = match n {
            0 => StatePart::Head,
            n => StatePart::Member(user(&format!("{n:0128}"))),
        };
        let mut value = vec![b'.'; 250];
        value.extend_from_slice(version.to_string().as_bytes());
        row(Key::State(actor.clone(), part), version, value)
    };
    let writer = async {
        for version in 1..=10 {
            let parts: Vec<_> = (0..=MEMBERS).map(|n| part(n, version)).collect();
            store.write_state(actor.clone(), parts).await.unwrap();
        }
    };
    let reader = async {
        let mut seen = 0;
        while seen < 10 {
            let state = store.scan(Range::State(actor.clone()), Take::All).await.unwrap();
            let versions: BTreeSet<_> = state.iter().map(|record| record.timestamp).collect();
            assert!(versions.len() <= 1, "a state in parts: {versions:?}");
            assert!(state.is_empty() || state.len() == 1 + MEMBERS);
            seen = versions.first().copied().unwrap_or(0);
        }
    };
    futures_util::join!(writer, reader);
    let one = store.get(part(MEMBERS, 10).key).await.unwrap().unwrap();
    assert_eq!((one.timestamp, one.value), (10, part(MEMBERS, 10).value));
}

async fn a_state_too_large_is_not_written_in_part(store: &Scylla) {
    let actor = ActorKey::Mailbox(user("too-large"));
    let parts = |count: usize, size: usize| -> Vec<Write> {
        let part = |n| StatePart::Seen(group(&format!("chat{n:06}")));
        (0..count)
            .map(|n| row(Key::State(actor.clone(), part(n)), 1, vec![7; size]))
            .collect()
    };
    for (count, size) in [(7000, 1000), (70_000, 1)] {
        let refused = store.write_state(actor.clone(), parts(count, size)).await;
        assert!(
            matches!(refused, Err(StoreError::Corrupt(_))),
            "{count} of {size}: {refused:?}"
        );
        let state = store.scan(Range::State(actor.clone()), Take::All).await.unwrap();
        assert_eq!(state.len(), 0, "{count} of {size}");
    }
    store.write_state(actor.clone(), parts(6000, 1000)).await.unwrap();
    let state = store.scan(Range::State(actor.clone()), Take::All).await.unwrap();
    assert_eq!(state.len(), 6000);
}

async fn another_actors_part_is_refused(store: &Scylla) {
    let (own, other) = (ActorKey::Mailbox(user("own")), ActorKey::Mailbox(user("other")));
    let head = |actor: &ActorKey| row(Key::State(actor.clone(), StatePart::Head), 1, "state");
    let parts = vec![head(&own), head(&other)];
    let refused = store.write_state(own.clone(), parts).await;
    assert!(matches!(refused, Err(StoreError::Corrupt(_))), "{refused:?}");
    for actor in [own, other] {
        assert_eq!(
            store.scan(Range::State(actor), Take::All).await.unwrap(),
            Vec::new()
        );
    }
}

/// Ranges to the end of all numbers, over more buckets than can be looked at one by one.
async fn open_ends_are_found(store: &Scylla) {
    let (chat, ann, late) = (group("long"), user("ann"), user("late"));
    let buckets = 150;
    let id = |bucket: u64| bucket * BUCKET_MESSAGES + 7;
    let mark = |user: &UserId, bucket| Key::Mark(chat.clone(), user.clone(), MarkKind::Read, id(bucket));
    let mut rows = Vec::new();
    for bucket in 0..buckets {
        rows.push(row(Key::Message(chat.clone(), id(bucket)), 1, "message"));
        rows.push(row(mark(&ann, bucket), 1, "mark"));
    }
    // One that came when the chat was old.
    rows.push(row(mark(&late, buckets - 1), 1, "mark"));
    store.write(rows).await.unwrap();
    let messages = |from, to| Range::Messages {
        chat: chat.clone(),
        from,
        to,
    };
    let numbers = async |range: Range, take| -> Vec<u64> {
        let records = store.scan(range, take).await.unwrap();
        let number = |key: &Key| match key {
            Key::Message(_, id) | Key::Mark(.., id) => *id,
            other => panic!("{other:?} is not of the range"),
        };
        records.iter().map(|record| number(&record.key)).collect()
    };
    let all: Vec<_> = (0..buckets).map(id).collect();
    assert_eq!(numbers(messages(0, u64::MAX), Take::All).await, all);
    assert_eq!(numbers(messages(0, id(99)), Take::All).await, all[..100]);
    assert_eq!(
        numbers(messages(id(3), u64::MAX), Take::First(2)).await,
        all[3..5]
    );
    assert_eq!(
        numbers(messages(0, u64::MAX), Take::Last(2)).await,
        [id(buckets - 1), id(buckets - 2)]
    );
    assert_eq!(
        numbers(messages(id(buckets), u64::MAX), Take::All).await,
        Vec::<u64>::new()
    );
    let marks = Range::Marks {
        chat: chat.clone(),
        user: late,
        kind: MarkKind::Read,
        from: 0,
        to: u64::MAX,
    };
    assert_eq!(numbers(marks, Take::Last(1)).await, [id(buckets - 1)]);
}

async fn an_inbox_that_has_expired_at_its_beginning_is_read(store: &Scylla) {
    let own = user("regular");
    // Nothing in the first fifty buckets, of whatever size a form has them.
    let first = 50 * 4096;
    let ids: Vec<u64> = (0..200).map(|n| first + n * 1000).collect();
    let rows = ids.iter().map(|id| row(Key::Inbox(own.clone(), *id), 1, "event"));
    store.write(rows.collect::<Vec<_>>()).await.unwrap();
    let range = Range::Inbox {
        user: own.clone(),
        from: 0,
        to: u64::MAX,
    };
    let all = store.scan(range.clone(), Take::All).await.unwrap();
    assert_eq!(all.len(), ids.len());
    let last = store.scan(range, Take::Last(1)).await.unwrap();
    assert_eq!(last[0].key, Key::Inbox(own, *ids.last().unwrap()));
}

async fn more_rows_than_a_page_are_read(store: &Scylla) {
    let own = user("in-many-chats");
    let keys: BTreeSet<_> = (0..1234)
        .map(|n| Key::Membership(own.clone(), group(&format!("team{n}"))))
        .collect();
    let rows = keys.iter().map(|key| row(key.clone(), 9, "member"));
    store.write(rows.collect::<Vec<_>>()).await.unwrap();
    let read = async |take| -> Vec<Key> {
        let records = store.scan(Range::Memberships(own.clone()), take).await.unwrap();
        records.into_iter().map(|record| record.key).collect()
    };
    assert_eq!(read(Take::All).await, keys.iter().cloned().collect::<Vec<_>>());
    let last: Vec<_> = keys.iter().rev().take(700).cloned().collect();
    assert_eq!(read(Take::Last(700)).await, last);
}

async fn numbers_that_no_row_can_hold_are_refused(store: &Scylla) {
    let chat = group("numbers");
    let beyond = 1 << 63;
    for write in [
        row(Key::Message(chat.clone(), beyond), 1, "message"),
        row(Key::Message(chat.clone(), 1), beyond, "message"),
    ] {
        let refused = store.write(vec![write]).await;
        assert!(matches!(refused, Err(StoreError::Corrupt(_))), "{refused:?}");
    }
    assert_eq!(store.get(Key::Message(chat.clone(), beyond)).await, Ok(None));
    assert_eq!(store.get(Key::Message(chat, 1)).await, Ok(None));
}

async fn lifetimes_end_when_they_should(store: &Scylla, session: &Session, keyspace: &str) {
    let (own, begun) = (user("mortal"), now());
    let event = |id: u64, expires: u64| Write {
        expires: Some(Timestamp(expires)),
        ..row(Key::Inbox(own.clone(), id), id, "event")
    };
    let week = 7 * 86_400;
    // With rows of others, which have lives and timestamps of their own.
    let other = |id: u64| Key::Inbox(user("immortal"), id);
    let rows = vec![
        row(Key::Head(group("mortal")), 7, "head"),
        event(1, begun - 1),
        row(other(1), 8, "event"),
        event(2, begun + week * 1000),
        event(3, u64::MAX),
        row(Key::Inbox(own.clone(), 4), 4, "event"),
        row(other(2), 9, "event"),
    ];
    store.write(rows).await.unwrap();
    let lives = async |table: &str, key: &str| -> Vec<(Option<i32>, i64)> {
        let select = format!("SELECT TTL(v), WRITETIME(v) FROM {keyspace}.{table} WHERE {key}");
        let found = session.query_unpaged(select, ()).await.unwrap();
        let found = found.into_rows_result().unwrap();
        found.rows().unwrap().map(Result::unwrap).collect()
    };
    assert_eq!(lives("heads", "chat = 'g:mortal'").await, [(None, 7)]);
    let others = lives("inbox", "user_id = 'immortal' AND bucket = 0").await;
    assert_eq!(others, [(None, 8), (None, 9)]);
    let own = lives("inbox", "user_id = 'mortal' AND bucket = 0").await;
    let [(Some(seconds), 2), (None, 3), (None, 4)] = own[..] else {
        panic!("{own:?}");
    };
    // Never too early, whatever part of a second it was written in.
    let left = i64::try_from(begun / 1000 + week).unwrap() - i64::try_from(now() / 1000).unwrap();
    assert!(
        (left..=left + 3).contains(&i64::from(seconds)),
        "{seconds} for {left}"
    );
}

/// Large ones of many chats and of one, and many small ones.
async fn rows_of_all_sizes_are_written_in_one_call(store: &Scylla) {
    let large = |chat: &str, id| row(Key::Message(group(chat), id), 1, vec![7; 20_000]);
    let mark = |up_to| Key::Mark(group("sizes"), user("ann"), MarkKind::Read, up_to);
    let rows: Vec<_> = (1..=100)
        .map(|n| large(&format!("sizes{n}"), 1))
        .chain((1..=10).map(|id| large("sizes", id)))
        .chain((1..=1000).map(|up_to| row(mark(up_to), up_to, "mark")))
        .collect();
    store.write(&rows[..]).await.unwrap();
    for written in rows {
        let found = store.get(written.key).await.unwrap().unwrap();
        assert_eq!((found.timestamp, found.value), (written.timestamp, written.value));
    }
}

/// Eight rows of other chats go in a request; in one of 64 calls each goes alone.
#[tokio::test]
async fn rows_share_requests() {
    with_store(async |_, options| {
        let recorder = DebuggingRecorder::new();
        let counted = recorder.snapshotter();
        let store = {
            let _recorded = metrics::set_default_local_recorder(&recorder);
            Scylla::connect(options).await.unwrap()
        };
        for version in 1..=64 {
            let head = |n| row(Key::Head(group(&format!("team{n}"))), version, "head");
            store.write((0..64).map(head).collect::<Vec<_>>()).await.unwrap();
        }
        assert_eq!(requests(&counted, "write"), 63 * 8 + 64);
    })
    .await;
}

/// How many requests of a kind there were.
fn requests(counted: &Snapshotter, kind: &str) -> usize {
    let of_kind = |key: &metrics::Key| {
        let mut labels = key.labels();
        key.name() == "confab_store_request_seconds" && labels.any(|label| label.value() == kind)
    };
    let found = counted.snapshot().into_vec().into_iter();
    let mut found = found.filter(|(key, ..)| of_kind(key.key()));
    match found.next() {
        Some((.., DebugValue::Histogram(times))) => times.len(),
        other => panic!("{other:?}"),
    }
}

/// What cannot be read stays so however often it is asked for: it is not to be taken for an outage.
async fn spoilt_rows_are_no_outage(store: &Scylla, session: &Session, keyspace: &str) {
    for spoilt in [
        "heads (chat) VALUES ('g:spoilt')",
        "memberships (user_id, chat, v) VALUES ('spoilt', 'no chat', 0x01)",
        "state (actor, kind, name, v) VALUES ('g:spoilt', 'x', '', 0x01)",
        "users (user_id, v) VALUES ('spoilt', 0x01) USING TIMESTAMP -5",
    ] {
        let insert = format!("INSERT INTO {keyspace}.{spoilt}");
        session.query_unpaged(insert, ()).await.unwrap();
    }
    let outcomes = [
        store.get(Key::Head(group("spoilt"))).await.map(|_| ()),
        store.get(Key::User(user("spoilt"))).await.map(|_| ()),
        store
            .scan(Range::Memberships(user("spoilt")), Take::All)
            .await
            .map(|_| ()),
        store
            .scan(Range::State(ActorKey::Chat(group("spoilt"))), Take::All)
            .await
            .map(|_| ()),
    ];
    for outcome in outcomes {
        assert!(matches!(outcome, Err(StoreError::Corrupt(_))), "{outcome:?}");
    }
}

async fn the_database_tells_about_itself(store: &Scylla) {
    let told = store.inspect().await.unwrap();
    assert!(
        told.release.starts_with(|first: char| first.is_ascii_digit()),
        "{told:?}"
    );
    assert!(
        !told.nodes.is_empty() && told.nodes.iter().all(|node| node.up),
        "{told:?}"
    );
    assert_eq!(told.replication.as_deref(), Some("simple:1"));
    assert_eq!(told.schema_version, Some(confab_store::scylla::schema::VERSION));
    assert!(told.settings.contains_key("commitlog_sync"), "{told:?}");
    // It is on this machine, or near.
    assert!(told.clock_skew_ms.abs() <= 500 + told.clock_error_ms, "{told:?}");
}
