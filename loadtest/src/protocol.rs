//! The public protocol, as a client sees it: `docs/protocol.md` of the service. Nothing here is shared with it, so that
//! what the service says is judged by somebody else.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::value::RawValue;

/// Any frame from the service.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Frame<'a> {
    #[serde(rename = "type", default)]
    pub(crate) kind: &'a str,
    #[serde(borrow)]
    pub(crate) id: Option<&'a RawValue>,
    pub(crate) event_type: Option<&'a str>,
    /// The answer to a ping.
    pub(crate) event: Option<&'a str>,
    #[serde(borrow)]
    pub(crate) payload: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) error: Option<ErrorBody<'a>>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ErrorBody<'a> {
    #[serde(borrow)]
    pub(crate) code: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(crate) message: Cow<'a, str>,
    #[serde(default)]
    pub(crate) retryable: bool,
}

/// What an event says, as far as it is judged; `new`, `edit`, `delete`, `dlvrd` and `read` alike.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EventPayload<'a> {
    #[serde(borrow)]
    pub(crate) chat_id: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) user_id: Cow<'a, str>,
    pub(crate) message_id: u32,
    #[serde(borrow)]
    pub(crate) client_message_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(crate) message: Option<Cow<'a, str>>,
}

/// What `online`, `offline` and `typing` say. They are not judged, but have to be what they are.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Passing<'a> {
    #[serde(borrow)]
    pub(crate) user_id: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) chat_id: Option<Cow<'a, str>>,
}

/// What `new`, the changes and the marks are answered with.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Answer {
    pub(crate) message_id: u32,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Created {
    pub(crate) chat_id: String,
}

/// A message of the history.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Message<'a> {
    pub(crate) message_id: u32,
    #[serde(borrow)]
    pub(crate) client_message_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(crate) message: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(crate) sender: Cow<'a, str>,
    pub(crate) deleted_at: Option<u64>,
}

/// A line of the list of chats.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ChatListItem<'a> {
    #[serde(borrow)]
    pub(crate) id: Cow<'a, str>,
    pub(crate) last_message_id: u32,
    pub(crate) last_message_time: u64,
    #[serde(default)]
    pub(crate) missed: u32,
}

/// The message of number `n`, in its `revision`th form, filled up to a length.
pub(crate) fn text(n: u32, revision: u32, bytes: u32) -> String {
    const WORDS: &str = "the quick brown fox jumps over the lazy dog and tells everybody about it ";
    let bytes = bytes as usize;
    let mut text = String::with_capacity(bytes);
    let _ = write!(text, "{n}.{revision} ");
    while text.len() < bytes {
        let rest = (bytes - text.len()).min(WORDS.len());
        text.push_str(&WORDS[..rest]);
    }
    text
}

/// Number and revision of a message made by [`text`].
pub(crate) fn numbered(text: &str) -> Option<(u32, u32)> {
    let (n, revision) = text.split(' ').next()?.split_once('.')?;
    Some((n.parse().ok()?, revision.parse().ok()?))
}

/// A request frame. Payloads are made of ids and texts that need no escaping.
pub(crate) fn request(id: u32, kind: &str, payload: &str) -> String {
    format!(r#"{{"type":"request","id":"{id}","payloadType":"{kind}","payload":{payload}}}"#)
}

pub(crate) fn ack(event: u64) -> String {
    format!(r#"{{"type":"ack","id":{event}}}"#)
}

pub(crate) fn typing(chat: &str) -> String {
    format!(r#"{{"type":"event","eventType":"typing","payload":{{"chatId":"{chat}"}}}}"#)
}

impl Frame<'_> {
    /// The number by which a request was sent.
    pub(crate) fn request_id(&self) -> Option<u32> {
        self.id?.get().trim_matches('"').parse().ok()
    }

    /// The number of a durable event.
    pub(crate) fn event_id(&self) -> Option<u64> {
        self.id?.get().parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_tells_its_number() {
        for bytes in [20, 100, 16_384] {
            let text = text(1_234_567, 3, bytes);
            assert_eq!(text.len(), bytes as usize);
            assert_eq!(numbered(&text), Some((1_234_567, 3)));
        }
    }

    #[test]
    fn frames_are_told_apart() {
        let frame: Frame<'_> = serde_json::from_str(
            r#"{"type":"response","id":"7","timestamp":1,"error":{"code":"timeout","message":"a \"b\"","retryable":true}}"#,
        )
        .unwrap();
        assert_eq!(frame.request_id(), Some(7));
        assert!(frame.error.unwrap().retryable);
        let frame: Frame<'_> =
            serde_json::from_str(r#"{"type":"event","id":12,"eventType":"new","timestamp":1,"payload":{}}"#)
                .unwrap();
        assert_eq!((frame.event_id(), frame.event_type), (Some(12), Some("new")));
        let frame: Frame<'_> = serde_json::from_str(r#"{"event":"pong"}"#).unwrap();
        assert_eq!(frame.event, Some("pong"));
    }
}
