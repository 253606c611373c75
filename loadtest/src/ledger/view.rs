//! What one connection, and the ones before it of the same device, was told.

use std::collections::HashMap;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct View {
    /// The last durable event. Users of a run are new, so the first one is 1.
    pub(crate) last_event: u64,
    /// Whether an event may come again: nothing of this connection has come yet.
    repeats: bool,
    /// New messages that came, each once.
    pub(crate) seen: u64,
    /// New messages that are known and have not come.
    pub(crate) owed: u64,
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
        if id == last + 1 {
            Next::Right
        } else {
            Next::Hole(last)
        }
    }
}
