//! Workers that are cut off anywhere, that run two at a time, whose store and bus fail: in the end the rows are those
//! that one undisturbed worker makes of the same log, and every command has its answer.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use confab_bus::faulty::BusFaults;
use confab_bus::{Bus, Faulty as FaultyBus};
use confab_chat::{ActorKey, ChatKey, EntryId, Op, Partition, Rejection, Reply, RequestId};
use confab_proto::message::DeliveryBody;
use confab_store::faulty::{Faulty as FaultyStore, StoreFaults};
use confab_store::{Embedded, Key, Range, Record, Store, Take};
use confab_worker::{Config, Placement, Worker};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::support::untrimmed::Untrimmed;
use crate::support::yielding::Yielding;
use crate::support::{World, config, dialog, in_time, named, new, user};

pub(crate) const USERS: [&str; 4] = ["alice", "bob", "carol", "dave"];

/// Random commands, some of them repeats.
pub(crate) struct Script {
    pub rng: StdRng,
    pub chats: Vec<ChatKey>,
}

impl Script {
    pub(crate) async fn new<B: Bus>(world: &mut World<B>, seed: u64) -> (Self, Vec<RequestId>) {
        let group = ChatKey::group(&user("alice"), "friends");
        let op = Op::CreateChat {
            kind: confab_chat::ChatKind::Group,
            name: "Friends".to_owned(),
            participants: USERS.map(user).to_vec(),
            photo_url: None,
            history_all: seed.is_multiple_of(2),
        };
        let made = world.gateway.command("alice", &group, op, None).await;
        let chats = vec![dialog("alice", "bob"), dialog("bob", "carol"), group];
        let rng = StdRng::seed_from_u64(seed);
        (Self { rng, chats }, vec![made])
    }

    pub(crate) fn step(&mut self) -> (&'static str, ChatKey, Op) {
        let chat = self.chats[self.rng.random_range(0..self.chats.len())].clone();
        let who = USERS[self.rng.random_range(0..USERS.len())];
        let id = self.rng.random_range(1..12);
        let participants = vec![user(USERS[self.rng.random_range(1..USERS.len())])];
        let message_id = (id < 11).then_some(id);
        let op = match self.rng.random_range(0..16) {
            0..4 => new("text"),
            4..7 => named("once", &format!("c{id}")),
            7 => crate::support::answer_to("answer", id),
            8 | 9 => Op::Edit {
                message_id: id,
                text: "edited".to_owned(),
                attachments: Vec::new(),
            },
            10 => Op::Delete { message_id: id },
            11 => Op::MarkDelivered { message_id },
            12 | 13 => Op::MarkRead { message_id },
            14 => Op::RemoveParticipants { participants },
            _ => Op::AddParticipants { participants },
        };
        (who, chat, op)
    }
}

/// Every row that follows from the log alone, but for the states, whose versions count deliveries that came twice.
pub(crate) async fn rows(store: &Embedded, chats: &[ChatKey]) -> Vec<Record> {
    let mut rows = Vec::new();
    for chat in chats {
        let all = (1, u64::from(u32::MAX));
        let messages = Range::Messages {
            chat: chat.clone(),
            from: all.0,
            to: all.1,
        };
        rows.extend(store.scan(messages, Take::All).await.unwrap());
        let marks = Range::AllMarks {
            chat: chat.clone(),
            from: all.0,
            to: 100_000,
        };
        rows.extend(store.scan(marks, Take::All).await.unwrap());
        rows.extend(store.get(Key::Head(chat.clone())).await.unwrap());
        rows.extend(store.get(Key::Roster(chat.clone())).await.unwrap());
        for who in USERS {
            for id in 1..12 {
                let key = Key::ClientId(chat.clone(), user(who), format!("c{id}").into());
                rows.extend(store.get(key).await.unwrap());
            }
        }
    }
    for who in USERS {
        rows.extend(
            store
                .scan(Range::Memberships(user(who)), Take::All)
                .await
                .unwrap(),
        );
    }
    rows
}

/// The states of all actors. Not the versions of their rows: a part is written again with whatever comes after it.
async fn states(store: &Embedded, chats: &[ChatKey]) -> Vec<(Key, bytes::Bytes)> {
    let chats = chats.iter().cloned().map(ActorKey::Chat);
    let mailboxes = USERS.map(|who| ActorKey::Mailbox(user(who)));
    let mut states = Vec::new();
    for actor in chats.chain(mailboxes) {
        let rows = store.scan(Range::State(actor), Take::All).await.unwrap();
        states.extend(rows.into_iter().map(|row| (row.key, row.value)));
    }
    states
}

