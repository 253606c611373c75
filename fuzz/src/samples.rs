//! What is sound, to begin with: the corpus and the property tests damage it.

use confab_chat::{ChatKey, ChatKind, Command, EntryId, GatewayId, Op, Origin, RequestId, SessionId, UserId};
use confab_proto::message::{DeliverItem, EntryBody, LogEntry};

/// Frames of clients.
pub const FRAMES: [&str; 12] = [
    "ping",
    "{}",
    r#"{"type":"ack","id":7}"#,
    r#"{"type":"ack","id":"7"}"#,
    r#"{"type":"event","eventType":"typing","payload":{"chatId":"bob","stop":true}}"#,
    r#"{"type":"event","payloadType":"offline"}"#,
    r#"{"type":"request","id":"1","payloadType":"new","payload":{"chatId":"bob","message":"hi","clientMessageId":"c1","replyTo":3}}"#,
    r#"{"type":"request","id":"2","payloadType":"edit","payload":{"chatId":"g:x","messageId":1,"message":"\u00e9"}}"#,
    r#"{"type":"request","id":"3","payloadType":"messages","payload":{"chatId":"bob","startId":1,"count":20}}"#,
    r#"{"type":"request","id":"4","payloadType":"createChat","payload":{"type":"group","name":"n","participants":["bob"],"history":"all","clientChatId":"k"}}"#,
    r#"{"type":"request","id":"5","payloadType":"updateChat","payload":{"chatId":"g:x","admins":["bob"],"owner":"eve"}}"#,
    r#"{"type":"request","id":"6","payloadType":"new","payload":{"chatId":"bob","message":"","atttachments":[{"type":"file","id":"f","filename":"n","url":"https://e.example/f","meta":{"extension":"txt","size":1}}]}}"#,
];

/// Who is in the samples.
fn user(nth: usize) -> Option<UserId> {
    UserId::parse(["ann", "bob", "eve"][nth % 3]).ok()
}

/// An operation of some kind, on a message.
fn op(kind: usize, message_id: u64, other: UserId) -> Op {
    match kind % 12 {
        0..=2 => Op::New {
            text: format!("text {message_id}"),
            attachments: Vec::new(),
            reply_to: message_id.checked_sub(1),
            client_message_id: (kind > 0).then(|| format!("m{message_id}")),
        },
        3 => Op::Edit {
            message_id,
            text: "edited".to_owned(),
            attachments: Vec::new(),
        },
        4 => Op::Delete { message_id },
        5 => Op::MarkDelivered {
            message_id: Some(message_id),
        },
        6 => Op::MarkRead {
            message_id: Some(message_id),
        },
        7 => Op::CreateChat {
            kind: ChatKind::Group,
            name: "a group".to_owned(),
            participants: vec![other],
            photo_url: None,
            history_all: message_id.is_multiple_of(2),
        },
        8 => Op::AddParticipants {
            participants: vec![other],
        },
        9 => Op::RemoveParticipants {
            participants: vec![other],
        },
        10 => Op::Leave,
        _ => Op::DeleteChat { message_id: None },
    }
}

/// An entry of the log: some kind of command, or a delivery, by somebody, about some message.
#[must_use]
pub fn entry(kind: usize, who: usize, message_id: u64, id: u64) -> Option<LogEntry> {
    let (me, other) = (user(who)?, user(who + 1)?);
    let group = ChatKey::group(&user(0)?, "group");
    let chat = match kind % 2 {
        0 => ChatKey::dialog(&me, &other),
        _ => group,
    };
    let body = match kind % 13 {
        12 => EntryBody::Deliver(vec![DeliverItem {
            chat,
            version: message_id,
            to: [me, other].into(),
            events: [std::sync::Arc::new(confab_chat::Event::Chats)].into(),
            greet: Vec::new(),
        }]),
        kind => EntryBody::Command(Command {
            chat,
            user: me,
            origin: Origin {
                gateway: GatewayId("g".into()),
                session: SessionId(1),
                request: RequestId(id),
            },
            op: op(kind, message_id, other),
        }),
    };
    Some(LogEntry {
        id: EntryId(format!("e{id}").into()),
        body,
    })
}
