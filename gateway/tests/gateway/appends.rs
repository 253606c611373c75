//! Appends that take their time: in order within a chat, side by side across chats, and in nobody's way.

use std::time::Duration;

use confab_bus::AppendError;
use confab_chat::{ChatKey, EntryId, Op, RequestId};
use confab_proto::message::Signal;
use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::{Bytes, Message};

use crate::desk::{Client, Desk, attached, config, user};
use crate::requests::{command, sent};
use crate::script::Held;
use crate::soon;

/// As many commands of one socket wait for an answer at the most.
const COMMANDS: usize = 1024;

/// A message that is on its way into the log.
struct Sending {
    held: Held,
    entry: EntryId,
    request: RequestId,
    chat: ChatKey,
    text: String,
}

impl Desk {
    async fn holding() -> Self {
        let desk = Self::open().await;
        desk.workers.hold_appends();
        desk
    }

    /// The next append under way, which is of a `new`.
    async fn sending(&mut self, of: &Client) -> Sending {
        let held = self.workers.next_held().await;
        let (entry, request, chat, op) = command(of, held.entry.clone());
        let Op::New { text, .. } = op else {
            panic!("not a message: {op:?}");
        };
        Sending {
            held,
            entry,
            request,
            chat,
            text,
        }
    }

    /// No append is under way that was not taken out, as far as the gateway has got with what the client sent.
    async fn appends_no_more(&mut self, client: &mut Client) {
        client.nothing_yet().await;
        assert!(self.workers.held.try_recv().is_err());
    }
}

impl Client {
    /// Sends a message, whose text is the request's id.
    async fn write(&mut self, id: &str, to: &str) {
        self.ask(id, "new", json!({"chatId": to, "message": id})).await;
    }

    /// The next frame is a response without an error.
    async fn done(&mut self, id: &str) {
        let response = self.next().await;
        assert_eq!((&response["id"], &response["error"]), (&json!(id), &json!(null)));
    }

    /// The next frame is a response with an error.
    async fn failed(&mut self, id: &str, code: &str) {
        let response = self.next().await;
        let error = &response["error"];
        assert_eq!((&response["id"], &error["code"]), (&json!(id), &json!(code)));
        assert_eq!(error["retryable"], true);
    }
}

#[tokio::test]
async fn what_is_behind_an_append_of_unknown_fate_does_not_overtake_it() {
    let mut desk = Desk::open().await;
    let mut client = desk.alice().await;
    for _ in 0..2 {
        desk.workers.append_fails(AppendError::Unknown("lost".to_owned()));
    }
    let began = Instant::now();
    for id in ["0", "1", "2"] {
        client.write(id, "bob").await;
    }
    let mut copies = Vec::new();
    let mut order = Vec::new();
    for _ in 0..5 {
        let (entry, request, _, op) = desk.entry(&client).await;
        assert!(matches!(&op, Op::New { text, .. } if *text == (request.0 - 1).to_string()));
        order.push(request.0);
        copies.push(entry);
    }
    assert_eq!(order, [1, 1, 1, 2, 3]);
    assert!(copies[0] == copies[1] && copies[1] == copies[2]);
    assert!(copies[2] != copies[3] && copies[3] != copies[4]);
    // It is not repeated without a pause.
    assert!(
        began.elapsed() >= Duration::from_millis(30),
        "{:?}",
        began.elapsed()
    );
    for request in 1..=3 {
        desk.reply(&client, RequestId(request), sent(request)).await;
    }
    for id in ["0", "1", "2"] {
        client.done(id).await;
    }
}

#[tokio::test]
async fn commands_wait_for_those_of_their_chat_and_for_no_others() {
    let mut desk = Desk::holding().await;
    let mut client = desk.alice().await;
    for (id, to) in [
        ("1", "bob"),
        ("2", "carol"),
        ("3", "bob"),
        ("4", "carol"),
        ("5", "dave"),
    ] {
        client.write(id, to).await;
    }
    let mut first = Vec::new();
    for (id, to) in [("1", "bob"), ("2", "carol"), ("5", "dave")] {
        let sending = desk.sending(&client).await;
        let chat = ChatKey::dialog(&user("alice"), &user(to));
        assert_eq!((sending.text.as_str(), &sending.chat), (id, &chat));
        first.push(sending);
    }
    desk.appends_no_more(&mut client).await;
    let carol = first.remove(1);
    carol.held.stands();
    let after = desk.sending(&client).await;
    assert_eq!(after.text, "4");
    desk.reply(&client, carol.request, sent(1)).await;
    client.done("2").await;
    desk.appends_no_more(&mut client).await;
    let bob = first.remove(0);
    bob.held.stands();
    assert_eq!(desk.sending(&client).await.text, "3");
    desk.reply(&client, bob.request, sent(1)).await;
    client.done("1").await;
}

#[tokio::test]
async fn an_append_under_way_is_in_nobodys_way() {
    let mut desk = Desk::holding().await;
    let mut client = desk.alice().await;
    client.write("slow", "bob").await;
    let slow = desk.sending(&client).await;
    client.nothing_yet().await;
    client
        .ws
        .send(Message::Ping(Bytes::from_static(b"x")))
        .await
        .unwrap();
    let pong = soon(client.ws.next()).await.unwrap().unwrap();
    assert_eq!(pong, Message::Pong(Bytes::from_static(b"x")));
    desk.live(&client, 1..=2).await;
    assert_eq!(client.ids(2).await, [1, 2]);
    client.ack(1).await;
    assert!(matches!(
        desk.workers.signal().await,
        Signal::Ack { up_to: 1, .. }
    ));
    client.ask("other", "messages", json!({"chatId": "carol"})).await;
    desk.workers.answer("[]").await;
    client.done("other").await;
    // A query to the same chat does wait: its client sees what it has sent.
    client.ask("same", "messages", json!({"chatId": "bob"})).await;
    client.nothing_yet().await;
    slow.held.stands();
    desk.reply(&client, slow.request, sent(1)).await;
    client.done("slow").await;
    desk.workers.answer("[]").await;
    client.done("same").await;
}

