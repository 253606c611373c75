//! The shapes of everything the service sends: which fields there are, which are always there, and of what type.
//! Every frame that any test receives passes through here.

use serde_json::Value;

/// What a field holds.
#[derive(Clone, Copy)]
enum Kind {
    Int,
    Text,
    Bool,
    Of(fn(&Value)),
    Each(fn(&Value)),
}
use Kind::{Bool, Each, Int, Of, Text};

type Fields<'a> = &'a [(&'a str, Kind)];

/// Checks an object: all of `required`, any of `optional`, nothing else.
fn object(what: &str, value: &Value, required: Fields<'_>, optional: Fields<'_>) {
    let Some(fields) = value.as_object() else {
        panic!("{what} is no object: {value}")
    };
    for (name, kind) in required {
        let Some(field) = fields.get(*name) else {
            panic!("{what} has no {name}: {value}")
        };
        check(what, name, field, *kind, value);
    }
    for (name, field) in fields {
        if required.iter().any(|(known, _)| known == name) {
            continue;
        }
        let Some((_, kind)) = optional.iter().find(|(known, _)| known == name) else {
            panic!("{what} has an unknown field {name}: {value}");
        };
        check(what, name, field, *kind, value);
    }
}

fn check(what: &str, name: &str, field: &Value, kind: Kind, whole: &Value) {
    let fits = match kind {
        Int => field.as_u64().is_some_and(|n| n < 1 << 53),
        Text => field.is_string(),
        Bool => field.is_boolean(),
        Of(inner) => {
            inner(field);
            true
        }
        Each(inner) => {
            let Some(items) = field.as_array() else {
                panic!("{what}.{name} is no array: {whole}")
            };
            items.iter().for_each(inner);
            true
        }
    };
    assert!(fits, "{what}.{name} is of another type: {whole}");
}

fn text(value: &Value) {
    assert!(value.is_string(), "no text: {value}");
}

fn one_of(what: &str, value: &Value, allowed: &[&str]) {
    assert!(
        value.as_str().is_some_and(|text| allowed.contains(&text)),
        "{what} is {value}"
    );
}

const ERROR_CODES: [&str; 10] = [
    "bad_request",
    "unauthorized",
    "forbidden",
    "not_found",
    "conflict",
    "too_large",
    "rate_limited",
    "unavailable",
    "timeout",
    "internal",
];

/// A response; its payload by the type of the request it answers.
pub(crate) fn response(frame: &Value, payload_type: Option<&str>) {
    let shape: Fields<'_> = &[
        ("type", Text),
        ("id", Text),
        ("payload", Of(|_| ())),
        ("error", Of(error)),
        ("timestamp", Int),
    ];
    object("response", frame, &[("type", Text), ("timestamp", Int)], shape);
    assert!(
        frame.get("payload").is_some() != frame.get("error").is_some(),
        "payload or error: {frame}"
    );
    if let (Some(payload), Some(payload_type)) = (frame.get("payload"), payload_type) {
        response_payload(payload_type, payload);
    }
}

fn error(value: &Value) {
    object(
        "error",
        value,
        &[("code", Text), ("message", Text), ("retryable", Bool)],
        &[("retryAfterMs", Int)],
    );
    one_of("error code", &value["code"], &ERROR_CODES);
}

fn response_payload(payload_type: &str, payload: &Value) {
    let sent: Fields<'_> = &[("messageId", Int), ("timestamp", Int)];
    let client: Fields<'_> = &[("clientMessageId", Text)];
    match payload_type {
        "new" | "edit" | "delete" | "dlvrd" => object(payload_type, payload, sent, client),
        "read" => object(
            "read",
            payload,
            &[("messageId", Int), ("timestamp", Int), ("missed", Int)],
            client,
        ),
        "chats" => check("chats", "payload", payload, Each(chat_list_item), payload),
        "chat" | "createChat" | "updateChat" => chat(payload),
        "messages" => check("messages", "payload", payload, Each(message), payload),
        "deleteChat" | "leaveChat" => object(payload_type, payload, &[("chatId", Text)], &[]),
        "addParticipants" | "removeParticipants" => {
            object(
                payload_type,
                payload,
                &[("chatId", Text), ("participants", Each(text))],
                &[],
            );
        }
        other => panic!("a request of type {other} was answered: {payload}"),
    }
}

/// An event.
pub(crate) fn event(frame: &Value) {
    let durable = matches!(
        frame["eventType"].as_str(),
        Some("new" | "edit" | "delete" | "chats" | "dlvrd" | "read")
    );
    let head: Fields<'_> = &[
        ("type", Text),
        ("eventType", Text),
        ("timestamp", Int),
        ("payload", Of(|_| ())),
    ];
    object("event", frame, head, if durable { &[("id", Int)] } else { &[] });
    assert_eq!(frame["type"], "event", "{frame}");
    assert!(
        !durable || frame["id"].as_u64().is_some_and(|id| id >= 1),
        "a durable event has an id: {frame}"
    );
    event_payload(frame);
}

