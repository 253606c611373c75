//! What stands, against what a straight pass over the logs gives: byte for byte.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use confab_chat::epoch::{first_event, first_event_before};
use confab_chat::{ActorKey, ChatKey, Event, UserId};
use confab_proto::message::DeliveryBody;
use confab_proto::row::{CheckpointRow, InboxRow};
use confab_proto::wire::Wire;
use confab_store::{Key, StatePart};

use super::reference::Reference;
use super::{Broken, Finals, Standing};
use crate::store::Cell;

/// What came to a mailbox: which version of a chat, and one of its events.
type Came = (u64, Arc<Event>);

pub(super) fn check(reference: &Reference, finals: &Finals, broken: &mut Broken) {
    for found in &finals.quorums {
        rows(reference, found, broken);
        states(reference, found, broken);
    }
    mail(reference, finals, broken);
    replies(reference, finals, broken);
    checkpoints(finals, broken);
}

/// Rows that a chat or a mailbox writes when it applies an entry.
fn is_made_by_entries(key: &Key) -> bool {
    match key {
        Key::Message(..)
        | Key::ClientId(..)
        | Key::Head(_)
        | Key::Roster(_)
        | Key::Mark(..)
        | Key::Membership(..)
        | Key::Inbox(..) => true,
        Key::State(..) | Key::Cursor(..) | Key::User(_) | Key::Checkpoint(_) | Key::Reach(_) => false,
    }
}

fn rows(reference: &Reference, found: &[(Key, Cell)], broken: &mut Broken) {
    let mut seen = BTreeSet::new();
    for (key, cell) in found.iter().filter(|(key, _)| is_made_by_entries(key)) {
        seen.insert(key);
        match reference.rows.get(key) {
            Some((timestamp, value)) if (*timestamp, value) == (cell.timestamp, &cell.value) => {}
            Some((timestamp, value)) => broken.add(
                "a row is not what the log says",
                format_args!(
                    "{key:?} of version {}, {:?}; the log says version {timestamp}, {value:?}",
                    cell.timestamp, cell.value
                ),
            ),
            None => broken.add(
                "a row stands that nothing in the log made",
                format_args!("{key:?}"),
            ),
        }
    }
    for key in reference.rows.keys().filter(|key| !seen.contains(key)) {
        broken.add("a row is missing", format_args!("{key:?}"));
    }
}

/// The bytes of every part of every state; a part that is gone has none.
fn expected_states(reference: &Reference) -> BTreeMap<Key, Bytes> {
    let mut states = BTreeMap::new();
    for (chat, state) in &reference.chats {
        let key = |part| Key::State(ActorKey::Chat(chat.clone()), part);
        states.insert(key(StatePart::Head), state.head.encode());
        for (user, member) in &state.members {
            states.insert(key(StatePart::Member(user.clone())), member.encode());
        }
    }
    for (user, state) in &reference.mailboxes {
        let key = |part| Key::State(ActorKey::Mailbox(user.clone()), part);
        states.insert(key(StatePart::Head), state.head.encode());
        for (chat, version) in &state.seen {
            states.insert(key(StatePart::Seen(chat.clone())), version.encode());
        }
    }
    states
}

fn states(reference: &Reference, rows: &[(Key, Cell)], broken: &mut Broken) {
    let expected = expected_states(reference);
    let mut found = BTreeMap::new();
    for (key, cell) in rows {
        if matches!(key, Key::State(..)) && !cell.value.is_empty() {
            found.insert(key, &cell.value);
        }
    }
    for (key, value) in &expected {
        if found.get(key) != Some(&value) {
            broken.add(
                "a state is not what the log says",
                format_args!("{key:?} is {:?}, the log says {value:?}", found.get(key)),
            );
        }
    }
    for key in found.keys().filter(|key| !expected.contains_key(key)) {
        broken.add(
            "a state has a part that the log knows nothing of",
            format_args!("{key:?}"),
        );
    }
}

/// Every mailbox has what every chat sent to it, all of it, once, in the chat's order.
fn mail(reference: &Reference, finals: &Finals, broken: &mut Broken) {
    let mut came: BTreeMap<(UserId, ChatKey), BTreeMap<u64, Came>> = BTreeMap::new();
    for (key, cell) in &finals.rows {
        if let (Key::Inbox(user, id), Ok(row)) = (key, InboxRow::decode(&cell.value)) {
            let of_chat = came.entry((user.clone(), row.chat)).or_default();
            of_chat.insert(*id, (row.version, row.event));
        }
    }
    let pairs: BTreeSet<_> = came.keys().chain(reference.sent.keys()).cloned().collect();
    for pair in pairs {
        let got: Vec<Came> = came.remove(&pair).unwrap_or_default().into_values().collect();
        let sent = reference.sent.get(&pair).map(Vec::as_slice).unwrap_or_default();
        let sent: Vec<Came> = sent
            .iter()
            .flat_map(|(version, events)| events.iter().map(|event| (*version, Arc::clone(event))))
            .collect();
        if got != sent {
            let differs = got
                .iter()
                .zip(&sent)
                .take_while(|(got, sent)| got == sent)
                .count();
            broken.add(
                "a mailbox has not what a chat sent to it",
                format_args!(
                    "{pair:?}: {} events of {}, from place {differs} on {:?} and not {:?}",
                    got.len(),
                    sent.len(),
                    got.get(differs),
                    sent.get(differs)
                ),
            );
        }
    }
}

