//! What devices received, against their inboxes.

use std::collections::BTreeMap;

use confab_chat::{ChatKey, Event, UserId};
use confab_proto::row::InboxRow;
use serde_json::Value;

use super::reference::Reference;
use super::{Broken, Finals, Standing};
use crate::history::{Connection, Received, Records};
use crate::plan::Story;

pub(super) fn check(
    records: &Records,
    finals: &Finals,
    standing: &Standing,
    reference: Option<&Reference>,
    broken: &mut Broken,
) {
    // A `chats` event may stand for what is not kept any more, where anything is not kept.
    let resets = finals.expires || finals.story == Story::LostLog;
    let mut begun: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    let mut told: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for connection in &records.connections {
        let device = (connection.user.as_str(), connection.device.as_str());
        // Where anything is not kept, a list that stands for it acknowledges what it stands for, and one whose number
        // happens to be the next looks like any other.
        let acked = if resets {
            connection.acked.max(told.get(&device).copied())
        } else {
            connection.acked
        };
        consecutive(connection, acked, resets, &begun, broken);
        if let Some(first) = connection.events.first() {
            begun.entry(device).or_insert(first.id - 1);
        }
        if let Some(last) = connection.events.iter().map(|event| event.id).max() {
            let highest = told.entry(device).or_default();
            *highest = last.max(*highest);
        }
        let inbox = UserId::parse(&connection.user).ok();
        let inbox = inbox.and_then(|user| standing.inboxes.get(&user).map(|inbox| (user, inbox)));
        for event in &connection.events {
            let row = inbox
                .as_ref()
                .and_then(|(user, inbox)| Some((user, inbox.get(&event.id)?)));
            let fits = row.is_some_and(|(user, row)| is_same(user, row, event));
            let resets = resets && event.kind == "chats";
            if !fits && !resets {
                broken.add(
                    "an event is not the one in the inbox",
                    format_args!(
                        "{}/{}: {event:?}, inbox {row:?}",
                        connection.user, connection.device
                    ),
                );
            }
        }
    }
    foreign(standing, reference, broken);
}

/// From where the device stood, one by one.
fn consecutive(
    connection: &Connection,
    acked: Option<u64>,
    resets: bool,
    begun: &BTreeMap<(&str, &str), u64>,
    broken: &mut Broken,
) {
    let Connection {
        user, device, asked, ..
    } = connection;
    let mut ids = connection.events.iter();
    let Some(first) = ids.next() else { return };
    let begun = begun.get(&(user.as_str(), device.as_str())).copied();
    let may_begin = match (asked, acked, begun) {
        (Some(asked), ..) => *asked..=*asked,
        (None, Some(acked), Some(begun)) => begun.min(acked)..=acked.max(begun),
        _ => 0..=u64::MAX,
    };
    let is_reset = resets && first.kind == "chats";
    if !is_reset && !may_begin.contains(&(first.id - 1)) {
        broken.add(
            "a connection does not begin where its device stood",
            format_args!("{user}/{device}: event {} first, asked after {asked:?}, acknowledged {acked:?}, begun {begun:?}", first.id),
        );
    }
    let mut last = first.id;
    for event in ids {
        let follows = event.id == last + 1 || (resets && event.kind == "chats" && event.id >= last);
        if !follows {
            broken.add(
                "events are not consecutive",
                format_args!("{user}/{device}: {} after {last}", event.id),
            );
        }
        last = event.id;
    }
}

fn is_same(user: &UserId, row: &InboxRow, received: &Received) -> bool {
    let payload = &received.payload;
    let marked = |kind, chat: &ChatKey, by: &UserId, id: u64, at: u64| {
        received.kind == kind
            && payload["chatId"] == *chat.name_for(user)
            && payload["userId"] == *by.as_str()
            && payload["messageId"] == id
            && payload["timestamp"] == at
    };
    // One sent again after its message was deleted carries no text.
    let text_fits = |text: &str| payload["message"] == *text || payload["message"] == "";
    match &*row.event {
        Event::Chats => received.kind == "chats",
        Event::New {
            chat,
            message_id,
            sender,
            client_message_id,
            text,
            at,
            ..
        } => {
            let own = client_message_id.as_deref().map_or(Value::Null, Value::from);
            marked("new", chat, sender, *message_id, at.as_millis())
                && text_fits(text)
                && payload["clientMessageId"] == own
        }
        Event::Edit {
            chat,
            message_id,
            by,
            text,
            at,
            ..
        } => marked("edit", chat, by, *message_id, at.as_millis()) && text_fits(text),
        Event::Delete {
            chat,
            message_id,
            by,
            at,
        } => marked("delete", chat, by, *message_id, at.as_millis()),
        Event::Delivered {
            chat,
            by,
            message_id,
            at,
        } => marked("dlvrd", chat, by, *message_id, at.as_millis()),
        Event::Read {
            chat,
            by,
            message_id,
            at,
        } => marked("read", chat, by, *message_id, at.as_millis()),
    }
}

/// Nobody has anything of a chat that is not theirs.
fn foreign(standing: &Standing, reference: Option<&Reference>, broken: &mut Broken) {
    for (user, inbox) in &standing.inboxes {
        for row in inbox.values().filter(|row| !matches!(*row.event, Event::Chats)) {
            let is_theirs = match (row.chat.is_dialog(), reference) {
                (true, _) => row.chat.other_side(user).is_some(),
                (false, Some(reference)) => reference.members.contains(&(row.chat.clone(), user.clone())),
                (false, None) => true,
            };
            if !is_theirs {
                broken.add(
                    "an event came to one outside of its chat",
                    format_args!("{user}: {row:?}"),
                );
            }
        }
    }
}
