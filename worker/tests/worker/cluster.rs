//! Several workers share the partitions: one starts, leaves, dies, or comes later.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use confab_chat::{ActorKey, ChatKey, Event, Partition};
use confab_proto::wire::Wire;
use confab_store::{Key, StatePart, Store, Write};
use confab_worker::{Config, Placement, Worker};

use crate::support::follower::Follower;
use crate::support::watch::Watch;
use crate::support::{World, dialog, in_time, new, sharing, user};

const PATIENT: Duration = Duration::from_secs(10);

async fn start(world: &World, names: &[&str]) -> Vec<Worker> {
    let mut workers = Vec::new();
    for name in names {
        workers.push(world.one_of_several(sharing(name)).await);
    }
    workers
}

/// Somebody whose mailbox is in one of these partitions, and a chat with alice that is too.
fn somebody_in(share: &BTreeSet<Partition>) -> (String, ChatKey) {
    let is_in = |actor: &ActorKey| share.contains(&actor.partition(8));
    let found = (0..).map(|n| format!("u{n}")).find_map(|name| {
        let chat = dialog("alice", &name);
        let both = is_in(&ActorKey::Mailbox(user(&name))) && is_in(&ActorKey::Chat(chat.clone()));
        both.then_some((name, chat))
    });
    found.unwrap()
}

/// Sends messages one after the other for as long as something lasts, while somebody follows. Returns how many.
async fn talk_during(
    world: &mut World,
    chat: &ChatKey,
    follower: &mut Follower,
    what: impl Future<Output = ()>,
) -> usize {
    let mut sent = 0;
    let talking = async {
        loop {
            world.say("alice", chat, &format!("m{sent}")).await;
            sent += 1;
        }
    };
    tokio::select! {
        () = in_time("what happens meanwhile", what) => {}
        () = talking => {}
        () = follower.follow() => {}
    }
    sent
}

/// Every message has come, once, in order.
async fn has_all(follower: &mut Follower, sent: usize) {
    let texts = |follower: &Follower| {
        let texts = follower.events.iter().filter_map(|item| match &*item.event {
            Event::New { text, .. } => Some(text.clone()),
            _ => None,
        });
        texts.collect::<Vec<String>>()
    };
    follower
        .until("its events", |follower| texts(follower).len() >= sent)
        .await;
    let mut texts = texts(follower);
    // One more may have been in the log already when the talk was cut off.
    texts.truncate(sent);
    assert_eq!(texts, (0..sent).map(|n| format!("m{n}")).collect::<Vec<_>>());
}

#[tokio::test]
async fn three_workers_share_the_partitions_and_each_has_one_owner() {
    let world = World::new().await;
    let mut watch = Watch::join(&world.bus).await;
    let workers = start(&world, &["a", "b", "c"]).await;
    assert!(
        workers
            .iter()
            .all(|worker| !worker.is_ready() && worker.owned().is_empty()),
        "they listen first"
    );
    watch.until_shared_by(&["a", "b", "c"]).await;
    let mut owned = Vec::new();
    for worker in &workers {
        in_time("the worker", worker.ready()).await.unwrap();
        owned.extend(worker.owned());
    }
    owned.sort();
    assert_eq!(owned, (0..8).map(Partition).collect::<Vec<_>>());
    assert_eq!(
        watch.began.len(),
        8,
        "nobody has taken more than its share, not even at first"
    );
    for worker in workers {
        worker.abort().await;
    }
}

#[tokio::test]
async fn a_worker_that_leaves_hands_over_without_a_gap() {
    let mut world = World::new().await;
    let mut watch = Watch::join(&world.bus).await;
    let mut workers = start(&world, &["a", "b", "c"]).await;
    watch.until_shared_by(&["a", "b", "c"]).await;
    let share = watch.at_work["c"].clone();
    let (who, chat) = somebody_in(&share);
    let mut follower = Follower::connect(&world.bus, &who).await;
    let leaving = workers.pop().unwrap();
    let sent = talk_during(&mut world, &chat, &mut follower, async {
        assert!(leaving.shutdown(PATIENT).await);
    })
    .await;
    // When it has left, all that it had is at work elsewhere.
    watch.is_gone("c");
    assert_eq!(watch.gaps, []);
    assert!(watch.leaving.contains("c"));
    watch.until_shared_by(&["a", "b"]).await;
    has_all(&mut follower, sent).await;
    let begun: BTreeSet<Partition> = watch.began.split_off(8).into_iter().collect();
    assert_eq!(begun, share, "nothing else has moved");
}

#[tokio::test]
async fn a_dead_worker_is_replaced_and_nothing_is_lost() {
    let mut world = World::new().await;
    let mut watch = Watch::join(&world.bus).await;
    let mut workers = start(&world, &["a", "b", "c"]).await;
    watch.until_shared_by(&["a", "b", "c"]).await;
    let share = watch.at_work["c"].clone();
    let (who, chat) = somebody_in(&share);
    let mut follower = Follower::connect(&world.bus, &who).await;
    world.say("alice", &chat, "m0").await;
    let dying = workers.pop().unwrap();
    // Appended while nobody is there to take it: answered by the next owner.
    let sent = talk_during(&mut world, &chat, &mut follower, async {
        dying.abort().await;
        watch.is_gone("c");
        watch.until_shared_by(&["a", "b"]).await;
    })
    .await;
    let begun: BTreeSet<Partition> = watch.began.split_off(8).into_iter().collect();
    assert_eq!(begun, share, "nothing else has moved");
    let last = format!("m{sent}");
    assert!(world.say("alice", &chat, &last).await > 1);
    follower
        .until("the last", |follower| {
            let last = follower.events.last().map(|item| &*item.event);
            matches!(last, Some(Event::New { text, .. }) if *text == format!("m{sent}"))
        })
        .await;
}

