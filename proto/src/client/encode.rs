//! The frames that the service sends, appended to a buffer of the caller's. Equal values are equal bytes.
//!
//! A durable event's frame depends on nothing but the event, its number and the receiver (and, for a quote, on the
//! quoted text as it now is): sent again it is the same.

use confab_chat::{ChatKey, Event, Rejection, Reply, Timestamp, UserId};
use serde::Serialize;

use super::frame_error::{code_name, retryable};
use super::view::{Attachments, ReplyTo};
use crate::message::MailboxEvent;

/// The answer to a ping.
pub const PONG: &str = r#"{"event":"pong"}"#;

#[derive(Serialize)]
struct Response<'a, T> {
    r#type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    timestamp: u64,
    #[serde(flatten)]
    outcome: Outcome<T>,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Outcome<T> {
    Payload(T),
    Error(T),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ErrorBody<'a> {
    code: &'a str,
    message: &'a str,
    retryable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
}

#[derive(Serialize)]
#[serde(untagged, rename_all_fields = "camelCase")]
enum ReplyBody<'a> {
    Message {
        message_id: u64,
        timestamp: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        missed: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        client_message_id: Option<&'a str>,
    },
    Chat {
        chat_id: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        participants: Option<Vec<&'a str>>,
    },
}

/// The response to a command that was carried out. `chat_id` is the chat as the caller names it. [`Reply::Chat`] has
/// no payload of its own: the caller asks for the chat and sends it by [`payload_response`]; here it gets the chatId.
pub fn response(out: &mut Vec<u8>, id: &str, now: Timestamp, chat_id: &str, reply: &Reply) {
    let body = match reply {
        Reply::Message {
            message_id,
            at,
            client_message_id,
        } => ReplyBody::Message {
            message_id: *message_id,
            timestamp: at.as_millis(),
            missed: None,
            client_message_id: client_message_id.as_deref(),
        },
        Reply::Read {
            message_id,
            at,
            missed,
            client_message_id,
        } => ReplyBody::Message {
            message_id: *message_id,
            timestamp: at.as_millis(),
            missed: Some(*missed),
            client_message_id: client_message_id.as_deref(),
        },
        Reply::Chat | Reply::Left => ReplyBody::Chat {
            chat_id,
            participants: None,
        },
        Reply::Participants(users) => ReplyBody::Chat {
            chat_id,
            participants: Some(users.iter().map(UserId::as_str).collect()),
        },
    };
    write(out, &responding(Some(id), now, Outcome::Payload(body)));
}

/// The response to a query: `payload` is its answer, JSON already.
pub fn payload_response(out: &mut Vec<u8>, id: &str, now: Timestamp, payload: &[u8]) {
    out.extend_from_slice(br#"{"type":"response","id":"#);
    write(out, &id);
    out.extend_from_slice(br#","timestamp":"#);
    write(out, &now.as_millis());
    out.extend_from_slice(br#","payload":"#);
    out.extend_from_slice(payload);
    out.push(b'}');
}

/// The response to a request, or to a frame that is none, that was refused. `retry_after_ms` where the service knows
/// when it may be sent again.
pub fn error_response(
    out: &mut Vec<u8>,
    id: Option<&str>,
    now: Timestamp,
    rejection: &Rejection,
    retry_after_ms: Option<u64>,
) {
    let body = ErrorBody {
        code: code_name(rejection.code),
        message: &rejection.message,
        retryable: retryable(rejection.code),
        retry_after_ms,
    };
    write(out, &responding(id, now, Outcome::Error(body)));
}

fn responding<T>(id: Option<&str>, now: Timestamp, outcome: Outcome<T>) -> Response<'_, T> {
    Response {
        r#type: "response",
        id,
        timestamp: now.as_millis(),
        outcome,
    }
}

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
        Event::New { chat, .. } => new(out, &chat.name_for(receiver), item),
        Event::Edit {
            chat,
            message_id,
            by,
            text,
            attachments,
            at,
        } => {
            let body = EditBody {
                chat_id: &chat.name_for(receiver),
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
                chat_id: &chat.name_for(receiver),
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
            &chat.name_for(receiver),
            (by, *message_id, *at),
        ),
        Event::Read {
            chat,
            by,
            message_id,
            at,
        } => mark(
            out,
            "read",
            item,
            &chat.name_for(receiver),
            (by, *message_id, *at),
        ),
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
        chat_id: &chat.name_for(receiver),
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

/// Writes a value of this module. Neither a `Vec` nor any of these types can refuse.
fn write<T: Serialize>(out: &mut Vec<u8>, value: &T) {
    let written = serde_json::to_writer(out, value);
    debug_assert!(written.is_ok(), "a frame is always JSON: {written:?}");
}