/// The events of each mailbox. Not their versions: a mailbox counts entries, also those that came twice.
pub(crate) async fn inboxes(store: &Embedded) -> BTreeMap<&'static str, Vec<(Key, bytes::Bytes)>> {
    let mut inboxes = BTreeMap::new();
    for who in USERS {
        let range = Range::Inbox {
            user: user(who),
            from: 1,
            to: u64::MAX,
        };
        let rows = store.scan(range, Take::All).await.unwrap();
        inboxes.insert(who, rows.into_iter().map(|row| (row.key, row.value)).collect());
    }
    inboxes
}

/// Runs a fresh worker until nothing moves any more, and stops it in order.
pub(crate) async fn finish<B: Bus>(bus: &B, store: &Embedded, name: &str) {
    // What one run delivers, the next finds when it starts: after the last delivery there is nothing new.
    for round in 0..2 {
        let config = config(&format!("{name}-{round}"));
        let worker = Worker::start(config, bus.clone(), store.clone()).await;
        in_time("the worker", worker.ready()).await.unwrap();
        assert!(worker.shutdown(Duration::from_secs(20)).await);
    }
}

/// Every command was answered, and every answer to it was the same.
async fn check_replies(world: &mut World, requests: &[RequestId]) {
    let mut wanted: BTreeSet<RequestId> = requests.iter().copied().collect();
    let mut answers: BTreeMap<RequestId, Result<Reply, Rejection>> = BTreeMap::new();
    while !wanted.is_empty() {
        let reply = world.gateway.next("a reply", |message| match &message.body {
            DeliveryBody::Reply { request, result, .. } => Some((*request, result.clone())),
            _ => None,
        });
        let (request, result) = reply.await;
        wanted.remove(&request);
        let first = answers.entry(request).or_insert_with(|| result.clone());
        assert_eq!(*first, result, "two answers to {request:?}");
    }
}

/// The rows must be what one undisturbed worker makes of the same log, on a store of its own.
async fn check_rows(world: &World, chats: &[ChatKey]) {
    let (reference, _dir) = world.another_store();
    let bus = Untrimmed(world.bus.clone());
    finish(&bus, &world.store, "last").await;
    finish(&bus, &reference, "reference").await;
    assert_eq!(rows(&world.store, chats).await, rows(&reference, chats).await);
    let inboxes = inboxes(&world.store).await;
    for (who, rows) in &inboxes {
        let expected = (1..).map(|id| Key::Inbox(user(who), id));
        assert!(
            rows.iter()
                .map(|(key, _)| key.clone())
                .eq(expected.take(rows.len())),
            "holes: {rows:?}"
        );
    }
    assert_eq!(inboxes, self::inboxes(&reference).await);
    assert!(inboxes["bob"].len() > 20, "the script does something");
}

pub(crate) fn small(name: &str, cached_states: usize) -> Config {
    Config {
        batch: 7,
        cached_states,
        flush_every: Duration::from_millis(3),
        flush_lot: 2,
        ..Config::new(name)
    }
}

async fn crashes(seed: u64) {
    let mut world = World::new().await;
    let (mut script, mut requests) = Script::new(&mut world, seed).await;
    for run in 0..8 {
        let store = Yielding::new(world.store.clone(), seed * 100 + run);
        let cached = script.rng.random_range(1..4);
        let worker = Worker::start(
            small(&format!("w{run}"), cached),
            Untrimmed(world.bus.clone()),
            store,
        )
        .await;
        for _ in 0..script.rng.random_range(5..40) {
            let (who, chat, op) = script.step();
            let copied = script.rng.random_bool(0.1);
            let entry = copied.then(|| EntryId(format!("copied-{}", requests.len()).into()));
            requests.push(world.gateway.command(who, &chat, op.clone(), entry.clone()).await);
            if copied {
                // An append whose acknowledgement was lost, repeated: answered once, by the first copy.
                world.gateway.command(who, &chat, op, entry).await;
            }
            world.pass(Duration::from_millis(1));
            for _ in 0..script.rng.random_range(0..12) {
                tokio::task::yield_now().await;
            }
        }
        // Cut off wherever it is, sometimes in a flush.
        if script.rng.random_bool(0.5) {
            tokio::time::sleep(Duration::from_millis(script.rng.random_range(0..6))).await;
        }
        for _ in 0..script.rng.random_range(0..100) {
            tokio::task::yield_now().await;
        }
        worker.abort().await;
    }
    check_rows(&world, &script.chats).await;
    check_replies(&mut world, &requests).await;
}

