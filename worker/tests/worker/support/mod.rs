//! A world around a worker: a bus, a store, a gateway, and a clock that the test moves.

pub(crate) mod alone;
pub(crate) mod copy;
pub(crate) mod cut;
pub(crate) mod follower;
pub(crate) mod limbo;
pub(crate) mod meeting;
pub(crate) mod pausable;
pub(crate) mod replaced;
pub(crate) mod torn;
pub(crate) mod untrimmed;
pub(crate) mod watch;
pub(crate) mod yielding;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use confab_bus::journal::disk::SimulatedDisk;
use confab_bus::{Bus, GatewayEnd, Local, LocalOptions};
use confab_chat::{
    ActorKey, ChatKey, ChatKind, Command, DeviceId, EntryId, GatewayId, Op, Origin, Partition, Rejection,
    Reply, RequestId, SessionId, Timestamp, UserId,
};
use confab_proto::message::{
    Attach, AttachFrom, Attached, DeliveryBody, EntryBody, LogEntry, MailboxEvent, Page, Query, QueryKind,
    Signal, ToGateway,
};
use confab_proto::row::InboxRow;
use confab_proto::wire::Wire;
use confab_store::{Embedded, EmbeddedOptions, Horizon, NoLog, Range, Store, Take};
use confab_worker::{Config, Placement, Worker};
use replaced::Replaced;
use serde_json::Value;
use tempfile::TempDir;

/// No test waits longer for what must come.
const PATIENCE: Duration = Duration::from_secs(20);

/// The time at which every world begins.
pub(crate) const START: u64 = 1_700_000_000_000;

/// What the embedded store asks of the log.
struct LocalHorizon(confab_bus::local::Horizon);

impl Horizon for LocalHorizon {
    fn appended(&self) -> u64 {
        self.0.appended()
    }

    fn committed(&self) -> u64 {
        self.0.committed()
    }
}

pub(crate) struct World<B = Local> {
    pub bus: B,
    pub store: Embedded,
    clock: Arc<AtomicU64>,
    pub gateway: Gateway<B>,
    _dir: TempDir,
}

/// A gateway, as far as a worker sees one.
pub(crate) struct Gateway<B = Local> {
    bus: B,
    pub id: GatewayId,
    end: GatewayEnd,
    heard: VecDeque<ToGateway>,
    requests: u64,
    sessions: u64,
}

pub(crate) fn user(id: &str) -> UserId {
    UserId::parse(id).unwrap()
}

pub(crate) fn device(id: &str) -> DeviceId {
    DeviceId::parse(id).unwrap()
}

pub(crate) fn dialog(a: &str, b: &str) -> ChatKey {
    ChatKey::dialog(&user(a), &user(b))
}

/// Flushes often, so that tests pass through flushes.
pub(crate) fn config(name: &str) -> Config {
    Config {
        flush_every: Duration::from_millis(5),
        flush_lot: 1,
        ..Config::new(name)
    }
}

/// Shares the partitions with others, and loses no time over it.
pub(crate) fn sharing(name: &str) -> Config {
    Config {
        placement: Placement::Shared,
        alive_every: Duration::from_millis(100),
        gone_after: Duration::from_secs(1),
        settle: Duration::from_millis(250),
        reattach: Duration::from_millis(200),
        ..config(name)
    }
}

pub(crate) async fn in_time<T>(what: &str, future: impl Future<Output = T>) -> T {
    let outcome = tokio::time::timeout(PATIENCE, future).await;
    outcome.unwrap_or_else(|_| panic!("waited too long for {what}"))
}

fn local_options(clock: &Arc<AtomicU64>) -> LocalOptions {
    let clock = clock.clone();
    LocalOptions {
        segment_bytes: 1 << 20,
        ..LocalOptions::new(Arc::new(move || clock.load(Ordering::Relaxed)))
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with_partitions(8).await
    }

    pub(crate) async fn with_partitions(partitions: u16) -> Self {
        let clock = Arc::new(AtomicU64::new(START));
        let options = LocalOptions {
            partitions,
            ..local_options(&clock)
        };
        let bus = Local::open_on(Arc::new(SimulatedDisk::new()), options).unwrap();
        let horizon = Arc::new(LocalHorizon(bus.horizon()));
        Self::over(bus, horizon, clock).await
    }

    /// A world with a worker that is ready.
    pub(crate) async fn with_worker() -> (Self, Worker) {
        let world = Self::new().await;
        let worker = world.start(config("w1")).await;
        (world, worker)
    }
}

