//! A mailbox: gives every durable event of a user its number, 1, 2, 3, …, so that a missing one is visible.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::event::Event;
use crate::ids::{ChatKey, UserId};
use crate::time::Timestamp;

/// A mailbox's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// Whose.
    pub user: UserId,
    /// All but the chats seen.
    pub head: Head,
    /// The last version seen of each chat: what is not above it is a repeat, for ever.
    pub seen: BTreeMap<ChatKey, u64>,
}

/// All of a mailbox's state but the chats seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// How many entries were applied (from epoch·2^40 on in a later epoch).
    pub version: u64,
    /// The epoch of the last entry applied.
    pub epoch: u32,
    /// The last entry applied.
    pub seq: u64,
    /// The time of the last entry applied.
    pub time: Timestamp,
    /// The number of the last event.
    pub last: u64,
}

/// Where an entry stands in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At {
    /// The log's epoch.
    pub epoch: u32,
    /// The entry's number in its partition.
    pub seq: u64,
    /// When the log took it.
    pub time: Timestamp,
}

/// What one version of a chat brings to this mailbox.
#[derive(Clone, Copy, Debug)]
pub struct Incoming<'a> {
    /// The chat.
    pub chat: &'a ChatKey,
    /// Its version.
    pub version: u64,
    /// The events, in order.
    pub events: &'a [Arc<Event>],
}

/// What an entry does to a mailbox.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// The mailbox's version after the entry: dates the inbox rows.
    pub version: u64,
    /// The entry's time in this mailbox.
    pub at: Timestamp,
    /// The events that got numbers.
    pub events: Vec<(u64, Arc<Event>)>,
    /// Which of the items were new, by their place in the entry; the others are repeats.
    pub fresh: Vec<usize>,
    /// Chats whose last version seen changed, each once.
    pub changed: Vec<ChatKey>,
}

impl State {
    /// A mailbox that nothing has happened to.
    #[must_use]
    pub fn new(user: UserId) -> Self {
        Self {
            user,
            head: Head::default(),
            seen: BTreeMap::new(),
        }
    }

    /// Whether the state covers an entry already.
    #[must_use]
    pub fn covers(&self, epoch: u32, seq: u64) -> bool {
        (epoch, seq) <= (self.head.epoch, self.head.seq)
    }
}

/// Applies what one entry of the log brings to this mailbox, repeats dropped.
pub fn deliver(state: &mut State, at: At, items: &[Incoming<'_>]) -> Effects {
    let mut effects = begin(state, at);
    for (place, item) in items.iter().enumerate() {
        match state.seen.get_mut(item.chat) {
            Some(seen) if item.version <= *seen => continue,
            Some(seen) => *seen = item.version,
            None => {
                state.seen.insert(item.chat.clone(), item.version);
            }
        }
        if !effects.changed.contains(item.chat) {
            effects.changed.push(item.chat.clone());
        }
        effects.fresh.push(place);
        for event in item.events {
            state.head.last += 1;
            effects.events.push((state.head.last, Arc::clone(event)));
        }
    }
    effects
}

/// Where a device that connects for the first time starts: at the `lastEventId` it came with, where the
/// mailbox has had it, else at now.
pub fn enroll(state: &mut State, at: At, after: Option<u64>) -> (Effects, u64) {
    let effects = begin(state, at);
    let cursor = after.unwrap_or(state.head.last).min(state.head.last);
    (effects, cursor)
}

fn begin(state: &mut State, at: At) -> Effects {
    let head = &mut state.head;
    if at.epoch > head.epoch && at.epoch > 1 {
        head.version = head.version.max(u64::from(at.epoch) << 40);
    }
    head.version += 1;
    (head.epoch, head.seq) = (at.epoch, at.seq);
    head.time = head.time.max(at.time);
    Effects {
        version: head.version,
        at: head.time,
        ..Effects::default()
    }
}
