//! Logs lost anywhere, over and over, under workers that are cut off anywhere and run two at a time: nothing that was
//! answered or seen is taken back, and the tables are those that one undisturbed worker makes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use confab_bus::Faulty as FaultyBus;
use confab_bus::faulty::BusFaults;
use confab_chat::row::MessageRow;
use confab_chat::{ActorKey, ChatKey, Event, Op, Reply, RequestId, UserId};
use confab_proto::message::{DeliveryBody, MailboxEvent};
use confab_proto::row::InboxRow;
use confab_proto::wire::Wire;
use confab_store::{Embedded, Key, Range, Record, Store, Take};
use confab_worker::Worker;
use rand::Rng;

use crate::crash::{Script, USERS, finish, inboxes, rows, small};
use crate::snapshot::content;
use crate::support::replaced::Replaced;
use crate::support::yielding::Yielding;
use crate::support::{World, dialog, in_time, user};

/// What clients were told, and what they had asked.
#[derive(Default)]
struct Told {
    asked: BTreeMap<RequestId, (&'static str, ChatKey, Op)>,
    /// The message that each answered `new` is.
    sent: BTreeMap<RequestId, u64>,
    /// The events of each user.
    events: BTreeMap<(UserId, u64), Event>,
}

impl Told {
    fn hear(&mut self, world: &mut World<Replaced>) {
        for message in world.gateway.drain() {
            match message.body {
                DeliveryBody::Reply {
                    request,
                    result: Ok(Reply::Message { message_id, .. }),
                    ..
                } => {
                    let sent = self.asked.get(&request);
                    if sent.is_some_and(|(_, _, op)| matches!(op, Op::New { .. })) {
                        let first = *self.sent.entry(request).or_insert(message_id);
                        assert_eq!(first, message_id, "two answers to {request:?}");
                    }
                }
                DeliveryBody::Live(events) => self.see(&message.user, events),
                DeliveryBody::Attached(attached) => self.see(&message.user, attached.events),
                _ => {}
            }
        }
    }

    /// Event ids are not used again. Of a message that was deleted meanwhile the text is left out.
    fn see(&mut self, user: &UserId, events: Vec<MailboxEvent>) {
        for item in events {
            let event = plain(&item.event);
            let first = self
                .events
                .entry((user.clone(), item.id))
                .or_insert_with(|| event.clone());
            assert_eq!(*first, event, "event {} of {user}", item.id);
        }
    }

