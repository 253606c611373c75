//! Every rule of form that the protocol sets for what a client sends.

// Helpers of tests fail the test when something is not as it must be.
#![allow(clippy::expect_used)]

mod support;

use confab_chat::{AttachmentMeta, ChatKey, Code, Op};
use confab_proto::client::{CloseCode, Incoming, Request, decode};
use confab_proto::message::{Page, QueryKind};
use serde_json::{Value, json};

use support::samples::user;

fn say(frame: &str) -> Incoming {
    decode(&user("ann"), frame.as_bytes())
}

/// What becomes of a request.
fn ask(payload_type: &str, payload: &Value) -> Result<Request, (Code, String)> {
    let frame = json!({"type": "request", "id": "r1", "payloadType": payload_type, "payload": payload});
    match say(&frame.to_string()) {
        Incoming::Request { id, request } => {
            assert_eq!(id, "r1");
            request.map_err(|rejection| (rejection.code, rejection.message))
        }
        other => panic!("{frame} is a request, not {other:?}"),
    }
}

/// The operation that a command asks for.
fn op(payload_type: &str, payload: &Value) -> Op {
    match ask(payload_type, payload) {
        Ok(Request::Command { op, .. } | Request::Create { op, .. }) => op,
        other => panic!("{payload_type} {payload} is taken, not {other:?}"),
    }
}

#[track_caller]
fn refused(code: Code, payload_type: &str, payload: &Value, why: &str) {
    match ask(payload_type, payload) {
        Err((refused, message)) => {
            assert_eq!(refused, code, "{message}");
            assert!(message.contains(why), "{message:?} says {why:?}");
            assert!(message.len() <= 200, "{message:?} is short");
        }
        Ok(request) => panic!("{payload_type} {payload} is refused, not {request:?}"),
    }
}

#[track_caller]
fn bad(payload_type: &str, payload: &Value, why: &str) {
    refused(Code::BadRequest, payload_type, payload, why);
}

#[track_caller]
fn too_large(payload_type: &str, payload: &Value, why: &str) {
    refused(Code::TooLarge, payload_type, payload, why);
}

/// A frame that is none, and the id under which it is answered.
#[track_caller]
fn invalid(frame: &str, id: Option<&str>, why: &str) {
    match say(frame) {
        Incoming::Invalid { id: found, rejection } => {
            assert_eq!(found.as_deref(), id, "{frame}");
            assert_eq!(rejection.code, Code::BadRequest);
            assert!(
                rejection.message.contains(why),
                "{:?} says {why:?}",
                rejection.message
            );
            assert!(rejection.message.len() <= 200, "{:?} is short", rejection.message);
        }
        other => panic!("{frame} is invalid, not {other:?}"),
    }
}

/// The payload of a valid request of each type, all optional fields included.
fn valid() -> Vec<(&'static str, Value)> {
    let attachment = json!({"type": "file", "id": "1", "filename": "a", "url": "http://a/b", "meta": {"extension": "", "size": 0}});
    let attachments = json!([attachment]);
    vec![
        (
            "new",
            json!({"chatId": "bob", "message": "hi", "clientMessageId": "c", "attachments": attachments, "replyTo": 1}),
        ),
        (
            "new",
            json!({"chatId": "bob", "message": "hi", "atttachments": attachments}),
        ),
        (
            "edit",
            json!({"chatId": "bob", "messageId": 1, "message": "hi", "attachments": attachments}),
        ),
        (
            "edit",
            json!({"chatId": "bob", "originalMessageId": 1, "message": "hi", "atttachments": attachments}),
        ),
        ("delete", json!({"chatId": "bob", "messageId": 1})),
        ("dlvrd", json!({"chatId": "bob", "messageId": 1})),
        ("read", json!({"chatId": "bob", "messageId": 1})),
        ("chats", json!({"count": 1, "before": 0})),
        ("chat", json!({"chatId": "bob"})),
        ("messages", json!({"chatId": "bob", "startId": 1, "count": 1})),
        ("messages", json!({"chatId": "bob", "endId": 1, "count": 1})),
        (
            "createChat",
            json!({"type": "group", "name": "n", "participants": ["bob"], "photoUrl": "p", "history": "all", "clientChatId": "c"}),
        ),
        ("deleteChat", json!({"chatId": "bob", "messageId": 1})),
        (
            "updateChat",
            json!({"chatId": "g:a", "name": "n", "photoUrl": "p", "admins": ["bob"], "owner": "bob"}),
        ),
        (
            "addParticipants",
            json!({"chatId": "g:a", "participants": ["bob"]}),
        ),
        (
            "removeParticipants",
            json!({"chatId": "g:a", "participants": ["bob"]}),
        ),
        ("leaveChat", json!({"chatId": "g:a"})),
    ]
}

