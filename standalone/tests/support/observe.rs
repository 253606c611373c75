//! From JSON frames to what the checker knows.

use std::collections::BTreeMap;

use serde_json::Value;

use super::checker::{Event, Stored, What};

/// One name for a chat, whoever names it: the group's id, or both users.
pub(crate) fn chat_name(user: &str, chat: &str) -> String {
    if chat.starts_with("g:") {
        return chat.to_owned();
    }
    let (one, two) = if user < chat { (user, chat) } else { (chat, user) };
    format!("{one}+{two}")
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// A durable event of a user.
pub(crate) fn event(user: &str, frame: &Value) -> Event {
    let payload = &frame["payload"];
    let message = payload["messageId"].as_u64().unwrap_or(0);
    let what = match frame["eventType"].as_str().unwrap() {
        "new" => What::New {
            message,
            sender: text(&payload["userId"]),
            client_id: payload["clientMessageId"].as_str().map(str::to_owned),
            text: text(&payload["message"]),
        },
        "edit" => What::Edit {
            message,
            text: text(&payload["message"]),
        },
        "delete" => What::Delete { message },
        "chats" => What::Chats,
        kind => What::Mark {
            read: kind == "read",
            user: text(&payload["userId"]),
            message,
        },
    };
    let chat = payload["chatId"]
        .as_str()
        .map(|chat| chat_name(user, chat))
        .unwrap_or_default();
    Event {
        id: frame["id"].as_u64().unwrap(),
        chat,
        what,
        time: payload["timestamp"].as_u64().unwrap_or(0),
    }
}

/// A stored message; in a dialog the other side's marks stand in the message itself.
pub(crate) fn stored(user: &str, chat: &str, message: &Value) -> Stored {
    let mut marks = BTreeMap::new();
    let sender = text(&message["sender"]);
    let times = |value: &Value| (value["dlvrd"].as_u64(), value["read"].as_u64());
    if sender == user && !chat.starts_with("g:") && times(message) != (None, None) {
        marks.insert(chat.to_owned(), times(message));
    }
    for one in message["delivering"].as_array().into_iter().flatten() {
        marks.insert(text(&one["userId"]), times(one));
    }
    Stored {
        id: message["messageId"].as_u64().unwrap(),
        sender,
        client_id: message["clientMessageId"].as_str().map(str::to_owned),
        text: message
            .get("deletedAt")
            .is_none()
            .then(|| text(&message["message"])),
        created: message["createdAt"].as_u64().unwrap(),
        marks,
    }
}
