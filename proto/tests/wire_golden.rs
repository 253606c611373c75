//! The bytes of every type are a promise: what one version has written every later one reads. A file a type, a line a
//! value. When a type gains a field, its old lines stay, and new ones are added.
//!
//! `cargo test -p confab-proto -- --ignored` writes the files that are missing.

// Helpers of tests fail the test when something is not as it must be.
#![allow(clippy::expect_used)]

mod support;

use std::fmt::Debug;
use std::sync::Arc;

use confab_chat::conversation;
use confab_chat::conversation::restore::Hole;
use confab_chat::row::{
    ClientIdRow, Deletion, HeadRow, LastMessage, MembershipRow, MessageRow, Role, RosterRow,
};
use confab_chat::{
    ChatKind, Code, Command, DeviceId, EntryId, Event, GatewayId, Op, Origin, Partition, Rejection, Reply,
    RequestId, SessionId, Timestamp, mailbox,
};
use confab_proto::message::{
    Announcement, Answer, Attach, AttachFrom, Attached, Beat, DeliverItem, DeliveryBody, Enroll, EntryBody,
    LogEntry, MailboxEvent, Page, Profile, Query, QueryKind, Quoted, Restored, RestoredActor, Signal,
    ToGateway,
};
use confab_proto::row::{CheckpointRow, CursorRow, InboxRow, ReachRow, UserRow};
use confab_proto::wire::Wire;

use support::golden::Golden;
use support::samples::{AT, CLIENT_MESSAGE_ID, dialog, file, group, image, quote, user, video};

