//! The exact bytes of every frame that the service sends, the published page's examples among them.
//!
//! `cargo test -p confab-proto -- --ignored` writes the files that are missing.

// Helpers of tests fail the test when something is not as it must be.
#![allow(clippy::expect_used)]

mod support;

use std::borrow::Cow;
use std::sync::Arc;

use confab_chat::{Attachment, Code, Event, Quote, Rejection, Reply, Timestamp};
use confab_proto::client::encode;
use confab_proto::client::view::{
    Attachments, Chat, ChatListItem, ChatMeta, ChatType, Delivering, Message, MessageStatus, ReplyTo,
};
use confab_proto::message::{MailboxEvent, Quoted};
use serde::Serialize;

use support::golden::Golden;
use support::samples::{AT, CLIENT_MESSAGE_ID, dialog, file, group, image, quote, user, video};

const NOW: Timestamp = Timestamp(1_700_500_000_123);

fn all() -> Golden {
    let mut golden = Golden::open("golden", "json");
    responses(&mut golden);
    queries(&mut golden);
    errors(&mut golden);
    new_events(&mut golden);
    durable_events(&mut golden);
    ephemeral_events(&mut golden);
    golden
}

#[test]
fn frames_are_as_published() {
    all().compare("out-");
}

#[test]
#[ignore = "writes missing golden files"]
fn write_missing() {
    all().write_missing();
}

fn give(golden: &mut Golden, name: &str, write: impl FnOnce(&mut Vec<u8>)) {
    let mut out = Vec::new();
    write(&mut out);
    golden.give(&format!("out-{name}"), String::from_utf8(out).expect("UTF-8"));
}

fn responses(golden: &mut Golden) {
    let mut response = |name: &str, reply: &Reply| {
        give(golden, name, |out| {
            encode::response(out, "r1", NOW, "User2", reply);
        });
    };
    let message = |client_message_id: Option<&str>| Reply::Message {
        message_id: 124,
        at: AT,
        client_message_id: client_message_id.map(Into::into),
    };
    response("response-new", &message(Some(CLIENT_MESSAGE_ID)));
    response("response-dlvrd", &message(None));
    let read = Reply::Read {
        message_id: 124,
        at: AT,
        missed: 0,
        client_message_id: Some(CLIENT_MESSAGE_ID.into()),
    };
    response("response-read", &read);
    response("response-deleteChat", &Reply::Left);
    response(
        "response-addParticipants",
        &Reply::Participants(vec![user("User3"), user("User4")]),
    );
    response("response-removeParticipants", &Reply::Participants(Vec::new()));
}

/// The response to a query, whose payload a worker has made.
fn answer(golden: &mut Golden, name: &str, view: &impl Serialize) {
    let payload = serde_json::to_vec(view).expect("a view is JSON");
    give(golden, name, |out| {
        encode::payload_response(out, "r \"2\"", NOW, &payload);
    });
}

fn list() -> Vec<ChatListItem<'static>> {
    let full = ChatListItem {
        kind: ChatType::Dialog,
        id: "User2",
        photo_url: Some("https://files.example/user2".into()),
        name: "Ann Lee".into(),
        last_message_text: "Hello, World!".into(),
        last_message_time: AT.0,
        last_message_author: Some("User2".into()),
        last_message_status: MessageStatus::Unread,
        missed: Some(2),
        first_missed: Some(CLIENT_MESSAGE_ID.into()),
        verified: Some(true),
        is_mine: false,
        last_message_id: 124,
        last_seen: Some(AT.0),
    };
    let plain = |kind, id: &'static str, last_message_status, is_mine| ChatListItem {
        kind,
        id,
        photo_url: None,
        name: Cow::Borrowed("A chat"),
        last_message_text: Cow::Borrowed(""),
        last_message_time: AT.0,
        last_message_author: None,
        last_message_status,
        missed: None,
        first_missed: None,
        verified: None,
        is_mine,
        last_message_id: 0,
        last_seen: None,
    };
    vec![
        full,
        plain(ChatType::Group, "g:team7", MessageStatus::Undelivered, true),
        plain(ChatType::Channel, "g:news", MessageStatus::Deleted, false),
        plain(ChatType::Favorites, "User1", MessageStatus::Read, true),
        plain(ChatType::Ai, "helper", MessageStatus::Read, false),
    ]
}

