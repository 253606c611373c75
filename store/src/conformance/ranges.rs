//! Ranges: what is in them, in which order, how many of it, and for how long.

use std::time::Duration;

use confab_chat::limits::BUCKET_MESSAGES;
use confab_chat::row::MarkKind;
use confab_chat::{ActorKey, ChatKey, DeviceId, Timestamp, UserId};

use super::{Subject, dialog, expect_range, get, keys, odd_users, record, row, scan, user};
use crate::{Key, Range, Record, StatePart, Store, Take, Write};

fn records(writes: &[Write]) -> Vec<Record> {
    writes.iter().map(record).collect()
}

fn messages(chat: &ChatKey, from: u64, to: u64) -> Range {
    let chat = chat.clone();
    Range::Messages { chat, from, to }
}

fn inbox(user: &UserId, from: u64, to: u64) -> Range {
    let user = user.clone();
    Range::Inbox { user, from, to }
}

fn all_marks(chat: &ChatKey, from: u64, to: u64) -> Range {
    let chat = chat.clone();
    Range::AllMarks { chat, from, to }
}

fn marks(chat: &ChatKey, user: &UserId, kind: MarkKind, from: u64, to: u64) -> Range {
    let (chat, user) = (chat.clone(), user.clone());
    Range::Marks {
        chat,
        user,
        kind,
        from,
        to,
    }
}

/// Ids around the ends of buckets, of this crate's and of others' sizes.
const IDS: [u64; 13] = {
    let bucket = BUCKET_MESSAGES;
    [
        1,
        2,
        3,
        255,
        256,
        bucket - 1,
        bucket,
        bucket + 1,
        4095,
        4096,
        4097,
        8191,
        8192,
    ]
};

/// Where ranges over them begin and end.
const BOUNDS: [u64; 9] = [
    0,
    1,
    2,
    255,
    BUCKET_MESSAGES - 1,
    BUCKET_MESSAGES,
    3 * BUCKET_MESSAGES,
    8193,
    u64::MAX,
];

/// Messages and inbox events, whose keys end in a number: across the ends of buckets, with holes, from any to any.
pub async fn numbered_rows_are_scanned_in_order<S: Store>(subject: Subject<S>) {
    let store = subject.store;
    let (ann, chat) = (user("ann"), dialog("ann", "bob"));
    let message = |id: u64| row(Key::Message(chat.clone(), id), id, format!("m{id}"));
    let event = |id: u64| row(Key::Inbox(ann.clone(), id), id, format!("e{id}"));
    // In no order, and neighbours that are none of ours.
    for id in IDS.iter().rev() {
        store.write(vec![message(*id), event(*id)]).await.unwrap();
        let chat = Key::Message(dialog("ann", "bo"), *id);
        let others = [chat, Key::Inbox(user("an"), *id), Key::Inbox(user("ann0"), *id)];
        store
            .write(others.map(|key| row(key, 1, "other")).to_vec())
            .await
            .unwrap();
    }
    for from in BOUNDS {
        for to in BOUNDS {
            let inside = || IDS.iter().filter(|id| (from..=to).contains(*id));
            let found: Vec<_> = inside().map(|id| record(&message(*id))).collect();
            expect_range(&store, &messages(&chat, from, to), &found).await;
            let found: Vec<_> = inside().map(|id| record(&event(*id))).collect();
            expect_range(&store, &inbox(&ann, from, to), &found).await;
        }
    }
}