    async fn check(&self, store: &Embedded) {
        let mut unnamed = BTreeSet::new();
        let mut named = BTreeMap::new();
        for (request, message_id) in &self.sent {
            let (who, chat, op) = &self.asked[request];
            let row = message(store, chat, *message_id).await;
            let row = row.unwrap_or_else(|| panic!("{message_id} of {chat} was answered"));
            assert_eq!(row.sender, user(who));
            let Op::New {
                client_message_id, ..
            } = op
            else {
                continue;
            };
            assert_eq!(row.client_message_id, *client_message_id);
            match client_message_id {
                None => assert!(
                    unnamed.insert((chat, *message_id)),
                    "{message_id} of {chat} twice"
                ),
                Some(own) => {
                    let first = *named.entry((who, chat, own)).or_insert(*message_id);
                    assert_eq!(first, *message_id, "{own} of {who} in {chat}");
                }
            }
        }
        for ((user, id), event) in &self.events {
            let row = store.get(Key::Inbox(user.clone(), *id)).await.unwrap();
            let row = row.unwrap_or_else(|| panic!("event {id} of {user} was seen"));
            assert_eq!(plain(&InboxRow::decode(&row.value).unwrap().event), *event);
        }
    }
}

/// An event without what may be left out of it later.
fn plain(event: &Event) -> Event {
    let mut event = event.clone();
    if let Event::New { text, .. } | Event::Edit { text, .. } = &mut event {
        text.clear();
    }
    if let Event::New { reply_to, .. } = &mut event {
        *reply_to = None;
    }
    event
}

async fn message(store: &Embedded, chat: &ChatKey, id: u64) -> Option<MessageRow> {
    let record = store.get(Key::Message(chat.clone(), id)).await.unwrap();
    record.map(|record| MessageRow::decode(&record.value).unwrap())
}

async fn marks(store: &Embedded, chats: &[ChatKey]) -> Vec<Record> {
    let mut marks = Vec::new();
    for chat in chats {
        let range = Range::AllMarks {
            chat: chat.clone(),
            from: 1,
            to: 100_000,
        };
        marks.extend(store.scan(range, Take::All).await.unwrap());
    }
    marks
}

/// The states of chats. A part is dated by the flush that wrote it, and one that is gone may be empty or not there.
async fn states(store: &Embedded, chats: &[ChatKey]) -> Vec<(Key, Bytes)> {
    let mut states = Vec::new();
    for chat in chats {
        let range = Range::State(ActorKey::Chat(chat.clone()));
        let parts = store.scan(range, Take::All).await.unwrap().into_iter();
        states.extend(parts.map(|part| (part.key, part.value)));
    }
    states.retain(|(_, value)| !value.is_empty());
    states
}

/// Two tables are the same, byte for byte.
fn same<T: PartialEq + std::fmt::Debug>(one: &[T], other: &[T]) {
    let differ: Vec<_> = one
        .iter()
        .zip(other)
        .filter(|(one, other)| one != other)
        .collect();
    assert!(differ.is_empty(), "{differ:#?}");
    assert_eq!(one.len(), other.len());
}

/// Ids of every chat have no holes, and each epoch has begun once in every inbox.
async fn check_whole(store: &Embedded, chats: &[ChatKey], epoch: u32) {
    for chat in chats {
        let range = Range::Messages {
            chat: chat.clone(),
            from: 1,
            to: 100_000,
        };
        let messages = store.scan(range, Take::All).await.unwrap();
        let ids = (1..)
            .map(|id| Key::Message(chat.clone(), id))
            .take(messages.len());
        assert!(
            messages.iter().map(|record| record.key.clone()).eq(ids),
            "holes in {chat}"
        );
    }
    for (who, rows) in inboxes(store).await {
        let ids = (1..).map(|id| Key::Inbox(user(who), id)).take(rows.len());
        assert!(rows.iter().map(|(key, _)| key.clone()).eq(ids), "holes: {who}");
        let rows = rows.iter().map(|(_, value)| InboxRow::decode(value).unwrap());
        let own = rows.filter(|row| row.version == 0 && row.chat == dialog(who, who));
        assert!(
            own.count() < epoch as usize,
            "{who}: once an epoch, from the second on"
        );
    }
}

struct Run {
    world: World<Replaced>,
    script: Script,
    told: Told,
    workers: u64,
    seed: u64,
}

impl Run {
    async fn start(&mut self, faults: bool) -> Worker {
        self.workers += 1;
        let store = Yielding::new(self.world.store.clone(), self.seed * 1000 + self.workers);
        let mut config = small(&format!("w{}", self.workers), self.script.rng.random_range(1..4));
        if self.script.rng.random_bool(0.3) {
            config.flush_every = Duration::from_secs(3600);
        }
        let bus = self.world.bus.clone();
        if !faults {
            return Worker::start(config, bus, store).await;
        }
        // Proposals, too, are appended more than once, or come late.
        let faults = BusFaults {
            append_stored_unknown: 50,
            append_lost_unknown: 50,
            append_doubled: 50,
            append_refused: 50,
            late: 20,
            ..BusFaults::default()
        };
        Worker::start(config, FaultyBus::new(bus, self.workers, faults), store).await
    }

