//! What every form of the [`Store`] must do, as a suite that any form can run: through the trait alone.
//!
//! Each function takes a fresh, empty store (a [`Subject`]) and panics where the form breaks the contract; [`all`] runs every one.

#![expect(clippy::unwrap_used, reason = "a suite of tests: a failure is a panic")]

mod ranges;
mod rows;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use confab_chat::row::MarkKind;
use confab_chat::{ActorKey, ChatKey, DeviceId, Partition, Timestamp, UserId};

use crate::{Key, Range, Record, StatePart, Store, Take, Write};

pub use ranges::{
    a_mark_is_seen_with_those_below_it, inboxes_expire, marks_are_found_across_buckets,
    numbered_rows_are_scanned_in_order, odd_ids_keep_apart, whole_ranges_are_scanned,
};
pub use rows::{
    a_state_is_read_whole, every_table_keeps_its_rows, of_equal_times_the_larger_bytes_stand,
    the_newest_stands_in_whatever_order, writers_at_once_do_not_disturb_each_other,
};

/// Time that passes.
pub type Passing = Pin<Box<dyn Future<Output = ()>>>;

/// A store to test: fresh, empty, and nobody else's.
pub struct Subject<S> {
    /// The store.
    pub store: S,
    /// Its clock, by which rows expire.
    pub now: Box<dyn Fn() -> Timestamp + Send + Sync>,
    /// Lets at least so much time pass by that clock.
    pub pass: Box<dyn Fn(Duration) -> Passing + Send + Sync>,
}

impl<S: fmt::Debug> fmt::Debug for Subject<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subject")
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}

/// Runs everything, each on a store of its own.
pub async fn all<S: Store>(fresh: impl AsyncFn() -> Subject<S>) {
    every_table_keeps_its_rows(fresh().await).await;
    the_newest_stands_in_whatever_order(fresh().await).await;
    of_equal_times_the_larger_bytes_stand(fresh().await).await;
    a_state_is_read_whole(fresh().await).await;
    writers_at_once_do_not_disturb_each_other(fresh().await).await;
    numbered_rows_are_scanned_in_order(fresh().await).await;
    marks_are_found_across_buckets(fresh().await).await;
    a_mark_is_seen_with_those_below_it(fresh().await).await;
    whole_ranges_are_scanned(fresh().await).await;
    odd_ids_keep_apart(fresh().await).await;
    inboxes_expire(fresh().await).await;
}

pub(crate) fn user(id: &str) -> UserId {
    UserId::parse(id).unwrap()
}

pub(crate) fn dialog(a: &str, b: &str) -> ChatKey {
    ChatKey::dialog(&user(a), &user(b))
}

pub(crate) fn row(key: Key, timestamp: u64, value: impl Into<Bytes>) -> Write {
    Write {
        key,
        timestamp,
        value: value.into(),
        expires: None,
    }
}

/// A row that stands, as it must be read.
pub(crate) fn record(write: &Write) -> Record {
    Record {
        key: write.key.clone(),
        timestamp: write.timestamp,
        value: write.value.clone(),
    }
}

/// Ids that differ in what a careless form would take for the same, or for a separator, or for the end.
pub(crate) fn odd_users() -> Vec<UserId> {
    let texts = [
        "a",
        "ab",
        "abc",
        "a.",
        "a.b",
        "a*",
        "a>",
        "a|b",
        "a@b",
        "A",
        "*",
        ">",
        ".",
        "|",
        "@",
        "u:a",
        "d:a",
        "%",
        "a%00",
        "\u{e9}",
        "e\u{301}",
        "\u{65e5}\u{672c}",
        "\u{1f600}",
        "\u{10ffff}",
        "\u{ff}",
        "\u{7fff}a",
        "a\\0",
        "'",
        "\"",
        "a/b",
        "..",
        "h",
        "m",
        "s",
        "ma",
        "-",
        "_",
        "a-b_c",
        "0",
        "00",
    ];
    texts.into_iter().map(user).collect()
}

/// A key of every table for a user, a chat and a number.
pub(crate) fn keys(user: &UserId, chat: &ChatKey, number: u64) -> Vec<Key> {
    let device = DeviceId::parse(&format!("phone-{number}")).unwrap();
    let (own, conversation) = (ActorKey::Mailbox(user.clone()), ActorKey::Chat(chat.clone()));
    let partition = Partition(u16::try_from(number % 1024).unwrap());
    vec![
        Key::Message(chat.clone(), number),
        Key::ClientId(
            chat.clone(),
            user.clone(),
            format!("id {number} of {user}").into(),
        ),
        Key::Head(chat.clone()),
        Key::Roster(chat.clone()),
        Key::Mark(chat.clone(), user.clone(), MarkKind::Delivered, number),
        Key::Mark(chat.clone(), user.clone(), MarkKind::Read, number),
        Key::Membership(user.clone(), chat.clone()),
        Key::State(conversation.clone(), StatePart::Head),
        Key::State(conversation, StatePart::Member(user.clone())),
        Key::State(own.clone(), StatePart::Head),
        Key::State(own, StatePart::Seen(chat.clone())),
        Key::Inbox(user.clone(), number),
        Key::Cursor(user.clone(), device),
        Key::User(user.clone()),
        Key::Checkpoint(partition),
        Key::Reach(partition),
    ]
}

pub(crate) async fn get<S: Store>(store: &S, key: &Key) -> Option<Record> {
    store.get(key.clone()).await.unwrap()
}

pub(crate) async fn scan<S: Store>(store: &S, range: &Range, take: Take) -> Vec<Record> {
    store.scan(range.clone(), take).await.unwrap()
}

/// Checks a range against all its rows, ascending: whole, and by every kind of limit.
pub(crate) async fn expect_range<S: Store>(store: &S, range: &Range, rows: &[Record]) {
    assert_eq!(scan(store, range, Take::All).await, rows, "{range:?}");
    for limit in [0, 1, 2, rows.len().saturating_sub(1), rows.len(), rows.len() + 5] {
        let few = limit.min(rows.len());
        assert_eq!(
            scan(store, range, Take::First(limit)).await,
            rows[..few],
            "the first {limit} of {range:?}"
        );
        let mut last = rows[rows.len() - few..].to_vec();
        last.reverse();
        assert_eq!(
            scan(store, range, Take::Last(limit)).await,
            last,
            "the last {limit} of {range:?}"
        );
    }
}
