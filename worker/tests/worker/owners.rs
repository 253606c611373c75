//! Two owners of one partition, and one that was stopped for a while.

use std::sync::Arc;
use std::time::Duration;

use confab_bus::Bus;
use confab_chat::{ActorKey, Event, Partition, SessionId, Timestamp};
use confab_proto::message::{Attach, AttachFrom, Beat, DeliveryBody, Signal};
use confab_proto::row::{CursorRow, InboxRow, ReachRow};
use confab_proto::wire::Wire;
use confab_store::{Key, Store, Write};
use confab_worker::{Config, Placement, Worker};

use crate::support::cut::Cut;
use crate::support::pausable::Pausable;
use crate::support::untrimmed::Untrimmed;
use crate::support::{World, config, device, dialog, in_time, sharing, user};

/// After so long a gateway counts as dead.
const SILENCE: Duration = Duration::from_secs(2);
/// How long a worker is stopped: longer than that.
const STOPPED: Duration = Duration::from_millis(2500);
/// After so long gateways speak again: longer than it takes a loop to look through its sessions.
const BEAT: Duration = Duration::from_millis(1200);

fn impatient(config: Config) -> Config {
    Config {
        heartbeat_silence: SILENCE,
        ..config
    }
}

async fn beat(world: &World, who: &str, session: SessionId) {
    let signal = Signal::Heartbeat {
        gateway: world.gateway.id.clone(),
        sessions: vec![Beat {
            user: user(who),
            device: device("phone"),
            session,
            forwarded: 0,
            away: false,
        }],
    };
    world.gateway.signal(who, signal).await;
}