impl World<Replaced> {
    /// A world whose logs can be lost.
    pub(crate) async fn whose_logs_can_be_lost() -> Self {
        let clock = Arc::new(AtomicU64::new(START));
        let bus = Replaced::new(local_options(&clock));
        Self::over(bus, Arc::new(NoLog), clock).await
    }
}

impl<B: Bus> World<B> {
    async fn over(bus: B, horizon: Arc<dyn Horizon>, clock: Arc<AtomicU64>) -> Self {
        let dir = TempDir::new().unwrap();
        let store_clock = clock.clone();
        let options = EmbeddedOptions::new(Arc::new(move || store_clock.load(Ordering::Relaxed)));
        let store = Embedded::open(dir.path(), options, horizon).unwrap();
        let gateway = Gateway::join(&bus, "gw").await;
        Self {
            bus,
            store,
            clock,
            gateway,
            _dir: dir,
        }
    }

    pub(crate) async fn start(&self, config: Config) -> Worker {
        let worker = Worker::start(config, self.bus.clone(), self.store.clone()).await;
        in_time("the worker", worker.ready()).await.unwrap();
        worker
    }

    /// Starts a worker that is one of several: the log keeps what one of them has done, for the others may not have.
    pub(crate) async fn one_of_several(&self, config: Config) -> Worker {
        let bus = untrimmed::Untrimmed(self.bus.clone());
        Worker::start(config, bus, self.store.clone()).await
    }

    pub(crate) fn pass(&self, time: Duration) {
        let millis = u64::try_from(time.as_millis()).unwrap();
        self.clock.fetch_add(millis, Ordering::Relaxed);
    }

    pub(crate) fn now(&self) -> u64 {
        self.clock.load(Ordering::Relaxed)
    }

    pub(crate) fn mailbox_partition(&self, id: &str) -> Partition {
        ActorKey::Mailbox(user(id)).partition(self.bus.partitions())
    }

    /// A store of its own, empty, for a second opinion.
    pub(crate) fn another_store(&self) -> (Embedded, TempDir) {
        let dir = TempDir::new().unwrap();
        let clock = self.clock.clone();
        let options = EmbeddedOptions::new(Arc::new(move || clock.load(Ordering::Relaxed)));
        (Embedded::open(dir.path(), options, Arc::new(NoLog)).unwrap(), dir)
    }

    /// Carries out a command that must succeed; each is a millisecond after the one before.
    pub(crate) async fn ask(&mut self, who: &str, chat: &ChatKey, op: Op) -> Reply {
        let answer = self.try_ask(who, chat, op).await;
        answer.unwrap_or_else(|rejection| panic!("{who} is refused: {rejection:?}"))
    }

    pub(crate) async fn try_ask(&mut self, who: &str, chat: &ChatKey, op: Op) -> Result<Reply, Rejection> {
        self.pass(Duration::from_millis(1));
        let request = self.gateway.command(who, chat, op, None).await;
        self.gateway.reply(request).await
    }

    /// Sends a message; returns its id.
    pub(crate) async fn say(&mut self, who: &str, chat: &ChatKey, text: &str) -> u64 {
        let reply = self.ask(who, chat, new(text)).await;
        let Reply::Message { message_id, .. } = reply else {
            panic!("{reply:?}");
        };
        message_id
    }

    /// Two become contacts, and all that follows from that is over.
    pub(crate) async fn befriend(&mut self, one: &str, other: &str) {
        self.say(one, &dialog(one, other), "hi").await;
        for who in [one, other] {
            // The list of chats has changed, and there is a message.
            self.inbox(who, 2).await;
        }
    }

    /// Makes a group and returns its key.
    pub(crate) async fn group(&mut self, owner: &str, members: &[&str], history_all: bool) -> ChatKey {
        let chat = ChatKey::group(&user(owner), "friends");
        let op = Op::CreateChat {
            kind: ChatKind::Group,
            name: "Friends".to_owned(),
            participants: members.iter().map(|id| user(id)).collect(),
            photo_url: None,
            history_all,
        };
        assert_eq!(self.ask(owner, &chat, op).await, Reply::Chat);
        chat
    }