fn event_payload(frame: &Value) {
    let payload = &frame["payload"];
    let attached: Fields<'_> = &[
        ("atttachments", Each(attachment)),
        ("attachments", Each(attachment)),
    ];
    let mark: Fields<'_> = &[
        ("chatId", Text),
        ("userId", Text),
        ("messageId", Int),
        ("timestamp", Int),
    ];
    match frame["eventType"].as_str().unwrap() {
        "new" => {
            let required: Fields<'_> = &[
                ("id", Int),
                ("chatId", Text),
                ("userId", Text),
                ("messageId", Int),
                ("message", Text),
                ("timestamp", Int),
            ];
            let optional = [attached, &[("clientMessageId", Text), ("replyTo", Of(reply_to))]].concat();
            object("new", payload, required, &optional);
            assert_eq!(payload["id"], frame["id"], "the event id again: {frame}");
            both_spellings(payload);
        }
        "edit" => {
            object("edit", payload, &[mark, &[("message", Text)]].concat(), attached);
            both_spellings(payload);
        }
        "delete" | "dlvrd" | "read" => object("mark or delete", payload, mark, &[]),
        "chats" => check("chats", "payload", payload, Each(chat_list_item), frame),
        "online" => object("online", payload, &[("userId", Text)], &[]),
        "offline" => object("offline", payload, &[("userId", Text), ("lastSeen", Int)], &[]),
        "typing" => object(
            "typing",
            payload,
            &[("userId", Text), ("chatId", Text)],
            &[("stop", Bool)],
        ),
        other => panic!("an event of type {other}: {frame}"),
    }
}

const STATUSES: [&str; 4] = ["undelivered", "unread", "read", "deleted"];

/// A ChatListItem.
pub(crate) fn chat_list_item(item: &Value) {
    let required: Fields<'_> = &[
        ("type", Text),
        ("id", Text),
        ("name", Text),
        ("lastMessageText", Text),
        ("lastMessageTime", Int),
        ("lastMessageStatus", Text),
        ("isMine", Bool),
        ("lastMessageId", Int),
    ];
    let optional: Fields<'_> = &[
        ("photoUrl", Text),
        ("lastMessageAuthor", Text),
        ("missed", Int),
        ("firstMissed", Text),
        ("verified", Bool),
        ("lastSeen", Int),
    ];
    object("ChatListItem", item, required, optional);
    one_of(
        "chat type",
        &item["type"],
        &["dialog", "group", "channel", "favorites", "ai"],
    );
    one_of("lastMessageStatus", &item["lastMessageStatus"], &STATUSES);
    let group = item["id"].as_str().unwrap().starts_with("g:");
    assert_eq!(
        group,
        matches!(item["type"].as_str(), Some("group" | "channel")),
        "id and type: {item}"
    );
}

