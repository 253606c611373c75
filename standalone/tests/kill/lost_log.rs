//! A log that was lost or damaged: the partition stops and says so everywhere, and `confab log recover` is the way back.

use async_nats::jetstream::{self, stream};
use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::engines::{Engines, PARTITIONS};
use crate::support::process::ask_admin;
use crate::support::server::{Server, Settings};
use crate::{alone, left_out};

/// Messages before the log is lost.
const MESSAGES: u64 = 12;

/// What was true before.
struct Before {
    first: Value,
    history: Vec<Value>,
    /// Bob's last event.
    last: u64,
}

fn first() -> Value {
    json!({"chatId": "bob", "message": "m1", "clientMessageId": "c1"})
}

async fn history(client: &mut Client, chat: &str) -> Vec<Value> {
    let page = client.request("messages", json!({"chatId": chat})).await;
    page.as_array().unwrap().clone()
}

async fn live(server: &Server) -> Before {
    let mut a = server.connect("alice").open().await;
    let mut b = server.connect("bob").device("phone").open().await;
    let first = a.request("new", first()).await;
    for n in 2..=MESSAGES {
        assert_eq!(a.say("bob", &format!("m{n}")).await, n);
    }
    b.request("read", json!({"chatId": "alice", "messageId": MESSAGES / 2}))
        .await;
    b.until(|event| event["payload"]["messageId"] == MESSAGES / 2 && event["eventType"] == "read")
        .await;
    let last = b.last_event_id.unwrap();
    Before {
        first,
        history: history(&mut a, "bob").await,
        last,
    }
}

async fn jetstream(engines: &Engines) -> jetstream::Context {
    jetstream::new(async_nats::connect(engines.nats()).await.unwrap())
}

fn stream_of(engines: &Engines, partition: u16) -> String {
    format!("{}-log-{partition}", engines.name())
}

fn end_all_workers(server: &mut Server) {
    while server.workers() > 0 {
        server.take_worker().kill();
    }
}

/// A worker that is started now stops with an alarm, in its log and its metrics; the doctor says so too.
async fn is_stopped(server: &mut Server) {
    let worker = server.add_worker_that_stops().await;
    let metrics = ask_admin(worker.admin_address(), "/metrics");
    let line = metrics
        .lines()
        .find(|line| line.starts_with("confab_worker_partitions_stopped"));
    assert!(line.is_some_and(|line| !line.ends_with(" 0")), "{line:?}");
    let (report, code) = server.engines().confab(&["doctor"]);
    assert!(
        code == Some(1) && report.contains("stopped:"),
        "{code:?}: {report}"
    );
    let (refusal, code) = server.engines().confab(&["log", "recover"]);
    assert!(
        code == Some(1) && refusal.contains("alive"),
        "{code:?}: {refusal}"
    );
    worker.kill();
}

/// The way back, and what must be true after it. A mailbox whose log was lost has each device reload its list, once.
async fn recovers(server: &mut Server, before: &Before, lists_expected: u32) {
    let (told, code) = server.engines().confab(&["log", "recover"]);
    assert!(code == Some(0) && told.contains("epoch 2"), "{code:?}: {told}");
    let (told, code) = server.engines().confab(&["log", "recover"]);
    assert!(
        code == Some(0) && told.contains("nothing to recover"),
        "{code:?}: {told}"
    );
    server.add_worker(&[]).await;
    let mut a = server.connect("alice").open().await;
    assert_eq!(
        history(&mut a, "bob").await,
        before.history,
        "what was acknowledged"
    );
    assert_eq!(
        a.request("new", first()).await,
        before.first,
        "a repeat is still known"
    );
    let next = a.say("bob", "after").await;
    assert_eq!(next, MESSAGES + 1, "no id is used again, and none is left out");
    let mut b = server
        .connect("bob")
        .device("phone")
        .last_event_id(before.last)
        .open()
        .await;
    let mut lists = 0;
    for id in before.last + 1.. {
        let event = b.next().await;
        assert_eq!(event["id"], id, "{event}");
        match event["eventType"].as_str() {
            Some("chats") => lists += 1,
            Some("new") => {
                assert_eq!(event["payload"]["messageId"], next, "{event}");
                break;
            }
            other => panic!("{other:?}: {event}"),
        }
    }
    assert_eq!(lists, lists_expected, "how often a device reloads its list");
    let chat = b.request("chat", json!({"chatId": "alice"})).await;
    assert_eq!(chat["missed"], MESSAGES - MESSAGES / 2 + 1, "{chat}");
    let (report, _) = server.engines().confab(&["doctor"]);
    assert!(!report.contains("stopped:"), "{report}");
}

fn cluster() -> Server {
    Settings::lenient()
        .flag("--drain-time", "1s")
        .with_admin()
        .start_cluster()
}

#[tokio::test]
async fn streams_that_were_deleted_and_made_anew_stop_their_partitions() {
    if left_out() {
        return;
    }
    let _alone = alone().await;
    let mut server = cluster();
    let before = live(&server).await;
    end_all_workers(&mut server);
    let jetstream = jetstream(server.engines()).await;
    for partition in 0..PARTITIONS {
        let name = stream_of(server.engines(), partition);
        let config = jetstream
            .get_stream(&name)
            .await
            .unwrap()
            .cached_info()
            .config
            .clone();
        jetstream.delete_stream(&name).await.unwrap();
        jetstream
            .create_stream(stream::Config {
                first_sequence: None,
                ..config
            })
            .await
            .unwrap();
    }
    is_stopped(&mut server).await;
    recovers(&mut server, &before, 1).await;
}

#[tokio::test]
async fn streams_deleted_under_running_workers_stop_their_partitions() {
    if left_out() {
        return;
    }
    let _alone = alone().await;
    let mut server = cluster();
    let before = live(&server).await;
    let jetstream = jetstream(server.engines()).await;
    for partition in 0..PARTITIONS {
        jetstream
            .delete_stream(stream_of(server.engines(), partition))
            .await
            .unwrap();
    }
    let worker = server.take_worker();
    worker.says(|line| line.contains("the partition has stopped").then_some(()));
    worker.kill();
    end_all_workers(&mut server);
    recovers(&mut server, &before, 1).await;
}

#[tokio::test]
async fn a_hole_in_what_was_not_applied_yet_stops_the_partition() {
    if left_out() {
        return;
    }
    let _alone = alone().await;
    let mut server = cluster();
    let before = live(&server).await;
    end_all_workers(&mut server);
    let jetstream = jetstream(server.engines()).await;
    let end_of = async |partition: u16| {
        let stream = jetstream
            .get_stream(stream_of(server.engines(), partition))
            .await
            .unwrap();
        let end = stream.cached_info().state.last_sequence;
        (stream, end)
    };
    let mut ends = Vec::new();
    for partition in 0..PARTITIONS {
        ends.push(end_of(partition).await.1);
    }
    // Nobody applies these. They are never acknowledged.
    let mut a = server.connect("alice").open_unsettled().await;
    for n in 0..5 {
        let failure = a
            .failure("new", json!({"chatId": "bob", "message": format!("lost {n}")}))
            .await;
        assert_eq!(failure.code, "timeout");
    }
    a.close().await;
    for partition in 0..PARTITIONS {
        let (stream, end) = end_of(partition).await;
        if end > ends[usize::from(partition)] {
            // All but the last entry.
            stream.purge().sequence(end).await.unwrap();
        }
    }
    is_stopped(&mut server).await;
    // Only the chat's partition is damaged: what Bob's mailbox has, it has whole.
    recovers(&mut server, &before, 0).await;
}
