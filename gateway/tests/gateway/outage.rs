//! A bus that is full or away, workers that are gone, and all of them back: clients stay, and need not connect again.

use std::collections::HashMap;
use std::time::Duration;

use confab_proto::message::{AttachFrom, Signal};
use futures_util::StreamExt;
use serde_json::json;
use tokio::time::Instant;

use crate::desk::{Client, Desk, attached, config};
use crate::requests::sent;
use crate::soon;

/// Clients that are connected when all partitions begin.
const CLIENTS: usize = 200;

#[tokio::test]
async fn while_no_worker_is_there_clients_stay_and_when_some_are_back_all_is_well() {
    let mut config = config();
    config.ping_timeout = Duration::from_secs(1);
    let mut desk = Desk::with(config).await;
    let mut client = desk.alice().await;
    desk.live(&client, 1..=2).await;
    assert_eq!(client.ids(2).await, [1, 2]);
    // The log takes commands, and nobody reads it.
    client.ask("command", "dlvrd", json!({"chatId": "bob"})).await;
    let asked = Instant::now();
    let failed = loop {
        let pinged = Instant::now();
        client.send("ping").await;
        let frame = client.next().await;
        if frame != json!({"event": "pong"}) {
            break frame;
        }
        assert!(
            pinged.elapsed() < Duration::from_secs(1),
            "{:?}",
            pinged.elapsed()
        );
        client.ask("query", "messages", json!({"chatId": "carol"})).await;
        drop(soon(desk.workers.queries.recv()).await);
        match client.next().await {
            frame if frame["id"] == "query" => assert_eq!(frame["error"]["code"], "unavailable"),
            frame => break frame,
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    };
    assert_eq!(
        (&failed["id"], &failed["error"]["code"]),
        (&json!("command"), &json!("timeout"))
    );
    assert!(asked.elapsed() >= Duration::from_secs(5), "{:?}", asked.elapsed());
    let (_, request, ..) = desk.entry(&client).await;
    // They are back: what was missed comes, a late reply does not, and the next command goes as ever.
    desk.all_begin().await;
    desk.attaches_after(2).await;
    desk.reply(&client, request, sent(1)).await;
    desk.answer_attach(&client, attached(2, 4)).await;
    loop {
        // A pong or an answer may still be on its way.
        let frame = client.next().await;
        if frame["type"] == "event" {
            assert_eq!(frame["id"], 3);
            break;
        }
        assert_ne!(frame["id"], "command");
    }
    assert_eq!(client.ids(1).await, [4]);
    client.ask("again", "dlvrd", json!({"chatId": "bob"})).await;
    let (_, request, ..) = desk.entry(&client).await;
    desk.reply(&client, request, sent(1)).await;
    assert_eq!(client.next().await["id"], "again");
}

#[tokio::test]
async fn a_bus_without_room_for_signals_holds_nobody_up() {
    let mut desk = Desk::open().await;
    let mut client = desk.connect("/ws?user=alice", attached(0, 3)).await;
    let mut leaving = desk.connect("/ws?user=bob", attached(0, 0)).await;
    assert_eq!(client.ids(3).await, [1, 2, 3]);
    desk.workers.take_signals(false);
    // On a slow machine an attach may have been asked for twice by now.
    while desk.workers.signals.try_recv().is_ok() {}
    client.ack(1).await;
    client
        .send(r#"{"type":"event","eventType":"typing","payload":{"chatId":"bob"}}"#)
        .await;
    client.send(r#"{"type":"event","eventType":"offline"}"#).await;
    desk.live(&client, 5..=5).await;
    client.ask("r", "dlvrd", json!({"chatId": "bob"})).await;
    let (_, request, ..) = desk.entry(&client).await;
    desk.reply(&client, request, sent(1)).await;
    assert_eq!(client.next().await["id"], "r");
    leaving.ws.close(None).await.unwrap();
    assert!(soon(leaving.ws.next()).await.is_none_or(|frame| frame.is_ok()));
    assert!(desk.workers.signals.try_recv().is_err());
    // The hole is asked about until there is room, and the next acknowledgement stands for the lost one.
    desk.workers.take_signals(true);
    desk.attaches_after(3).await;
    desk.answer_attach(&client, attached(3, 5)).await;
    assert_eq!(client.ids(2).await, [4, 5]);
    client.ack(2).await;
    assert!(matches!(
        desk.workers.signal().await,
        Signal::Ack { up_to: 2, .. }
    ));
}

#[tokio::test]
async fn who_connects_while_the_bus_is_away_is_let_in_and_attached_when_it_is_back() {
    let mut desk = Desk::open().await;
    desk.workers.take_signals(false);
    let began = Instant::now();
    let (ws, _) = desk.handshake(desk.request("/ws?user=alice")).await.unwrap();
    assert!(began.elapsed() >= Duration::from_secs(3), "{:?}", began.elapsed());
    desk.workers.take_signals(true);
    let attach = desk.attach().await;
    assert_eq!(attach.from, AttachFrom::Cursor { last_event_id: None });
    assert!(!attach.repeat);
    let (user, session) = (attach.user, attach.session);
    let mut client = Client { ws, user, session };
    desk.answer_attach(&client, attached(0, 2)).await;
    assert_eq!(client.ids(2).await, [1, 2]);
}

#[tokio::test]
async fn when_all_partitions_begin_at_once_every_session_attaches_once() {
    let mut desk = Desk::open().await;
    let mut clients = Vec::new();
    for n in 0..CLIENTS {
        clients.push(desk.connect(&format!("/ws?user=u{n}"), attached(0, 0)).await);
    }
    desk.all_begin().await;
    let mut attaches = HashMap::new();
    for _ in 0..CLIENTS {
        let attach = desk.attach().await;
        assert_eq!((attach.from, attach.repeat), (AttachFrom::After(0), true));
        let client = clients.iter().find(|client| client.session == attach.session);
        desk.answer_attach(client.unwrap(), attached(0, 0)).await;
        *attaches.entry(attach.session).or_insert(0) += 1;
    }
    assert_eq!(attaches.len(), CLIENTS);
    // Signals of a session stay in order: whatever it would say besides comes before this.
    for client in &mut clients {
        client.send(r#"{"type":"event","eventType":"offline"}"#).await;
        client.nothing_yet().await;
        assert!(matches!(
            desk.workers.signal().await,
            Signal::Away { session, away: true, .. } if session == client.session
        ));
    }
}

#[tokio::test]
async fn who_attaches_already_does_not_do_so_twice_when_its_partition_begins() {
    let mut desk = Desk::open().await;
    let mut client = desk.alice().await;
    desk.live(&client, 2..=2).await;
    desk.attaches_after(0).await;
    let asked = Instant::now();
    desk.all_begin().await;
    // What comes next is the repeat of the one under way.
    desk.attaches_after(0).await;
    assert!(
        asked.elapsed() >= Duration::from_millis(800),
        "{:?}",
        asked.elapsed()
    );
    desk.answer_attach(&client, attached(0, 2)).await;
    assert_eq!(client.ids(2).await, [1, 2]);
}
