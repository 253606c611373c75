//! Presence while a partition changes its owner: nobody is said to come or go because of it, and who goes meanwhile is
//! not forgotten.

use std::time::Duration;

use confab_bus::Bus;
use confab_chat::SessionId;
use confab_proto::message::{AttachFrom, Attached, Signal};
use confab_worker::{Config, Worker};

use crate::support::follower::Follower;
use crate::support::watch::Watch;
use crate::support::{Gateway, World, dialog, in_time, sharing, user};

const PATIENT: Duration = Duration::from_secs(10);

/// Notices soon that a gateway is silent.
fn impatient(name: &str) -> Config {
    Config {
        heartbeat_silence: Duration::from_millis(1500),
        ..sharing(name)
    }
}

/// The connection is still there: its gateway attaches it again.
async fn repeat(gateway: &mut Gateway, who: &str, session: SessionId) -> Attached {
    let mut attach = gateway.attach_of(who, "phone");
    (attach.session, attach.repeat) = (session, true);
    attach.from = AttachFrom::After(0);
    gateway.attach(attach).await
}

/// A worker, and alice and bob, who are contacts. Bob is connected.
async fn contacts(config: Config) -> (World, Worker, Follower) {
    let mut world = World::new().await;
    let worker = world.one_of_several(config).await;
    in_time("the worker", worker.ready()).await.unwrap();
    world.befriend("alice", "bob").await;
    let bob = Follower::connect(&world.bus, "bob").await;
    (world, worker, bob)
}

async fn has_heard(bob: &mut Follower, presence: &[(bool, &str)]) {
    let heard = |bob: &Follower| bob.presence.len() >= presence.len();
    bob.until("presence", heard).await;
    let presence: Vec<_> = presence
        .iter()
        .map(|(online, who)| (*online, user(who)))
        .collect();
    assert_eq!(bob.presence, presence);
}

/// Until a second worker has taken everything over, in order.
async fn replace(world: &World, old: Worker, config: Config, bob: &mut Follower) -> Worker {
    let replacing = async {
        let new = world.one_of_several(config).await;
        new.ready().await.unwrap();
        assert!(old.shutdown(PATIENT).await);
        new.ready().await.unwrap();
        new
    };
    tokio::select! {
        new = in_time("the replacement", replacing) => new,
        () = bob.follow() => unreachable!("it follows for ever"),
    }
}

#[tokio::test]
async fn a_gateway_that_died_before_its_worker_was_replaced_in_order_is_noticed() {
    let (world, worker, mut bob) = contacts(impatient("a")).await;
    let mut dying = Gateway::join(&world.bus, "dying").await;
    dying.connect("alice", "phone").await;
    has_heard(&mut bob, &[(true, "alice")]).await;
    drop(dying);
    let worker = replace(&world, worker, impatient("b"), &mut bob).await;
    has_heard(&mut bob, &[(true, "alice"), (false, "alice")]).await;
    worker.abort().await;
}

#[tokio::test]
async fn who_was_to_come_back_to_a_draining_gateways_successor_is_neither_gone_nor_new() {
    let (mut world, worker, mut bob) = contacts(sharing("a")).await;
    let (attached, _) = world.gateway.connect("alice", "phone").await;
    has_heard(&mut bob, &[(true, "alice")]).await;
    world.gateway.detach("alice", attached.session, true).await;
    let worker = replace(&world, worker, sharing("b"), &mut bob).await;
    let (attached, _) = world.gateway.connect("alice", "phone").await;
    world.gateway.detach("alice", attached.session, false).await;
    has_heard(&mut bob, &[(true, "alice"), (false, "alice")]).await;
    worker.abort().await;
}

#[tokio::test]
async fn a_session_that_ends_before_it_is_attached_again_is_missed_all_the_same() {
    let (mut world, worker, mut bob) = contacts(sharing("a")).await;
    let (attached, _) = world.gateway.connect("alice", "phone").await;
    has_heard(&mut bob, &[(true, "alice")]).await;
    worker.abort().await;
    let worker = world.one_of_several(sharing("b")).await;
    in_time("the worker", worker.ready()).await.unwrap();
    world.gateway.detach("alice", attached.session, false).await;
    has_heard(&mut bob, &[(true, "alice"), (false, "alice")]).await;
    worker.abort().await;
}