    /// Waits until a mailbox has so many events, and returns them.
    pub(crate) async fn inbox(&self, id: &str, count: u64) -> Vec<InboxRow> {
        let rows = async {
            loop {
                let range = Range::Inbox {
                    user: user(id),
                    from: 1,
                    to: u64::MAX,
                };
                let rows = self.store.scan(range, Take::All).await.unwrap();
                if rows.len() as u64 >= count {
                    return rows;
                }
                tokio::task::yield_now().await;
            }
        };
        let rows = in_time("events in an inbox", rows).await;
        rows.iter()
            .map(|row| InboxRow::decode(&row.value).unwrap())
            .collect()
    }

    pub(crate) async fn query(&self, who: &str, what: QueryKind) -> Result<Value, Rejection> {
        let query = Query {
            user: user(who),
            what,
        };
        let answer = in_time("an answer", self.bus.query(query)).await.unwrap();
        answer.map(|json| serde_json::from_slice(&json).unwrap())
    }

    pub(crate) async fn chats(&self, who: &str) -> Value {
        let what = QueryKind::Chats {
            count: 500,
            before: None,
        };
        self.query(who, what).await.unwrap()
    }

    pub(crate) async fn chat(&self, who: &str, chat: &ChatKey) -> Value {
        let chat = chat.clone();
        self.query(who, QueryKind::Chat { chat }).await.unwrap()
    }

    pub(crate) async fn messages(&self, who: &str, chat: &ChatKey, page: Page, count: u32) -> Value {
        let chat = chat.clone();
        self.query(who, QueryKind::Messages { chat, page, count })
            .await
            .unwrap()
    }
}

pub(crate) fn new(text: &str) -> Op {
    Op::New {
        text: text.to_owned(),
        attachments: Vec::new(),
        reply_to: None,
        client_message_id: None,
    }
}

pub(crate) fn answer_to(text: &str, message_id: u64) -> Op {
    Op::New {
        text: text.to_owned(),
        attachments: Vec::new(),
        reply_to: Some(message_id),
        client_message_id: None,
    }
}

pub(crate) fn named(text: &str, client_message_id: &str) -> Op {
    Op::New {
        text: text.to_owned(),
        attachments: Vec::new(),
        reply_to: None,
        client_message_id: Some(client_message_id.to_owned()),
    }
}

impl<B: Bus> Gateway<B> {
    pub(crate) async fn join(bus: &B, name: &str) -> Self {
        let id = GatewayId(name.into());
        Self {
            bus: bus.clone(),
            end: bus.join_as_gateway(&id).await,
            id,
            heard: VecDeque::new(),
            requests: 0,
            sessions: 0,
        }
    }

    /// Appends a command; without an entry id it gets its own.
    pub(crate) async fn command(
        &mut self,
        who: &str,
        chat: &ChatKey,
        op: Op,
        entry: Option<EntryId>,
    ) -> RequestId {
        self.requests += 1;
        let request = RequestId(self.requests);
        let id = entry.unwrap_or_else(|| EntryId(format!("{}-{}", self.id.0, self.requests).into()));
        let command = Command {
            chat: chat.clone(),
            user: user(who),
            origin: Origin {
                gateway: self.id.clone(),
                session: SessionId(0),
                request,
            },
            op,
        };
        let partition = ActorKey::Chat(chat.clone()).partition(self.bus.partitions());
        let body = EntryBody::Command(command);
        self.bus.append(partition, LogEntry { id, body }).await.unwrap();
        request
    }

    pub(crate) async fn reply(&mut self, wanted: RequestId) -> Result<Reply, Rejection> {
        self.next("a reply", |message| match &message.body {
            DeliveryBody::Reply { request, result, .. } if *request == wanted => Some(result.clone()),
            _ => None,
        })
        .await
    }

    /// Waits for the first message, of those heard and not taken yet, that is wanted; the others stay.
    pub(crate) async fn next<T>(&mut self, what: &str, wanted: impl Fn(&ToGateway) -> Option<T>) -> T {
        let found = async {
            let mut looked_at = 0;
            loop {
                let new = self.heard.iter().skip(looked_at);
                let found = new
                    .enumerate()
                    .find_map(|(place, message)| Some((place, wanted(message)?)));
                if let Some((place, value)) = found {
                    self.heard.remove(looked_at + place);
                    return value;
                }
                looked_at = self.heard.len();
                self.heard.push_back(self.end.deliveries.recv().await.unwrap());
            }
        };
        in_time(what, found).await
    }

