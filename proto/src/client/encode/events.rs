//! Events, durable and ephemeral.

use confab_chat::{ChatKey, Event, Timestamp, UserId};
use serde::Serialize;

use super::write;
use crate::client::view::{Attachments, ReplyTo};
use crate::message::MailboxEvent;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Frame<'a, T> {
    r#type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<u64>,
    event_type: &'a str,
    timestamp: u64,
    payload: T,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NewBody<'a> {
    id: u64,
    chat_id: &'a str,
    user_id: &'a str,
    message_id: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_message_id: Option<&'a str>,
    message: &'a str,
    #[serde(flatten)]
    attachments: Attachments<'a>,
    timestamp: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_to: Option<ReplyTo<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EditBody<'a> {
    chat_id: &'a str,
    message_id: u64,
    message: &'a str,
    #[serde(flatten)]
    attachments: Attachments<'a>,
    user_id: &'a str,
    timestamp: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DeleteBody<'a> {
    chat_id: &'a str,
    message_id: u64,
    user_id: &'a str,
    timestamp: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MarkBody<'a> {
    chat_id: &'a str,
    user_id: &'a str,
    message_id: u64,
    timestamp: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PresenceBody<'a> {
    user_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_seen: Option<u64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TypingBody<'a> {
    user_id: &'a str,
    chat_id: &'a str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stop: bool,
}

/// A durable event for `receiver`. Returns false, and writes nothing, for [`Event::Chats`], whose payload the gateway
/// asks for and sends by [`chats`].
#[must_use]
pub fn event(out: &mut Vec<u8>, receiver: &UserId, item: &MailboxEvent) -> bool {
    match &*item.event {
        Event::Chats => return false,
        Event::New { chat, .. } => new(out, chat.name_for(receiver), item),
        Event::Edit {
            chat,
            message_id,
            by,
            text,
            attachments,
            at,
        } => {
            let body = EditBody {
                chat_id: chat.name_for(receiver),
                message_id: *message_id,
                message: text,
                attachments: Attachments::new(attachments),
                user_id: by.as_str(),
                timestamp: at.as_millis(),
            };
            durable(out, "edit", item, body);
        }
        Event::Delete {
            chat,
            message_id,
            by,
            at,
        } => {
            let body = DeleteBody {
                chat_id: chat.name_for(receiver),
                message_id: *message_id,
                user_id: by.as_str(),
                timestamp: at.as_millis(),
            };
            durable(out, "delete", item, body);
        }
        Event::Delivered {
            chat,
            by,
            message_id,
            at,
        } => mark(
            out,
            "dlvrd",
            item,
            chat.name_for(receiver),
            (by, *message_id, *at),
        ),
        Event::Read {
            chat,
            by,
            message_id,
            at,
        } => mark(out, "read", item, chat.name_for(receiver), (by, *message_id, *at)),
    }
    true
}

fn new(out: &mut Vec<u8>, chat_id: &str, item: &MailboxEvent) {
    let Event::New {
        message_id,
        sender,
        client_message_id,
        text,
        attachments,
        reply_to,
        at,
        ..
    } = &*item.event
    else {
        return;
    };
    let reply_to = match &item.quoted {
        Some(quoted) => Some(ReplyTo::new(&quoted.quote, quoted.text.as_deref())),
        None => reply_to.as_ref().map(|quote| ReplyTo::new(quote, None)),
    };
    let body = NewBody {
        id: item.id,
        chat_id,
        user_id: sender.as_str(),
        message_id: *message_id,
        client_message_id: client_message_id.as_deref(),
        message: text,
        attachments: Attachments::new(attachments),
        timestamp: at.as_millis(),
        reply_to,
    };
    durable(out, "new", item, body);
}

fn mark(
    out: &mut Vec<u8>,
    event_type: &str,
    item: &MailboxEvent,
    chat_id: &str,
    (by, message_id, at): (&UserId, u64, Timestamp),
) {
    let body = MarkBody {
        chat_id,
        user_id: by.as_str(),
        message_id,
        timestamp: at.as_millis(),
    };
    durable(out, event_type, item, body);
}

/// The durable `chats` event: `list` is the receiver's list of chats as it now is, JSON already.
pub fn chats(out: &mut Vec<u8>, id: u64, at: Timestamp, list: &[u8]) {
    out.extend_from_slice(br#"{"type":"event","id":"#);
    write(out, &id);
    out.extend_from_slice(br#","eventType":"chats","timestamp":"#);
    write(out, &at.as_millis());
    out.extend_from_slice(br#","payload":"#);
    out.extend_from_slice(list);
    out.push(b'}');
}

/// Somebody came online.
pub fn online(out: &mut Vec<u8>, now: Timestamp, user: &UserId) {
    let body = PresenceBody {
        user_id: user.as_str(),
        last_seen: None,
    };
    ephemeral(out, "online", now, body);
}

/// Somebody went offline.
pub fn offline(out: &mut Vec<u8>, now: Timestamp, user: &UserId, last_seen: Timestamp) {
    let body = PresenceBody {
        user_id: user.as_str(),
        last_seen: Some(last_seen.as_millis()),
    };
    ephemeral(out, "offline", now, body);
}

/// Somebody types, or has stopped, in a chat of `receiver`'s.
pub fn typing(
    out: &mut Vec<u8>,
    now: Timestamp,
    receiver: &UserId,
    chat: &ChatKey,
    user: &UserId,
    stop: bool,
) {
    let body = TypingBody {
        user_id: user.as_str(),
        chat_id: chat.name_for(receiver),
        stop,
    };
    ephemeral(out, "typing", now, body);
}

fn durable<T: Serialize>(out: &mut Vec<u8>, event_type: &str, item: &MailboxEvent, payload: T) {
    write_event(out, Some(item.id), event_type, item.at, payload);
}

fn ephemeral<T: Serialize>(out: &mut Vec<u8>, event_type: &str, now: Timestamp, payload: T) {
    write_event(out, None, event_type, now, payload);
}

fn write_event<T: Serialize>(
    out: &mut Vec<u8>,
    id: Option<u64>,
    event_type: &str,
    timestamp: Timestamp,
    payload: T,
) {
    write(
        out,
        &Frame {
            r#type: "event",
            id,
            event_type,
            timestamp: timestamp.as_millis(),
            payload,
        },
    );
}
