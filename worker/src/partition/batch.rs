//! What a batch of entries does to the world, gathered while they are applied: rows first, then answers, deliveries to
//! mailboxes, and frames.

use std::collections::{BTreeMap, HashMap};

use confab_chat::row::Row;
use confab_chat::{
    ChatKey, Command, Delivery, GatewayId, Partition, Rejection, Reply, SessionId, Timestamp, UserId,
};
use confab_chat::{DeviceId, Receivers};
use confab_proto::message::{DeliverItem, DeliveryBody, MailboxEvent, ToGateway};
use confab_proto::wire::{Packer, Wire};
use confab_service::mistake::{self, Mistake, is_made};
use confab_store::{Key, Write};
use smallvec::{SmallVec, smallvec};

use super::bounds;

/// Everything that leaves with a batch.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) rows: Rows,
    /// Each with the entry that it follows from.
    pub(super) replies: Vec<(u64, GatewayId, ToGateway)>,
    pub(super) mail: Mail,
    /// New events of users who have sessions.
    pub(super) live: HashMap<UserId, Vec<MailboxEvent>>,
    /// Users online, and whom they greet.
    pub(super) greets: Vec<(UserId, Vec<UserId>)>,
    /// Devices whose cursor is set by this batch.
    pub(super) enrolled: Vec<(UserId, DeviceId)>,
    /// Sessions that wait for that.
    pub(super) waiting: Vec<(GatewayId, SessionId)>,
}

impl Batch {
    /// The answer to a command.
    pub(super) fn reply(&mut self, seq: u64, command: &Command, result: Result<Reply, Rejection>) {
        let Command { user, origin, .. } = command;
        let body = DeliveryBody::Reply {
            session: origin.session,
            request: origin.request,
            result,
        };
        let user = user.clone();
        let message = ToGateway { user, body };
        self.replies.push((seq, origin.gateway.clone(), message));
    }
}

/// Rows of a batch are encoded into pieces of memory of this size.
const PIECE: usize = 16 << 10;

/// Rows to write, each key once: of a row that is written again in the same batch only the last form leaves.
pub(super) struct Rows {
    writes: Vec<Write>,
    places: HashMap<Key, usize>,
    packer: Packer,
}

impl Default for Rows {
    fn default() -> Self {
        Self {
            writes: Vec::new(),
            places: HashMap::new(),
            packer: Packer::new(PIECE),
        }
    }
}

impl Rows {
    /// A row that this batch writes once.
    pub(super) fn push(&mut self, write: Write) {
        self.writes.push(write);
    }

    /// A row of a mailbox's events, which this batch writes once.
    pub(super) fn event(&mut self, key: Key, timestamp: u64, row: &impl Wire, expires: Timestamp) {
        self.writes.push(Write {
            key,
            timestamp,
            value: self.packer.encode(row),
            expires: Some(expires),
        });
    }

    /// A row of a chat. `again` where other entries of the chat may write it again.
    pub(super) fn chat(&mut self, chat: &ChatKey, version: u64, row: Row, again: bool) {
        let write = row_write(&mut self.packer, chat, version, row);
        if !again {
            self.writes.push(write);
            return;
        }
        let place = *self.places.entry(write.key.clone()).or_insert(self.writes.len());
        match self.writes.get_mut(place) {
            Some(earlier) => *earlier = write,
            None => self.writes.push(write),
        }
    }

    pub(super) fn take(&mut self) -> Vec<Write> {
        self.places.clear();
        std::mem::take(&mut self.writes)
    }
}

/// A row of a chat, as a version of the chat writes it.
fn row_write(packer: &mut Packer, chat: &ChatKey, version: u64, row: Row) -> Write {
    let chat = chat.clone();
    let (key, value) = match row {
        Row::Message(row) => (Key::Message(chat, row.message_id), packer.encode(&row)),
        Row::ClientId {
            sender,
            client_message_id,
            row,
        } => (
            Key::ClientId(chat, sender, client_message_id),
            packer.encode(&row),
        ),
        Row::Mark {
            user,
            kind,
            up_to,
            at,
        } => (Key::Mark(chat, user, kind, up_to), packer.encode(&at)),
        Row::Head(row) => (Key::Head(chat), packer.encode(&row)),
        Row::Roster(row) => (Key::Roster(chat), packer.encode(&row)),
        Row::Membership { user, row } => (Key::Membership(user, chat), packer.encode(&row)),
    };
    Write {
        key,
        timestamp: version,
        value,
        expires: None,
    }
}

/// What goes to mailboxes, by the partition they are in, in the order in which it was made.
#[derive(Default)]
pub(super) struct Mail(BTreeMap<Partition, Vec<DeliverItem>>);

impl Mail {
    /// One version's deliveries of a chat.
    pub(super) fn post(&mut self, chat: &ChatKey, version: u64, delivery: Delivery, partitions: u16) {
        let Delivery { to, events, greet } = delivery;
        let to = match is_made(Mistake::StaleMembers) && !chat.is_dialog() {
            true => mistake::first_heard(chat.as_str(), to),
            false => to,
        };
        let placed = |user: UserId| (user.partition(partitions), user);
        let mut placed: SmallVec<[_; 2]> = to.into_iter().map(placed).collect();
        placed.sort_by_key(|(partition, _)| *partition);
        let mut groups: SmallVec<[(Partition, Receivers); 2]> = SmallVec::new();
        for (partition, user) in placed {
            match groups.last_mut() {
                Some((of, group)) if *of == partition => group.push(user),
                _ => groups.push((partition, smallvec![user])),
            }
        }
        for (partition, to) in groups {
            if is_made(Mistake::EventsApart) {
                let apart = events.iter().skip(1).map(|event| DeliverItem {
                    chat: chat.clone(),
                    version,
                    to: to.clone(),
                    events: smallvec![event.clone()],
                    greet: Vec::new(),
                });
                self.0.entry(partition).or_default().extend(apart);
            }
            self.0.entry(partition).or_default().push(DeliverItem {
                chat: chat.clone(),
                version,
                to,
                events: events.clone(),
                greet: greet.clone(),
            });
        }
    }

    /// The entries to append to each partition, in order. An item is never split, so all that one version has for one
    /// mailbox stays together; items of one version for different mailboxes may stand in two entries.
    pub(super) fn into_entries(self) -> impl Iterator<Item = (Partition, bounds::Runs<DeliverItem>)> {
        self.0
            .into_iter()
            .map(|(partition, items)| (partition, bounds::runs(items, item_bytes)))
    }
}

/// No less than what an item takes in the log.
fn item_bytes(item: &DeliverItem) -> usize {
    let users = item.to.iter().chain(&item.greet).map(bounds::user_bytes);
    let events = item.events.iter().map(|event| bounds::event_bytes(event));
    item.chat.as_str().len() + 32 + users.sum::<usize>() + events.sum::<usize>()
}

#[cfg(test)]
mod tests;
