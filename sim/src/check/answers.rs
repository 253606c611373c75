//! What clients were answered, against the rows and against each other.

use std::collections::BTreeMap;

use confab_chat::ChatKey;

use super::{Broken, Finals, Standing, chat_key};
use crate::history::{Op, Outcome, Records};
use crate::plan::Story;

pub(super) fn check(records: &Records, finals: &Finals, standing: &Standing, broken: &mut Broken) {
    for op in &records.ops {
        match (&op.outcome, op.kind) {
            (Outcome::Done { payload, .. }, "new") => sent(op, payload, standing, broken),
            (Outcome::Refused { code, .. }, _) if code == "internal" => {
                let poisoned = op.payload["message"] == confab_service::mistake::POISON;
                if !poisoned {
                    broken.add("the service failed on a request", format_args!("{op:?}"));
                }
            }
            _ => {}
        }
    }
    told(records, standing, broken);
    // An entry that a log has lost may have a late copy, which then stands behind what was sent after it.
    if finals.story == Story::Ordinary {
        order(records, broken);
    }
    marks(records, broken);
}

/// A `new` that got a response is in the chat under that id.
fn sent(op: &Op, payload: &serde_json::Value, standing: &Standing, broken: &mut Broken) {
    let Some(chat) = op.payload["chatId"]
        .as_str()
        .and_then(|name| chat_key(&op.user, name))
    else {
        return;
    };
    let (id, at) = (payload["messageId"].as_u64(), payload["timestamp"].as_u64());
    let row = standing
        .messages
        .get(&chat)
        .and_then(|messages| messages.get(&id.unwrap_or(0)));
    let Some(row) = row else {
        return broken.add(
            "a message that was answered is lost",
            format_args!("{chat}: {op:?}"),
        );
    };
    let own = op.payload["clientMessageId"].as_str();
    let same = row.sender.as_str() == op.user
        && own.is_none_or(|own| row.client_message_id.as_deref() == Some(own))
        && Some(row.created_at.as_millis()) == at;
    if !same {
        broken.add(
            "a message is not the one that was answered",
            format_args!("{row:?}: {op:?}"),
        );
    }
}

/// A message that anybody was told of is in the chat under that id, and no other ever is.
fn told(records: &Records, standing: &Standing, broken: &mut Broken) {
    for connection in &records.connections {
        for event in connection.events.iter().filter(|event| event.kind == "new") {
            let payload = &event.payload;
            let chat = payload["chatId"]
                .as_str()
                .and_then(|name| chat_key(&connection.user, name));
            let messages = chat.and_then(|chat| standing.messages.get(&chat));
            let row = messages.and_then(|messages| messages.get(&payload["messageId"].as_u64().unwrap_or(0)));
            let same = row.is_some_and(|row| {
                payload["userId"] == *row.sender.as_str()
                    && payload["timestamp"] == row.created_at.as_millis()
                    && payload["clientMessageId"].as_str() == row.client_message_id.as_deref()
            });
            if !same {
                broken.add(
                    "a message is not the one that was told of",
                    format_args!("{}: {event:?}, it is {row:?}", connection.user),
                );
            }
        }
    }
}

/// What one connection sent to one chat, once each, and in that order, stands in that order.
fn order(records: &Records, broken: &mut Broken) {
    let mut uses: BTreeMap<(&str, &str, &str), usize> = BTreeMap::new();
    let key = |op: &'_ Op| -> Option<(String, String)> {
        let chat = op.payload["chatId"].as_str()?.to_owned();
        Some((chat, op.payload["clientMessageId"].as_str()?.to_owned()))
    };
    for op in records.ops.iter().filter(|op| op.kind == "new") {
        let chat = op.payload["chatId"].as_str().unwrap_or_default();
        let own = op.payload["clientMessageId"].as_str().unwrap_or_default();
        *uses.entry((&op.user, chat, own)).or_default() += 1;
    }
    let mut lanes: BTreeMap<(usize, String), Vec<(u64, u64)>> = BTreeMap::new();
    for op in records.ops.iter().filter(|op| op.kind == "new") {
        let ([(step, connection)], Outcome::Done { payload, .. }) = (op.sends.as_slice(), &op.outcome) else {
            continue;
        };
        let (Some((chat, own)), Some(id)) = (key(op), payload["messageId"].as_u64()) else {
            continue;
        };
        if uses.get(&(op.user.as_str(), chat.as_str(), own.as_str())) == Some(&1) {
            lanes.entry((*connection, chat)).or_default().push((*step, id));
        }
    }
    for ((connection, chat), mut lane) in lanes {
        lane.sort_unstable();
        if !lane.is_sorted_by_key(|(_, id)| *id) {
            broken.add(
                "one connection's messages stand in another order than they were sent in",
                format_args!("connection {connection}, {chat}: {lane:?}"),
            );
        }
    }
}

/// The first time of a mark stands, marks never go back, and what is read is delivered.
fn marks(records: &Records, broken: &mut Broken) {
    type Times = BTreeMap<u64, u64>;
    let mut marks: BTreeMap<(&str, ChatKey, &str), Times> = BTreeMap::new();
    for op in records
        .ops
        .iter()
        .filter(|op| matches!(op.kind, "read" | "dlvrd"))
    {
        let Outcome::Done { payload, .. } = &op.outcome else {
            continue;
        };
        let chat = op.payload["chatId"]
            .as_str()
            .and_then(|name| chat_key(&op.user, name));
        let (Some(chat), Some(id), Some(at)) =
            (chat, payload["messageId"].as_u64(), payload["timestamp"].as_u64())
        else {
            continue;
        };
        let times = marks.entry((&op.user, chat.clone(), op.kind)).or_default();
        if let Some(other) = times.insert(id, at).filter(|other| *other != at) {
            broken.add(
                "the first time of a mark does not stand",
                format_args!("{} {} {chat} {id}: {other} and {at}", op.user, op.kind),
            );
        }
    }
    for ((user, chat, kind), times) in &marks {
        if !times.values().is_sorted() {
            broken.add("marks go back", format_args!("{user} {kind} {chat}: {times:?}"));
        }
        if *kind != "read" {
            continue;
        }
        let delivered = marks.get(&(*user, chat.clone(), "dlvrd"));
        for (id, at) in delivered.into_iter().flatten() {
            if times.get(id).is_some_and(|read| read < at) {
                broken.add(
                    "a message is read before it is delivered",
                    format_args!("{user} {chat} {id}: read {times:?}, delivered {at}"),
                );
            }
        }
    }
}