/// Marks that are written together are never seen with a lower one missing, by whoever reads the highest first.
pub async fn a_mark_is_seen_with_those_below_it<S: Store>(subject: Subject<S>) {
    const RUNS: u64 = 60;
    const RUN: u64 = 12;
    let store = &subject.store;
    let chat = dialog("ann", "bob");
    let mark = |up_to: u64| {
        let key = Key::Mark(chat.clone(), user("ann"), MarkKind::Read, up_to);
        row(key, up_to, up_to.to_string())
    };
    let done = std::sync::atomic::AtomicBool::new(false);
    // Rows of a call may be written in groups: there are others before, between and behind the marks.
    let other = |up_to: u64| {
        let chat = dialog("ann", &format!("friend{up_to}"));
        row(Key::Mark(chat, user("ann"), MarkKind::Read, 1), 1, vec![7; 300])
    };
    let writer = async {
        for run in 0..RUNS {
            let marks = (1..=RUN).flat_map(|n| [mark(run * RUN + n), other(n)]);
            store.write(marks.collect::<Vec<_>>()).await.unwrap();
        }
        done.store(true, std::sync::atomic::Ordering::Release);
    };
    let reader = async |_| {
        while !done.load(std::sync::atomic::Ordering::Acquire) {
            let seen = scan(store, &all_marks(&chat, 1, RUNS * RUN), Take::Last(usize::MAX)).await;
            let seen = seen.iter().rev().map(|record| record.timestamp);
            assert!(
                seen.clone().eq(1..=seen.len() as u64),
                "{:?}",
                seen.collect::<Vec<_>>()
            );
            tokio::task::yield_now().await;
        }
    };
    futures_util::join!(writer, futures_util::future::join_all((0..3).map(reader)));
}

/// Marks: one user's of one kind by number, everybody's by (user, kind, number) within each bucket.
pub async fn marks_are_found_across_buckets<S: Store>(subject: Subject<S>) {
    let store = subject.store;
    let chat = dialog("ann", "bob");
    let users = ["ann", "ann0", "bob"].map(user);
    let kinds = [MarkKind::Delivered, MarkKind::Read];
    let mark = |(user, kind, up_to): &(UserId, MarkKind, u64)| {
        row(
            Key::Mark(chat.clone(), user.clone(), *kind, *up_to),
            1,
            up_to.to_string(),
        )
    };
    let mut all = Vec::new();
    for user in &users {
        for kind in kinds {
            all.extend(IDS.iter().map(|up_to| (user.clone(), kind, *up_to)));
        }
    }
    store
        .write(all.iter().rev().map(mark).collect::<Vec<_>>())
        .await
        .unwrap();
    let other = Key::Mark(dialog("ann", "bo"), user("ann"), MarkKind::Read, 3);
    store.write(vec![row(other, 1, "other")]).await.unwrap();
    // Stable: within a bucket the order stays.
    let mut by_bucket = all.clone();
    by_bucket.sort_by_key(|(_, _, up_to)| up_to / BUCKET_MESSAGES);
    for from in BOUNDS {
        for to in BOUNDS {
            let inside = |(_, _, up_to): &&(UserId, MarkKind, u64)| (from..=to).contains(up_to);
            let everybody: Vec<_> = by_bucket.iter().filter(inside).map(mark).collect();
            expect_range(&store, &all_marks(&chat, from, to), &records(&everybody)).await;
            for (user, kind) in users.iter().flat_map(|user| kinds.map(|kind| (user, kind))) {
                let own = all
                    .iter()
                    .filter(inside)
                    .filter(|mark| mark.0 == *user && mark.1 == kind);
                let own: Vec<_> = own.map(mark).collect();
                expect_range(&store, &marks(&chat, user, kind, from, to), &records(&own)).await;
            }
        }
    }
    let nobody = marks(&dialog("x", "y"), &user("x"), MarkKind::Read, 0, u64::MAX);
    expect_range(&store, &nobody, &[]).await;
}

