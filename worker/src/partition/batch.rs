//! What a batch of entries does to the world, gathered while they are applied: rows first, then answers, deliveries to
//! mailboxes, and frames.

use std::collections::{BTreeMap, HashMap};

use confab_chat::row::Row;
use confab_chat::{ActorKey, DeviceId};
use confab_chat::{ChatKey, Command, Delivery, GatewayId, Partition, Rejection, Reply, SessionId, UserId};
use confab_proto::message::{DeliverItem, DeliveryBody, MailboxEvent, ToGateway};
use confab_proto::wire::Wire;
use confab_service::mistake::{self, Mistake, is_made};
use confab_store::{Key, Write};

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

/// Rows to write, each key once: of a row that is written again in the same batch only the last form leaves.
#[derive(Default)]
pub(super) struct Rows {
    writes: Vec<Write>,
    places: HashMap<Key, usize>,
}

impl Rows {
    /// A row that this batch writes once.
    pub(super) fn push(&mut self, write: Write) {
        self.writes.push(write);
    }

    /// A row of a chat. `again` where other entries of the chat may write it again.
    pub(super) fn chat(&mut self, chat: &ChatKey, version: u64, row: Row, again: bool) {
        let write = row_write(chat, version, row);
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
pub(super) fn row_write(chat: &ChatKey, version: u64, row: Row) -> Write {
    let chat = chat.clone();
    let (key, value) = match row {
        Row::Message(row) => (Key::Message(chat, row.message_id), row.encode()),
        Row::ClientId {
            sender,
            client_message_id,
            row,
        } => (
            Key::ClientId(chat, sender, client_message_id.into()),
            row.encode(),
        ),
        Row::Mark {
            user,
            kind,
            up_to,
            at,
        } => (Key::Mark(chat, user, kind, up_to), at.encode()),
        Row::Head(row) => (Key::Head(chat), row.encode()),
        Row::Roster(row) => (Key::Roster(chat), row.encode()),
        Row::Membership { user, row } => (Key::Membership(user, chat), row.encode()),
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
        let mut groups: BTreeMap<Partition, Vec<UserId>> = BTreeMap::new();
        for user in to {
            let actor = ActorKey::Mailbox(user);
            let partition = actor.partition(partitions);
            if let ActorKey::Mailbox(user) = actor {
                groups.entry(partition).or_default().push(user);
            }
        }
        for (partition, to) in groups {
            if is_made(Mistake::EventsApart) {
                let apart = events.iter().skip(1).map(|event| DeliverItem {
                    chat: chat.clone(),
                    version,
                    to: to.clone(),
                    events: vec![event.clone()],
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
    pub(super) fn into_entries(self) -> impl Iterator<Item = (Partition, Vec<Vec<DeliverItem>>)> {
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
