//! What can be set of a worker.

use std::sync::Arc;
use std::time::Duration;

use confab_chat::{Partition, Timestamp};
use tokio::runtime::Handle;

/// Which partitions a worker owns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Placement {
    /// All of them, for as long as it runs.
    #[default]
    All,
    /// Its share among the workers that are alive.
    Shared,
    /// These, whatever others do. The others do not count it: it takes none of their share.
    Fixed(Vec<Partition>),
}

/// A worker's settings. [`Config::new`] has the defaults.
#[derive(Clone, Debug)]
pub struct Config {
    /// The worker's name. Unique to one run of it: the ids of its log entries begin with it.
    pub name: Arc<str>,
    /// Which partitions it owns.
    pub placement: Placement,
    /// How often it says that it lives.
    pub alive_every: Duration,
    /// After how long a worker that says nothing is gone: four times `alive_every` at least, or one lost word would be
    /// the end.
    pub gone_after: Duration,
    /// How long a worker is heard steadily before it gets a share, and how long one that starts listens before it takes
    /// anything: a bit more than `alive_every`.
    pub settle: Duration,
    /// How long a worker that stops waits for those who take its partitions over.
    pub handover: Duration,
    /// The most log entries of one batch.
    pub batch: usize,
    /// How many chats, and how many mailboxes, each partition keeps in memory beside those not yet written.
    pub cached_states: usize,
    /// How often it is begun to write changed states, and the checkpoint after them. What is not written is replayed from
    /// the log after a crash, and the log keeps it for so long.
    pub flush_every: Duration,
    /// How many of them are written at a time before the log has its turn again; more where they are very many.
    pub flush_lot: usize,
    /// How long a mailbox keeps an event.
    pub inbox_retention: Duration,
    /// How many queries are answered at a time.
    pub query_tasks: usize,
    /// Where they are answered, if not on the runtime that the worker is started on. It has to run until the worker has ended.
    pub query_runtime: Option<Handle>,
    /// After how long without a heartbeat a gateway's session counts as gone.
    pub heartbeat_silence: Duration,
    /// How long gateways are given to attach their sessions again where a partition has a new owner: for so long no
    /// session is taken for a user's last.
    pub reattach: Duration,
    /// How long `offline` is held back when a gateway drains.
    pub drain_hold: Duration,
    /// Whether no row stands before the log has its entry for good, as in the embedded form: how far rows reach needs no
    /// row of its own then.
    pub rows_follow_log: bool,
    /// Where this is the only worker: when it started. Whoever a row shows as online since before then was so in a
    /// process that is gone, and is offline.
    pub alone_since: Option<Timestamp>,
}

impl Config {
    /// The defaults.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            placement: Placement::All,
            alive_every: Duration::from_secs(1),
            gone_after: Duration::from_secs(4),
            settle: Duration::from_millis(1250),
            handover: Duration::from_secs(2),
            batch: 512,
            cached_states: 8192,
            flush_every: Duration::from_millis(500),
            flush_lot: 60,
            inbox_retention: Duration::from_secs(7 * 24 * 3600),
            query_tasks: 16,
            query_runtime: None,
            // Two beats of 10 s missed, and a little for the way; the sweep runs every second. Together below 25 s.
            heartbeat_silence: Duration::from_secs(22),
            reattach: Duration::from_secs(1),
            drain_hold: Duration::from_secs(40),
            rows_follow_log: false,
            alone_since: None,
        }
    }

    /// Until when an event of this time is kept.
    pub(crate) fn expiry(&self, at: Timestamp) -> Timestamp {
        let retention = u64::try_from(self.inbox_retention.as_millis()).unwrap_or(u64::MAX);
        Timestamp(at.0.saturating_add(retention))
    }

    /// A loop that has not run for so long may have lost what gateways said meanwhile. Shorter than what silence leaves
    /// beyond one missed heartbeat.
    pub(crate) fn missed_after(&self) -> Duration {
        self.heartbeat_silence / 4 + self.flush_every
    }
}
