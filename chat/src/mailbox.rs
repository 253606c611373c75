//! A mailbox: gives every durable event of a user its number, 1, 2, 3, …, so that a missing one is visible.

use std::collections::BTreeMap;
use std::sync::Arc;

use smallvec::{SmallVec, smallvec};

use crate::epoch::{first_event, first_version};
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
    /// How many entries were applied, counted from the [first version](first_version) of the epoch.
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
    pub events: SmallVec<[(u64, Arc<Event>); 2]>,
    /// Which of the items were new, by their place in the entry; the others are repeats.
    pub fresh: SmallVec<[usize; 2]>,
    /// Chats whose last version seen changed, each once.
    pub changed: SmallVec<[ChatKey; 1]>,
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

/// An event that stands in the inbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Its number.
    pub id: u64,
    /// When it entered the mailbox.
    pub at: Timestamp,
    /// The chat that made it.
    pub chat: ChatKey,
    /// That chat's version; 0 for an event that no chat made.
    pub version: u64,
    /// How many more events of that version follow.
    pub rest: u32,
}

/// A mailbox's state in a later epoch of the log, from its state in an earlier one and from the events that stand after
/// that one's last, in order.
///
/// Of the last batch before the loss some rows may stand and others not. Events leave for devices when all rows of their
/// batch stand; so what stands above a missing one, and the first events of a version whose others are missing, were
/// seen by no device. They are as if they had not been: their chat's version counts as not seen, their numbers go to
/// other events.
///
/// With `expired` events may be gone that devices have seen. Their numbers are known to nobody: the mailbox goes on
/// [above all](first_event) that they can have had.
#[must_use]
pub fn restore(before: &State, standing: &[Standing], expired: bool, epoch: u32) -> State {
    let numbered = standing.iter().zip(before.head.last + 1..);
    let consecutive = numbered.take_while(|(event, id)| event.id == *id).count();
    let (whole, _) = standing.split_at(consecutive);
    let torn = whole.last().filter(|last| last.rest > 0);
    let torn = torn.map(|last| (&last.chat, last.version));
    let mut state = before.clone();
    for event in whole {
        if torn == Some((&event.chat, event.version)) {
            break;
        }
        state.head.last = event.id;
        state.head.time = state.head.time.max(event.at);
        if event.version > 0 {
            let seen = state.seen.entry(event.chat.clone()).or_default();
            *seen = event.version.max(*seen);
        }
    }
    if expired {
        state.head.last = state.head.last.max(first_event(epoch));
    }
    state.head = Head {
        version: first_version(epoch),
        epoch,
        seq: 0,
        ..state.head
    };
    state
}

/// Begins an epoch with a restored mailbox: its first event tells the devices to load anew what the lost log may have
/// held.
pub fn begin_epoch(state: &mut State, time: Timestamp) -> Effects {
    let head = &mut state.head;
    head.time = head.time.max(time);
    head.last += 1;
    Effects {
        version: head.version,
        at: head.time,
        events: smallvec![(head.last, Arc::new(Event::Chats))],
        ..Effects::default()
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
    head.version += 1;
    (head.epoch, head.seq) = (at.epoch, at.seq);
    head.time = head.time.max(at.time);
    Effects {
        version: head.version,
        at: head.time,
        ..Effects::default()
    }
}
