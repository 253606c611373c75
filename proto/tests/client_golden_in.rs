//! Every frame that a client may send, as it stands in `tests/golden/in-*.json`, and what it says.

mod support;

use confab_chat::{ChatKey, ChatKind, Op, Timestamp};
use confab_proto::client::{Incoming, Request, decode};
use confab_proto::message::{Page, QueryKind};

use support::golden::Golden;
use support::samples::{CLIENT_MESSAGE_ID, dialog, file, group, image, user, video};

fn command(chat: ChatKey, op: Op) -> Incoming {
    asked(Request::Command { chat, op })
}

fn query(what: QueryKind) -> Incoming {
    asked(Request::Query(what))
}

fn asked(request: Request) -> Incoming {
    Incoming::Request {
        id: "r1".into(),
        request: Ok(request),
    }
}

fn expected() -> Vec<(&'static str, Incoming)> {
    [messages(), marks(), queries(), groups(), others()].concat()
}

fn messages() -> Vec<(&'static str, Incoming)> {
    let chat = || dialog("User1", "User2");
    let new = |text: &str, attachments, reply_to, client_message_id: Option<&str>| Op::New {
        text: text.into(),
        attachments,
        reply_to,
        client_message_id: client_message_id.map(Into::into),
    };
    let hello = new("Hello, World!", Vec::new(), Some(123), Some(CLIENT_MESSAGE_ID));
    let all = || vec![file(), image(), video()];
    let edit = |attachments| Op::Edit {
        message_id: 124,
        text: "Updated message text".into(),
        attachments,
    };
    let delete = Op::Delete { message_id: 124 };
    vec![
        ("in-new", command(chat(), hello)),
        ("in-new-attachments", command(chat(), new("", all(), None, None))),
        (
            "in-new-atttachments",
            command(group(), new("See", all(), None, None)),
        ),
        (
            "in-new-escapes",
            command(chat(), new("é 😀\n\"", Vec::new(), None, None)),
        ),
        (
            "in-new-to-myself",
            command(dialog("User1", "User1"), new("Note", Vec::new(), None, None)),
        ),
        ("in-edit", command(chat(), edit(Vec::new()))),
        ("in-edit-original", command(chat(), edit(vec![file()]))),
        ("in-delete", command(chat(), delete.clone())),
        ("in-delete-original", command(chat(), delete)),
    ]
}

fn marks() -> Vec<(&'static str, Incoming)> {
    let chat = || dialog("User1", "User2");
    let message_id = Some(123);
    vec![
        ("in-dlvrd", command(chat(), Op::MarkDelivered { message_id })),
        (
            "in-dlvrd-last",
            command(chat(), Op::MarkDelivered { message_id: None }),
        ),
        ("in-read", command(chat(), Op::MarkRead { message_id })),
        ("in-read-last", command(chat(), Op::MarkRead { message_id: None })),
        ("in-deleteChat", command(chat(), Op::DeleteChat { message_id })),
        (
            "in-deleteChat-last",
            command(group(), Op::DeleteChat { message_id: None }),
        ),
    ]
}

fn queries() -> Vec<(&'static str, Incoming)> {
    let chat = || dialog("User1", "User2");
    let messages = |page, count| {
        query(QueryKind::Messages {
            chat: chat(),
            page,
            count,
        })
    };
    let chats = |count, before| query(QueryKind::Chats { count, before });
    vec![
        ("in-chats", chats(500, None)),
        ("in-chats-before", chats(1, Some(Timestamp(1_700_500_000_000)))),
        ("in-chat", query(QueryKind::Chat { chat: group() })),
        ("in-messages", messages(Page::Latest, 300)),
        ("in-messages-start", messages(Page::From(1), 500)),
        ("in-messages-end", messages(Page::Before(124), 1)),
    ]
}

fn groups() -> Vec<(&'static str, Incoming)> {
    let create = |kind, photo_url: Option<&str>, history_all| Op::CreateChat {
        kind,
        name: "Team".into(),
        participants: vec![user("User2"), user("User3")],
        photo_url: photo_url.map(Into::into),
        history_all,
    };
    let photo = "https://files.example/team";
    let update_all = Op::UpdateChat {
        name: Some("Team".into()),
        photo_url: Some(photo.into()),
        admins: Some(vec![user("User2")]),
        owner: Some(user("User3")),
    };
    let update_none = Op::UpdateChat {
        name: None,
        photo_url: None,
        admins: Some(Vec::new()),
        owner: None,
    };
    let participants = || vec![user("User4")];
    let add = Op::AddParticipants {
        participants: participants(),
    };
    let remove = Op::RemoveParticipants {
        participants: participants(),
    };
    vec![
        (
            "in-createChat",
            asked(Request::Create {
                client_chat_id: None,
                op: create(ChatKind::Group, None, false),
            }),
        ),
        (
            "in-createChat-channel",
            asked(Request::Create {
                client_chat_id: Some("c-1".into()),
                op: create(ChatKind::Channel, Some(photo), true),
            }),
        ),
        ("in-updateChat", command(group(), update_all)),
        ("in-updateChat-no-admins", command(group(), update_none)),
        ("in-addParticipants", command(group(), add)),
        ("in-removeParticipants", command(group(), remove)),
        ("in-leaveChat", command(group(), Op::Leave)),
    ]
}

fn others() -> Vec<(&'static str, Incoming)> {
    let typing = |stop| Incoming::Typing {
        chat: dialog("User1", "User2"),
        stop,
    };
    vec![
        ("in-typing", typing(false)),
        ("in-typing-stop", typing(true)),
        ("in-offline", Incoming::Offline),
        ("in-ack", Incoming::Ack(124)),
        ("in-ack-string", Incoming::Ack(124)),
        ("in-ping", Incoming::Ping),
    ]
}

#[test]
fn frames_say_what_they_say() {
    let golden = Golden::open("golden", "json");
    let mut names = Vec::new();
    for (name, expected) in expected() {
        let frame = golden.read(name);
        assert_eq!(
            decode(&user("User1"), frame.as_bytes()),
            expected,
            "{name}: {frame}"
        );
        names.push(name.to_owned());
    }
    names.sort();
    assert_eq!(
        golden.names("in-"),
        names,
        "one file for each frame, one frame for each file"
    );
}