#[tokio::test]
async fn a_worker_cut_off_anywhere_is_made_good_by_the_next() {
    for seed in 0..12 {
        crashes(seed).await;
    }
}

async fn owners_and_faults(seed: u64) {
    let mut world = World::new().await;
    let (mut script, mut requests) = Script::new(&mut world, seed).await;
    let bus = FaultyBus::new(
        Untrimmed(world.bus.clone()),
        seed,
        BusFaults {
            append_stored_unknown: 50,
            append_lost_unknown: 50,
            append_doubled: 50,
            append_refused: 50,
            late: 20,
            ..BusFaults::default()
        },
    );
    let faults = StoreFaults {
        write_lost: 20,
        write_stored: 20,
        write_late: 20,
        read_failed: 20,
    };
    let store = FaultyStore::new(Yielding::new(world.store.clone(), seed), seed, faults);
    let mut workers = Vec::new();
    for run in 0..6 {
        // Two or three at a time, all of which believe that they own everything.
        let worker = Worker::start(small(&format!("w{run}"), 2), bus.clone(), store.clone()).await;
        workers.push(worker);
        for _ in 0..20 {
            let (who, chat, op) = script.step();
            requests.push(world.gateway.command(who, &chat, op, None).await);
            world.pass(Duration::from_millis(1));
            tokio::time::sleep(Duration::from_millis(script.rng.random_range(0..3))).await;
        }
        if workers.len() > 2 {
            workers.remove(script.rng.random_range(0..2)).abort().await;
        }
    }
    for worker in workers {
        worker.abort().await;
    }
    let counts = store.counts();
    assert!(
        counts.write_lost > 0 && counts.write_stored > 0 && counts.read_failed > 0,
        "{counts:?}"
    );
    let counts = bus.counts();
    assert!(
        counts.append_doubled > 0 && counts.append_lost_unknown > 0,
        "{counts:?}"
    );
    store.set_faults(StoreFaults::default());
    finish(&Untrimmed(world.bus.clone()), &world.store, "healed").await;
    // What was late lands over what stands: older versions must not win.
    store.settle().await.unwrap();
    check_rows(&world, &script.chats).await;
    check_replies(&mut world, &requests).await;
}

async fn two_fixed_owners(seed: u64) {
    let mut world = World::new().await;
    let (mut script, mut requests) = Script::new(&mut world, seed).await;
    let mut workers = Vec::new();
    for name in ["one", "two"] {
        let owner = Config {
            placement: Placement::Fixed((0..8).map(Partition).collect()),
            ..small(name, 3)
        };
        let store = Yielding::new(world.store.clone(), seed);
        workers.push(Worker::start(owner, Untrimmed(world.bus.clone()), store).await);
    }
    for _ in 0..150 {
        let (who, chat, op) = script.step();
        requests.push(world.gateway.command(who, &chat, op, None).await);
        world.pass(Duration::from_millis(1));
        for _ in 0..script.rng.random_range(0..12) {
            tokio::task::yield_now().await;
        }
    }
    check_replies(&mut world, &requests).await;
    for worker in workers {
        assert!(worker.shutdown(Duration::from_secs(20)).await);
    }
    // One worker that reads the same log, what the two have appended twice included.
    let (reference, _dir) = world.another_store();
    finish(&Untrimmed(world.bus.clone()), &reference, "reference").await;
    finish(&Untrimmed(world.bus.clone()), &world.store, "last").await;
    assert_eq!(
        rows(&world.store, &script.chats).await,
        rows(&reference, &script.chats).await
    );
    assert_eq!(
        states(&world.store, &script.chats).await,
        states(&reference, &script.chats).await
    );
    assert_eq!(inboxes(&world.store).await, inboxes(&reference).await);
}

#[tokio::test]
async fn two_fixed_owners_leave_the_tables_that_one_leaves() {
    for seed in 0..6 {
        two_fixed_owners(seed).await;
    }
}

#[tokio::test]
async fn several_owners_and_failing_seams_change_nothing() {
    for seed in 0..6 {
        owners_and_faults(seed).await;
    }
}
