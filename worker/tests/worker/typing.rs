//! Who hears that somebody types.

use confab_bus::Bus;
use confab_chat::{ActorKey, ChatKey, GatewayId};
use confab_proto::message::{DeliveryBody, Signal};

use crate::support::{World, dialog, user};

async fn typing(world: &World, chat: &ChatKey, who: &str, stop: bool) {
    let signal = Signal::Typing {
        chat: chat.clone(),
        user: user(who),
        stop,
    };
    let partition = ActorKey::Chat(chat.clone()).partition(world.bus.partitions());
    world.bus.signal(partition, signal).await;
}

/// Waits until the chat's loop has handled the signals sent to it: it answers a session of one of its own mailboxes.
async fn settled(world: &mut World, chat: &ChatKey) {
    let partition = ActorKey::Chat(chat.clone()).partition(world.bus.partitions());
    let mut strangers = (0..).map(|n| format!("stranger-{n}"));
    let stranger = strangers
        .find(|id| world.mailbox_partition(id) == partition)
        .unwrap();
    world.gateway.connect(&stranger, "phone").await;
}

/// The next that anybody hears: who hears it, who types, and whether it is a stop.
async fn heard(world: &mut World) -> (String, String, bool) {
    world
        .gateway
        .next("typing", |message| match &message.body {
            DeliveryBody::Typing { user, stop, .. } => {
                Some((message.user.as_str().to_owned(), user.as_str().to_owned(), *stop))
            }
            _ => None,
        })
        .await
}

#[tokio::test]
async fn typing_reaches_the_others_once_a_second_and_a_stop_always() {
    let (mut world, _worker) = World::with_worker().await;
    let chat = dialog("alice", "bob");
    world.gateway.connect("alice", "phone").await;
    world.gateway.connect("bob", "phone").await;
    typing(&world, &chat, "alice", false).await;
    settled(&mut world, &chat).await;
    world.say("alice", &chat, "hi").await;
    typing(&world, &chat, "mallory", false).await;
    typing(&world, &chat, "bob", false).await;
    for _ in 0..5 {
        typing(&world, &chat, "bob", false).await;
    }
    typing(&world, &chat, "bob", true).await;
    typing(&world, &chat, "bob", true).await;
    let of_bob = |stop| ("alice".to_owned(), "bob".to_owned(), stop);
    // Not the one before the dialog had a message, not the outsider's, not the repeats.
    assert_eq!(heard(&mut world).await, of_bob(false));
    assert_eq!(heard(&mut world).await, of_bob(true));
    assert_eq!(heard(&mut world).await, of_bob(true));
}

#[tokio::test]
async fn a_group_hears_it_on_every_gateway_with_a_session() {
    let (mut world, _worker) = World::with_worker().await;
    let group = world.group("alice", &["bob", "carol"], false).await;
    world.gateway.connect("alice", "phone").await;
    world.gateway.connect("bob", "phone").await;
    let mut other = crate::support::Gateway::join(&world.bus, "gw2").await;
    assert_eq!(other.id, GatewayId("gw2".into()));
    other.connect("bob", "laptop").await;
    typing(&world, &group, "alice", false).await;
    assert_eq!(
        heard(&mut world).await,
        ("bob".to_owned(), "alice".to_owned(), false)
    );
    let there = other.next("typing", |message| match &message.body {
        DeliveryBody::Typing { chat, .. } => Some((message.user.clone(), chat.clone())),
        _ => None,
    });
    assert_eq!(there.await, (user("bob"), group));
}