/// Ranges without numbers: a user's chats and devices, an actor's state.
pub async fn whole_ranges_are_scanned<S: Store>(subject: Subject<S>) {
    let store = subject.store;
    let (ann, group) = (user("ann"), ChatKey::parse("g:team").unwrap());
    let mut chats: Vec<_> = odd_users()
        .iter()
        .map(|other| ChatKey::dialog(&ann, other))
        .collect();
    chats.push(group.clone());
    chats.sort();
    let sorted = |keys: Vec<Key>| {
        let mut rows: Vec<_> = keys.into_iter().map(|key| row(key, 4, "row")).collect();
        rows.sort_by(|a, b| a.key.cmp(&b.key));
        rows
    };
    let memberships = sorted(
        chats
            .iter()
            .map(|chat| Key::Membership(ann.clone(), chat.clone()))
            .collect(),
    );
    let devices = ["phone", "Phone", "a", "~", "!", "phone2", "ab", "0"];
    let cursors = sorted(
        devices
            .iter()
            .map(|device| Key::Cursor(ann.clone(), DeviceId::parse(device).unwrap()))
            .collect(),
    );
    let (mailbox, team) = (ActorKey::Mailbox(ann.clone()), ActorKey::Chat(group));
    let seen = chats
        .iter()
        .map(|chat| Key::State(mailbox.clone(), StatePart::Seen(chat.clone())));
    let own = sorted(
        seen.chain([Key::State(mailbox.clone(), StatePart::Head)])
            .collect(),
    );
    let members = odd_users()
        .into_iter()
        .map(|member| Key::State(team.clone(), StatePart::Member(member)));
    let state = sorted(
        members
            .chain([Key::State(team.clone(), StatePart::Head)])
            .collect(),
    );
    for rows in [&memberships, &cursors] {
        store
            .write(rows.iter().rev().cloned().collect::<Vec<_>>())
            .await
            .unwrap();
    }
    store.write_state(mailbox.clone(), own.clone()).await.unwrap();
    store.write_state(team.clone(), state.clone()).await.unwrap();
    expect_range(&store, &Range::Memberships(ann.clone()), &records(&memberships)).await;
    expect_range(&store, &Range::Cursors(ann), &records(&cursors)).await;
    expect_range(&store, &Range::State(mailbox), &records(&own)).await;
    expect_range(&store, &Range::State(team), &records(&state)).await;
    for nobody in [user("an"), user("ann0"), user("zoe")] {
        expect_range(&store, &Range::Memberships(nobody.clone()), &[]).await;
        expect_range(&store, &Range::Cursors(nobody.clone()), &[]).await;
        expect_range(&store, &Range::State(ActorKey::Mailbox(nobody)), &[]).await;
    }
}

/// Every pair of odd ids has rows of its own, in every table and range.
pub async fn odd_ids_keep_apart<S: Store>(subject: Subject<S>) {
    let store = subject.store;
    let users = odd_users();
    let partner = |n: usize| &users[(n + 1) % users.len()];
    let mut written = Vec::new();
    for (n, own) in users.iter().enumerate() {
        let chat = ChatKey::dialog(own, partner(n));
        let rows = keys(own, &chat, 1 + n as u64);
        written.extend(
            rows.into_iter()
                .map(|key| row(key, 1 + n as u64, format!("{own} {n}"))),
        );
    }
    store.write(written.clone()).await.unwrap();
    for write in &written {
        assert_eq!(get(&store, &write.key).await, Some(record(write)));
    }
    for (n, own) in users.iter().enumerate() {
        let chat = ChatKey::dialog(own, partner(n));
        let ranges = [
            (1, messages(&chat, 0, u64::MAX)),
            (1, marks(&chat, own, MarkKind::Read, 0, u64::MAX)),
            (2, all_marks(&chat, 0, u64::MAX)),
            (1, Range::Memberships(own.clone())),
            (1, inbox(own, 0, u64::MAX)),
            (1, Range::Cursors(own.clone())),
            (2, Range::State(ActorKey::Chat(chat))),
            (2, Range::State(ActorKey::Mailbox(own.clone()))),
        ];
        for (rows, range) in ranges {
            let found = scan(&store, &range, Take::All).await;
            assert_eq!(found.len(), rows, "{range:?}");
            assert!(
                found.iter().all(|row| row.timestamp == 1 + n as u64),
                "{range:?} has another's rows"
            );
        }
    }
}

/// An event is there until it expires, and not after that; the others stay.
pub async fn inboxes_expire<S: Store>(subject: Subject<S>) {
    let (store, ann) = (&subject.store, user("ann"));
    let now = (subject.now)();
    let event = |id: u64, expires: Option<u64>| Write {
        expires: expires.map(|after| Timestamp(now.0 + after)),
        ..row(Key::Inbox(ann.clone(), id), id, format!("e{id}"))
    };
    let hour = 3_600_000;
    let all = [
        event(1, Some(2_000)),
        event(2, Some(2_000)),
        event(3, Some(hour)),
        event(4, None),
        event(5, Some(2_000)),
    ];
    store.write(all.to_vec()).await.unwrap();
    let range = inbox(&ann, 1, 9);
    expect_range(store, &range, &records(&all)).await;
    (subject.pass)(Duration::from_millis(3_000)).await;
    expect_range(store, &range, &records(&all[2..4])).await;
    assert_eq!(get(store, &all[0].key).await, None);
    assert_eq!(get(store, &all[2].key).await, Some(record(&all[2])));
}