#[test]
fn a_value_of_the_wrong_type_is_refused_by_name() {
    for (payload_type, payload) in valid() {
        assert!(ask(payload_type, &payload).is_ok(), "{payload_type} {payload}");
        for (key, value) in payload.as_object().expect("an object") {
            for wrong in [
                json!(null),
                json!(true),
                json!({}),
                json!([[]]),
                json!(-1),
                json!(1.5),
            ] {
                let mut payload = payload.clone();
                payload[key] = wrong;
                bad(payload_type, &payload, key);
            }
            let mut payload = payload.clone();
            payload[key] = if value.is_string() { json!(1) } else { json!("1") };
            bad(payload_type, &payload, key);
        }
    }
}

#[test]
fn what_must_be_there_must_be_there() {
    let optional = [
        ("new", "clientMessageId attachments atttachments replyTo message"),
        ("edit", "attachments atttachments message"),
        ("dlvrd", "messageId"),
        ("read", "messageId"),
        ("chats", "count before"),
        ("messages", "startId endId count"),
        ("createChat", "photoUrl history clientChatId"),
        ("deleteChat", "messageId"),
        ("updateChat", "name photoUrl admins owner"),
    ];
    for (payload_type, payload) in valid() {
        let optional = optional
            .iter()
            .find(|(of, _)| *of == payload_type)
            .map_or("", |(_, keys)| keys);
        for key in payload.as_object().expect("an object").keys() {
            let mut without = payload.clone();
            without.as_object_mut().expect("an object").remove(key);
            if optional.split(' ').any(|name| name == key) {
                assert!(ask(payload_type, &without).is_ok(), "{payload_type} {without}");
            } else {
                bad(payload_type, &without, "is missing");
            }
        }
    }
}

#[test]
fn unknown_fields_are_ignored_and_known_ones_stand_once() {
    for (payload_type, mut payload) in valid() {
        let known = ask(payload_type, &payload);
        payload["unknown"] = json!({"chatId": [1, {"a": null}]});
        assert_eq!(ask(payload_type, &payload), known);
    }
    let twice = r#"{"type":"request","id":"r1","payloadType":"chat","payload":{"chatId":"a","chatId":"a"}}"#;
    let Incoming::Request {
        request: Err(rejection),
        ..
    } = say(twice)
    else {
        panic!("it is refused")
    };
    assert_eq!(rejection.message, "chatId is given twice");
    invalid(
        r#"{"type":"ack","type":"ack","id":1}"#,
        None,
        "type is given twice",
    );
}

#[test]
fn a_payload_is_an_object() {
    for (payload_type, payload) in valid() {
        let values: Vec<&Value> = payload.as_object().expect("an object").values().collect();
        for wrong in [json!(values), json!([]), json!(null), json!("x"), json!(1)] {
            bad(payload_type, &wrong, "expected an object");
        }
    }
    bad("nonsense", &json!({}), "unknown payloadType \"nonsense\"");
    bad(&"n".repeat(1000), &json!({}), "unknown payloadType");
}

