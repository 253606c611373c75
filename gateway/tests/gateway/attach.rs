//! The way of durable events to a client: in order, without holes, whatever the bus loses.

use std::ops::RangeInclusive;

use bytes::Bytes;
use confab_chat::{Partition, Timestamp};
use confab_proto::message::{Announcement, AttachFrom, DeliveryBody, Signal};
use serde_json::json;

use crate::desk::{Client, Desk, attached, chats, event, user};
use crate::script::PARTITIONS;

const ALICE: &str = "/ws?user=alice";

fn all(ids: RangeInclusive<u64>) -> Vec<u64> {
    ids.collect()
}

impl Desk {
    /// The next signal attaches after an event, as a repeat.
    pub async fn attaches_after(&mut self, id: u64) {
        let attach = self.attach().await;
        assert_eq!((attach.from, attach.repeat), (AttachFrom::After(id), true));
        assert_eq!(attach.profile, None);
    }

    /// Workers begin every partition.
    pub async fn all_begin(&self) {
        for partition in 0..PARTITIONS {
            let announcement = Announcement::Began {
                partition: Partition(partition),
            };
            self.workers.announcements.send(announcement).await.unwrap();
        }
    }

    async fn contacts(&self, client: &Client, online: &[&str]) {
        let session = client.session;
        let online = online.iter().map(|name| user(name)).collect();
        self.deliver(client, DeliveryBody::Contacts { session, online })
            .await;
    }
}

#[tokio::test]
async fn what_was_missed_comes_page_by_page() {
    let mut desk = Desk::open().await;
    let mut first = attached(10, 13);
    first.more = true;
    let mut client = desk.connect(ALICE, first).await;
    desk.attaches_after(13).await;
    assert_eq!(client.ids(3).await, all(11..=13));
    let mut second = attached(13, 15);
    second.more = true;
    desk.answer_attach(&client, second).await;
    desk.attaches_after(15).await;
    desk.answer_attach(&client, attached(15, 16)).await;
    assert_eq!(client.ids(3).await, all(14..=16));
    desk.live(&client, 17..=18).await;
    assert_eq!(client.ids(2).await, all(17..=18));
}

#[tokio::test]
async fn a_hole_is_attached_again_and_what_comes_twice_goes_once() {
    let mut desk = Desk::open().await;
    let mut client = desk.alice().await;
    desk.live(&client, 1..=2).await;
    desk.live(&client, 2..=2).await;
    desk.live(&client, 4..=5).await;
    desk.attaches_after(2).await;
    // Until the answer, what happens is left to it.
    desk.live(&client, 6..=6).await;
    desk.answer_attach(&client, attached(2, 6)).await;
    desk.live(&client, 6..=7).await;
    assert_eq!(client.ids(7).await, all(1..=7));
    client.nothing_yet().await;
}

#[tokio::test]
async fn an_attach_without_an_answer_is_sent_again() {
    let mut desk = Desk::open().await;
    let mut client = desk.alice().await;
    desk.live(&client, 3..=3).await;
    desk.attaches_after(0).await;
    let asked = tokio::time::Instant::now();
    desk.attaches_after(0).await;
    assert!(asked.elapsed().as_millis() >= 800, "{:?}", asked.elapsed());
    desk.answer_attach(&client, attached(0, 3)).await;
    assert_eq!(client.ids(3).await, all(1..=3));
}

