//! Requests: in order into the log, answered from it or from the rows, or refused.

use std::time::Duration;

use confab_bus::AppendError;
use confab_chat::{ChatKey, Code, EntryId, Op, Rejection, Reply, RequestId, SessionId, Timestamp};
use confab_proto::message::{EntryBody, LogEntry, QueryKind, Signal};
use serde_json::json;

use crate::desk::{Client, Desk, config, user};
use crate::soon;

impl Desk {
    /// The next log entry: its id, the request, and what is asked of which chat.
    pub async fn entry(&mut self, of: &Client) -> (EntryId, RequestId, ChatKey, Op) {
        let entry = soon(self.workers.appended.recv()).await.unwrap();
        command(of, entry)
    }
}

/// A command of a client: its entry's id, the request, and what is asked of which chat.
pub fn command(of: &Client, entry: LogEntry) -> (EntryId, RequestId, ChatKey, Op) {
    let LogEntry { id, body } = entry;
    let EntryBody::Command(command) = body else {
        panic!("not a command: {body:?}");
    };
    assert_eq!(
        (command.user, command.origin.session),
        (of.user.clone(), of.session)
    );
    (id, command.origin.request, command.chat, command.op)
}

pub fn sent(message_id: u64) -> Result<Reply, Rejection> {
    Ok(Reply::Message {
        message_id,
        at: Timestamp(77),
        client_message_id: Some("c".to_owned()),
    })
}

#[tokio::test]
async fn a_command_goes_into_the_log_and_its_reply_to_the_client() {
    let mut desk = Desk::open().await;
    let mut client = desk.alice().await;
    client
        .ask(
            "r1",
            "new",
            json!({"chatId": "bob", "message": "hi", "clientMessageId": "c"}),
        )
        .await;
    let (first, request, chat, op) = desk.entry(&client).await;
    assert_eq!(chat, ChatKey::dialog(&user("alice"), &user("bob")));
    assert!(matches!(op, Op::New { text, .. } if text == "hi"));
    // One for another session, and one that nobody asked for, are not for this client.
    let other = Client {
        ws: crate::desk::nowhere().await,
        user: user("alice"),
        session: SessionId(99),
    };
    desk.reply(&other, request, sent(5)).await;
    desk.reply(&client, RequestId(1000), sent(6)).await;
    desk.reply(&client, request, sent(1)).await;
    let response = client.next().await;
    assert_eq!(response["id"], "r1");
    assert_eq!(
        response["payload"],
        json!({"messageId": 1, "timestamp": 77, "clientMessageId": "c"})
    );
    desk.reply(&client, request, sent(1)).await;
    client.nothing_yet().await;
    client
        .ask("r2", "new", json!({"chatId": "bob", "message": "hi"}))
        .await;
    let (second, request, ..) = desk.entry(&client).await;
    assert_ne!(first, second);
    desk.reply(&client, request, Err(Rejection::new(Code::Forbidden, "no")))
        .await;
    let response = client.next().await;
    assert_eq!(
        response["error"],
        json!({"code": "forbidden", "message": "no", "retryable": false})
    );
}

#[tokio::test]
async fn what_a_client_sends_at_once_is_appended_in_its_order() {
    let mut desk = Desk::open().await;
    let mut client = desk.alice().await;
    for n in 0..200 {
        client
            .ask(
                &n.to_string(),
                "new",
                json!({"chatId": "bob", "message": n.to_string()}),
            )
            .await;
    }
    for n in 0..200 {
        let (_, request, _, op) = desk.entry(&client).await;
        assert!(matches!(op, Op::New { text, .. } if text == n.to_string()));
        desk.reply(&client, request, sent(n + 1)).await;
    }
    for n in 0..200 {
        let response = client.next().await;
        assert_eq!(
            (&response["id"], &response["payload"]["messageId"]),
            (&json!(n.to_string()), &json!(n + 1))
        );
    }
}

#[tokio::test]
async fn an_append_whose_fate_is_unknown_is_repeated_under_its_id_and_a_refused_one_is_not() {
    let mut desk = Desk::open().await;
    let mut client = desk.alice().await;
    for _ in 0..2 {
        desk.workers.append_fails(AppendError::Unknown("lost".to_owned()));
    }
    client.ask("r1", "dlvrd", json!({"chatId": "bob"})).await;
    let (first, request, ..) = desk.entry(&client).await;
    for _ in 0..2 {
        let (again, same, ..) = desk.entry(&client).await;
        assert_eq!((&again, same), (&first, request));
    }
    desk.reply(&client, request, sent(1)).await;
    assert_eq!(client.next().await["id"], "r1");
    desk.workers.append_fails(AppendError::Refused("full".to_owned()));
    client.ask("r2", "dlvrd", json!({"chatId": "bob"})).await;
    let response = client.next().await;
    assert_eq!(
        (&response["id"], &response["error"]["code"]),
        (&json!("r2"), &json!("unavailable"))
    );
    assert_eq!(response["error"]["retryable"], true);
    desk.entry(&client).await;
    client.nothing_yet().await;
    assert!(desk.workers.appended.try_recv().is_err());
}

#[tokio::test]
async fn a_command_without_a_reply_times_out() {
    let mut desk = Desk::open().await;
    let mut client = desk.alice().await;
    let asked = tokio::time::Instant::now();
    client.ask("r1", "leaveChat", json!({"chatId": "g:x"})).await;
    let response = client.next().await;
    assert_eq!(
        (&response["id"], &response["error"]["code"]),
        (&json!("r1"), &json!("timeout"))
    );
    assert!(asked.elapsed() >= Duration::from_secs(5));
    let (_, request, ..) = desk.entry(&client).await;
    desk.reply(&client, request, Ok(Reply::Left)).await;
    client.nothing_yet().await;
}