#[test]
fn chat_ids_are_well_formed() {
    let chat = |chat_id: &str| match ask("chat", &json!({"chatId": chat_id})) {
        Ok(Request::Query(QueryKind::Chat { chat })) => chat,
        other => panic!("{chat_id} is taken, not {other:?}"),
    };
    assert_eq!(chat("bob"), ChatKey::dialog(&user("ann"), &user("bob")));
    assert_eq!(chat("ann"), ChatKey::dialog(&user("ann"), &user("ann")));
    assert_eq!(chat("d:x"), ChatKey::dialog(&user("ann"), &user("d:x")));
    assert_eq!(chat("g:abc").as_str(), "g:abc");
    for odd in ["a.b", "*", ">", "|", "@", "日本", "😀"] {
        assert_eq!(chat(odd), ChatKey::dialog(&user("ann"), &user(odd)));
    }
    assert_eq!(chat(&"x".repeat(128)).name_for(&user("ann")).len(), 128);
    let malformed = [
        "", "a b", "a\tb", "a\u{a0}b", "a\0", "a\u{85}", "g:", "g:A", "g:a.b", "g: ",
    ];
    for chat_id in malformed.map(String::from).into_iter().chain(["x".repeat(129)]) {
        bad("chat", &json!({"chatId": chat_id}), "chatId: ");
    }
}

#[test]
fn a_message_has_a_text_or_an_attachment() {
    let attachment = json!({"type": "file", "id": "", "filename": "", "url": "HTTPS://a", "meta": {"extension": "", "size": 0}});
    for payload_type in ["new", "edit"] {
        let with = |mut payload: Value| {
            payload["chatId"] = json!("bob");
            payload["messageId"] = json!(1);
            payload
        };
        bad(
            payload_type,
            &with(json!({"message": ""})),
            "a text or at least one attachment",
        );
        bad(
            payload_type,
            &with(json!({})),
            "a text or at least one attachment",
        );
        bad(
            payload_type,
            &with(json!({"message": "", "attachments": []})),
            "a text or at least one attachment",
        );
        op(payload_type, &with(json!({"attachments": [attachment]})));
        op(
            payload_type,
            &with(json!({"message": "", "atttachments": [attachment]})),
        );
        op(payload_type, &with(json!({"message": " ", "attachments": []})));

        op(payload_type, &with(json!({"message": "é".repeat(8 * 1024)})));
        too_large(
            payload_type,
            &with(json!({"message": "x".repeat(16 * 1024 + 1)})),
            "16384 bytes",
        );

        let both = with(json!({"message": "x", "attachments": [], "atttachments": []}));
        bad(payload_type, &both, "attachments and atttachments");
        op(payload_type, &with(json!({"attachments": vec![&attachment; 10]})));
        bad(
            payload_type,
            &with(json!({"attachments": vec![&attachment; 11]})),
            "at most 10",
        );
    }
}

#[test]
fn lengths_are_kept() {
    let new = |client_message_id: String| json!({"chatId": "bob", "message": "x", "clientMessageId": client_message_id});
    op("new", &new("x".repeat(128)));
    bad("new", &new("x".repeat(129)), "clientMessageId has 1 to 128 bytes");
    bad("new", &new(String::new()), "clientMessageId has 1 to 128 bytes");

    let create = |key: &str, value: Value| {
        let mut payload = json!({"type": "channel", "name": "n", "participants": []});
        payload[key] = value;
        payload
    };
    op("createChat", &create("name", json!("n".repeat(256))));
    bad(
        "createChat",
        &create("name", json!("n".repeat(257))),
        "name has 1 to 256 bytes",
    );
    bad(
        "createChat",
        &create("name", json!("")),
        "name has 1 to 256 bytes",
    );
    op("createChat", &create("clientChatId", json!("c".repeat(128))));
    bad(
        "createChat",
        &create("clientChatId", json!("c".repeat(129))),
        "clientChatId has 1 to 128 bytes",
    );
    bad(
        "createChat",
        &create("clientChatId", json!("")),
        "clientChatId has 1 to 128 bytes",
    );
    op("createChat", &create("photoUrl", json!("p".repeat(2048))));
    too_large(
        "createChat",
        &create("photoUrl", json!("p".repeat(2049))),
        "photoUrl has at most 2048 bytes",
    );
    bad(
        "createChat",
        &create("type", json!("dialog")),
        "type is group or channel",
    );
    bad(
        "createChat",
        &create("history", json!("none")),
        "history is \"all\"",
    );
    let update = |name: &str| json!({"chatId": "g:a", "name": name});
    bad("updateChat", &update(""), "name has 1 to 256 bytes");
    bad("updateChat", &update(&"n".repeat(257)), "name has 1 to 256 bytes");
}