#[tokio::test]
async fn a_new_owner_of_the_mailbox_is_attached_to_at_once() {
    let mut desk = Desk::open().await;
    let mut client = desk.alice().await;
    desk.live(&client, 1..=4).await;
    assert_eq!(client.ids(4).await, all(1..=4));
    // One of the partitions is Alice's.
    desk.all_begin().await;
    desk.attaches_after(4).await;
    desk.answer_attach(&client, attached(4, 5)).await;
    assert_eq!(client.ids(1).await, [5]);
    client.send(r#"{"type":"event","eventType":"offline"}"#).await;
    assert!(matches!(
        desk.workers.signal().await,
        Signal::Away { away: true, .. }
    ));
}

#[tokio::test]
async fn contacts_come_before_events_and_events_before_what_is_live() {
    let mut desk = Desk::open().await;
    let mut answer = attached(0, 2);
    answer.probes = 2;
    let mut client = desk.connect(ALICE, answer).await;
    desk.deliver(&client, DeliveryBody::Online(vec![user("dave")]))
        .await;
    desk.contacts(&client, &["bob"]).await;
    assert_eq!(client.next().await["payload"]["userId"], "bob");
    client.nothing_yet().await;
    desk.contacts(&client, &["carol"]).await;
    assert_eq!(client.next().await["payload"]["userId"], "carol");
    assert_eq!(client.ids(2).await, [1, 2]);
    assert_eq!(client.next().await["payload"], json!({"userId": "dave"}));
    let last_seen = Timestamp(5);
    desk.deliver(
        &client,
        DeliveryBody::Offline {
            user: user("dave"),
            last_seen,
        },
    )
    .await;
    let offline = client.next().await;
    assert_eq!(
        (&offline["eventType"], &offline["payload"]["lastSeen"]),
        (&json!("offline"), &json!(5))
    );
}

#[tokio::test]
async fn contacts_that_do_not_answer_hold_events_up_for_a_moment_only() {
    let mut desk = Desk::open().await;
    let mut answer = attached(0, 2);
    answer.probes = 3;
    let mut client = desk.connect(ALICE, answer).await;
    client.nothing_yet().await;
    assert_eq!(client.ids(2).await, [1, 2]);
}

#[tokio::test]
async fn a_reset_is_one_list_of_chats_with_the_last_id() {
    let mut desk = Desk::open().await;
    let mut answer = attached(3, 3);
    answer.reset = Some(90);
    let mut client = desk.connect(ALICE, answer).await;
    desk.workers.answer("[]").await;
    let event = client.next().await;
    assert_eq!(
        (&event["id"], &event["eventType"], &event["payload"]),
        (&json!(90), &json!("chats"), &json!([]))
    );
    desk.live(&client, 91..=91).await;
    assert_eq!(client.ids(1).await, [91]);
    client.ack(91).await;
    client.ack(90).await;
    assert!(matches!(
        desk.workers.signal().await,
        Signal::Ack { up_to: 91, .. }
    ));
}

#[tokio::test]
async fn a_list_of_chats_holds_up_what_follows_it_and_nothing_else() {
    let mut desk = Desk::open().await;
    let mut client = desk.alice().await;
    let events = vec![event(1), chats(2), event(3), chats(4)];
    desk.deliver(&client, DeliveryBody::Live(events)).await;
    assert_eq!(client.ids(1).await, [1]);
    client.nothing_yet().await;
    desk.live(&client, 5..=5).await;
    // One list is as good for both events: when it was asked for, both had happened.
    desk.workers.answer(r#"[{"id":"bob"}]"#).await;
    let list = client.next().await;
    assert_eq!(
        (&list["id"], &list["payload"]),
        (&json!(2), &json!([{"id": "bob"}]))
    );
    assert_eq!(client.ids(3).await, [3, 4, 5]);
    assert!(desk.workers.queries.try_recv().is_err());
}

#[tokio::test]
async fn a_list_that_cannot_be_had_is_asked_for_again() {
    let mut desk = Desk::open().await;
    let mut client = desk.alice().await;
    desk.deliver(&client, DeliveryBody::Live(vec![event(1), chats(2), event(3)]))
        .await;
    drop(crate::soon(desk.workers.queries.recv()).await);
    desk.attaches_after(1).await;
    let mut answer = attached(1, 1);
    answer.events = vec![chats(2), event(3)];
    desk.answer_attach(&client, answer).await;
    desk.workers.answer("[]").await;
    assert_eq!(client.ids(3).await, [1, 2, 3]);
}

#[tokio::test]
async fn acknowledgements_move_the_cursor_when_nothing_is_missing() {
    let mut desk = Desk::open().await;
    let mut client = desk.connect(ALICE, attached(10, 15)).await;
    assert_eq!(client.ids(5).await, all(11..=15));
    client.ack(12).await;
    client.ack(16).await;
    client.ack(10).await;
    client.ack(11).await;
    client.send(r#"{"type":"ack","id":"13"}"#).await;
    client.ack(15).await;
    for expected in [12, 13] {
        match desk.workers.signal().await {
            Signal::Ack { up_to, device, .. } => assert_eq!((up_to, device.as_str()), (expected, "default")),
            other => panic!("not an ack: {other:?}"),
        }
    }
    client.ack(14).await;
    client.ws.close(None).await.unwrap();
    // All that was acknowledged is said before the session is gone.
    assert!(matches!(
        desk.workers.signal().await,
        Signal::Ack { up_to: 15, .. }
    ));
    match desk.workers.signal().await {
        Signal::Detach {
            session, draining, ..
        } => assert_eq!((session, draining), (client.session, false)),
        other => panic!("not a detach: {other:?}"),
    }
}

#[tokio::test]
async fn heartbeats_name_the_last_event_that_was_written() {
    let mut desk = Desk::open().await;
    let mut client = desk.connect(ALICE, attached(0, 3)).await;
    assert_eq!(client.ids(3).await, [1, 2, 3]);
    // The first heartbeat of the gateway's life may come before the session's, and names nobody.
    let beat = loop {
        match crate::soon(desk.workers.signals.recv()).await.unwrap() {
            (_, Signal::Heartbeat { sessions, .. }) if !sessions.is_empty() => break sessions,
            _ => {}
        }
        client.send("ping").await;
    };
    assert_eq!(beat.len(), 1);
    assert_eq!(
        (beat[0].session, beat[0].forwarded, beat[0].away),
        (client.session, 3, false)
    );
}

#[tokio::test]
async fn a_reset_that_is_answered_twice_is_one() {
    let mut desk = Desk::open().await;
    let mut answer = attached(3, 3);
    answer.reset = Some(90);
    let mut client = desk.connect(ALICE, answer.clone()).await;
    desk.workers.answer("[]").await;
    assert_eq!(client.ids(1).await, [90]);
    desk.live(&client, 91..=92).await;
    assert_eq!(client.ids(2).await, [91, 92]);
    // Two owners of a mailbox answer both, the second late.
    desk.answer_attach(&client, answer).await;
    desk.live(&client, 93..=93).await;
    assert_eq!(client.ids(1).await, [93]);
}

#[tokio::test]
async fn a_reset_whose_list_cannot_be_had_is_not_forgotten() {
    let mut desk = Desk::open().await;
    let mut answer = attached(3, 3);
    answer.reset = Some(90);
    let mut client = desk.connect(ALICE, answer.clone()).await;
    drop(crate::soon(desk.workers.queries.recv()).await);
    // Event 90 alone does not tell that all before it is gone.
    desk.attaches_after(3).await;
    desk.answer_attach(&client, answer).await;
    desk.workers.answer("[]").await;
    let event = client.next().await;
    assert_eq!((&event["id"], &event["eventType"]), (&json!(90), &json!("chats")));
}

#[tokio::test]
async fn a_late_reset_of_what_the_device_has_by_now_is_none() {
    let mut desk = Desk::open().await;
    let mut client = desk.connect(ALICE, attached(10, 12)).await;
    assert_eq!(client.ids(2).await, [11, 12]);
    desk.live(&client, 13..=15).await;
    assert_eq!(client.ids(3).await, [13, 14, 15]);
    // Another owner was asked when the device was at 10, and found the next event expired.
    let mut late = attached(10, 10);
    late.reset = Some(40);
    desk.answer_attach(&client, late).await;
    desk.live(&client, 16..=16).await;
    assert_eq!(client.ids(1).await, [16]);
}

#[tokio::test]
async fn what_a_reset_replaced_is_asked_for_again_when_its_list_cannot_be_had() {
    let mut desk = Desk::open().await;
    let mut client = desk.alice().await;
    // Event 2 waits for its list, and 3 for event 2.
    let events = vec![event(1), chats(2), event(3)];
    desk.deliver(&client, DeliveryBody::Live(events)).await;
    assert_eq!(client.ids(1).await, [1]);
    let list_of_2 = crate::soon(desk.workers.queries.recv()).await;
    let mut answer = attached(3, 3);
    answer.reset = Some(90);
    desk.answer_attach(&client, answer).await;
    drop(list_of_2);
    drop(crate::soon(desk.workers.queries.recv()).await);
    desk.attaches_after(1).await;
}

#[tokio::test]
async fn a_list_that_was_asked_for_before_a_reset_does_not_stand_for_it() {
    let mut desk = Desk::open().await;
    let mut client = desk.alice().await;
    desk.deliver(&client, DeliveryBody::Live(vec![chats(1)])).await;
    let (_, list_of_1) = crate::soon(desk.workers.queries.recv()).await.unwrap();
    let mut answer = attached(1, 1);
    answer.reset = Some(90);
    desk.answer_attach(&client, answer).await;
    let (_, list_of_90) = crate::soon(desk.workers.queries.recv()).await.unwrap();
    list_of_1.send(Ok(Bytes::from_static(br#"["old"]"#))).unwrap();
    client.nothing_yet().await;
    list_of_90.send(Ok(Bytes::from_static(br#"["new"]"#))).unwrap();
    let event = client.next().await;
    assert_eq!((&event["id"], &event["payload"]), (&json!(90), &json!(["new"])));
}

#[tokio::test]
async fn a_session_that_was_ahead_misses_nothing_when_its_list_cannot_be_had() {
    let mut desk = Desk::open().await;
    let mut client = desk.connect(ALICE, attached(10, 11)).await;
    assert_eq!(client.ids(1).await, [11]);
    // The mailbox is behind the device: its rows were lost.
    desk.live(&client, 13..=13).await;
    desk.attaches_after(11).await;
    let mut answer = attached(3, 3);
    answer.reset = Some(3);
    desk.answer_attach(&client, answer).await;
    let list = crate::soon(desk.workers.queries.recv()).await;
    desk.live(&client, 4..=12).await;
    drop(list);
    // Not after 11: what the mailbox has by then is none of what the device had.
    desk.attaches_after(2).await;
}
