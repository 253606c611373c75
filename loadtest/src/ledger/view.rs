//! What one connection, and the ones before it of the same device, was told.

use std::collections::HashMap;
use std::time::Instant;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct View {
    /// The last durable event. Users of a run are new, so the first one is 1.
    pub(crate) last_event: u64,
    /// Whether an event may come again: nothing of this connection has come yet.
    repeats: bool,
    /// What was owed and has come.
    pub(crate) seen: u64,
    /// New messages, edits and deletions that are known and have not come.
    pub(crate) owed: u64,
    /// When a durable event came last that had not come before.
    heard_at: Option<Instant>,
    /// Since when the connection is there and reads.
    reading_since: Option<Instant>,
    /// By chat: the last new message.
    pub(super) chats: HashMap<u32, u32>,
    /// By chat, user and whether it is a `read`: the last mark.
    pub(super) marks: HashMap<(u32, u32, bool), u32>,
}

/// How an event follows the one before.
pub(super) enum Next {
    /// By one.
    Right,
    /// It was told on an earlier connection.
    Again,
    /// It was told on this one.
    Twice(u64),
    /// Something is missing before it.
    Hole(u64),
}

impl View {
    /// A new connection: what is not acknowledged may come again.
    pub(crate) fn reconnected(&mut self) {
        self.repeats = true;
    }

    /// The connection is there and reads from now on, or is not or does not.
    pub(crate) fn reads(&mut self, reading: bool) {
        self.reading_since = reading.then(Instant::now);
    }

    /// Whether the connection is there and reads.
    pub(crate) fn is_reading(&self) -> bool {
        self.reading_since.is_some()
    }

    /// Whether it has read all the time since then, and nothing came.
    pub(super) fn waited_since(&self, since: Instant) -> bool {
        self.reading_since.is_some_and(|at| at <= since) && self.heard_at.is_none_or(|at| at <= since)
    }

    pub(super) fn paid(&mut self) {
        self.seen += 1;
        self.owed -= 1;
    }

    pub(super) fn next(&mut self, id: u64) -> Next {
        let last = self.last_event;
        if id <= last {
            return if self.repeats {
                Next::Again
            } else {
                Next::Twice(last)
            };
        }
        self.repeats = false;
        self.last_event = id;
        self.heard_at = Some(Instant::now());
        if id == last + 1 {
            Next::Right
        } else {
            Next::Hole(last)
        }
    }
}