#[tokio::test]
async fn a_created_chat_is_answered_with_the_chat_as_it_is() {
    let mut desk = Desk::open().await;
    let mut client = desk.alice().await;
    let payload = json!({"type": "group", "name": "G", "participants": ["bob"], "clientChatId": "mine"});
    client.ask("r1", "createChat", payload).await;
    let (_, request, chat, _) = desk.entry(&client).await;
    assert_eq!(chat, ChatKey::group(&user("alice"), "mine"));
    desk.reply(&client, request, Ok(Reply::Chat)).await;
    let query = desk.workers.answer(r#"{"chatId":"g:1"}"#).await;
    assert_eq!(
        (query.user, query.what),
        (user("alice"), QueryKind::Chat { chat })
    );
    let response = client.next().await;
    assert_eq!(
        (&response["id"], &response["payload"]),
        (&json!("r1"), &json!({"chatId": "g:1"}))
    );
    // Without an id of the client's the entry's takes its place.
    let payload = json!({"type": "group", "name": "G", "participants": []});
    client.ask("r2", "createChat", payload).await;
    let (entry, _, chat, _) = desk.entry(&client).await;
    assert_eq!(chat, ChatKey::group(&user("alice"), &entry.0));
}

#[tokio::test]
async fn replies_name_the_chat_as_the_client_does() {
    let mut desk = Desk::open().await;
    let mut client = desk.alice().await;
    client.ask("r1", "deleteChat", json!({"chatId": "bob"})).await;
    let (_, request, ..) = desk.entry(&client).await;
    desk.reply(&client, request, Ok(Reply::Left)).await;
    assert_eq!(client.next().await["payload"], json!({"chatId": "bob"}));
    client
        .ask(
            "r2",
            "addParticipants",
            json!({"chatId": "g:x", "participants": ["bob", "carol"]}),
        )
        .await;
    let (_, request, ..) = desk.entry(&client).await;
    desk.reply(&client, request, Ok(Reply::Participants(vec![user("carol")])))
        .await;
    assert_eq!(
        client.next().await["payload"],
        json!({"chatId": "g:x", "participants": ["carol"]})
    );
}

#[tokio::test]
async fn a_query_waits_for_the_commands_sent_before_it_to_its_chat_and_for_no_other() {
    let mut desk = Desk::open().await;
    let mut client = desk.alice().await;
    client
        .ask("w", "new", json!({"chatId": "bob", "message": "hi"}))
        .await;
    client.ask("mine", "messages", json!({"chatId": "bob"})).await;
    client.ask("other", "messages", json!({"chatId": "carol"})).await;
    desk.workers.answer(r#"["carol"]"#).await;
    assert_eq!(client.next().await["id"], "other");
    assert!(desk.workers.queries.try_recv().is_err());
    let (_, request, ..) = desk.entry(&client).await;
    desk.reply(&client, request, sent(1)).await;
    assert_eq!(client.next().await["id"], "w");
    desk.workers.answer(r#"["bob"]"#).await;
    let response = client.next().await;
    assert_eq!(
        (&response["id"], &response["payload"]),
        (&json!("mine"), &json!(["bob"]))
    );
}

#[tokio::test]
async fn a_query_that_nobody_answers_is_unavailable() {
    let mut desk = Desk::open().await;
    let mut client = desk.alice().await;
    client.ask("r1", "chats", json!({})).await;
    drop(soon(desk.workers.queries.recv()).await);
    let response = client.next().await;
    assert_eq!(
        (&response["id"], &response["error"]["code"]),
        (&json!("r1"), &json!("unavailable"))
    );
}

#[tokio::test]
async fn requests_above_the_rate_are_refused_and_other_frames_are_not_counted() {
    let mut config = config();
    (config.rate_limit, config.rate_burst) = (1, 3);
    let mut desk = Desk::with(config).await;
    let mut client = desk.alice().await;
    for n in 0..4 {
        client.ack(n).await;
        client.ask(&n.to_string(), "bogus", json!({})).await;
    }
    for _ in 0..3 {
        assert_eq!(client.next().await["error"]["code"], "bad_request");
    }
    let refused = client.next().await;
    assert_eq!(
        (&refused["id"], &refused["error"]["code"]),
        (&json!("3"), &json!("rate_limited"))
    );
    let wait = refused["error"]["retryAfterMs"].as_u64().unwrap();
    assert!((1..=1000).contains(&wait), "{wait}");
    client.nothing_yet().await;
}

#[tokio::test]
async fn typing_and_being_away_are_told_to_whom_it_concerns() {
    let mut desk = Desk::open().await;
    let mut client = desk.alice().await;
    client
        .send(r#"{"type":"event","eventType":"typing","payload":{"chatId":"bob","stop":true}}"#)
        .await;
    match desk.workers.signal().await {
        Signal::Typing {
            chat,
            user: who,
            stop,
        } => {
            assert_eq!(
                (chat, who, stop),
                (ChatKey::dialog(&user("alice"), &user("bob")), user("alice"), true)
            );
        }
        other => panic!("not typing: {other:?}"),
    }
    let offline = r#"{"type":"event","payloadType":"offline"}"#;
    client.send(offline).await;
    client.send(offline).await;
    client.nothing_yet().await;
    client.ack(1).await;
    for expected in [true, false] {
        match desk.workers.signal().await {
            Signal::Away { away, .. } => assert_eq!(away, expected),
            other => panic!("not away: {other:?}"),
        }
    }
}
