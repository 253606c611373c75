//! The loop of one partition: the only place where its chats and mailboxes are.
//!
//! A batch goes through these steps, and the order is what makes a crash at any point harmless:
//!
//! 1. take what the log has, up to a bound (`run`);
//! 2. load states and look up facts (`apply`, `cache`, `states`, `lookups`);
//! 3. apply the entries in order, gathering what they do (`apply`, `batch`);
//! 4. write the rows (`send`), and before any of them how far rows reach (`run`, `restore`);
//! 5. answer, append deliveries to the mailboxes' partitions, send live frames (`send`);
//! 6. later, and some at a time, write the changed states, then the checkpoint (`flush`).
//!
//! So a state row that says "applied up to N" is proof that all effects up to N are out, and whoever begins at the
//! checkpoint (`begin`) redoes exactly what may be missing. Where the log before was lost, actors are brought up to what
//! their rows say (`restore`, over `ahead`, `proposal` and `standing`). The soft half (`signals`, `attach`, `resume`,
//! `presence`, `typing`, over `soft`, `sessions` and `cursors`) keeps nothing that its gateways would not say again. What
//! either sends stays within `bounds`.

mod ahead;
mod apply;
mod attach;
mod batch;
pub(crate) mod begin;
mod bounds;
mod cache;
mod cursors;
mod flush;
mod lookups;
mod presence;
mod proposal;
mod restore;
mod resume;
mod run;
mod said;
mod send;
mod sessions;
mod signals;
mod soft;
mod standing;
mod states;
mod typing;

use std::future::Future;
use std::hash::Hash;
use std::iter;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use confab_bus::Bus;
use confab_chat::{EntryId, Partition, conversation, mailbox};
use confab_service::mistake::{Mistake, is_made};
use confab_store::{Key, Range, Record, StatePart, Store, Take};
use futures_util::future::try_join_all;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::health::Health;
use crate::metrics::Meters;
use crate::oldest::Oldest;
use crate::seams::{Fault, Seams};
use ahead::Ahead;
use cache::{Cache, Cached, Stored};
use flush::Round;
pub(crate) use said::Begins;
use signals::Soft;

/// The version of the logic that this worker knows. What an entry does may change only with an entry `SetLogic`.
const LOGIC: u32 = 1;
/// How many reads or writes a loop has under way at a time.
const CONCURRENCY: usize = 64;
/// So many are polled together as they are, without an allocation for each. (With more `try_join_all` makes one for each.)
const FEW: usize = 30;
/// How long to wait before a loop that has lost its log begins again.
const AGAIN: Duration = Duration::from_secs(1);

/// What all loops of a worker are given.
#[derive(Clone)]
pub(crate) struct Shared<B, S> {
    pub(crate) seams: Seams<B, S>,
    pub(crate) config: Arc<Config>,
    pub(crate) health: Health,
    /// Where a partition without an owner has got one.
    pub(crate) begins: Begins,
    /// How long what is at hand waits.
    pub(crate) oldest: Oldest,
    /// How often any loop of this worker has begun: no two begin the ids of their entries alike.
    begun: Arc<AtomicU64>,
}

impl<B: Bus, S: Store> Shared<B, S> {
    pub(crate) fn new(seams: Seams<B, S>, config: Config, health: Health) -> Self {
        Self {
            begins: Begins::new(seams.bus.partitions()),
            oldest: Oldest::new(seams.bus.partitions()),
            seams,
            config: Arc::new(config),
            health,
            begun: Arc::default(),
        }
    }
}