/// Says these sessions again, for as long as something lasts.
async fn beating<T>(world: &World, sessions: &[(&str, SessionId)], what: impl Future<Output = T>) -> T {
    let beats = async {
        loop {
            for (who, session) in sessions {
                beat(world, who, *session).await;
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    };
    tokio::select! {
        outcome = what => outcome,
        () = beats => unreachable!("they go on for ever"),
    }
}

#[tokio::test]
async fn a_worker_that_was_stopped_takes_nobody_for_gone() {
    let mut world = World::new().await;
    let worker = Pausable::start(impatient(config("w1")), world.bus.clone(), world.store.clone()).await;
    world.befriend("bob", "alice").await;
    world.befriend("bob", "carol").await;
    let (bob, _) = world.gateway.connect("bob", "phone").await;
    let (alice, _) = world.gateway.connect("alice", "phone").await;
    let (carol, _) = world.gateway.connect("carol", "phone").await;
    for who in ["alice", "carol"] {
        assert_eq!(world.gateway.online("bob").await, [user(who)]);
    }
    // What gateways say meanwhile is lost.
    let paused = worker.pause().await;
    tokio::time::sleep(STOPPED).await;
    paused.go_on();
    tokio::time::sleep(BEAT).await;
    beat(&world, "alice", alice.session).await;
    beat(&world, "bob", bob.session).await;
    world.gateway.detach("carol", carol.session, false).await;
    assert_eq!(world.gateway.offline("bob").await.0, user("carol"));
    assert_eq!(world.gateway.presence_of("bob"), [], "alice is where she was");
    worker.abort().await;
}

#[tokio::test]
async fn a_stale_owner_that_wakes_up_says_nothing_false() {
    let mut world = World::new().await;
    let bus = || Untrimmed(world.bus.clone());
    let stale = Pausable::start(impatient(sharing("stale")), bus(), world.store.clone()).await;
    world.befriend("alice", "bob").await;
    let (bob, _) = world.gateway.connect("bob", "phone").await;
    let (first, _) = world.gateway.connect("alice", "phone").await;
    world.gateway.online("bob").await;

    let paused = stale.pause().await;
    let fresh = world.one_of_several(impatient(sharing("fresh"))).await;
    in_time("the new owner", fresh.ready()).await.unwrap();
    let sessions = [("alice", first.session), ("bob", bob.session)];
    beating(&world, &sessions, tokio::time::sleep(STOPPED)).await;
    // Alice goes, which bob hears from the new owner, and comes again.
    world.gateway.detach("alice", first.session, false).await;
    assert_eq!(world.gateway.offline("bob").await.0, user("alice"));
    let (second, _) = world.gateway.connect("alice", "phone").await;
    assert_eq!(world.gateway.online("bob").await, [user("alice")]);
    world.say("alice", &dialog("alice", "bob"), "still here").await;

    paused.go_on();
    // For longer than it takes the stale one to look through all that it had known.
    let sessions = [("alice", second.session), ("bob", bob.session)];
    beating(&world, &sessions, tokio::time::sleep(SILENCE * 2)).await;
    let late = world.gateway.presence_of("bob");
    // What the new owner has told bob's partition has waited there for the stale one too. It may be said twice.
    let twice = [(false, user("alice")), (true, user("alice"))];
    assert!(late.is_empty() || late == twice, "{late:?}");
    stale.abort().await;
    fresh.abort().await;
}

#[tokio::test]
async fn two_fixed_owners_say_no_more_than_the_same_twice() {
    let mut world = World::new().await;
    let all = Placement::Fixed((0..8).map(Partition).collect());
    let owner = |name: &str| Config {
        placement: all.clone(),
        ..sharing(name)
    };
    let (one, two) = (
        world.one_of_several(owner("one")).await,
        world.one_of_several(owner("two")).await,
    );
    in_time("the first", one.ready()).await.unwrap();
    in_time("the second", two.ready()).await.unwrap();
    world.befriend("alice", "bob").await;
    world.gateway.connect("bob", "phone").await;
    let (alice, _) = world.gateway.connect("alice", "phone").await;
    assert_eq!(world.say("alice", &dialog("alice", "bob"), "again").await, 2);
    world.gateway.detach("alice", alice.session, false).await;
    assert_eq!(world.gateway.offline("bob").await.0, user("alice"));
    world.gateway.connect("alice", "phone").await;
    assert_eq!(world.gateway.online("bob").await, [user("alice")]);
    let (_, online) = world.gateway.connect("bob", "laptop").await;
    assert_eq!(online, [user("alice")]);
    // Each owner of alice's mailbox speaks to each owner of bob's, of each change.
    let heard = world.gateway.presence_of("bob");
    let counts = [true, false].map(|wanted| heard.iter().filter(|(online, _)| *online == wanted).count());
    assert!(counts[0] < 2 * 4 && counts[1] < 4, "{heard:?}");
    assert!(heard.iter().all(|(_, who)| *who == user("alice")));
    one.abort().await;
    two.abort().await;
}

#[tokio::test]
async fn an_owner_that_skips_what_another_one_has_done_knows_how_far_the_mailbox_has_come() {
    let mut world = World::new().await;
    let forgetful = Config {
        cached_states: 1,
        ..config("first")
    };
    let first = Pausable::start(forgetful, Untrimmed(world.bus.clone()), world.store.clone()).await;
    world.befriend("bob", "alice").await;
    let (attached, _) = world.gateway.connect("alice", "phone").await;
    let seen = attached.after;

    let paused = first.pause().await;
    let second = world.one_of_several(config("second")).await;
    in_time("the second", second.ready()).await.unwrap();
    world.say("bob", &dialog("alice", "bob"), "meanwhile").await;
    let last = world.inbox("alice", seen + 1).await.len() as u64;
    assert!(second.shutdown(Duration::from_secs(10)).await);
    paused.go_on();
    // Its partition, and with others so much that alice's state does not stay in memory.
    for nth in 0..40 {
        let who = format!("user-{nth}");
        world.say(&who, &dialog(&who, &who), "a note").await;
        world.inbox(&who, 2).await;
    }
    // The frame with the event was lost: the heartbeat shows it.
    let signal = Signal::Heartbeat {
        gateway: world.gateway.id.clone(),
        sessions: vec![Beat {
            user: user("alice"),
            device: device("phone"),
            session: attached.session,
            forwarded: seen,
            away: false,
        }],
    };
    let partition = ActorKey::Mailbox(user("alice")).partition(world.bus.partitions());
    let bus = world.bus.clone();
    let beats = async {
        loop {
            bus.signal(partition, signal.clone()).await;
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    };
    let answer = tokio::select! {
        answer = world.gateway.attached(attached.session) => answer,
        () = beats => unreachable!("they go on for ever"),
    };
    let ids: Vec<u64> = answer.events.iter().map(|event| event.id).collect();
    assert_eq!((answer.after, ids), (seen, vec![last]));
    // It was not lost: the session is where the mailbox is.
    let ask = Attach {
        session: attached.session,
        from: AttachFrom::After(last),
        repeat: true,
        ..world.gateway.attach_of("alice", "phone")
    };
    let answer = world.gateway.attach(ask).await;
    assert_eq!((answer.after, answer.reset), (last, None));
    first.abort().await;
}

async fn owns(worker: &Worker, partitions: usize) {
    let owned = async {
        while worker.owned().len() != partitions {
            tokio::task::yield_now().await;
        }
    };
    in_time("a change of owners", owned).await;
}

#[tokio::test]
async fn an_owner_that_begins_again_after_another_one_knows_no_mailbox_by_heart() {
    let mut world = World::new().await;
    let bus = Cut::new(Untrimmed(world.bus.clone()));
    let first = Worker::start(config("first"), bus.clone(), world.store.clone()).await;
    in_time("the first", first.ready()).await.unwrap();
    world.befriend("bob", "alice").await;
    let (attached, _) = world.gateway.connect("alice", "phone").await;

    bus.lose();
    owns(&first, 0).await;
    let second = world.one_of_several(config("second")).await;
    in_time("the second", second.ready()).await.unwrap();
    let before = world.inbox("alice", 1).await.len() as u64;
    world.say("bob", &dialog("alice", "bob"), "meanwhile").await;
    let last = world.inbox("alice", before + 1).await.len() as u64;
    assert!(second.shutdown(Duration::from_secs(10)).await);
    bus.find();
    owns(&first, 8).await;

    let ask = Attach {
        session: attached.session,
        from: AttachFrom::After(last),
        repeat: true,
        ..world.gateway.attach_of("alice", "phone")
    };
    let attached = world.gateway.attach(ask).await;
    assert_eq!((attached.after, attached.reset), (last, None));
    first.abort().await;
}

/// Another owner of alice's mailbox has come one entry further than this one. Returns her last event before.
async fn one_more_entry(world: &World) -> u64 {
    let last = world.inbox("alice", 1).await.len() as u64;
    let partition = ActorKey::Mailbox(user("alice")).partition(world.bus.partitions());
    let key = Key::Reach(partition);
    let record = world.store.get(key.clone()).await.unwrap().unwrap();
    let reach = ReachRow::decode(&record.value).unwrap();
    let further = ReachRow {
        seq: reach.seq + 1,
        ..reach
    };
    let write = Write {
        key,
        timestamp: record.timestamp + 1,
        value: further.encode(),
        expires: None,
    };
    world.store.write(vec![write]).await.unwrap();
    last
}

/// An event of alice that another owner of her mailbox has written, and that this one has not come to yet.
async fn one_more_event(world: &World) -> u64 {
    let last = one_more_entry(world).await;
    let row = InboxRow {
        at: Timestamp(world.now()),
        chat: dialog("alice", "bob"),
        version: last + 1,
        event: Arc::new(Event::Chats),
        rest: 0,
    };
    let write = Write {
        key: Key::Inbox(user("alice"), last + 1),
        timestamp: last + 1,
        value: row.encode(),
        expires: None,
    };
    world.store.write(vec![write]).await.unwrap();
    last + 1
}

/// Whether a session has been answered by the time that another one is which asked later.
async fn is_answered(world: &mut World, asks: Attach) -> bool {
    let session = asks.session;
    world.gateway.signal("alice", Signal::Attach(asks)).await;
    let later = Attach {
        from: AttachFrom::After(0),
        repeat: true,
        ..world.gateway.attach_of("alice", "other")
    };
    world.gateway.attach(later).await;
    world.gateway.heard(
        |message| matches!(&message.body, DeliveryBody::Attached(attached) if attached.session == session),
    )
}

#[tokio::test]
async fn an_owner_that_is_behind_does_not_take_a_session_for_ahead() {
    let (mut world, worker) = World::with_worker().await;
    world.befriend("bob", "alice").await;
    // Of what nobody has written it is sure.
    let last = world.inbox("alice", 1).await.len() as u64;
    let ask = Attach {
        from: AttachFrom::After(last + 1),
        repeat: true,
        ..world.gateway.attach_of("alice", "phone")
    };
    assert_eq!(world.gateway.attach(ask.clone()).await.reset, Some(last));
    one_more_event(&world).await;
    world.gateway.drain();
    assert!(!is_answered(&mut world, ask).await, "by whoever knows too little");
    worker.abort().await;
}

#[tokio::test]
async fn an_owner_that_is_behind_is_silent_also_when_what_it_has_not_come_to_has_expired() {
    let (mut world, worker) = World::with_worker().await;
    world.befriend("bob", "alice").await;
    let last = one_more_entry(&world).await;
    let ask = Attach {
        from: AttachFrom::After(last + 1),
        repeat: true,
        ..world.gateway.attach_of("alice", "phone")
    };
    assert!(!is_answered(&mut world, ask).await, "by whoever knows too little");
    worker.abort().await;
}

#[tokio::test]
async fn an_owner_that_is_behind_moves_no_cursor_back() {
    let (mut world, worker) = World::with_worker().await;
    world.befriend("bob", "alice").await;
    world.gateway.connect("alice", "phone").await;
    let seen = one_more_event(&world).await;
    let key = Key::Cursor(user("alice"), device("phone"));
    let before = world.store.get(key.clone()).await.unwrap().unwrap();
    let row = CursorRow {
        up_to: seen,
        ..CursorRow::decode(&before.value).unwrap()
    };
    let write = Write {
        key: key.clone(),
        timestamp: before.timestamp + 1,
        value: row.encode(),
        expires: None,
    };
    world.store.write(vec![write]).await.unwrap();
    let ask = world.gateway.attach_of("alice", "phone");
    assert!(!is_answered(&mut world, ask).await, "by whoever knows too little");
    worker.shutdown(Duration::from_secs(5)).await;
    let after = world.store.get(key).await.unwrap().unwrap();
    assert_eq!(CursorRow::decode(&after.value).unwrap().up_to, seen);
}
