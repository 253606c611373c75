//! What a client's frame says.

use confab_chat::{ChatKey, Rejection, UserId};
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::fields::{Text, Whole, object, read, read_field};
use super::frame_error::{bad, excerpt};
use super::request::{self, Request};
use super::{REQUEST_ID_BYTES, scan};

/// What a client's frame says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// A request. It is answered under its id, also where it breaks a rule of its payload's form.
    Request {
        /// The client's own id of it, at most [`REQUEST_ID_BYTES`] bytes.
        id: String,
        /// What is asked, or why it is refused.
        request: Result<Request, Rejection>,
    },
    /// The user types in a chat.
    Typing {
        /// Where.
        chat: ChatKey,
        /// Has stopped.
        stop: bool,
    },
    /// The connection shall count as offline until its next request, event or ack.
    Offline,
    /// An event was processed.
    Ack(u64),
    /// An event of an unknown type or with a payload that breaks its form, or an ack of a number that no event has:
    /// a sign of life, and of use, but nothing to do and nothing to answer.
    Ignored,
    /// A sign of life, answered with [`encode::PONG`](super::encode::PONG): whatever is no JSON object.
    Ping,
    /// A JSON object that is no valid frame.
    Invalid {
        /// Its id, where it has a string one; as long as the client made it.
        id: Option<String>,
        /// What is wrong: always `bad_request`.
        rejection: Rejection,
    },
}

object! {
    /// A frame. What is not needed in every kind of frame is read later.
    struct Envelope<'a> {
        "type" kind: Text<'a>,
        "id" id: &'a RawValue,
        "payloadType" payload_type: &'a RawValue,
        "eventType" event_type: &'a RawValue,
        "payload" payload: &'a RawValue,
        "timestamp" timestamp: &'a RawValue,
    }
}

object! {
    /// Of an invalid frame only the id matters.
    struct Unknown<'a> {
        "id" id: &'a RawValue,
    }
}

object! {
    struct TypingFields<'a> {
        "chatId" chat_id: Text<'a>,
        "stop" stop: bool,
    }
}

/// Reads a frame that `user` has sent. What it allocates is bounded by the frame's own size, which the socket bounds
/// to [`MAX_INCOMING_BYTES`](super::MAX_INCOMING_BYTES); it never recurses.
#[must_use]
pub fn decode(user: &UserId, frame: &[u8]) -> Incoming {
    if !scan::starts_like_object(frame) {
        return Incoming::Ping;
    }
    let Ok(text) = std::str::from_utf8(frame) else {
        return not_text(frame);
    };
    if scan::is_suspicious(frame)
        && let Some(fault) = scan::fault(frame)
    {
        return if scan::is_json_object(frame) {
            invalid(text, bad(fault))
        } else {
            Incoming::Ping
        };
    }
    match read::<Envelope<'_>>(text).and_then(|envelope| dispatch(user, &envelope)) {
        Ok(incoming) => incoming,
        Err(_) if !scan::is_json_object(frame) => Incoming::Ping,
        Err(rejection) => invalid(text, rejection),
    }
}

/// An error is one of the frame as such: the caller answers it under whatever id can be found.
fn dispatch(user: &UserId, envelope: &Envelope<'_>) -> Result<Incoming, Rejection> {
    let Some(kind) = &envelope.kind else {
        return Err(bad("type is missing"));
    };
    match &*kind.0 {
        "request" => request(user, envelope),
        "ack" => ack(envelope),
        "event" => event(user, envelope),
        other => Err(bad(format!("unknown type {:?}", excerpt(other)))),
    }
}

fn request(user: &UserId, envelope: &Envelope<'_>) -> Result<Incoming, Rejection> {
    let id: Text<'_> = field("id", envelope.id)?;
    if id.0.len() > REQUEST_ID_BYTES {
        return Err(bad("id has at most 64 bytes"));
    }
    if let Some(timestamp) = envelope.timestamp {
        read_field::<Whole>("timestamp", timestamp.get())?;
    }
    let payload_type: Text<'_> = field("payloadType", envelope.payload_type)?;
    let Some(payload) = envelope.payload else {
        return Err(bad("payload is missing"));
    };
    Ok(Incoming::Request {
        id: id.0.into_owned(),
        request: request::read_request(user, &payload_type.0, payload.get()),
    })
}

fn event(user: &UserId, envelope: &Envelope<'_>) -> Result<Incoming, Rejection> {
    let event_type: Text<'_> = field("eventType", envelope.event_type.or(envelope.payload_type))?;
    Ok(match &*event_type.0 {
        "typing" => envelope
            .payload
            .and_then(|payload| typing(user, payload.get()))
            .unwrap_or(Incoming::Ignored),
        "offline" => Incoming::Offline,
        _ => Incoming::Ignored,
    })
}

fn typing(user: &UserId, payload: &str) -> Option<Incoming> {
    let fields: TypingFields<'_> = read(payload).ok()?;
    Some(Incoming::Typing {
        chat: ChatKey::named_by(user, &fields.chat_id?.0).ok()?,
        stop: fields.stop.unwrap_or(false),
    })
}

/// An ack names a number, or the same number as a string. One that no event can have (a negative one, a fraction)
/// is an ack of an event not yet sent: ignored.
fn ack(envelope: &Envelope<'_>) -> Result<Incoming, Rejection> {
    let id = envelope.id.map_or("", RawValue::get);
    let digits = id
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .unwrap_or(id);
    let is_number = digits.starts_with(|c: char| c == '-' || c.is_ascii_digit())
        && digits.ends_with(|c: char| c.is_ascii_digit())
        && read::<IgnoredAny>(digits).is_ok();
    if !is_number {
        return Err(bad(
            "id of an ack: expected a number, or the same number as a string",
        ));
    }
    Ok(digits.parse().map_or(Incoming::Ignored, Incoming::Ack))
}

fn field<'a>(key: &str, value: Option<&'a RawValue>) -> Result<Text<'a>, Rejection> {
    match value {
        Some(value) => read_field(key, value.get()),
        None => Err(bad(format!("{key} is missing"))),
    }
}

fn not_text(frame: &[u8]) -> Incoming {
    if scan::is_json_object(frame) {
        invalid(&String::from_utf8_lossy(frame), bad("the frame is not UTF-8"))
    } else {
        Incoming::Ping
    }
}

fn invalid(text: &str, rejection: Rejection) -> Incoming {
    let unknown: Option<Unknown<'_>> = read(text).ok();
    let id = unknown
        .and_then(|unknown| unknown.id)
        .and_then(|id| read::<Text<'_>>(id.get()).ok())
        .map(|id| id.0.into_owned());
    Incoming::Invalid { id, rejection }
}