/// Hands in a type's values, and checks that what the file holds is read back as them.
fn give<T: Wire + PartialEq + Debug>(golden: &mut Golden, name: &str, values: &[T]) {
    let lines: Vec<String> = values.iter().map(|value| hex(&value.encode())).collect();
    golden.give(name, lines.join("\n"));
    if !golden.names(name).contains(&name.to_owned()) {
        return;
    }
    for (line, value) in golden.read(name).lines().zip(values) {
        assert_eq!(
            &T::decode(&unhex(line)).expect("old bytes stay readable"),
            value,
            "{name}"
        );
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal digits"))
        .collect()
}

fn all() -> Golden {
    let mut golden = Golden::open("golden-wire", "hex");
    give(&mut golden, "log-entry", &log_entries());
    give(&mut golden, "signal", &signals());
    give(&mut golden, "to-gateway", &to_gateway());
    give(&mut golden, "query", &queries());
    give(&mut golden, "answer", &answers());
    give(&mut golden, "announcement", &announcements());
    give(&mut golden, "message-row", &message_rows());
    give_rows(&mut golden);
    give_other_rows(&mut golden);
    give_states(&mut golden);
    golden
}

#[test]
fn bytes_are_as_they_ever_were() {
    all().compare("");
}

#[test]
#[ignore = "writes missing golden files"]
fn write_missing() {
    all().write_missing();
}

fn gateway() -> GatewayId {
    GatewayId("gw-1".into())
}

fn device() -> DeviceId {
    DeviceId::parse("phone").expect("well-formed")
}

fn entry_id(id: &str) -> EntryId {
    EntryId(id.into())
}

fn events() -> Vec<Event> {
    vec![
        Event::New {
            chat: dialog("User1", "User2"),
            message_id: 124,
            sender: user("User1"),
            client_message_id: Some(CLIENT_MESSAGE_ID.into()),
            text: "Hello, World!".into(),
            attachments: vec![file(), image(), video()],
            reply_to: Some(quote()),
            at: AT,
        },
        Event::Chats,
        Event::Edit {
            chat: group(),
            message_id: 124,
            by: user("User1"),
            text: "Updated message text".into(),
            attachments: vec![file()],
            at: AT,
        },
        Event::Delete {
            chat: group(),
            message_id: 124,
            by: user("User1"),
            at: AT,
        },
        Event::Delivered {
            chat: dialog("User1", "User2"),
            by: user("User2"),
            message_id: 123,
            at: AT,
        },
        Event::Read {
            chat: dialog("User1", "User2"),
            by: user("User2"),
            message_id: 123,
            at: AT,
        },
    ]
}

fn ops() -> Vec<Op> {
    vec![
        Op::New {
            text: "Hello, World!".into(),
            attachments: vec![file(), image(), video()],
            reply_to: Some(123),
            client_message_id: Some(CLIENT_MESSAGE_ID.into()),
        },
        Op::Edit {
            message_id: 124,
            text: "Updated message text".into(),
            attachments: vec![image()],
        },
        Op::Delete { message_id: 124 },
        Op::MarkDelivered { message_id: None },
        Op::MarkDelivered {
            message_id: Some(123),
        },
        Op::MarkRead { message_id: None },
        Op::MarkRead {
            message_id: Some(123),
        },
        Op::CreateChat {
            kind: ChatKind::Channel,
            name: "News".into(),
            participants: vec![user("User2"), user("User3")],
            photo_url: Some("https://files.example/news".into()),
            history_all: true,
        },
        Op::DeleteChat { message_id: None },
        Op::DeleteChat {
            message_id: Some(123),
        },
        Op::UpdateChat {
            name: Some("Team".into()),
            photo_url: Some("https://files.example/team".into()),
            admins: Some(vec![user("User2")]),
            owner: Some(user("User3")),
        },
        Op::UpdateChat {
            name: None,
            photo_url: None,
            admins: Some(Vec::new()),
            owner: None,
        },
        Op::AddParticipants {
            participants: vec![user("User4")],
        },
        Op::RemoveParticipants {
            participants: vec![user("User4")],
        },
        Op::Leave,
    ]
}

fn restored() -> [EntryBody; 2] {
    let chat = RestoredActor::Chat {
        chat: group(),
        head: chat_head(),
        members: vec![(user("User1"), chat_member())],
        holes: vec![Hole {
            message_id: 123,
            sender: user("User2"),
            at: AT,
        }],
    };
    let mailbox = RestoredActor::Mailbox {
        user: user("User1"),
        head: mailbox_head(),
        seen: vec![(group(), 130)],
    };
    [chat, mailbox].map(|actor| {
        EntryBody::Restored(Box::new(Restored {
            proposal: entry_id("p-1"),
            part: 1,
            parts: 2,
            actor,
        }))
    })
}

fn log_entries() -> Vec<LogEntry> {
    let commands = ops().into_iter().map(|op| {
        EntryBody::Command(Command {
            chat: group(),
            user: user("User1"),
            origin: Origin {
                gateway: gateway(),
                session: SessionId(7),
                request: RequestId(300),
            },
            op,
        })
    });
    let deliver = EntryBody::Deliver(vec![DeliverItem {
        chat: dialog("User1", "User2"),
        version: 1 << 40,
        to: [user("User1"), user("User2")].into(),
        events: events().into_iter().map(Arc::new).collect(),
        greet: vec![user("User1")],
    }]);
    let enroll = EntryBody::Enroll(Enroll {
        user: user("User1"),
        device: device(),
        after: Some(12),
        gateway: gateway(),
        session: SessionId(7),
    });
    commands
        .chain([deliver, enroll, EntryBody::SetLogic(2)])
        .chain(restored())
        .map(|body| LogEntry {
            id: entry_id("e-1"),
            body,
        })
        .collect()
}

fn profile() -> Profile {
    Profile {
        name: Some("Ann Lee".into()),
        photo_url: Some("https://files.example/ann".into()),
        username: Some("ann".into()),
        phone_number: Some("+100".into()),
        verified: Some(false),
    }
}

fn attach(from: AttachFrom, profile: Option<Profile>) -> Signal {
    Signal::Attach(Attach {
        user: user("User1"),
        device: device(),
        gateway: gateway(),
        session: SessionId(7),
        from,
        repeat: profile.is_none(),
        away: true,
        profile,
    })
}

fn signals() -> Vec<Signal> {
    let to = vec![user("User2"), user("User3")];
    vec![
        attach(AttachFrom::Cursor { last_event_id: None }, Some(profile())),
        attach(
            AttachFrom::Cursor {
                last_event_id: Some(0),
            },
            Some(Profile::default()),
        ),
        attach(AttachFrom::After(0), None),
        Signal::Detach {
            user: user("User1"),
            gateway: gateway(),
            session: SessionId(7),
            draining: true,
        },
        Signal::Heartbeat {
            gateway: gateway(),
            sessions: vec![Beat {
                user: user("User1"),
                device: device(),
                session: SessionId(7),
                forwarded: 12,
                away: true,
            }],
        },
        Signal::Ack {
            user: user("User1"),
            device: device(),
            up_to: 12,
        },
        Signal::Away {
            user: user("User1"),
            gateway: gateway(),
            session: SessionId(7),
            away: true,
        },
        Signal::Typing {
            chat: group(),
            user: user("User1"),
            stop: true,
        },
        Signal::TypingTo {
            chat: group(),
            user: user("User1"),
            stop: false,
            to: to.clone(),
        },
        Signal::Probe {
            from: user("User1"),
            announce: true,
            reply_to: Some((gateway(), SessionId(7))),
            to: to.clone(),
        },
        Signal::AreOnline {
            to: user("User1"),
            users: to.clone(),
        },
        Signal::WentOffline {
            from: user("User1"),
            last_seen: AT,
            to: to.clone(),
        },
        Signal::HandOver { online: to },
    ]
}

fn mailbox_events() -> Vec<MailboxEvent> {
    let quoted = Quoted {
        quote: quote(),
        text: Some("How are you?".into()),
    };
    let numbered = events().into_iter().zip(1..);
    numbered
        .map(|(event, id)| MailboxEvent {
            id,
            at: AT,
            quoted: matches!(event, Event::New { .. }).then(|| quoted.clone()),
            event: Arc::new(event),
        })
        .collect()
}

fn replies() -> Vec<Result<Reply, Rejection>> {
    let codes = [
        Code::BadRequest,
        Code::Unauthorized,
        Code::Forbidden,
        Code::NotFound,
        Code::Conflict,
        Code::TooLarge,
        Code::RateLimited,
        Code::Unavailable,
        Code::Timeout,
        Code::Internal,
    ];
    let replies = [
        Reply::Message {
            message_id: 124,
            at: AT,
            client_message_id: Some(CLIENT_MESSAGE_ID.into()),
        },
        Reply::Read {
            message_id: 124,
            at: AT,
            missed: 3,
            client_message_id: None,
        },
        Reply::Chat,
        Reply::Left,
        Reply::Participants(vec![user("User2")]),
    ];
    let refused = codes.map(|code| Err(Rejection::new(code, "why")));
    replies.map(Ok).into_iter().chain(refused).collect()
}

fn to_gateway() -> Vec<ToGateway> {
    let replies = replies().into_iter().map(|result| DeliveryBody::Reply {
        session: SessionId(7),
        request: RequestId(300),
        result,
    });
    let others = [
        DeliveryBody::Live(mailbox_events()),
        DeliveryBody::Attached(Attached {
            session: SessionId(7),
            after: 5,
            events: mailbox_events(),
            more: true,
            reset: None,
            probes: 3,
        }),
        DeliveryBody::Attached(Attached {
            session: SessionId(7),
            after: 5,
            events: Vec::new(),
            more: false,
            reset: Some(0),
            probes: 0,
        }),
        DeliveryBody::Online(vec![user("User2")]),
        DeliveryBody::Offline {
            user: user("User2"),
            last_seen: AT,
        },
        DeliveryBody::Typing {
            chat: group(),
            user: user("User2"),
            stop: true,
        },
        DeliveryBody::Contacts {
            session: SessionId(7),
            online: vec![user("User2")],
        },
        DeliveryBody::Replaced {
            session: SessionId(7),
        },
    ];
    replies
        .chain(others)
        .map(|body| ToGateway {
            user: user("User1"),
            body,
        })
        .collect()
}

fn queries() -> Vec<Query> {
    let pages = [Page::Latest, Page::From(0), Page::Before(124)].map(|page| QueryKind::Messages {
        chat: group(),
        page,
        count: 300,
    });
    let others = [
        QueryKind::Chats {
            count: 500,
            before: None,
        },
        QueryKind::Chats {
            count: 1,
            before: Some(AT),
        },
        QueryKind::Chat { chat: group() },
    ];
    let all = others.into_iter().chain(pages);
    all.map(|what| Query {
        user: user("User1"),
        what,
    })
    .collect()
}

fn answers() -> Vec<Answer> {
    vec![
        Ok("[]".into()),
        Err(Rejection::new(Code::NotFound, "no such chat")),
    ]
}

fn announcements() -> Vec<Announcement> {
    vec![
        Announcement::Alive {
            worker: "w-1".into(),
            partitions: vec![Partition(0), Partition(1), Partition(u16::MAX)],
        },
        Announcement::Began {
            partition: Partition(5),
        },
        Announcement::Leaving { worker: "w-1".into() },
    ]
}

fn message_rows() -> Vec<MessageRow> {
    let sent = MessageRow {
        message_id: 124,
        sender: user("User1"),
        client_message_id: Some(CLIENT_MESSAGE_ID.into()),
        text: "Hello, World!".into(),
        attachments: vec![file(), image(), video()],
        reply_to: Some(quote()),
        created_at: AT,
        version: 130,
        updated_at: Some(Timestamp(AT.0 + 1)),
        deleted: None,
    };
    let deleted = MessageRow {
        text: String::new(),
        attachments: Vec::new(),
        deleted: Some(Deletion {
            at: Timestamp(AT.0 + 2),
            version: 131,
        }),
        ..sent.clone()
    };
    vec![sent, deleted]
}

fn last_message() -> LastMessage {
    LastMessage {
        message_id: 124,
        sender: user("User1"),
        text: "Hello, World!".into(),
        at: AT,
        deleted: true,
    }
}

fn give_rows(golden: &mut Golden) {
    let client_id = ClientIdRow {
        message_id: 124,
        at: AT,
        version: 130,
    };
    give(golden, "client-id-row", &[client_id]);
    let head = |kind, history_all| HeadRow {
        kind,
        name: "Team".into(),
        photo_url: Some("https://files.example/team".into()),
        created_at: AT,
        last: (kind != ChatKind::Dialog).then(last_message),
        delivered_up_to: 123,
        read_up_to: 122,
        history_all,
    };
    let heads = [
        head(ChatKind::Dialog, false),
        head(ChatKind::Group, false),
        head(ChatKind::Channel, false),
        head(ChatKind::Group, true),
    ];
    give(golden, "head-row", &heads);
    let roster = RosterRow {
        owner: user("User1"),
        admins: vec![user("User2")],
        members: vec![user("User1"), user("User2")],
    };
    give(golden, "roster-row", &[roster]);
    let membership = |role: Option<Role>, joined_at, last_sent| MembershipRow {
        role,
        listed: role.is_some(),
        since: AT,
        hidden_before: 3,
        delivered: 123,
        read: 122,
        joined_at,
        last_sent,
    };
    let memberships = [
        membership(None, 0, 0),
        membership(Some(Role::Member), 0, 0),
        membership(Some(Role::Admin), 0, 0),
        membership(Some(Role::Owner), 0, 0),
        membership(Some(Role::Member), 2, 120),
    ];
    give(golden, "membership-row", &memberships);
    give(golden, "mark-row", &[AT, Timestamp(0)]);
}

/// The rows that are no chat's.
fn give_other_rows(golden: &mut Golden) {
    let row = |event, rest| InboxRow {
        at: AT,
        chat: group(),
        version: 130,
        event: Arc::new(event),
        rest,
    };
    let mut inbox: Vec<InboxRow> = events().into_iter().map(|event| row(event, 0)).collect();
    inbox.push(row(Event::Chats, 2));
    give(golden, "inbox-row", &inbox);
    let cursor = CursorRow {
        up_to: 12,
        used_at: AT,
        forgotten: true,
    };
    give(golden, "cursor-row", &[cursor]);
    let known = UserRow {
        profile: profile(),
        last_seen: AT,
        online: true,
        worker: "".into(),
    };
    let written = UserRow {
        worker: "w-1".into(),
        ..known.clone()
    };
    give(golden, "user-row", &[known, UserRow::default(), written]);
    let checkpoint = CheckpointRow {
        epoch: 1,
        seq: 1000,
        entry_id: entry_id("e-1000"),
        logic: 1,
    };
    give(golden, "checkpoint-row", &[checkpoint]);
    let reach = ReachRow {
        epoch: 1,
        seq: 1000,
        entry_id: entry_id("e-1000"),
    };
    give(golden, "reach-row", &[reach]);
}

fn chat_head() -> conversation::Head {
    conversation::Head {
        version: 130,
        epoch: 1,
        seq: 1000,
        time: AT,
        kind: ChatKind::Group,
        open: true,
        deleted: true,
        last_id: 124,
        last: Some(last_message()),
        created_at: AT,
        name: "Team".into(),
        photo_url: Some("https://files.example/team".into()),
        history_all: true,
        recent: [entry_id("e-1"), entry_id("e-2")].into_iter().collect(),
    }
}

fn chat_member() -> conversation::Member {
    conversation::Member {
        role: Some(Role::Admin),
        listed: true,
        since: AT,
        joined_at: 1,
        hidden_before: 2,
        delivered: 123,
        read: 122,
        last_sent: 4,
    }
}

fn mailbox_head() -> mailbox::Head {
    mailbox::Head {
        version: 130,
        epoch: 1,
        seq: 1000,
        time: AT,
        last: 124,
    }
}

fn give_states(golden: &mut Golden) {
    give(golden, "conversation-head", &[chat_head()]);
    give(golden, "conversation-member", &[chat_member()]);
    give(golden, "mailbox-head", &[mailbox_head()]);
    give(golden, "version-seen", &[0, 1 << 40]);
}