#[tokio::test]
async fn a_reply_is_as_good_as_the_acknowledgement_that_it_overtakes() {
    let mut desk = Desk::holding().await;
    let mut client = desk.alice().await;
    client.write("1", "bob").await;
    client.write("2", "bob").await;
    let first = desk.sending(&client).await;
    desk.reply(&client, first.request, sent(1)).await;
    client.done("1").await;
    // It is in the log, so it is not repeated, and the next one goes.
    let second = desk.sending(&client).await;
    assert_eq!(second.text, "2");
    first.held.given_up().await;
    second.held.stands();
    desk.reply(&client, second.request, sent(2)).await;
    client.done("2").await;
    desk.appends_no_more(&mut client).await;
}

#[tokio::test]
async fn what_is_not_acknowledged_in_time_times_out_with_all_behind_it() {
    let mut desk = Desk::holding().await;
    let mut client = desk.alice().await;
    let began = Instant::now();
    client.write("1", "bob").await;
    let first = desk.sending(&client).await;
    // Its fate remains unknown, whether it is told or not.
    first.held.fails(AppendError::Unknown("lost".to_owned()));
    let again = desk.sending(&client).await;
    assert_eq!((&again.entry, again.request), (&first.entry, first.request));
    client.write("2", "bob").await;
    client.write("3", "bob").await;
    client.failed("1", "timeout").await;
    let took = began.elapsed();
    assert!(
        (Duration::from_secs(5)..Duration::from_secs(7)).contains(&took),
        "{took:?}"
    );
    client.failed("2", "timeout").await;
    client.failed("3", "timeout").await;
    // Nothing of it is appended any more: the client sends it again, in its order.
    again.held.given_up().await;
    desk.appends_no_more(&mut client).await;
    desk.reply(&client, again.request, sent(1)).await;
    for id in ["1", "2"] {
        client.write(id, "bob").await;
        let sending = desk.sending(&client).await;
        assert_eq!(sending.text, id);
        sending.held.stands();
        desk.reply(&client, sending.request, sent(1)).await;
        client.done(id).await;
    }
    desk.appends_no_more(&mut client).await;
}

#[tokio::test]
async fn what_the_log_refuses_is_unavailable_at_once_with_all_behind_it() {
    let mut desk = Desk::holding().await;
    let mut client = desk.alice().await;
    for (id, to) in [("1", "bob"), ("2", "bob"), ("3", "carol")] {
        client.write(id, to).await;
    }
    let bob = desk.sending(&client).await;
    let carol = desk.sending(&client).await;
    bob.held.fails(AppendError::Unknown("lost".to_owned()));
    let bob = desk.sending(&client).await;
    assert_eq!(bob.text, "1");
    bob.held.fails(AppendError::Refused("away".to_owned()));
    client.failed("1", "unavailable").await;
    client.failed("2", "unavailable").await;
    client.write("1", "bob").await;
    let bob = desk.sending(&client).await;
    assert_eq!(bob.text, "1");
    bob.held.stands();
    carol.held.stands();
    desk.reply(&client, carol.request, sent(1)).await;
    client.done("3").await;
    desk.reply(&client, bob.request, sent(1)).await;
    client.done("1").await;
    desk.appends_no_more(&mut client).await;
}

#[tokio::test]
async fn a_client_with_too_many_commands_is_read_again_when_some_are_answered() {
    let mut config = config();
    config.rate_burst = 10_000;
    // Nobody is silent who is not read.
    config.ping_timeout = Duration::from_millis(500);
    let mut desk = Desk::with(config).await;
    desk.workers.hold_appends();
    let mut client = desk.alice().await;
    for n in 0..COMMANDS {
        client.write(&n.to_string(), "bob").await;
    }
    client.send("ping").await;
    let unread = tokio::time::timeout(Duration::from_secs(1), client.ws.next()).await;
    assert!(unread.is_err(), "{unread:?}");
    let mut pongs = 0;
    for n in 0..COMMANDS {
        let sending = desk.sending(&client).await;
        assert_eq!(sending.text, n.to_string());
        sending.held.stands();
        desk.reply(&client, sending.request, sent(1)).await;
        let mut frame = client.next().await;
        if frame == json!({"event": "pong"}) {
            pongs += 1;
            frame = client.next().await;
        }
        assert_eq!(frame["id"], json!(n.to_string()));
    }
    client.nothing_yet().await;
    assert_eq!(pongs, 1);
}

#[tokio::test]
async fn a_session_that_ends_appends_nothing_more() {
    let mut desk = Desk::holding().await;
    let mut client = desk.alice().await;
    client.write("1", "bob").await;
    client.write("2", "bob").await;
    let first = desk.sending(&client).await;
    client.ws.close(None).await.unwrap();
    assert!(matches!(desk.workers.signal().await, Signal::Detach { .. }));
    first.held.given_up().await;
    assert!(desk.workers.held.try_recv().is_err());
    // The device is back, and sends again what has no answer.
    let mut client = desk.connect("/ws?user=alice", attached(0, 0)).await;
    for id in ["1", "2"] {
        client.write(id, "bob").await;
    }
    for id in ["1", "2"] {
        let sending = desk.sending(&client).await;
        assert_eq!(sending.text, id);
        sending.held.stands();
        desk.reply(&client, sending.request, sent(1)).await;
        client.done(id).await;
    }
    desk.appends_no_more(&mut client).await;
}
