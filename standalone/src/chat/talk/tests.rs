//! Frames and lines in, frames and lines out.

use serde_json::{Value, json};

use super::{Do, Talk};

/// What is shown, one string a line.
fn shown(things: &[Do]) -> Vec<String> {
    let line = |thing: &Do| match thing {
        Do::Show(line) => Some(line.parts.iter().map(|(_, text)| text.as_str()).collect()),
        _ => None,
    };
    things.iter().filter_map(line).collect()
}

/// What is sent.
fn sent(things: &[Do]) -> Vec<Value> {
    let frame = |thing: &Do| match thing {
        Do::Send(frame) => Some(serde_json::from_str(frame).unwrap()),
        _ => None,
    };
    things.iter().filter_map(frame).collect()
}

fn answer(request: &Value, payload: &Value) -> String {
    json!({"type": "response", "id": request["id"], "timestamp": 1, "payload": payload}).to_string()
}

fn refuse(request: &Value, code: &str, retryable: bool) -> String {
    let error = json!({"code": code, "message": "no", "retryable": retryable});
    json!({"type": "response", "id": request["id"], "timestamp": 1, "error": error}).to_string()
}

fn new(event: u64, user: &str, message: u64, text: &str) -> String {
    let payload =
        json!({"id": event, "chatId": "bob", "userId": user, "messageId": message, "message": text});
    json!({"type": "event", "eventType": "new", "id": event, "timestamp": 1, "payload": payload}).to_string()
}

/// A talk of alice with bob whose history is `history`.
fn talk(history: &Value) -> (Talk, Vec<Do>) {
    let mut talk = Talk::new("alice", "bob");
    let asked = sent(&talk.connected());
    assert_eq!(asked[0]["payloadType"], "messages");
    let out = talk.heard(&answer(&asked[0], history));
    (talk, out)
}

#[test]
fn history_is_shown_in_order_with_ticks_and_what_is_unread_is_marked_read() {
    let (_, out) = talk(&json!([
        {"messageId": 1, "sender": "alice", "message": "hi", "status": "read"},
        {"messageId": 2, "sender": "alice", "message": "there?", "status": "unread"},
        {"messageId": 3, "sender": "bob", "message": "yes", "status": "unread"},
        {"messageId": 4, "sender": "bob", "status": "deleted", "deletedAt": 5},
        {"messageId": 5, "sender": "alice", "message": "good", "status": "undelivered"},
    ]));
    let lines = shown(&out);
    assert_eq!(
        lines,
        [
            "#1 alice: hi ✓✓",
            "#2 alice: there? ✓✓",
            "#3 bob: yes",
            "#4 bob: (deleted)",
            "#5 alice: good ✓"
        ]
    );
    let marks = sent(&out);
    assert_eq!(marks.len(), 1, "one mark covers them all");
    assert_eq!(marks[0]["payloadType"], "read");
    assert_eq!(marks[0]["payload"], json!({"chatId": "bob", "messageId": 4}));
}

#[test]
fn a_message_that_comes_before_the_history_is_shown_after_it_and_once() {
    let mut talk = Talk::new("alice", "bob");
    let asked = sent(&talk.connected());
    assert!(shown(&talk.heard(&new(1, "bob", 2, "two"))).is_empty());
    let history = json!([{"messageId": 1, "sender": "bob", "message": "one", "status": "read"}]);
    assert_eq!(
        shown(&talk.heard(&answer(&asked[0], &history))),
        ["#1 bob: one", "#2 bob: two"]
    );
    assert!(
        shown(&talk.heard(&new(1, "bob", 2, "two"))).is_empty(),
        "shown twice"
    );
}

#[test]
fn every_durable_event_is_acknowledged_and_resumed_after() {
    let (mut talk, _) = talk(&json!([]));
    let out = talk.heard(&new(7, "bob", 1, "hi"));
    assert!(sent(&out).contains(&json!({"type": "ack", "id": 7})));
    assert_eq!(talk.last_event(), Some(7));
    let chats = json!({"type": "event", "eventType": "chats", "id": 8, "timestamp": 1, "payload": []});
    assert_eq!(
        sent(&talk.heard(&chats.to_string())),
        [json!({"type": "ack", "id": 8})]
    );
}

