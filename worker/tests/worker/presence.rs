//! Who is told that somebody is online, and that somebody is not.

use std::time::Duration;

use confab_bus::Bus;
use confab_chat::{ChatKey, ChatKind, Op};
use confab_proto::message::{Attached, DeliveryBody, Signal, ToGateway};
use confab_worker::Config;

use crate::support::{Gateway, World, config, dialog, user};

fn speaks_of_presence(message: &ToGateway) -> bool {
    matches!(
        message.body,
        DeliveryBody::Online(_) | DeliveryBody::Offline { .. }
    )
}

async fn away(world: &World, who: &str, attached: &Attached, away: bool) {
    let signal = Signal::Away {
        user: user(who),
        gateway: world.gateway.id.clone(),
        session: attached.session,
        away,
    };
    world.gateway.signal(who, signal).await;
}

#[tokio::test]
async fn contacts_hear_of_the_first_connection_and_of_the_last_ones_end() {
    let (mut world, _worker) = World::with_worker().await;
    world.say("alice", &dialog("alice", "bob"), "hi").await;
    world.say("alice", &dialog("alice", "carol"), "hi").await;
    let (_, online) = world.gateway.connect("bob", "phone").await;
    assert_eq!(online, []);
    let (first, online) = world.gateway.connect("alice", "phone").await;
    assert_eq!(online, [user("bob")]);
    assert_eq!(world.gateway.online("bob").await, [user("alice")]);

    let (second, online) = world.gateway.connect("alice", "laptop").await;
    assert_eq!(online, [user("bob")], "every connecting device is told");
    world.gateway.detach("alice", first.session, false).await;
    world.gateway.connect("bob", "laptop").await;
    assert!(!world.gateway.heard(speaks_of_presence), "one is left");
    world.pass(Duration::from_secs(3));
    world.gateway.detach("alice", second.session, false).await;
    let (who, last_seen) = world.gateway.offline("bob").await;
    assert_eq!((who, last_seen.0), (user("alice"), world.now()));
}

#[tokio::test]
async fn an_away_connection_counts_as_offline_until_it_is_back() {
    let (mut world, _worker) = World::with_worker().await;
    world.say("alice", &dialog("alice", "bob"), "hi").await;
    world.gateway.connect("bob", "phone").await;
    let (attached, _) = world.gateway.connect("alice", "phone").await;
    world.gateway.online("bob").await;
    away(&world, "alice", &attached, true).await;
    assert_eq!(world.gateway.offline("bob").await.0, user("alice"));
    let (_, online) = world.gateway.connect("bob", "laptop").await;
    assert_eq!(online, []);
    world.say("bob", &dialog("alice", "bob"), "still heard?").await;
    assert!(
        !world.gateway.live("alice").await.is_empty(),
        "durable events still come"
    );
    away(&world, "alice", &attached, false).await;
    assert_eq!(world.gateway.online("bob").await, [user("alice")]);
}

#[tokio::test]
async fn a_draining_gateways_detach_waits_for_the_client_to_come_back() {
    let mut world = World::new().await;
    let patient = Config {
        drain_hold: Duration::from_secs(2),
        ..config("w1")
    };
    let _worker = world.start(patient).await;
    world.say("alice", &dialog("alice", "bob"), "hi").await;
    world.gateway.connect("bob", "phone").await;
    let (attached, _) = world.gateway.connect("alice", "phone").await;
    world.gateway.online("bob").await;
    world.gateway.detach("alice", attached.session, true).await;
    let (attached, _) = world.gateway.connect("alice", "phone").await;
    world.gateway.connect("bob", "laptop").await;
    assert!(
        !world.gateway.heard(speaks_of_presence),
        "neither offline nor online"
    );
    world.gateway.detach("alice", attached.session, true).await;
    assert_eq!(
        world.gateway.offline("bob").await.0,
        user("alice"),
        "who does not come back is gone in the end"
    );
}

