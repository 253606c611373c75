//! Responses.

use confab_chat::{Rejection, Reply, Timestamp, UserId};
use serde::Serialize;

use super::write;
use crate::client::frame_error::{code_name, retryable};

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
