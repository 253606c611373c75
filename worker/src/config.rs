//! What can be set of a worker.

use std::sync::Arc;
use std::time::Duration;

use confab_chat::Timestamp;

/// A worker's settings. [`Config::new`] has the defaults.
#[derive(Clone, Debug)]
pub struct Config {
    /// The worker's name. Unique to one run of it: the ids of its log entries begin with it.
    pub name: Arc<str>,
    /// The most log entries of one batch.
    pub batch: usize,
    /// How many chats, and how many mailboxes, each partition keeps in memory beside those not yet written.
    pub cached_states: usize,
    /// How often changed states are written, and the checkpoint after them. What is not written is replayed from
    /// the log after a crash.
    pub flush_every: Duration,
    /// How long a mailbox keeps an event.
    pub inbox_retention: Duration,
    /// How many queries are answered at a time.
    pub query_tasks: usize,
    /// After how long without a heartbeat a gateway's session counts as gone.
    pub heartbeat_silence: Duration,
    /// How long `offline` is held back when a gateway drains.
    pub drain_hold: Duration,
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
            batch: 512,
            cached_states: 8192,
            flush_every: Duration::from_millis(250),
            inbox_retention: Duration::from_secs(7 * 24 * 3600),
            query_tasks: 16,
            // Two beats of 10 s missed, and a little for the way; the sweep runs every second. Together below 25 s.
            heartbeat_silence: Duration::from_secs(22),
            drain_hold: Duration::from_secs(40),
            alone_since: None,
        }
    }
}