#[tokio::test]
async fn one_of_two_sessions_that_ends_before_the_other_is_attached_again_is_not_the_last() {
    let (mut world, worker, mut bob) = contacts(sharing("a")).await;
    let (phone, _) = world.gateway.connect("alice", "phone").await;
    let (laptop, _) = world.gateway.connect("alice", "laptop").await;
    has_heard(&mut bob, &[(true, "alice")]).await;
    worker.abort().await;
    let worker = world.one_of_several(sharing("b")).await;
    in_time("the worker", worker.ready()).await.unwrap();
    bob.until_attached_again().await;
    repeat(&mut world.gateway, "alice", phone.session).await;
    world.gateway.detach("alice", phone.session, false).await;
    // Answered behind it by the same loop: it has been dealt with.
    let partition = world.mailbox_partition("alice");
    let mut names = (0..).map(|n| format!("u{n}"));
    let neighbour = names.find(|who| world.mailbox_partition(who) == partition);
    world.gateway.connect(&neighbour.unwrap(), "phone").await;
    repeat(&mut world.gateway, "alice", laptop.session).await;
    // Carol goes after that: what is said of her comes behind all that is said of alice.
    let (carol, _) = world.gateway.connect("carol", "phone").await;
    world.say("carol", &dialog("bob", "carol"), "hi").await;
    let until_now = [(true, "alice"), (true, "carol")];
    has_heard(&mut bob, &until_now).await;
    world.gateway.detach("carol", carol.session, false).await;
    let until_now = [(true, "alice"), (true, "carol"), (false, "carol")];
    has_heard(&mut bob, &until_now).await;
    world.gateway.detach("alice", laptop.session, false).await;
    let until_now = [
        (true, "alice"),
        (true, "carol"),
        (false, "carol"),
        (false, "alice"),
    ];
    has_heard(&mut bob, &until_now).await;
    worker.abort().await;
}

#[tokio::test]
async fn a_session_that_went_away_while_nobody_heard_counts_as_offline() {
    let (mut world, worker, mut bob) = contacts(sharing("a")).await;
    let (attached, _) = world.gateway.connect("alice", "phone").await;
    has_heard(&mut bob, &[(true, "alice")]).await;
    worker.abort().await;
    let worker = world.one_of_several(sharing("b")).await;
    in_time("the worker", worker.ready()).await.unwrap();
    let mut attach = world.gateway.attach_of("alice", "phone");
    (attach.session, attach.repeat, attach.away) = (attached.session, true, true);
    attach.from = AttachFrom::After(0);
    world.gateway.attach(attach).await;
    has_heard(&mut bob, &[(true, "alice"), (false, "alice")]).await;
    worker.abort().await;
}

#[tokio::test]
async fn who_asks_a_new_owner_too_early_is_answered_later() {
    let (mut world, worker, bob) = contacts(sharing("a")).await;
    drop(bob);
    let (alice, _) = world.gateway.connect("alice", "phone").await;
    worker.abort().await;
    let worker = world.one_of_several(sharing("b")).await;
    in_time("the worker", worker.ready()).await.unwrap();
    // Bob connects before alice's gateway has attached her again.
    let (_, online) = world.gateway.connect("bob", "laptop").await;
    assert_eq!(online, []);
    repeat(&mut world.gateway, "alice", alice.session).await;
    assert_eq!(world.gateway.online("bob").await, [user("alice")]);
    assert_eq!(world.gateway.online("alice").await, [user("bob")]);
    worker.abort().await;
}

#[tokio::test]
async fn what_was_said_to_a_partition_without_an_owner_is_said_again_to_the_next() {
    let mut world = World::new().await;
    let mut watch = Watch::join(&world.bus).await;
    let a = world.one_of_several(sharing("a")).await;
    let b = world.one_of_several(sharing("b")).await;
    watch.until_shared_by(&["a", "b"]).await;
    let of = |name: &str| {
        let share = watch.at_work[name].clone();
        let mut names = (0..).map(|n| format!("u{n}"));
        names
            .find(|who| share.contains(&world.mailbox_partition(who)))
            .unwrap()
    };
    let (with_a, with_b) = (of("a"), of("b"));
    world.befriend(&with_a, &with_b).await;
    let mut follower = Follower::connect(&world.bus, &with_b).await;
    b.abort().await;
    // The question after the other goes to nobody.
    let attach = world.gateway.attach_of(&with_a, "phone");
    assert_eq!(world.gateway.attach(attach).await.probes, 1);
    assert_eq!(world.gateway.presence_of(&with_a), []);
    has_heard(&mut follower, &[(true, &with_a)]).await;
    let both = async {
        tokio::select! {
            online = world.gateway.online(&with_a) => online,
            () = follower.follow() => unreachable!("it follows for ever"),
        }
    };
    assert_eq!(both.await, [user(&with_b)]);
    a.abort().await;
}

#[tokio::test]
async fn of_whom_nothing_was_told_nothing_is_taken_back() {
    let (mut world, worker, mut bob) = contacts(sharing("a")).await;
    // Of users of whom contacts were never told anything nothing is told now.
    let partition = world.mailbox_partition("alice");
    let online = vec![user("alice"), user("nobody")];
    let signal = Signal::HandOver { online };
    world.bus.signal(partition, signal).await;
    world.gateway.detach("alice", SessionId(77), false).await;
    let mut gateway = Gateway::join(&world.bus, "other").await;
    let (alice, _) = gateway.connect("alice", "phone").await;
    gateway.detach("alice", alice.session, false).await;
    has_heard(&mut bob, &[(true, "alice"), (false, "alice")]).await;
    worker.abort().await;
}
