//! No message to a gateway or another partition grows beyond what a bus carries, whatever it has to say.

use confab_chat::row::{MembershipRow, Role};
use confab_chat::{ChatKey, Timestamp};
use confab_proto::message::{AttachFrom, DeliveryBody, MailboxEvent, ToGateway};
use confab_proto::wire::Wire;
use confab_store::{Key, Store, Write};

use crate::support::{World, answer_to, config, dialog, new, user};

/// What a bus carries at the most.
const BUS_BYTES: usize = 1024 * 1024;
const LARGEST_TEXT: usize = 16 * 1024;

#[tokio::test]
async fn many_large_events_of_one_batch_come_in_several_messages() {
    let (mut world, worker) = World::with_worker().await;
    let chat = dialog("alice", "bob");
    world.gateway.connect("bob", "phone").await;
    // Nothing runs between these: the loop finds all of them at once.
    for _ in 0..150 {
        world
            .gateway
            .command("alice", &chat, new(&"x".repeat(LARGEST_TEXT)), None)
            .await;
    }
    let mut ids: Vec<u64> = Vec::new();
    let mut largest = 0;
    while ids.len() < 151 {
        let live = world.gateway.next("live events", |message| match &message.body {
            DeliveryBody::Live(events) if message.user.as_str() == "bob" => {
                Some((message.encode().len(), events.clone()))
            }
            _ => None,
        });
        let (bytes, events) = live.await;
        assert!(bytes < BUS_BYTES, "{bytes} bytes");
        largest = largest.max(events.len());
        ids.extend(events.iter().map(|item: &MailboxEvent| item.id));
    }
    assert_eq!(ids, (1..=151).collect::<Vec<_>>());
    assert!(largest > 20, "they were one batch, or almost: {largest}");
    worker.abort().await;
}

#[tokio::test]
async fn what_events_quote_counts_too() {
    let (mut world, worker) = World::with_worker().await;
    let chat = dialog("alice", "bob");
    let (first, _) = world.gateway.connect("bob", "phone").await;
    world.gateway.detach("bob", first.session, false).await;
    world.say("alice", &chat, &"x".repeat(LARGEST_TEXT)).await;
    let mut last = None;
    for _ in 0..150 {
        let answer = answer_to("short", 1);
        last = Some(world.gateway.command("alice", &chat, answer, None).await);
    }
    world.gateway.reply(last.unwrap()).await.unwrap();
    world.inbox("bob", 152).await;
    let mut attach = world.gateway.attach_of("bob", "phone");
    let mut seen = 0;
    loop {
        let attached = world.gateway.attach(attach.clone()).await;
        assert_eq!(attached.after, seen);
        seen += attached.events.len() as u64;
        let more = attached.more;
        let message = ToGateway {
            user: user("bob"),
            body: DeliveryBody::Attached(attached),
        };
        assert!(message.encode().len() < BUS_BYTES);
        if !more {
            break;
        }
        (attach.from, attach.repeat) = (AttachFrom::After(seen), true);
    }
    assert_eq!(seen, 152);
    worker.abort().await;
}

#[tokio::test]
async fn a_question_after_very_many_contacts_is_several_questions() {
    let mut world = World::with_partitions(1).await;
    let worker = world.start(config("w1")).await;
    let contact = |n: usize| user(&format!("{n:0>128}"));
    let row = MembershipRow {
        role: Some(Role::Member),
        listed: true,
        since: Timestamp(1),
        hidden_before: 0,
        delivered: 0,
        read: 0,
        joined_at: 0,
        last_sent: 0,
    };
    let membership = |n| Write {
        key: Key::Membership(user("alice"), ChatKey::dialog(&user("alice"), &contact(n))),
        timestamp: 1,
        value: row.encode(),
        expires: None,
    };
    world
        .store
        .write((0..9000).map(membership).collect::<Vec<_>>())
        .await
        .unwrap();
    let last = contact(8999);
    let (first, _) = world.gateway.connect(last.as_str(), "phone").await;
    let (attached, online) = world.gateway.connect("alice", "phone").await;
    assert_eq!(attached.probes, 3, "9000 times 132 bytes");
    assert_eq!(online, std::slice::from_ref(&last));
    assert_eq!(world.gateway.online(last.as_str()).await, [user("alice")]);
    world.gateway.detach(last.as_str(), first.session, false).await;
    world.gateway.detach("alice", attached.session, false).await;
    worker.abort().await;
}
