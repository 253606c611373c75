//! Queries, against what was known when they were asked: a client reads what it, or anybody, was told of before.

use std::collections::{BTreeMap, BTreeSet};

use confab_chat::{ChatKey, UserId};
use serde_json::Value;

use super::reference::Reference;
use super::{Broken, chat_key};
use crate::history::{Op, Outcome, Records};

/// The messages known at each step: the highest of each chat, by the step from which on it was known.
#[derive(Default)]
struct Known(BTreeMap<ChatKey, BTreeMap<u64, u64>>);

impl Known {
    fn note(&mut self, chat: ChatKey, step: u64, id: u64) {
        let steps = self.0.entry(chat).or_default();
        steps.insert(step, id);
    }

    fn before(&self, chat: &ChatKey, step: u64) -> u64 {
        let steps = self.0.get(chat);
        let before = steps.into_iter().flat_map(|steps| steps.range(..step));
        before.map(|(_, id)| *id).max().unwrap_or(0)
    }
}

/// Chats of which a user does not see everything.
fn hidden(records: &Records) -> BTreeSet<(String, ChatKey)> {
    let deleted = records.ops.iter().filter(|op| op.kind == "deleteChat");
    deleted
        .filter_map(|op| {
            Some((
                op.user.clone(),
                chat_key(&op.user, op.payload["chatId"].as_str()?)?,
            ))
        })
        .collect()
}

fn known(records: &Records) -> Known {
    let mut known = Known::default();
    for op in records.ops.iter().filter(|op| op.kind == "new") {
        if let Outcome::Done { step, payload } = &op.outcome
            && let Some(chat) = op.payload["chatId"]
                .as_str()
                .and_then(|name| chat_key(&op.user, name))
            && let Some(id) = payload["messageId"].as_u64()
        {
            known.note(chat, *step, id);
        }
    }
    for connection in &records.connections {
        for event in connection.events.iter().filter(|event| event.kind == "new") {
            let chat = event.payload["chatId"].as_str();
            if let Some(chat) = chat.and_then(|name| chat_key(&connection.user, name))
                && let Some(id) = event.payload["messageId"].as_u64()
            {
                known.note(chat, event.step, id);
            }
        }
    }
    known
}

pub(super) fn check(records: &Records, reference: Option<&Reference>, broken: &mut Broken) {
    let (known, hidden) = (known(records), hidden(records));
    for op in &records.ops {
        let Outcome::Done { payload, .. } = &op.outcome else {
            continue;
        };
        let Some((asked, _)) = op.sends.last() else {
            continue;
        };
        let chat = op.payload["chatId"]
            .as_str()
            .and_then(|name| chat_key(&op.user, name));
        match (op.kind, chat) {
            ("chats", _) => list(op, payload, *asked, (&known, &hidden), broken),
            ("chat" | "messages", Some(chat)) => {
                outside(op, &chat, reference, broken);
                let sees_all = chat.is_dialog() && !hidden.contains(&(op.user.clone(), chat.clone()));
                let at_least = if sees_all { known.before(&chat, *asked) } else { 0 };
                match op.kind {
                    "chat" => one(op, payload, at_least, broken),
                    _ => page(op, payload, at_least, broken),
                }
            }
            _ => {}
        }
    }
}

/// Whoever never was a member is told nothing.
fn outside(op: &Op, chat: &ChatKey, reference: Option<&Reference>, broken: &mut Broken) {
    let (Some(reference), Ok(user)) = (reference, UserId::parse(&op.user)) else {
        return;
    };
    if !chat.is_dialog() && !reference.members.contains(&(chat.clone(), user)) {
        broken.add("one outside of a chat was told of it", format_args!("{op:?}"));
    }
}

fn one(op: &Op, payload: &Value, at_least: u64, broken: &mut Broken) {
    let last = payload["lastMessageId"].as_u64().unwrap_or(0);
    if last < at_least {
        broken.add(
            "a chat does not show what was known",
            format_args!("{last} is its last, {at_least} was known: {op:?}"),
        );
    }
}

fn list(
    op: &Op,
    payload: &Value,
    asked: u64,
    (known, hidden): (&Known, &BTreeSet<(String, ChatKey)>),
    broken: &mut Broken,
) {
    for item in payload.as_array().into_iter().flatten() {
        let Some(chat) = item["id"].as_str().and_then(|name| chat_key(&op.user, name)) else {
            continue;
        };
        let sees_all = chat.is_dialog() && !hidden.contains(&(op.user.clone(), chat.clone()));
        if sees_all {
            one(op, item, known.before(&chat, asked), broken);
        }
    }
}

/// Without holes, and the latest page has what was known.
fn page(op: &Op, payload: &Value, at_least: u64, broken: &mut Broken) {
    let ids: Vec<u64> = payload
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|message| message["messageId"].as_u64())
        .collect();
    if ids.windows(2).any(|pair| pair[0] + 1 != pair[1]) {
        broken.add("a page has holes", format_args!("{ids:?}: {op:?}"));
    }
    let is_latest = op.payload.get("startId").is_none() && op.payload.get("endId").is_none();
    let last = ids.last().copied().unwrap_or(0);
    if is_latest && last < at_least {
        broken.add(
            "a page does not show what was known",
            format_args!("{last} is its last, {at_least} was known: {op:?}"),
        );
    }
    let start = op.payload["startId"].as_u64();
    if start.is_some_and(|start| start <= at_least && ids.first() != Some(&start)) {
        broken.add(
            "a page does not begin where it was asked to",
            format_args!("{ids:?}, {at_least} was known: {op:?}"),
        );
    }
}