fn queries(golden: &mut Golden) {
    answer(golden, "response-chats", &list());
    answer(golden, "response-chats-none", &Vec::<ChatListItem<'_>>::new());
    let dialog = Chat {
        chat_id: "User2",
        kind: ChatType::Dialog,
        name: "Ann Lee".into(),
        photo_url: Some("https://files.example/user2".into()),
        last_message_id: Some(124),
        missed: 2,
        first_missed: Some(CLIENT_MESSAGE_ID.into()),
        meta: ChatMeta::Dialog {
            first_name: Some("Ann".into()),
            last_name: Some("Lee".into()),
            username: Some("ann".into()),
            phone_number: Some("+100".into()),
            verified: Some(true),
            last_seen: Some(AT.0),
        },
    };
    answer(golden, "response-chat-dialog", &dialog);
    let never_opened = Chat {
        chat_id: "User3",
        name: "User3".into(),
        photo_url: None,
        last_message_id: None,
        missed: 0,
        first_missed: None,
        meta: ChatMeta::Dialog {
            first_name: None,
            last_name: None,
            username: None,
            phone_number: None,
            verified: None,
            last_seen: None,
        },
        ..dialog
    };
    answer(golden, "response-chat-never-opened", &never_opened);
    let group = Chat {
        chat_id: "g:team7",
        kind: ChatType::Group,
        name: "Team".into(),
        meta: ChatMeta::Group {
            owner: "User1".into(),
            admins: vec!["User2".into()],
            participants: vec!["User1".into(), "User2".into(), "User3".into()],
            participant_count: 3,
            created_at: AT.0,
        },
        ..never_opened
    };
    answer(golden, "response-chat-group", &group);
    messages(golden);
}

fn messages(golden: &mut Golden) {
    let attachments = [file(), image(), video()];
    let quote = quote();
    let full = Message {
        message_id: 124,
        client_message_id: Some(CLIENT_MESSAGE_ID.into()),
        message: Some("Hello, World!".into()),
        sender: "User1".into(),
        attachments: Attachments::new(&attachments),
        reply_to: Some(ReplyTo::new(&quote, Some("How are you?"))),
        status: MessageStatus::Read,
        created_at: AT.0,
        updated_at: Some(AT.0 + 1),
        deleted_at: None,
        dlvrd: Some(AT.0 + 2),
        read: Some(AT.0 + 3),
        delivering: None,
    };
    let deleted = Message {
        message_id: 125,
        client_message_id: None,
        message: None,
        attachments: Attachments::default(),
        reply_to: None,
        status: MessageStatus::Deleted,
        updated_at: None,
        deleted_at: Some(AT.0 + 4),
        dlvrd: None,
        read: None,
        ..full.clone()
    };
    let marks = |user_id: &'static str, read| Delivering {
        user_id: user_id.into(),
        dlvrd: Some(AT.0 + 2),
        read,
    };
    let in_group = Message {
        message: Some("Hi, all".into()),
        status: MessageStatus::Unread,
        deleted_at: None,
        delivering: Some(vec![marks("User2", Some(AT.0 + 3)), marks("User3", None)]),
        ..deleted.clone()
    };
    answer(golden, "response-messages-dialog", &[full, deleted]);
    answer(golden, "response-messages-group", &[in_group]);
}

fn errors(golden: &mut Golden) {
    let refused = |code| Rejection::new(code, "why it was \"refused\"");
    let codes = [
        ("bad-request", Code::BadRequest),
        ("unauthorized", Code::Unauthorized),
        ("forbidden", Code::Forbidden),
        ("not-found", Code::NotFound),
        ("conflict", Code::Conflict),
        ("too-large", Code::TooLarge),
        ("unavailable", Code::Unavailable),
        ("timeout", Code::Timeout),
        ("internal", Code::Internal),
    ];
    for (name, code) in codes {
        give(golden, &format!("error-{name}"), |out| {
            encode::error_response(out, Some("r1"), NOW, &refused(code), None);
        });
    }
    give(golden, "error-rate-limited", |out| {
        encode::error_response(out, Some("r1"), NOW, &refused(Code::RateLimited), Some(20));
    });
    give(golden, "error-without-id", |out| {
        encode::error_response(out, None, NOW, &refused(Code::BadRequest), None);
    });
}

