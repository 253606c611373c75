//! What holds of every frame: decoding never panics, what a client means is what arrives, and what the service says
//! is JSON that holds it.

// Helpers of tests fail the test when something is not as it must be.
#![allow(clippy::expect_used)]

mod support;

use confab_chat::{Attachment, AttachmentMeta, ChatKey, Op, Timestamp, UserId};
use confab_proto::client::{Incoming, MAX_INCOMING_BYTES, Request, decode, encode};
use confab_proto::message::MailboxEvent;
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::{BoxedStrategy, Just, ProptestConfig, Strategy, any, prop_oneof};
use proptest::{prop_assert, prop_assert_eq, proptest};
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use support::golden::Golden;
use support::samples::user;
use support::strategies;

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 512,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// Any JSON, with names and texts that the protocol knows more often than not.
fn json_value() -> BoxedStrategy<Value> {
    let known = prop_oneof![
        Just("request"),
        Just("event"),
        Just("ack"),
        Just("new"),
        Just("edit"),
        Just("createChat"),
        Just("typing"),
        Just("group"),
        Just("file"),
        Just("bob"),
        Just("g:abc"),
        Just("all"),
    ]
    .prop_map(|text| json!(text));
    let leaf = prop_oneof![
        3 => known,
        1 => any::<String>().prop_map(|text| json!(text)),
        1 => any::<i64>().prop_map(|number| json!(number)),
        1 => any::<f64>().prop_map(|number| json!(number)),
        1 => Just(json!(null)),
        1 => any::<bool>().prop_map(|is| json!(is)),
    ];
    let key = prop_oneof![
        Just("type"),
        Just("id"),
        Just("payloadType"),
        Just("eventType"),
        Just("payload"),
        Just("chatId"),
        Just("messageId"),
        Just("message"),
        Just("attachments"),
        Just("atttachments"),
        Just("meta"),
        Just("participants"),
        Just("name"),
        Just("count"),
        Just("url"),
        Just("duration"),
    ]
    .prop_map(str::to_owned);
    leaf.prop_recursive(5, 64, 8, move |inner| {
        prop_oneof![
            1 => vec(inner.clone(), 0..4).prop_map(Value::Array),
            3 => vec((key.clone(), inner), 0..6).prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
    .boxed()
}

/// A frame of the golden files, broken in places.
fn damaged_frame() -> impl Strategy<Value = Vec<u8>> {
    let golden = Golden::open("golden", "json");
    let frames: Vec<Vec<u8>> = golden
        .names("in-")
        .iter()
        .map(|name| golden.read(name).into_bytes())
        .collect();
    let damage = vec((any::<usize>(), any::<usize>(), any::<u8>()), 1..4);
    (proptest::sample::select(frames), damage).prop_map(|(mut frame, damage)| {
        for (place, how, value) in damage {
            let at = place % (frame.len() + 1);
            match how % 5 {
                0 => frame.truncate(at),
                1 => frame.insert(at, value),
                2 => frame.insert(at, b"\"\\{}[],:0-"[usize::from(value) % 10]),
                3 if at < frame.len() => frame[at] = value,
                _ if at < frame.len() => {
                    frame.remove(at);
                }
                _ => {}
            }
        }
        frame
    })
}

/// Decodes a frame, and checks what must hold of the outcome whatever the frame.
fn check(frame: &[u8]) {
    let incoming = decode(&user("ann"), frame);
    // Looser than `Value`, which takes no number that is too large for a float.
    let is_json = serde_json::from_slice::<IgnoredAny>(frame).is_ok();
    let value: Option<Value> = serde_json::from_slice(frame).ok();
    match &incoming {
        Incoming::Ping => assert!(
            !value.is_some_and(|value| value.is_object()),
            "no object is a ping"
        ),
        Incoming::Request { id, request } => {
            assert!(is_json && value.is_none_or(|value| value["id"] == json!(id)));
            assert!(id.len() <= 64);
            if let Err(rejection) = request {
                assert!(!rejection.message.is_empty() && rejection.message.len() <= 200);
            }
        }
        Incoming::Invalid { rejection, .. } => {
            assert!(is_json);
            assert!(!rejection.message.is_empty() && rejection.message.len() <= 200);
        }
        Incoming::Typing { .. } | Incoming::Offline | Incoming::Ack(_) | Incoming::Ignored => {
            assert!(is_json);
        }
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_bytes_decode(frame in vec(any::<u8>(), 0..200)) {
        check(&frame);
        check(&[b"{\"type\":", &frame[..]].concat());
    }

    #[test]
    fn any_json_decodes(value in json_value()) {
        check(value.to_string().as_bytes());
    }

    #[test]
    fn any_payload_decodes(
        payload_type in proptest::sample::select(vec![
            "new", "edit", "delete", "dlvrd", "read", "chats", "chat", "messages", "createChat", "deleteChat",
            "updateChat", "addParticipants", "removeParticipants", "leaveChat",
        ]),
        payload in json_value(),
    ) {
        let frame = json!({"type": "request", "id": "r", "payloadType": payload_type, "payload": payload});
        check(frame.to_string().as_bytes());
    }

    #[test]
    fn any_damage_decodes(frame in damaged_frame()) {
        check(&frame);
    }

    #[test]
    fn what_a_client_means_arrives(
        caller in strategies::user_id(),
        op in client_op(),
        group in any::<bool>(),
        other in strategies::user_id(),
    ) {
        let chat = if group { ChatKey::group(&caller, "x") } else { ChatKey::dialog(&caller, &other) };
        let (payload_type, payload) = request_of(&op, &caller, &chat);
        let frame = json!({"type": "request", "id": "r", "payloadType": payload_type, "payload": payload}).to_string();
        let expected = match op {
            Op::CreateChat { .. } => Request::Create { client_chat_id: None, op },
            op => Request::Command { chat, op },
        };
        let expected = Incoming::Request { id: "r".into(), request: Ok(expected) };
        if frame.len() <= MAX_INCOMING_BYTES {
            prop_assert_eq!(decode(&caller, frame.as_bytes()), expected);
        }
    }

    #[test]
    fn what_the_service_sends_is_json(receiver in strategies::user_id(), item in strategies::mailbox_event()) {
        let mut out = Vec::new();
        if encode::event(&mut out, &receiver, &item) {
            let frame: Value = serde_json::from_slice(&out).expect("JSON");
            prop_assert_eq!(&frame["id"], &json!(item.id));
            prop_assert_eq!(&frame["timestamp"], &json!(item.at.0));
            prop_assert_eq!(&frame["payload"]["attachments"], &frame["payload"]["atttachments"]);
            prop_assert!(!holds_null(&frame), "no null is sent: {}", frame);
        }
    }

    #[test]
    fn what_was_sent_can_be_sent_on(attachments in vec(strategies::attachment(), 1..=3)) {
        let payload = sent_with(&attachments);
        let frame = json!({
            "type": "request", "id": "r", "payloadType": "new",
            "payload": {"chatId": "bob", "message": "", "attachments": payload["attachments"]},
        });
        let Incoming::Request { request: Ok(Request::Command { op, .. }), .. } =
            decode(&user("ann"), frame.to_string().as_bytes())
        else {
            panic!("{frame} is taken");
        };
        let expected = Op::New { text: String::new(), attachments, reply_to: None, client_message_id: None };
        prop_assert_eq!(op, expected);
    }

    #[test]
    fn errors_and_responses_are_json(
        id in any::<String>(),
        reply in strategies::reply(),
        rejection in strategies::rejection(),
    ) {
        let mut out = Vec::new();
        encode::response(&mut out, &id, Timestamp(5), "chat \"1\"", &reply);
        let frame: Value = serde_json::from_slice(&out).expect("JSON");
        prop_assert_eq!(&frame["id"], &json!(id));
        prop_assert!(frame["payload"].is_object());
        out.clear();
        encode::error_response(&mut out, Some(&id), Timestamp(5), &rejection, None);
        let frame: Value = serde_json::from_slice(&out).expect("JSON");
        prop_assert_eq!(&frame["error"]["message"], &json!(rejection.message));
        out.clear();
        encode::payload_response(&mut out, &id, Timestamp(5), b"[1]");
        let frame: Value = serde_json::from_slice(&out).expect("JSON");
        prop_assert_eq!(frame, json!({"type": "response", "id": id, "timestamp": 5, "payload": [1]}));
    }
}

fn holds_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(values) => values.iter().any(holds_null),
        Value::Object(fields) => fields.values().any(holds_null),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// The payload of the `new` event that carries these attachments.
fn sent_with(attachments: &[Attachment]) -> Value {
    let item = MailboxEvent {
        id: 1,
        at: Timestamp(1),
        event: std::sync::Arc::new(confab_chat::Event::New {
            chat: support::samples::group(),
            message_id: 1,
            sender: user("ann"),
            client_message_id: None,
            text: String::new(),
            attachments: attachments.to_vec(),
            reply_to: None,
            at: Timestamp(1),
        }),
        quoted: None,
    };
    let mut out = Vec::new();
    assert!(encode::event(&mut out, &user("ann"), &item));
    let mut frame: Value = serde_json::from_slice(&out).expect("JSON");
    frame["payload"].take()
}

/// An operation whose form is one that a client may send.
fn client_op() -> BoxedStrategy<Op> {
    let id = || 1..=(i64::MAX as u64);
    let text = || "[^\\p{C}]{1,40}";
    let client_id = || of("[^\\p{C}]{1,32}");
    let users = || {
        strategies::users(6).prop_map(|mut users| {
            users.sort();
            users.dedup();
            users
        })
    };
    prop_oneof![
        (text(), strategies::attachments(), of(id()), client_id()).prop_map(
            |(text, attachments, reply_to, client_message_id)| Op::New {
                text,
                attachments,
                reply_to,
                client_message_id
            }
        ),
        (id(), text(), strategies::attachments()).prop_map(|(message_id, text, attachments)| Op::Edit {
            message_id,
            text,
            attachments
        }),
        id().prop_map(|message_id| Op::Delete { message_id }),
        of(id()).prop_map(|message_id| Op::MarkDelivered { message_id }),
        of(id()).prop_map(|message_id| Op::MarkRead { message_id }),
        of(id()).prop_map(|message_id| Op::DeleteChat { message_id }),
        (text(), users(), of(text()), any::<bool>(), any::<bool>()).prop_map(
            |(name, participants, photo_url, history_all, channel)| Op::CreateChat {
                kind: if channel {
                    confab_chat::ChatKind::Channel
                } else {
                    confab_chat::ChatKind::Group
                },
                name,
                participants,
                photo_url,
                history_all,
            }
        ),
        (of(text()), of(text()), of(users()), of(strategies::user_id())).prop_map(
            |(name, photo_url, admins, owner)| Op::UpdateChat {
                name,
                photo_url,
                admins,
                owner
            }
        ),
        users().prop_map(|participants| Op::AddParticipants { participants }),
        users().prop_map(|participants| Op::RemoveParticipants { participants }),
        Just(Op::Leave),
    ]
    .boxed()
}

/// How a client would ask for an operation: what has no value is left out.
fn request_of(op: &Op, caller: &UserId, chat: &ChatKey) -> (&'static str, Value) {
    let (payload_type, mut payload) = fields_of(op);
    payload["chatId"] = json!(chat.name_for(caller));
    if let Value::Object(fields) = &mut payload {
        fields.retain(|_, value| !value.is_null());
    }
    (payload_type, payload)
}

fn fields_of(op: &Op) -> (&'static str, Value) {
    let ids = |users: &[UserId]| {
        users
            .iter()
            .map(UserId::as_str)
            .map(Value::from)
            .collect::<Vec<_>>()
    };
    match op {
        Op::New {
            text,
            attachments,
            reply_to,
            client_message_id,
        } => (
            "new",
            json!({"message": text, "attachments": attachments_of(attachments), "replyTo": reply_to,
                "clientMessageId": client_message_id}),
        ),
        Op::Edit {
            message_id,
            text,
            attachments,
        } => (
            "edit",
            json!({"messageId": message_id, "message": text, "atttachments": attachments_of(attachments)}),
        ),
        Op::Delete { message_id } => ("delete", json!({"originalMessageId": message_id})),
        Op::MarkDelivered { message_id } => ("dlvrd", json!({"messageId": message_id})),
        Op::MarkRead { message_id } => ("read", json!({"messageId": message_id})),
        Op::DeleteChat { message_id } => ("deleteChat", json!({"messageId": message_id})),
        Op::CreateChat {
            kind,
            name,
            participants,
            photo_url,
            history_all,
        } => (
            "createChat",
            json!({"type": format!("{kind:?}").to_lowercase(), "name": name, "participants": ids(participants),
                "photoUrl": photo_url, "history": history_all.then_some("all")}),
        ),
        Op::UpdateChat {
            name,
            photo_url,
            admins,
            owner,
        } => (
            "updateChat",
            json!({"name": name, "photoUrl": photo_url, "admins": admins.as_deref().map(ids),
                "owner": owner.as_ref().map(UserId::as_str)}),
        ),
        Op::AddParticipants { participants } => {
            ("addParticipants", json!({"participants": ids(participants)}))
        }
        Op::RemoveParticipants { participants } => {
            ("removeParticipants", json!({"participants": ids(participants)}))
        }
        Op::Leave => ("leaveChat", json!({})),
    }
}

fn attachments_of(attachments: &[Attachment]) -> Option<Value> {
    let one = |attachment: &Attachment| {
        let (kind, meta) = match &attachment.meta {
            AttachmentMeta::File { extension, size } => {
                ("file", json!({"extension": extension, "size": size}))
            }
            AttachmentMeta::Image {
                mimetype,
                width,
                height,
                size,
            } => (
                "image",
                json!({"mimetype": mimetype, "width": width, "height": height, "size": size}),
            ),
            AttachmentMeta::Video {
                mimetype,
                width,
                height,
                size,
                duration_ms,
            } => (
                "video",
                json!({"mimetype": mimetype, "width": width, "height": height, "size": size,
                    "duration": *duration_ms as f64 / 1000.0}),
            ),
        };
        json!({"type": kind, "id": attachment.id, "filename": attachment.filename, "url": attachment.url, "meta": meta})
    };
    (!attachments.is_empty()).then(|| attachments.iter().map(one).collect::<Vec<_>>().into())
}