    async fn commands(&mut self, count: usize) {
        for _ in 0..count {
            let (who, chat, op) = self.script.step();
            let request = self.world.gateway.command(who, &chat, op.clone(), None).await;
            self.told.asked.insert(request, (who, chat, op));
            self.world.pass(Duration::from_millis(1));
            for _ in 0..self.script.rng.random_range(0..12) {
                tokio::task::yield_now().await;
            }
        }
    }

    /// One or two workers at a time, cut off anywhere.
    async fn disturbed(&mut self) {
        let faults = self.script.rng.random_bool(0.5);
        let mut workers = vec![self.start(faults).await];
        if self.script.rng.random_bool(0.5) {
            workers.push(self.start(faults).await);
        }
        // Where an append may be lost a gateway must ask again; there is none that does.
        let ready = !faults && self.script.rng.random_bool(0.7);
        let count = self.script.rng.random_range(5..25);
        self.commands(count).await;
        if ready {
            in_time("the worker", workers[0].ready()).await.unwrap();
            let who = USERS[self.script.rng.random_range(0..USERS.len())];
            let attach = self.world.gateway.attach_of(who, "phone");
            let attached = self.world.gateway.attach(attach).await;
            self.told.see(&user(who), attached.events);
            self.commands(count).await;
        }
        for _ in 0..self.script.rng.random_range(0..200) {
            tokio::task::yield_now().await;
        }
        for worker in workers {
            worker.abort().await;
        }
        self.told.hear(&mut self.world);
    }

    async fn epoch(&mut self, epoch: u32) {
        if epoch > 1 {
            self.world.bus.replace_all(epoch);
        }
        let (reference, _dir) = self.world.another_store();
        let content = content(&self.script, self.told.asked.len() + 1);
        content.copy_progress(&self.world.store, &reference).await;
        content.copy_rows(&self.world.store, &reference).await;
        let marked = marks(&reference, &self.script.chats).await;
        for _ in 0..self.script.rng.random_range(1..4) {
            self.disturbed().await;
        }
        // Everything is touched, so that nothing is left as the lost log left it.
        for chat in self.script.chats.clone() {
            for who in USERS {
                let op = Op::MarkRead { message_id: None };
                self.world.gateway.command(who, &chat, op, None).await;
            }
        }
        let chats = self.script.chats.clone();
        let (bus, store) = (self.world.bus.clone(), self.world.store.clone());
        finish(&bus, &store, &format!("last-{epoch}")).await;
        finish(&bus, &reference, &format!("reference-{epoch}")).await;
        same(&rows(&store, &chats).await, &rows(&reference, &chats).await);
        same(&states(&store, &chats).await, &states(&reference, &chats).await);
        assert_eq!(inboxes(&store).await, inboxes(&reference).await);
        self.told.hear(&mut self.world);
        self.told.check(&store).await;
        check_whole(&store, &chats, epoch).await;
        for mark in marked {
            let now = store.get(mark.key.clone()).await.unwrap().unwrap();
            assert_eq!(now.value, mark.value, "{:?}: the first mark stands", mark.key);
        }
        // And on, until the log is lost in the middle of something.
        self.disturbed().await;
    }
}

/// Tells how many messages were answered, and how many events seen.
async fn lost_anywhere(seed: u64) -> (usize, usize) {
    let mut world = World::whose_logs_can_be_lost().await;
    let (script, _made) = Script::new(&mut world, seed).await;
    let mut run = Run {
        world,
        script,
        told: Told::default(),
        workers: 0,
        seed,
    };
    for epoch in 1..=4 {
        run.epoch(epoch).await;
    }
    (run.told.sent.len(), run.told.events.len())
}

#[tokio::test]
async fn logs_that_are_lost_anywhere_take_nothing_back() {
    let (mut sent, mut seen) = (0, 0);
    for seed in 0..12 {
        let (more_sent, more_seen) = lost_anywhere(seed).await;
        (sent, seen) = (sent + more_sent, seen + more_seen);
    }
    assert!(
        sent > 300 && seen > 300,
        "the script does something: {sent} {seen}"
    );
}