#[test]
fn an_empty_picture_is_none_and_takes_one_away() {
    let create = op(
        "createChat",
        &json!({"type": "group", "name": "n", "participants": [], "photoUrl": ""}),
    );
    assert!(matches!(create, Op::CreateChat { photo_url: None, .. }));
    let update = op("updateChat", &json!({"chatId": "g:a", "photoUrl": ""}));
    assert!(matches!(update, Op::UpdateChat { photo_url: Some(url), .. } if url.is_empty()));
}

#[test]
fn lists_of_users_hold_well_formed_ids_once_each_and_not_too_many() {
    let lists = [
        (
            "createChat",
            "participants",
            json!({"type": "group", "name": "n"}),
        ),
        ("updateChat", "admins", json!({"chatId": "g:a"})),
        ("addParticipants", "participants", json!({"chatId": "g:a"})),
        ("removeParticipants", "participants", json!({"chatId": "g:a"})),
    ];
    for (payload_type, key, payload) in lists {
        let with = |users: &[String]| {
            let mut payload = payload.clone();
            payload[key] = json!(users);
            payload
        };
        let repeated = ["bob".into(), "ann".into(), "bob".into()];
        let found = match op(payload_type, &with(&repeated)) {
            Op::CreateChat { participants, .. }
            | Op::AddParticipants { participants }
            | Op::RemoveParticipants { participants }
            | Op::UpdateChat {
                admins: Some(participants),
                ..
            } => participants,
            other => panic!("{other:?}"),
        };
        assert_eq!(found, [user("bob"), user("ann")]);
        let many: Vec<String> = (0..1001).map(|number| number.to_string()).collect();
        op(payload_type, &with(&[&many[..1000], &many[..1000]].concat()));
        too_large(payload_type, &with(&many), "at most 1000");
        for malformed in ["", "a b", "g:abc"] {
            bad(payload_type, &with(&["bob".into(), malformed.into()]), key);
        }
    }
    bad("updateChat", &json!({"chatId": "g:a", "owner": "g:abc"}), "owner");
}

#[test]
fn message_ids_count_from_one() {
    for payload_type in ["delete", "dlvrd", "read", "deleteChat"] {
        let payload = |message_id: Value| json!({"chatId": "bob", "messageId": message_id});
        op(payload_type, &payload(json!(i64::MAX)));
        for wrong in [
            json!(0),
            json!(-1),
            json!(1.0),
            json!(1e3),
            json!(u64::MAX),
            json!("1"),
        ] {
            bad(payload_type, &payload(wrong), "messageId");
        }
    }
    bad(
        "new",
        &json!({"chatId": "bob", "message": "x", "replyTo": 0}),
        "replyTo",
    );
    bad("messages", &json!({"chatId": "bob", "startId": 0}), "startId");
    bad("messages", &json!({"chatId": "bob", "endId": 0}), "endId");
    let both = |original: u64| json!({"chatId": "bob", "messageId": 5, "originalMessageId": original});
    assert_eq!(op("delete", &both(5)), Op::Delete { message_id: 5 });
    bad("delete", &both(6), "messageId and originalMessageId differ");
}