#[tokio::test]
async fn the_sessions_of_a_silent_gateway_are_gone_in_the_end() {
    let mut world = World::new().await;
    let brief = Config {
        heartbeat_silence: Duration::from_millis(1500),
        ..config("w1")
    };
    let _worker = world.start(brief).await;
    world.say("alice", &dialog("alice", "bob"), "hi").await;
    let mut dying = Gateway::join(&world.bus, "dying").await;
    let attach = dying.attach_of("alice", "phone");
    world.gateway.connect("bob", "phone").await;
    dying.attach(attach).await;
    assert_eq!(world.gateway.online("bob").await, [user("alice")]);
    // Bob's own gateway is silent too, so bob is attached again while waiting.
    let attach = world.gateway.attach_of("bob", "phone");
    let (bus, partition) = (world.bus.clone(), world.mailbox_partition("bob"));
    let beats = async {
        loop {
            tokio::time::sleep(Duration::from_millis(100)).await;
            bus.signal(partition, Signal::Attach(attach.clone())).await;
        }
    };
    tokio::select! {
        () = beats => {}
        (who, _) = world.gateway.offline("bob") => assert_eq!(who, user("alice")),
    }
}

#[tokio::test]
async fn those_who_become_contacts_while_online_greet_each_other() {
    let (mut world, _worker) = World::with_worker().await;
    for who in ["alice", "bob", "carol"] {
        world.gateway.connect(who, "phone").await;
    }
    world.say("bob", &dialog("alice", "bob"), "hi").await;
    assert_eq!(world.gateway.online("alice").await, [user("bob")]);
    assert_eq!(world.gateway.online("bob").await, [user("alice")]);
    world.group("carol", &["alice"], false).await;
    assert_eq!(world.gateway.online("alice").await, [user("carol")]);
    assert_eq!(world.gateway.online("carol").await, [user("alice")]);
}

#[tokio::test]
async fn members_of_channels_and_of_large_groups_are_no_contacts() {
    let (mut world, _worker) = World::with_worker().await;
    let make = |kind, participants: Vec<String>| Op::CreateChat {
        kind,
        name: "many".to_owned(),
        participants: participants.iter().map(|id| user(id)).collect(),
        photo_url: None,
        history_all: false,
    };
    let crowd = (0..49)
        .map(|n| format!("u{n}"))
        .chain(["bob".to_owned()])
        .collect();
    let chat = ChatKey::group(&user("alice"), "crowd");
    world.ask("alice", &chat, make(ChatKind::Group, crowd)).await;
    let chat = ChatKey::group(&user("alice"), "news");
    world
        .ask("alice", &chat, make(ChatKind::Channel, vec!["bob".to_owned()]))
        .await;
    world.gateway.connect("bob", "phone").await;
    let (attached, online) = world.gateway.connect("alice", "phone").await;
    assert_eq!((attached.probes, online), (0, vec![]));

    // 50 members are few enough.
    let crowd = (0..48)
        .map(|n| format!("u{n}"))
        .chain(["bob".to_owned()])
        .collect();
    let chat = ChatKey::group(&user("alice"), "small");
    world.ask("alice", &chat, make(ChatKind::Group, crowd)).await;
    assert_eq!(world.gateway.online("alice").await, [user("bob")]);
}

#[tokio::test]
async fn a_takeover_announces_nothing() {
    let (mut world, worker) = World::with_worker().await;
    world.say("alice", &dialog("alice", "bob"), "hi").await;
    world.gateway.connect("bob", "phone").await;
    let (attached, _) = world.gateway.connect("alice", "phone").await;
    world.gateway.online("bob").await;
    worker.abort().await;
    let worker = world.start(config("w2")).await;
    for (who, session) in [("alice", attached.session), ("bob", confab_chat::SessionId(1))] {
        let mut attach = world.gateway.attach_of(who, "phone");
        attach.session = session;
        attach.repeat = true;
        assert_eq!(world.gateway.attach(attach).await.probes, 0);
    }
    let (_, online) = world.gateway.connect("bob", "laptop").await;
    assert_eq!(online, [user("alice")], "they count as online");
    assert!(!world.gateway.heard(speaks_of_presence));
    worker.abort().await;
}