/// The event as `User1` gets it, in the chat with `User2`, under the number 124.
fn event(golden: &mut Golden, name: &str, event: Event, quoted: Option<Quoted>) {
    let item = MailboxEvent {
        id: 124,
        at: AT,
        event: Arc::new(event),
        quoted,
    };
    give(golden, name, |out| {
        assert!(encode::event(out, &user("User1"), &item));
    });
}

fn new(text: &str, attachments: Vec<Attachment>, reply_to: Option<Quote>) -> Event {
    Event::New {
        chat: dialog("User1", "User2"),
        message_id: 124,
        sender: user("User2"),
        client_message_id: None,
        text: text.into(),
        attachments,
        reply_to,
        at: AT,
    }
}

fn new_events(golden: &mut Golden) {
    // The published example: chat and sender are both User1, seen by User2.
    let published = MailboxEvent {
        id: 124,
        at: AT,
        event: Arc::new(Event::New {
            chat: dialog("User1", "User2"),
            message_id: 124,
            sender: user("User1"),
            client_message_id: Some(CLIENT_MESSAGE_ID.into()),
            text: "Hello, World!".into(),
            attachments: Vec::new(),
            reply_to: None,
            at: AT,
        }),
        quoted: None,
    };
    give(golden, "event-new", |out| {
        assert!(encode::event(out, &user("User2"), &published));
    });
    let all = vec![file(), image(), video()];
    event(golden, "event-new-attachments", new("", all, None), None);
    let standing = Quoted {
        quote: quote(),
        text: Some("How are you?".into()),
    };
    event(
        golden,
        "event-new-reply",
        new("Fine", Vec::new(), Some(quote())),
        Some(standing),
    );
    let deleted = Quoted {
        quote: quote(),
        text: None,
    };
    event(
        golden,
        "event-new-reply-to-deleted",
        new("Fine", Vec::new(), Some(quote())),
        Some(deleted),
    );
    event(
        golden,
        "event-new-escapes",
        new("\"\\/\u{8}\u{1}\u{7f}\u{2028} é 😀", Vec::new(), None),
        None,
    );
}

fn durable_events(golden: &mut Golden) {
    let chat = || dialog("User1", "User2");
    let edit = |chat, attachments| Event::Edit {
        chat,
        message_id: 124,
        by: user("User2"),
        text: "Updated message text".into(),
        attachments,
        at: AT,
    };
    event(golden, "event-edit", edit(chat(), Vec::new()), None);
    event(golden, "event-edit-in-group", edit(group(), vec![image()]), None);
    let delete = Event::Delete {
        chat: chat(),
        message_id: 124,
        by: user("User2"),
        at: AT,
    };
    event(golden, "event-delete", delete, None);
    let delivered = Event::Delivered {
        chat: chat(),
        by: user("User2"),
        message_id: 123,
        at: AT,
    };
    event(golden, "event-dlvrd", delivered, None);
    let read = |chat, by| Event::Read {
        chat,
        by: user(by),
        message_id: 123,
        at: AT,
    };
    event(golden, "event-read", read(chat(), "User2"), None);
    event(
        golden,
        "event-read-in-own-notes",
        read(dialog("User1", "User1"), "User1"),
        None,
    );
    give(golden, "event-chats", |out| {
        let list = serde_json::to_vec(&list()).expect("a view is JSON");
        encode::chats(out, 124, AT, &list);
    });
}

fn ephemeral_events(golden: &mut Golden) {
    let (me, other) = (user("User1"), user("User2"));
    give(golden, "event-online", |out| encode::online(out, NOW, &me));
    give(golden, "event-offline", |out| encode::offline(out, NOW, &me, AT));
    let chat = dialog("User1", "User2");
    give(golden, "event-typing", |out| {
        encode::typing(out, NOW, &me, &chat, &other, false);
    });
    give(golden, "event-typing-stop-in-group", |out| {
        encode::typing(out, NOW, &me, &group(), &other, true);
    });
    give(golden, "pong", |out| {
        out.extend_from_slice(encode::PONG.as_bytes());
    });
}

#[test]
fn a_chats_event_is_not_made_without_its_list() {
    let item = MailboxEvent {
        id: 1,
        at: AT,
        event: Arc::new(Event::Chats),
        quoted: None,
    };
    let mut out = Vec::new();
    assert!(!encode::event(&mut out, &user("User1"), &item));
    assert!(out.is_empty());
}