#[test]
fn pages_have_one_direction_and_a_size_in_range() {
    bad(
        "messages",
        &json!({"chatId": "bob", "startId": 1, "endId": 2}),
        "exclude each other",
    );
    for payload_type in ["chats", "messages"] {
        let payload = |count: Value| json!({"chatId": "bob", "count": count});
        for taken in [1, 500] {
            assert!(ask(payload_type, &payload(json!(taken))).is_ok());
        }
        for wrong in [
            json!(0),
            json!(501),
            json!(5_000_000_000_u64),
            json!(-1),
            json!(2.5),
        ] {
            bad(payload_type, &payload(wrong), "count");
        }
    }
    let page = |payload: Value| match ask("messages", &payload) {
        Ok(Request::Query(QueryKind::Messages { page, count, .. })) => (page, count),
        other => panic!("{other:?}"),
    };
    assert_eq!(page(json!({"chatId": "bob"})), (Page::Latest, 300));
    assert_eq!(page(json!({"chatId": "bob", "startId": 7})), (Page::From(7), 300));
    assert_eq!(
        page(json!({"chatId": "bob", "endId": 7, "count": 2})),
        (Page::Before(7), 2)
    );
}

fn attached(attachment: &Value) -> Value {
    json!({"chatId": "bob", "message": "", "attachments": [attachment]})
}

fn kinds() -> [Value; 3] {
    let with = |kind: &str, meta: Value| json!({"type": kind, "id": "1", "filename": "f", "url": "https://a/b", "meta": meta});
    [
        with("file", json!({"extension": "txt", "size": 1})),
        with(
            "image",
            json!({"mimetype": "image/png", "width": 1, "height": 2, "size": 3}),
        ),
        with(
            "video",
            json!({"mimetype": "video/mp4", "width": 1, "height": 2, "size": 3, "duration": 4}),
        ),
    ]
}

#[test]
fn all_fields_of_an_attachment_are_required() {
    for attachment in kinds() {
        op("new", &attached(&attachment));
        bad(
            "new",
            &attached(&json!([
                attachment["type"],
                "1",
                "f",
                "https://a/b",
                attachment["meta"]
            ])),
            "expected an object",
        );
        for key in ["type", "id", "filename", "url", "meta"] {
            let mut without = attachment.clone();
            without.as_object_mut().expect("an object").remove(key);
            bad(
                "new",
                &attached(&without),
                &format!("an attachment's {key} is missing"),
            );
            for wrong in [json!(null), json!(1), json!([])] {
                let mut attachment = attachment.clone();
                attachment[key] = wrong;
                bad("new", &attached(&attachment), key);
            }
        }
        for key in attachment["meta"].as_object().expect("an object").keys() {
            let mut without = attachment.clone();
            without["meta"].as_object_mut().expect("an object").remove(key);
            bad("new", &attached(&without), &format!("meta.{key} is missing"));
            for wrong in [json!(null), json!(-1), json!([1])] {
                let mut attachment = attachment.clone();
                attachment["meta"][key] = wrong;
                bad("new", &attached(&attachment), key);
            }
        }
    }
    let mut unknown = kinds()[0].clone();
    unknown["type"] = json!("audio");
    bad("new", &attached(&unknown), "file, image or video");
}

#[test]
fn an_attachment_is_fetched_by_http() {
    let with = |url: &str| {
        let mut attachment = kinds()[0].clone();
        attachment["url"] = json!(url);
        attached(&attachment)
    };
    for url in [
        "http://a",
        "HTTP://a",
        "https://a:8080/b?c#d",
        "https://é.example/ü",
    ] {
        op("new", &with(url));
    }
    let wrong = [
        "",
        "a",
        "ftp://a/b",
        "javascript:alert(1)",
        "//a/b",
        "http:/a",
        "http://",
        "https:///b",
        "https://?q",
        "https://#f",
        "xhttp://a",
        "http://a b",
        "http://a\nb",
        " http://a",
    ];
    for url in wrong {
        bad("new", &with(url), "http or https");
    }
    op("new", &with(&format!("http://a/{}", "b".repeat(2039))));
    too_large(
        "new",
        &with(&format!("http://a/{}", "b".repeat(2040))),
        "2048 bytes",
    );
}