/// The owner of a partition: everything its loop has in memory.
pub(crate) struct Owner<B: Bus, S: Store> {
    seams: Seams<B, S>,
    config: Arc<Config>,
    meters: Meters,
    oldest: Oldest,
    partition: Partition,
    partitions: u16,
    /// The log's epoch.
    epoch: u32,
    /// The last entry applied, with all its effects out; 0 for none.
    applied: u64,
    /// Its id.
    applied_id: EntryId,
    /// Up to where the checkpoint row stands.
    checkpointed: u64,
    /// What is being written.
    round: Option<Round>,
    /// The version of the logic in force.
    logic: u32,
    chats: Cache<conversation::State>,
    mailboxes: Cache<mailbox::State>,
    /// What the log says of actors that are of an earlier epoch.
    ahead: Ahead,
    soft: Soft,
    /// Begins the ids of the entries that this loop appends; unique to it.
    prefix: String,
    /// How many entries it has appended.
    appended: u64,
}

/// Runs a partition's loop until it is told to stop, or an alarm does.
pub(crate) async fn own<B: Bus, S: Store>(
    shared: Shared<B, S>,
    partition: Partition,
    stopping: CancellationToken,
) {
    let _guard = PanicGuard {
        health: shared.health.clone(),
        partition,
    };
    // Who is connected is not in the log: it outlives a loop that begins again.
    let mut soft = Soft::default();
    loop {
        shared.health.starting(partition);
        let attempt = shared.begun.fetch_add(1, Ordering::Relaxed);
        match Box::pin(run::run(&shared, partition, attempt, &stopping, &mut soft)).await {
            Ok(()) => break,
            Err(Fault::Alarm(why)) => return alarm(&shared.health, partition, &why),
            Err(Fault::Closed(why)) => {
                tracing::warn!(
                    partition = partition.0,
                    why,
                    "the log is out of reach, the loop begins again"
                );
            }
        }
        tokio::select! {
            () = stopping.cancelled() => break,
            () = tokio::time::sleep(AGAIN) => {}
        }
    }
    shared.oldest.none_left(partition);
    shared.oldest.report(partition, shared.seams.bus.now());
    shared.health.ended(partition);
}

/// A loop cannot go on: says so, loudly.
fn alarm(health: &Health, partition: Partition, why: &str) {
    // First, so that whoever reads the log finds it in the metrics too.
    health.stopped(partition, why);
    tracing::error!(
        partition = partition.0,
        why,
        "the partition has stopped: nothing is ever skipped"
    );
}

/// A loop that panics must not look as if it were at work.
struct PanicGuard {
    health: Health,
    partition: Partition,
}

impl Drop for PanicGuard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            alarm(&self.health, self.partition, "its loop panicked");
        }
    }
}

/// Awaits all of them, some at a time; the first fault ends it.
async fn concurrently<F, T>(mut futures: Vec<F>) -> Result<Vec<T>, Fault>
where
    F: Future<Output = Result<T, Fault>>,
{
    match futures.len() {
        0 => return Ok(Vec::new()),
        1 => return Ok(vec![futures.remove(0).await?]),
        2..=FEW => return try_join_all(futures).await,
        _ => {}
    }
    let mut futures = futures.into_iter();
    let groups = iter::from_fn(|| {
        let group: Vec<_> = futures.by_ref().take(FEW).collect();
        (!group.is_empty()).then(|| try_join_all(group))
    });
    stream::iter(groups)
        .buffered(CONCURRENCY / FEW)
        .try_concat()
        .await
}

impl<B: Bus, S: Store> Seams<B, S> {
    /// Loads an actor's state, whole.
    async fn load_state<T: Stored>(&self, id: T::Id) -> Result<(T::Id, Cached<T>), Fault>
    where
        T::Id: Hash,
    {
        let mut records = self.scan(Range::State(T::actor(&id)), Take::All).await?;
        if is_made(Mistake::TornLoad) {
            let is_head = |record: &Record| matches!(record.key, Key::State(_, StatePart::Head));
            let again = self.scan(Range::State(T::actor(&id)), Take::All).await?;
            records.retain(is_head);
            records.extend(again.into_iter().filter(|record| !is_head(record)));
        }
        let cached = Cached::load(&id, &records)?;
        Ok((id, cached))
    }
}