    /// All that was heard and not taken yet, as far as it has come.
    pub(crate) fn drain(&mut self) -> Vec<ToGateway> {
        let mut heard: Vec<_> = self.heard.drain(..).collect();
        while let Ok(message) = self.end.deliveries.try_recv() {
            heard.push(message);
        }
        heard
    }

    /// Who has come and gone, as one user hears it, in order: whether online, and who.
    pub(crate) fn presence_of(&mut self, who: &str) -> Vec<(bool, UserId)> {
        while let Ok(message) = self.end.deliveries.try_recv() {
            self.heard.push_back(message);
        }
        let mut presence = Vec::new();
        for message in self.heard.iter().filter(|message| message.user.as_str() == who) {
            match &message.body {
                DeliveryBody::Online(users) => presence.extend(users.iter().map(|user| (true, user.clone()))),
                DeliveryBody::Offline { user, .. } => presence.push((false, user.clone())),
                _ => {}
            }
        }
        presence
    }

    /// Whether something was heard, as far as all that was sent before `until` is heard.
    pub(crate) fn heard(&self, wanted: impl Fn(&ToGateway) -> bool) -> bool {
        self.heard.iter().any(wanted)
    }

    pub(crate) fn session(&mut self) -> SessionId {
        self.sessions += 1;
        SessionId(self.sessions)
    }

    pub(crate) async fn signal(&self, to: &str, signal: Signal) {
        let partition = ActorKey::Mailbox(user(to)).partition(self.bus.partitions());
        self.bus.signal(partition, signal).await;
    }

    pub(crate) fn attach_of(&mut self, who: &str, device_name: &str) -> Attach {
        Attach {
            user: user(who),
            device: device(device_name),
            gateway: self.id.clone(),
            session: self.session(),
            from: AttachFrom::Cursor { last_event_id: None },
            repeat: false,
            away: false,
            profile: None,
        }
    }

    /// Attaches, and waits for the answer.
    pub(crate) async fn attach(&mut self, attach: Attach) -> Attached {
        let session = attach.session;
        let to = attach.user.clone();
        self.signal(to.as_str(), Signal::Attach(attach)).await;
        self.attached(session).await
    }

    pub(crate) async fn attached(&mut self, session: SessionId) -> Attached {
        self.next("an attachment", |message| match &message.body {
            DeliveryBody::Attached(attached) if attached.session == session => Some(attached.clone()),
            _ => None,
        })
        .await
    }

    /// Connects a device, and waits for all that belongs to it: its events and its contacts who are online.
    pub(crate) async fn connect(&mut self, who: &str, device_name: &str) -> (Attached, Vec<UserId>) {
        let attach = self.attach_of(who, device_name);
        let attached = self.attach(attach).await;
        let mut online = Vec::new();
        for _ in 0..attached.probes {
            online.append(&mut self.contacts(attached.session).await);
        }
        online.sort();
        (attached, online)
    }

    async fn contacts(&mut self, wanted: SessionId) -> Vec<UserId> {
        self.next("contacts", |message| match &message.body {
            DeliveryBody::Contacts { session, online } if *session == wanted => Some(online.clone()),
            _ => None,
        })
        .await
    }

    pub(crate) async fn live(&mut self, who: &str) -> Vec<MailboxEvent> {
        self.next("live events", |message| match &message.body {
            DeliveryBody::Live(events) if message.user.as_str() == who => Some(events.clone()),
            _ => None,
        })
        .await
    }

    /// Waits until somebody hears that these are online.
    pub(crate) async fn online(&mut self, who: &str) -> Vec<UserId> {
        self.next("online", |message| match &message.body {
            DeliveryBody::Online(users) if message.user.as_str() == who => Some(users.clone()),
            _ => None,
        })
        .await
    }

    pub(crate) async fn offline(&mut self, who: &str) -> (UserId, Timestamp) {
        self.next("offline", |message| match &message.body {
            DeliveryBody::Offline { user, last_seen } if message.user.as_str() == who => {
                Some((user.clone(), *last_seen))
            }
            _ => None,
        })
        .await
    }

    pub(crate) async fn detach(&mut self, who: &str, session: SessionId, draining: bool) {
        let signal = Signal::Detach {
            user: user(who),
            gateway: self.id.clone(),
            session,
            draining,
        };
        self.signal(who, signal).await;
    }
}
