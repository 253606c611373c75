//! What every form of the [`Bus`] must do, as a suite that any form can run: through the trait alone.
//!
//! Each function takes a fresh, empty bus (a [`Subject`]) and panics where the form breaks the contract; [`all`] runs every one.
//! Nothing here depends on how fast a form is: whatever must happen is waited for, for at most [`PATIENCE`].

#![expect(clippy::unwrap_used, reason = "a suite of tests: a failure is a panic")]

mod log;
mod soft;

use std::future::Future;
use std::time::Duration;

use confab_chat::{
    ChatKey, Command, EntryId, GatewayId, Op, Origin, Partition, RequestId, SessionId, UserId,
};
use confab_proto::message::{EntryBody, LogEntry, Logged, Signal};

use crate::{Bus, PartitionReader, Position};

pub use log::{
    appends_count_up_and_are_read_in_order, concurrent_appends_keep_each_senders_order,
    every_position_kept_can_be_opened, giving_up_a_wait_loses_nothing, no_hole_is_passed_over,
    partitions_do_not_mix, two_readers_read_the_same,
};
pub use soft::{
    announcements_reach_everybody, deliveries_keep_their_order, nothing_leaves_before_it_is_safe,
    queries_are_answered_or_fail, signals_keep_their_order,
};

/// How long something that must happen may take.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// How long something that must not happen is looked out for.
pub const DOUBT: Duration = Duration::from_millis(100);

/// A bus to test: fresh, empty, and nobody else's.
#[derive(Debug)]
pub struct Subject<B> {
    /// The bus.
    pub bus: B,
    /// Stops and resumes commits, for forms that can hand an entry to its reader before it is durable.
    pub commits: Option<Commits>,
}

/// Stops and resumes the commits of a bus.
#[derive(Clone, Copy, Debug)]
pub struct Hooks<F> {
    /// From here on nothing becomes durable.
    pub stop: F,
    /// Everything appended becomes durable again.
    pub resume: F,
}

/// The hooks of a [`Subject`].
pub type Commits = Hooks<Hook>;

/// Something to call.
pub struct Hook(pub Box<dyn Fn() + Send + Sync>);

impl std::fmt::Debug for Hook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hook")
    }
}

/// Runs everything, each on a bus of its own.
pub async fn all<B: Bus>(fresh: impl AsyncFn() -> Subject<B>) {
    appends_count_up_and_are_read_in_order(fresh().await).await;
    concurrent_appends_keep_each_senders_order(fresh().await).await;
    every_position_kept_can_be_opened(fresh().await).await;
    no_hole_is_passed_over(fresh().await).await;
    giving_up_a_wait_loses_nothing(fresh().await).await;
    partitions_do_not_mix(fresh().await).await;
    two_readers_read_the_same(fresh().await).await;
    signals_keep_their_order(fresh().await).await;
    deliveries_keep_their_order(fresh().await).await;
    queries_are_answered_or_fail(fresh().await).await;
    announcements_reach_everybody(fresh().await).await;
    nothing_leaves_before_it_is_safe(fresh().await).await;
}

/// Waits for what must happen.
///
/// # Panics
/// It does not.
pub(crate) async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    let output = tokio::time::timeout(PATIENCE, future).await;
    assert!(output.is_ok(), "{what}: waited {PATIENCE:?} in vain");
    output.unwrap()
}

/// Looks out for what must not happen.
pub(crate) async fn not_yet<F: Future>(what: &str, future: F) {
    assert!(tokio::time::timeout(DOUBT, future).await.is_err(), "{what}");
}

pub(crate) fn ann() -> UserId {
    UserId::parse("ann").unwrap()
}

/// An entry that says nothing but its id.
pub(crate) fn entry(id: &str) -> LogEntry {
    let origin = Origin {
        gateway: GatewayId("gateway".into()),
        session: SessionId(1),
        request: RequestId(1),
    };
    let (chat, user) = (ChatKey::dialog(&ann(), &ann()), ann());
    LogEntry {
        id: EntryId(id.into()),
        body: EntryBody::Command(Command {
            chat,
            user,
            origin,
            op: Op::Leave,
        }),
    }
}

/// A signal that says nothing but a number.
pub(crate) fn numbered(number: u64) -> Signal {
    Signal::Ack {
        user: ann(),
        device: confab_chat::DeviceId::parse("phone").unwrap(),
        up_to: number,
    }
}

pub(crate) async fn append<B: Bus>(bus: &B, partition: Partition, id: &str) -> Position {
    soon("an append", bus.append(partition, entry(id))).await.unwrap()
}

pub(crate) async fn open<B: Bus>(bus: &B, partition: Partition, after: Position) -> B::Reader {
    soon("opening a partition", bus.open(partition, after))
        .await
        .unwrap()
}

/// Reads so many entries, a few at a time.
pub(crate) async fn read<R: PartitionReader>(reader: &mut R, count: usize) -> Vec<Logged> {
    let mut entries = Vec::new();
    while entries.len() < count {
        let max = (count - entries.len()).min(7);
        let next = soon("an entry", reader.next(max)).await.unwrap();
        assert!(
            !next.is_empty() && next.len() <= max,
            "{} entries were given, of at most {max}",
            next.len()
        );
        entries.extend(next);
    }
    entries
}

pub(crate) fn ids(entries: &[Logged]) -> Vec<String> {
    entries
        .iter()
        .map(|logged| logged.entry.id.0.to_string())
        .collect()
}