#[test]
fn what_is_typed_is_sent_again_under_the_same_id_until_it_is_taken() {
    let (mut talk, _) = talk(&json!([]));
    let first = sent(&talk.typed(Some("hello")));
    assert_eq!(first[0]["payload"]["message"], "hello");
    let id = &first[0]["payload"]["clientMessageId"];

    talk.heard(&refuse(&first[0], "unavailable", true));
    let second = sent(&talk.again());
    assert_eq!(second[0]["payload"]["clientMessageId"], *id);
    assert!(sent(&talk.again()).is_empty(), "sent twice over one connection");

    let third = sent(&talk.connected());
    assert_eq!(
        third[1]["payload"]["clientMessageId"], *id,
        "not sent over the new connection"
    );
    talk.heard(&answer(&third[1], &json!({"messageId": 1, "timestamp": 1})));
    assert_eq!(sent(&talk.connected()).len(), 1, "sent though it was taken");
}

#[test]
fn a_refusal_for_good_is_told() {
    let (mut talk, _) = talk(&json!([]));
    let frame = sent(&talk.typed(Some("x")));
    assert_eq!(
        shown(&talk.heard(&refuse(&frame[0], "too_large", false))),
        ["* not sent: no (too_large)"]
    );
    assert!(sent(&talk.again()).is_empty());
}

#[test]
fn it_quits_at_the_end_of_the_input_once_everything_is_taken_and_shown() {
    let (mut talk, _) = talk(&json!([]));
    let frame = sent(&talk.typed(Some("bye")));
    assert!(!talk.typed(None).contains(&Do::Quit), "unanswered");
    let out = talk.heard(&answer(&frame[0], &json!({"messageId": 1, "timestamp": 1})));
    assert!(!out.contains(&Do::Quit), "not shown");
    let out = talk.heard(&new(1, "alice", 1, "bye"));
    assert_eq!(shown(&out), ["#1 alice: bye ✓"]);
    assert!(out.contains(&Do::Quit));
}

#[test]
fn marks_typing_and_presence_are_told() {
    let (mut talk, _) = talk(&json!([]));
    let mut event = |kind: &str, payload: Value| {
        let frame = json!({"type": "event", "eventType": kind, "timestamp": 1, "payload": payload});
        shown(&talk.heard(&frame.to_string()))
    };
    assert_eq!(event("online", json!({"userId": "bob"})), ["* bob is online"]);
    assert!(event("online", json!({"userId": "carol"})).is_empty());
    assert_eq!(
        event("typing", json!({"userId": "bob", "chatId": "bob"})),
        ["* bob is typing…"]
    );
    assert!(
        event("typing", json!({"userId": "bob", "chatId": "bob"})).is_empty(),
        "told twice"
    );
    let mark = json!({"userId": "bob", "chatId": "bob", "messageId": 3});
    assert_eq!(event("dlvrd", mark.clone()), ["* ✓✓ bob has got all up to #3"]);
    assert_eq!(event("read", mark), ["* ✓✓ bob has read all up to #3"]);
    assert_eq!(
        event("offline", json!({"userId": "bob", "lastSeen": 1})),
        ["* bob is offline"]
    );
}

#[test]
fn commands_become_requests() {
    let (mut talk, _) = talk(&json!([]));
    let frames = sent(&talk.typed(Some("/edit #4 better so")));
    assert_eq!(
        frames[0]["payload"],
        json!({"chatId": "bob", "messageId": 4, "message": "better so"})
    );
    assert_eq!(sent(&talk.typed(Some("/delete 4")))[0]["payloadType"], "delete");
    assert_eq!(sent(&talk.typed(Some("/typing")))[0]["eventType"], "typing");
    assert_eq!(sent(&talk.typed(Some("//etc")))[0]["payload"]["message"], "/etc");
    assert!(sent(&talk.typed(Some("/nonsense"))).is_empty());
    assert!(sent(&talk.typed(Some("   "))).is_empty());
    assert_eq!(talk.typed(Some("/quit")), [Do::Quit]);
}

#[test]
fn what_a_terminal_would_obey_is_not_shown() {
    let (mut talk, _) = talk(&json!([]));
    let lines = shown(&talk.heard(&new(1, "bob", 1, "a\u{1b}[2Jb\nc\u{9b}")));
    assert_eq!(lines, ["#1 bob: a\u{fffd}[2Jb⏎c\u{fffd}"]);
}

#[test]
fn another_chats_message_is_told_and_marked_delivered() {
    let (mut talk, _) = talk(&json!([]));
    let payload = json!({"chatId": "carol", "userId": "carol", "messageId": 9, "message": "psst"});
    let frame = json!({"type": "event", "eventType": "new", "id": 1, "timestamp": 1, "payload": payload});
    let out = talk.heard(&frame.to_string());
    assert_eq!(shown(&out), ["* in carol, carol: psst"]);
    assert_eq!(sent(&out)[0]["payloadType"], "dlvrd");
}