/// A Chat.
pub(crate) fn chat(chat: &Value) {
    let required: Fields<'_> = &[
        ("chatId", Text),
        ("type", Text),
        ("name", Text),
        ("missed", Int),
        ("meta", Of(|_| ())),
    ];
    let optional: Fields<'_> = &[("photoUrl", Text), ("lastMessageId", Int), ("firstMissed", Text)];
    object("Chat", chat, required, optional);
    if matches!(chat["type"].as_str(), Some("group" | "channel")) {
        let meta: Fields<'_> = &[
            ("owner", Text),
            ("admins", Each(text)),
            ("participants", Each(text)),
            ("participantCount", Int),
            ("createdAt", Int),
        ];
        object("Chat.meta of a group", &chat["meta"], meta, &[]);
    } else {
        one_of("chat type", &chat["type"], &["dialog", "favorites"]);
        let meta: Fields<'_> = &[
            ("firstName", Text),
            ("lastName", Text),
            ("username", Text),
            ("phoneNumber", Text),
            ("verified", Bool),
            ("lastSeen", Int),
        ];
        object("Chat.meta of a dialog", &chat["meta"], &[], meta);
    }
}

/// A Message.
pub(crate) fn message(message: &Value) {
    let required: Fields<'_> = &[
        ("messageId", Int),
        ("sender", Text),
        ("status", Text),
        ("createdAt", Int),
    ];
    let optional: Fields<'_> = &[
        ("clientMessageId", Text),
        ("message", Text),
        ("atttachments", Each(attachment)),
        ("attachments", Each(attachment)),
        ("replyTo", Of(reply_to)),
        ("updatedAt", Int),
        ("deletedAt", Int),
        ("dlvrd", Int),
        ("read", Int),
        ("delivering", Each(delivering)),
    ];
    object("Message", message, required, optional);
    one_of("status", &message["status"], &STATUSES);
    both_spellings(message);
    if message.get("deletedAt").is_some() {
        assert_eq!(message["status"], "deleted", "{message}");
        assert!(
            message.get("message").is_none() && message.get("atttachments").is_none(),
            "{message}"
        );
    }
    if let (Some(delivered), Some(read)) = (message["dlvrd"].as_u64(), message["read"].as_u64()) {
        assert!(delivered <= read, "read before it was delivered: {message}");
    }
    assert!(
        message.get("read").is_none() || message.get("dlvrd").is_some(),
        "read implies delivered: {message}"
    );
}

fn delivering(value: &Value) {
    object(
        "delivering",
        value,
        &[("userId", Text)],
        &[("dlvrd", Int), ("read", Int)],
    );
    assert!(
        value.get("dlvrd").is_some(),
        "one for each member with a mark: {value}"
    );
}

fn reply_to(value: &Value) {
    let required: Fields<'_> = &[("messageId", Int), ("sender", Text), ("createdAt", Int)];
    object(
        "ReplyTo",
        value,
        required,
        &[("clientMessageId", Text), ("message", Text)],
    );
}

fn attachment(value: &Value) {
    let shape: Fields<'_> = &[
        ("type", Text),
        ("id", Text),
        ("filename", Text),
        ("url", Text),
        ("meta", Of(|_| ())),
    ];
    object("Attachment", value, shape, &[]);
    let image: Fields<'_> = &[("mimetype", Text), ("width", Int), ("height", Int), ("size", Int)];
    let meta = &value["meta"];
    match value["type"].as_str().unwrap() {
        "file" => object("meta of a file", meta, &[("extension", Text), ("size", Int)], &[]),
        "image" => object("meta of an image", meta, image, &[]),
        "video" => object(
            "meta of a video",
            meta,
            &[image, &[("duration", Of(number))]].concat(),
            &[],
        ),
        other => panic!("an attachment of type {other}: {value}"),
    }
}

fn number(value: &Value) {
    assert!(value.is_number(), "no number: {value}");
}

fn both_spellings(value: &Value) {
    assert_eq!(
        value.get("atttachments"),
        value.get("attachments"),
        "the same array in both fields: {value}"
    );
}