/// Whatever answer was sent is one that the entry, or a copy of it, has in a straight pass.
fn replies(reference: &Reference, finals: &Finals, broken: &mut Broken) {
    for (gateway, message) in &finals.replies {
        let DeliveryBody::Reply {
            session,
            request,
            result,
        } = &message.body
        else {
            continue;
        };
        let asked = (gateway.clone(), *session, *request);
        let known = reference
            .replies
            .get(&asked)
            .map(Vec::as_slice)
            .unwrap_or_default();
        if !known.contains(result) {
            broken.add(
                "an answer is not what the log says",
                format_args!("{message:?}, the log says {known:?}"),
            );
        }
    }
}

/// In the end everything is done and saved.
fn checkpoints(finals: &Finals, broken: &mut Broken) {
    let rows = finals.rows.iter().filter_map(|(key, cell)| match key {
        Key::Checkpoint(partition) => Some((partition.0, CheckpointRow::decode(&cell.value).ok()?.seq)),
        _ => None,
    });
    let rows: BTreeMap<_, _> = rows.collect();
    for (number, era) in (0u16..).zip(&finals.eras) {
        let checkpoint = rows.get(&number).copied().unwrap_or(0);
        if checkpoint != era.entries.len() as u64 {
            broken.add(
                "a partition did not come to its end",
                format_args!("{number}: checkpoint {checkpoint} of {}", era.entries.len()),
            );
        }
    }
}

/// Messages and events are numbered from 1 without holes, but [for one](begins_far_above); a sender's own id stands for one message.
pub(super) fn numbers(standing: &Standing, finals: &Finals, broken: &mut Broken) {
    for (chat, messages) in &standing.messages {
        if !messages.keys().copied().eq(1..=messages.len() as u64) {
            broken.add(
                "message ids have holes",
                format_args!("{chat}: {:?}", messages.keys()),
            );
        }
        let mut own_ids = BTreeMap::new();
        for row in messages.values() {
            let Some(own) = &row.client_message_id else {
                continue;
            };
            if let Some(other) = own_ids.insert((&row.sender, own), row.message_id) {
                broken.add(
                    "one clientMessageId is two messages",
                    format_args!(
                        "{chat}: {own} of {} is {other} and {}",
                        row.sender, row.message_id
                    ),
                );
            }
        }
    }
    for (user, events) in &standing.inboxes {
        let partition = ActorKey::Mailbox(user.clone()).partition(finals.partitions);
        let era = finals.eras.get(usize::from(partition.0));
        let epoch = era.map_or(1, |era| era.epoch);
        let mut last = 0;
        for (id, row) in events {
            let may_begin = (finals.expires || last == 0) && first_event_before(*id) <= first_event(epoch);
            if *id != last + 1 && !(may_begin && begins_far_above(*id, row)) {
                broken.add("event ids have holes", format_args!("{user}: {id} after {last}"));
            }
            last = *id;
        }
    }
}

/// Where events expire nobody may know how far a mailbox came whose log was lost, nor where none of it had been saved: it goes
/// on from where the numbers of the epoch begin, by the event that every epoch begins with.
fn begins_far_above(id: u64, row: &InboxRow) -> bool {
    let is_first = first_event_before(id) > first_event(1) && id == first_event_before(id) + 1;
    is_first && row.version == 0 && matches!(*row.event, Event::Chats)
}

/// What a lost log has left between the last event and where the mailbox went on is seen by nobody.
pub(super) fn leave_out_between(events: &mut BTreeMap<u64, InboxRow>) {
    let begins = |(id, row): (&u64, &InboxRow)| begins_far_above(*id, row).then_some(*id);
    let Some(begun) = events.iter().filter_map(begins).next_back() else {
        return;
    };
    let mut last = 0;
    events.retain(|id, row| {
        let counts = *id >= begun || *id == last + 1 || begins_far_above(*id, row);
        if counts {
            last = *id;
        }
        counts
    });
}