#[tokio::test]
async fn a_newcomer_gets_its_share_and_no_partition_is_without_an_owner_meanwhile() {
    let mut world = World::new().await;
    let mut watch = Watch::join(&world.bus).await;
    let mut workers = start(&world, &["a", "b"]).await;
    watch.until_shared_by(&["a", "b"]).await;
    let before = watch.at_work.clone();
    // One whose partition will move, as far as names alone tell: any that the newcomer takes.
    let (who, chat) = somebody_in(&(0..8).map(Partition).collect());
    let mut follower = Follower::connect(&world.bus, &who).await;
    workers.extend(start(&world, &["c"]).await);
    let sent = talk_during(&mut world, &chat, &mut follower, async {
        watch.until_shared_by(&["a", "b", "c"]).await;
    })
    .await;
    has_all(&mut follower, sent).await;
    assert_eq!(watch.gaps, []);
    for name in ["a", "b"] {
        assert!(
            watch.at_work[name].is_subset(&before[name]),
            "{name} has what it had"
        );
    }
    in_time("the newcomer", workers[2].ready()).await.unwrap();
}

#[tokio::test]
async fn the_last_worker_that_leaves_waits_for_nobody() {
    let mut world = World::new().await;
    let config = Config {
        handover: Duration::from_secs(3600),
        ..sharing("a")
    };
    let worker = world.start(config).await;
    let chat = dialog("alice", "bob");
    world.say("alice", &chat, "x").await;
    assert!(in_time("the end", worker.shutdown(Duration::from_secs(3600))).await);
    let worker = world.start(sharing("b")).await;
    assert_eq!(world.say("alice", &chat, "x").await, 2);
    worker.abort().await;
}

#[tokio::test]
async fn a_fixed_worker_takes_nothing_from_the_others() {
    let mut world = World::new().await;
    let mut watch = Watch::join(&world.bus).await;
    let fixed = Config {
        placement: Placement::Fixed(vec![Partition(3), Partition(99)]),
        ..sharing("fixed")
    };
    let fixed = world.one_of_several(fixed).await;
    in_time("the worker", fixed.ready()).await.unwrap();
    assert_eq!(fixed.owned(), [Partition(3)]);
    let worker = world.one_of_several(sharing("a")).await;
    watch.until_shared_by(&["a"]).await;
    assert_eq!(worker.owned().len(), 8);
    world.say("alice", &dialog("alice", "bob"), "x").await;
    assert!(fixed.shutdown(PATIENT).await);
    assert_eq!(worker.owned().len(), 8);
}

async fn put(world: &World, key: Key, timestamp: u64, value: Bytes) {
    let write = Write {
        key,
        timestamp,
        value,
        expires: None,
    };
    world.store.write(vec![write]).await.unwrap();
}

#[tokio::test]
async fn a_partition_that_has_stopped_stays_so_after_it_moved_away_and_back_and_is_the_only_one() {
    let mut world = World::new().await;
    let mut watch = Watch::join(&world.bus).await;
    let mut workers = start(&world, &["a", "b"]).await;
    watch.until_shared_by(&["a", "b"]).await;
    // What is b's share moves to a and back: broken while it is a's, mended while it is b's.
    let (_, broken) = somebody_in(&watch.at_work["b"]);
    let healthy = somebody_in(&watch.at_work["a"]).1;
    assert!(workers.pop().unwrap().shutdown(PATIENT).await);
    watch.is_gone("b");
    watch.until_shared_by(&["a"]).await;
    let [a] = &workers[..] else { panic!("one is left") };
    let key = Key::State(ActorKey::Chat(broken.clone()), StatePart::Head);
    put(
        &world,
        key.clone(),
        u64::MAX >> 1,
        Bytes::from_static(b"\xff\xff"),
    )
    .await;
    let request = world.gateway.command("alice", &broken, new("x"), None).await;
    let stopped = in_time("an alarm", a.failure()).await;
    assert_eq!(stopped.partition, ActorKey::Chat(broken.clone()).partition(8));
    assert!(!a.is_ready() && !a.owned().contains(&stopped.partition));
    assert_eq!(world.say("alice", &healthy, "x").await, 1, "the others go on");

    let mended = confab_chat::conversation::State::new(broken.clone())
        .head
        .encode();
    put(&world, key, (u64::MAX >> 1) + 1, mended).await;
    let b = world.one_of_several(sharing("b")).await;
    world.gateway.reply(request).await.unwrap();
    watch.until_shared_by(&["a", "b"]).await;
    assert_eq!(in_time("the worker", a.ready()).await, Ok(()), "it is another's");
    assert_eq!(a.failure().await, stopped, "but not forgotten");

    assert!(b.shutdown(PATIENT).await);
    let not_ready = async {
        loop {
            match a.ready().await {
                Ok(()) => tokio::task::yield_now().await,
                Err(stopped) => return stopped,
            }
        }
    };
    assert_eq!(in_time("its return", not_ready).await, stopped);
    assert!(!a.owned().contains(&stopped.partition));
}