#[test]
fn a_duration_may_have_a_fraction() {
    let duration = |seconds: Value| {
        let mut attachment = kinds()[2].clone();
        attachment["meta"]["duration"] = seconds;
        attached(&attachment)
    };
    let kept = |seconds: Value| match op("new", &duration(seconds)) {
        Op::New { attachments, .. } => match attachments[0].meta {
            AttachmentMeta::Video { duration_ms, .. } => duration_ms,
            ref other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    };
    assert_eq!(kept(json!(0)), 0);
    assert_eq!(kept(json!(12)), 12_000);
    assert_eq!(kept(json!(12.5)), 12_500);
    assert_eq!(kept(json!(0.0015)), 2);
    assert_eq!(kept(json!(1e9)), 1_000_000_000_000);
    for wrong in [json!(-0.5), json!(-1), json!(1.1e9), json!(u64::MAX), json!("12")] {
        bad("new", &duration(wrong), "duration");
    }
}

#[test]
fn what_is_no_json_object_is_a_ping() {
    let cut_off = r#"{"type":"request","id":"r1","payloadType":"chats","payload":{}}"#;
    for end in 0..cut_off.len() {
        assert_eq!(say(&cut_off[..end]), Incoming::Ping, "{}", &cut_off[..end]);
    }
    let deep = "{\"a\":".repeat(30_000);
    let pings = [
        "",
        " ",
        "ping",
        "null",
        "true",
        "1",
        "\"x\"",
        "[]",
        "[{}]",
        "{",
        "}",
        "{]",
        "{}x",
        "{} {}",
        "{'a':1}",
        "{\"a\":01}",
        "{\"a\":1,}",
        "{\"a\"}",
        "\u{feff}{}",
        "{\"a\":\"\n\"}",
        "{\"a\":\"\\x\"}",
        "{\"a\":\"\\ud8\"}",
        "{\"a\":NaN}",
        &deep,
        &"[".repeat(60_000),
    ];
    for frame in pings {
        assert_eq!(say(frame), Incoming::Ping, "{}", &frame[..frame.len().min(100)]);
    }
    assert_eq!(decode(&user("ann"), b"\xff\xfe"), Incoming::Ping);
    assert_eq!(decode(&user("ann"), b"{\"type\":\xff}"), Incoming::Ping);
    assert_eq!(
        decode(&user("ann"), &"[".repeat(100).into_bytes()),
        Incoming::Ping
    );
}

#[test]
fn a_json_object_that_is_no_frame_is_refused_under_its_id() {
    invalid("{}", None, "type is missing");
    invalid(" \t\r\n{} ", None, "type is missing");
    invalid(r#"{"id":"r1"}"#, Some("r1"), "type is missing");
    invalid(r#"{"id":"\u0072é"}"#, Some("ré"), "type is missing");
    invalid(r#"{"id":"r1","type":1}"#, Some("r1"), "type: ");
    invalid(r#"{"id":"r1","type":null}"#, Some("r1"), "type: ");
    invalid(
        r#"{"id":"r1","type":"response"}"#,
        Some("r1"),
        "unknown type \"response\"",
    );
    invalid(r#"{"event":"ping"}"#, None, "type is missing");
    let request = |fields: &str| format!(r#"{{"type":"request",{fields}}}"#);
    let rest = r#""payloadType":"chats","payload":{}"#;
    invalid(&request(rest), None, "id is missing");
    invalid(&request(&format!(r#""id":1,{rest}"#)), None, "id: ");
    invalid(&request(&format!(r#""id":null,{rest}"#)), None, "id: ");
    invalid(&request(&format!(r#""id":["r1"],{rest}"#)), None, "id: ");
    let long = "r".repeat(65);
    invalid(
        &request(&format!(r#""id":"{long}",{rest}"#)),
        Some(&long),
        "id has at most 64 bytes",
    );
    invalid(
        &request(r#""id":"r1","payloadType":"chats""#),
        Some("r1"),
        "payload is missing",
    );
    invalid(
        &request(r#""id":"r1","payload":{}"#),
        Some("r1"),
        "payloadType is missing",
    );
    invalid(
        &request(r#""id":"r1","payloadType":5,"payload":{}"#),
        Some("r1"),
        "payloadType: ",
    );
    invalid(
        &request(r#""id":"r1","eventType":"chats","payload":{}"#),
        Some("r1"),
        "payloadType is missing",
    );
    invalid(
        &request(&format!(r#""id":"r1","timestamp":"x",{rest}"#)),
        Some("r1"),
        "timestamp: ",
    );
    invalid(
        &request(&format!(r#""id":"r1","timestamp":null,{rest}"#)),
        Some("r1"),
        "timestamp: ",
    );
    let wide = "r".repeat(64);
    assert!(
        matches!(say(&request(&format!(r#""id":"{wide}",{rest}"#))), Incoming::Request { id, request: Ok(_) } if id == wide)
    );
    assert!(matches!(
        say(&request(&format!(r#""id":"",{rest}"#))),
        Incoming::Request { request: Ok(_), .. }
    ));
}

#[test]
fn an_object_that_is_not_utf8_is_refused() {
    let frame = [
        b"{\"id\":\"r1\",\"type\":\"ack\",\"x\":\"",
        &b"\xed\xa0\x80"[..],
        b"\"}",
    ]
    .concat();
    let Incoming::Invalid { id, rejection } = decode(&user("ann"), &frame) else {
        panic!("it is invalid")
    };
    assert_eq!(
        (id.as_deref(), rejection.message.as_str()),
        (Some("r1"), "the frame is not UTF-8")
    );
}

#[test]
fn nesting_ends_at_64_levels() {
    let nested = |levels: usize| {
        let (open, close) = ("[".repeat(levels - 2), "]".repeat(levels - 2));
        format!(r#"{{"type":"request","id":"r1","payloadType":"chats","payload":{{"x":{open}{close}}}}}"#)
    };
    assert!(matches!(
        say(&nested(64)),
        Incoming::Request { request: Ok(_), .. }
    ));
    invalid(&nested(65), Some("r1"), "deeper than 64 levels");
    invalid(&nested(30_000), Some("r1"), "deeper than 64 levels");
    let objects = format!(
        "{{\"id\":\"r1\",\"a\":{}1{}}}",
        "{\"a\":".repeat(64),
        "}".repeat(64)
    );
    invalid(&objects, Some("r1"), "deeper than 64 levels");
    // Brackets in a text are no nesting.
    let text = format!(
        r#"{{"type":"ack","id":1,"x":"{}\"{}"}}"#,
        "[".repeat(100),
        "{".repeat(100)
    );
    assert_eq!(say(&text), Incoming::Ack(1));
    let wide = format!(r#"{{"type":"ack","id":1,"x":[{}1]}}"#, "[],{},".repeat(100));
    assert_eq!(say(&wide), Incoming::Ack(1));
}

#[test]
fn half_a_surrogate_pair_is_refused_wherever_it_stands() {
    for half in [
        "\\ud800",
        "\\udc00",
        "\\ud800\\ud800",
        "\\udc00\\ud800",
        "\\ud800x",
        "\\uD83D\\n",
        "a\\\\\\ud800",
    ] {
        let id = Some("r1");
        invalid(
            &format!(r#"{{"type":"request","id":"r1","payloadType":"chats","payload":{{"x":"{half}"}}}}"#),
            id,
            "lone surrogate",
        );
        invalid(
            &format!(
                r#"{{"type":"request","id":"r1","payloadType":"new","payload":{{"chatId":"bob","message":"{half}"}}}}"#
            ),
            id,
            "lone surrogate",
        );
        invalid(
            &format!(r#"{{"type":"ack","id":1,"{half}":1}}"#),
            None,
            "lone surrogate",
        );
        invalid(
            &format!(r#"{{"type":"ack","id":"{half}"}}"#),
            None,
            "lone surrogate",
        );
    }
    for whole in [
        "\\ud83d\\ude00",
        "\\\\ud800",
        "\\\\\\ud83d\\uDE00",
        "\\u00e9",
        "\\u0000",
    ] {
        assert_eq!(
            say(&format!(r#"{{"type":"ack","id":1,"x":"{whole}"}}"#)),
            Incoming::Ack(1),
            "{whole}"
        );
    }
}

#[test]
fn an_ack_names_a_number() {
    let ack = |id: &str| say(&format!(r#"{{"type":"ack","id":{id}}}"#));
    assert_eq!(ack("0"), Incoming::Ack(0));
    assert_eq!(ack("9007199254740991"), Incoming::Ack(9_007_199_254_740_991));
    assert_eq!(ack("\"12\""), Incoming::Ack(12));
    // Numbers that no event has.
    for number in ["-1", "1.5", "1e400", "18446744073709551616", "\"-1\"", "\"1.5\""] {
        assert_eq!(ack(number), Incoming::Ignored, "{number}");
    }
    for wrong in ["\"\"", "\"x\"", "\"1x\"", "\" 1\"", "\"+1\"", "\"1e\"", "\"0x1\""] {
        let frame = format!(r#"{{"type":"ack","id":{wrong}}}"#);
        invalid(&frame, Some(wrong.trim_matches('"')), "id of an ack");
    }
    for wrong in ["null", "true", "[1]", "{}"] {
        invalid(&format!(r#"{{"type":"ack","id":{wrong}}}"#), None, "id of an ack");
    }
    invalid(r#"{"type":"ack"}"#, None, "id of an ack");
}

#[test]
fn events_that_mean_nothing_are_dropped() {
    let event = |rest: &str| say(&format!(r#"{{"type":"event",{rest}}}"#));
    for nothing in [
        r#""eventType":"new","payload":{}"#,
        r#""eventType":"unknown""#,
        r#""eventType":"typing""#,
        r#""eventType":"typing","payload":{}"#,
        r#""eventType":"typing","payload":null"#,
        r#""eventType":"typing","payload":["bob"]"#,
        r#""eventType":"typing","payload":{"chatId":"a b"}"#,
        r#""eventType":"typing","payload":{"chatId":"bob","stop":1}"#,
    ] {
        assert_eq!(event(nothing), Incoming::Ignored, "{nothing}");
    }
    assert_eq!(
        event(r#""eventType":"offline","payload":null"#),
        Incoming::Offline
    );
    assert_eq!(
        event(r#""eventType":"offline","payloadType":"typing","id":7"#),
        Incoming::Offline
    );
    invalid(r#"{"type":"event"}"#, None, "eventType is missing");
    invalid(
        r#"{"type":"event","eventType":1,"id":"e1"}"#,
        Some("e1"),
        "eventType: ",
    );
}

#[test]
fn close_codes_are_as_published() {
    let codes = [
        (CloseCode::Away, 1001),
        (CloseCode::TooLarge, 1009),
        (CloseCode::Restart, 1012),
        (CloseCode::TokenExpired, 4001),
        (CloseCode::Banned, 4003),
        (CloseCode::NoPing, 4008),
        (CloseCode::TooSlow, 4009),
        (CloseCode::Replaced, 4010),
        (CloseCode::RateLimited, 4029),
    ];
    for (code, number) in codes {
        assert_eq!(code.code(), number);
        assert!(code.reason().len() <= 123, "a close frame holds no more");
    }
}
