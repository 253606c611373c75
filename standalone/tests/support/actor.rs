//! Clients as applications are: an outbox that is sent again after each reconnect, a cursor, several devices.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use rand::Rng;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;

use super::checker::{Changed, Device, Event, History, Marked, Sent, View, What};
use super::client::Client;
use super::connect::SignIn;
use super::observe::{self, chat_name};
use super::trial::Stage;

/// The text that ends each chat: whoever has seen it has seen all of that chat.
const END: &str = "the end";

/// Who talks where.
pub(crate) struct Plan {
    pub(crate) users: Vec<String>,
    group: String,
}

impl Plan {
    pub(crate) async fn new(stage: &Stage) -> Self {
        let address = stage.addresses[0];
        let connect = |user: &str| stage.sign_in.connect(address, user);
        let users: Vec<String> = ["ann", "ben", "cat", "dan"].map(str::to_owned).to_vec();
        // Every device is known before the first event.
        for user in &users {
            for device in ["phone", "desk", "tablet"] {
                connect(user).device(device).open().await.close().await;
            }
        }
        let mut owner = connect(&users[0]).device("phone").open().await;
        let create = json!({"type": "group", "name": "All", "participants": users, "clientChatId": "all"});
        let group = owner.request("createChat", create).await["chatId"]
            .as_str()
            .unwrap()
            .to_owned();
        Self { users, group }
    }

    /// The chats of a user, as the user names them.
    fn chats(&self, user: &str) -> Vec<String> {
        let others = self.users.iter().filter(|other| *other != user).cloned();
        others.chain([self.group.clone()]).collect()
    }
}

/// What all actors note together.
pub(crate) struct Notes {
    /// How many answers came.
    pub(crate) answered: watch::Sender<u64>,
    /// How many users have nothing more to send.
    pub(crate) finished: watch::Sender<usize>,
    /// The longest that an answered request has waited, from when it was first sent.
    pub(crate) longest_wait: Cell<Duration>,
    pub(crate) history: RefCell<History>,
}

impl Notes {
    pub(crate) fn new() -> Self {
        let (answered, finished) = (watch::channel(0).0, watch::channel(0).0);
        Self {
            answered,
            finished,
            longest_wait: Cell::default(),
            history: RefCell::default(),
        }
    }
}

/// Something that an actor wants and has no answer to yet.
#[derive(Clone, Debug)]
struct Wish {
    kind: &'static str,
    chat: String,
    payload: Value,
    /// Its place among the history's sends.
    send: Option<usize>,
    /// When it was wished.
    since: Instant,
    /// It was asked for before, and its outcome is unknown.
    again: bool,
}

/// How long to wait after a refusal that is worth a repeat, and before a new try to connect.
const AGAIN: Duration = Duration::from_millis(50);

/// A device's place in the user's events, and all it has received.
struct Place {
    user: String,
    name: String,
    connections: Vec<Vec<Event>>,
    processed: u64,
    ended: BTreeSet<String>,
    /// So that the addresses take turns.
    tries: usize,
    sign_in: SignIn,
    /// When the last connection ended, and for how long the service asked to stay away.
    left: Option<(Instant, Duration)>,
    /// The longest that it had no connection.
    longest_away: Duration,
}

impl Place {
    fn new(user: &str, name: &str, sign_in: &SignIn) -> Self {
        let (user, name) = (user.to_owned(), name.to_owned());
        Self {
            sign_in: sign_in.clone(),
            left: None,
            longest_away: Duration::ZERO,
            user,
            name,
            connections: Vec::new(),
            processed: 0,
            ended: BTreeSet::new(),
            tries: 0,
        }
    }

    /// Takes what has come on the present connection.
    fn take(&mut self, client: &mut Client) -> Vec<Event> {
        let mut fresh = Vec::new();
        for frame in client.durable_so_far() {
            let event = observe::event(&self.user, &frame);
            if frame["payload"]["message"] == END {
                self.ended.insert(event.chat.clone());
            }
            if event.id > self.processed {
                self.processed = event.id;
                fresh.push(event.clone());
            }
            self.connections.last_mut().unwrap().push(event);
        }
        fresh
    }

    /// The connection is gone. One that a gateway has ended in order says for how long to stay away.
    async fn leave(&mut self, mut client: Client) {
        let away = match client.last_words().await {
            (1001 | 1012, reason) => Duration::from_millis(reason.parse().unwrap()),
            _ => Duration::ZERO,
        };
        self.left = Some((Instant::now(), away));
    }

    /// Connects as soon as the server is there, but no sooner than it has asked for.
    async fn connect(&mut self, stage: &mut watch::Receiver<Stage>, with_cursor: bool) -> Client {
        if let Some((at, away)) = self.left {
            tokio::time::sleep_until(at + away).await;
        }
        loop {
            let addresses = stage
                .wait_for(|stage| !stage.addresses.is_empty())
                .await
                .unwrap()
                .addresses
                .clone();
            self.tries += 1;
            let address = addresses[self.tries % addresses.len()];
            let mut connecting = self.sign_in.connect(address, &self.user).device(&self.name);
            if with_cursor {
                connecting = connecting.last_event_id(self.processed);
            }
            if let Some(client) = connecting.attempt().await {
                self.connections.push(Vec::new());
                let away = self.left.take().map(|(at, _)| at.elapsed());
                self.longest_away = self.longest_away.max(away.unwrap_or_default());
                return client;
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    fn into_device(self) -> Device {
        Device {
            user: self.user,
            name: self.name,
            connections: self.connections,
        }
    }
}

/// A device that only listens; it acknowledges carelessly.
pub(crate) struct Listener {
    place: Place,
    chats: usize,
    rng: StdRng,
    stage: watch::Receiver<Stage>,
}

impl Listener {
    pub(crate) async fn new(
        user: &str,
        name: &str,
        plan: &Plan,
        rng: StdRng,
        stage: watch::Receiver<Stage>,
    ) -> Self {
        let place = Place::new(user, name, &stage.borrow().sign_in);
        Self {
            place,
            chats: plan.chats(user).len(),
            rng,
            stage,
        }
    }

    /// Listens until every chat has ended.
    pub(crate) async fn run(&mut self) {
        while self.place.ended.len() < self.chats {
            let with_cursor = self.rng.random_bool(0.5);
            let mut client = self.place.connect(&mut self.stage, with_cursor).await;
            let leaves_after = if self.rng.random_bool(0.3) {
                self.rng.random_range(1..40)
            } else {
                usize::MAX
            };
            let mut received = 0;
            while self.place.ended.len() < self.chats && received < leaves_after && client.read().await {
                for event in self.place.take(&mut client) {
                    received += 1;
                    if self.rng.random_bool(0.8) {
                        client.try_send(&json!({"type": "ack", "id": event.id})).await;
                    }
                }
            }
            self.place.take(&mut client);
            if client.is_closed() {
                self.place.leave(client).await;
            }
        }
    }

    /// The longest that it had no connection though it wanted one.
    pub(crate) fn longest_away(&self) -> Duration {
        self.place.longest_away
    }

    pub(crate) fn into_device(self) -> Device {
        self.place.into_device()
    }
}

/// A user's main device: sends, edits, deletes, marks.
pub(crate) struct Actor<'a> {
    place: Place,
    chats: Vec<String>,
    /// How many users there are.
    users: usize,
    group: String,
    rng: StdRng,
    stage: watch::Receiver<Stage>,
    notes: &'a Notes,
    outbox: VecDeque<Wish>,
    /// Own messages that are not deleted, by chat.
    own: BTreeMap<String, Vec<u64>>,
    /// The highest message known of each chat, as the user names it.
    highest: BTreeMap<String, u64>,
    counter: u64,
    client: Option<Client>,
}

impl<'a> Actor<'a> {
    pub(crate) async fn new(
        user: &str,
        plan: &Plan,
        rng: StdRng,
        stage: watch::Receiver<Stage>,
        notes: &'a Notes,
    ) -> Self {
        let place = Place::new(user, "phone", &stage.borrow().sign_in);
        Self {
            place,
            chats: plan.chats(user),
            users: plan.users.len(),
            group: plan.group.clone(),
            rng,
            stage,
            notes,
            outbox: VecDeque::new(),
            own: BTreeMap::new(),
            highest: BTreeMap::new(),
            counter: 0,
            client: None,
        }
    }

    /// Works until the run ends, then ends its chats and waits until it has seen all of them end.
    pub(crate) async fn run(&mut self) {
        let mut said_the_end = false;
        loop {
            if self.client.is_none() {
                let with_cursor = self.rng.random_bool(0.5);
                self.client = Some(self.place.connect(&mut self.stage, with_cursor).await);
            }
            if !self.send_outbox().await {
                self.leave().await;
                continue;
            }
            let ending = self.stage.borrow().ending;
            if !ending {
                self.wish();
            } else if !self.outbox.is_empty() {
                // A refusal that is worth a repeat.
            } else if !said_the_end {
                // Whoever sees the end of a chat has seen all of it: nobody says it while others still send.
                said_the_end = true;
                self.notes.finished.send_modify(|count| *count += 1);
                let everybody = self.users;
                let mut finished = self.notes.finished.subscribe();
                finished.wait_for(|count| *count == everybody).await.unwrap();
                self.wish_the_end();
            } else if self.place.ended.len() == self.chats.len() {
                return;
            } else if !self.listen().await {
                self.leave().await;
            }
        }
    }

    async fn leave(&mut self) {
        if let Some(client) = self.client.take() {
            self.place.leave(client).await;
        }
    }

    /// The longest that its device had no connection.
    pub(crate) fn longest_away(&self) -> Duration {
        self.place.longest_away
    }

    /// Waits for a frame; false when the connection is gone.
    async fn listen(&mut self) -> bool {
        let Some(client) = &mut self.client else {
            return false;
        };
        let open = client.read().await;
        self.take_events().await;
        open
    }

    async fn take_events(&mut self) {
        let Some(client) = &mut self.client else { return };
        for event in self.place.take(client) {
            if let What::New { message, .. } = event.what {
                let chat = self
                    .chats
                    .iter()
                    .find(|chat| chat_name(&self.place.user, chat) == event.chat);
                if let Some(chat) = chat {
                    self.highest.insert(chat.clone(), message);
                }
            }
            client.try_send(&json!({"type": "ack", "id": event.id})).await;
        }
    }

    /// Sends everything in the outbox at once and takes the answers; false when the connection went first.
    async fn send_outbox(&mut self) -> bool {
        let wishes: Vec<Wish> = self.outbox.iter().cloned().collect();
        let mut asked = Vec::new();
        for wish in &wishes {
            let client = self.client.as_mut().unwrap();
            let Some(id) = client.try_ask(wish.kind, wish.payload.clone()).await else {
                return false;
            };
            asked.push(id);
        }
        let mut open = true;
        let mut left = VecDeque::new();
        for (mut wish, id) in wishes.iter().cloned().zip(asked) {
            let response = self.client.as_mut().unwrap().try_response(&id).await;
            let overtaken = response
                .as_ref()
                .is_some_and(|response| self.is_overtaken(&wish, &wishes, response));
            wish.again = true;
            match response {
                Some(_) if overtaken => {}
                Some(response) if response.get("payload").is_some() => self.done(&wish, &response["payload"]),
                Some(response) => {
                    assert_eq!(
                        response["error"]["retryable"], true,
                        "{wish:?} failed: {response}"
                    );
                    left.push_back(wish);
                    tokio::time::sleep(AGAIN).await;
                }
                None => {
                    open = false;
                    left.push_back(wish);
                }
            }
        }
        self.outbox = left;
        self.take_events().await;
        open
    }

    /// An edit whose answer was lost is repeated, and the deletion that was wished after it has been done meanwhile: what
    /// became of it is hidden by the deletion. That may be repeated too, behind it.
    fn is_overtaken(&self, wish: &Wish, wishes: &[Wish], response: &Value) -> bool {
        let chat = chat_name(&self.place.user, &wish.chat);
        let deleted = |change: &Changed| {
            change.chat == chat && change.to.is_none() && wish.payload["messageId"] == change.message
        };
        let deletes = |other: &Wish| {
            let same = other.chat == wish.chat && other.payload["messageId"] == wish.payload["messageId"];
            other.again && other.kind == "delete" && same
        };
        wish.again
            && wish.kind == "edit"
            && response["error"]["code"] == "conflict"
            && (self.notes.history.borrow().changes.iter().any(deleted) || wishes.iter().any(deletes))
    }

    /// Notes what was answered.
    fn done(&mut self, wish: &Wish, answer: &Value) {
        self.notes.answered.send_modify(|count| *count += 1);
        let waited = wish.since.elapsed().max(self.notes.longest_wait.get());
        self.notes.longest_wait.set(waited);
        let mut history = self.notes.history.borrow_mut();
        let chat = chat_name(&self.place.user, &wish.chat);
        let (id, time) = (answer["messageId"].as_u64(), answer["timestamp"].as_u64());
        match wish.kind {
            "new" => {
                let (id, time) = (id.unwrap(), time.unwrap());
                history.sends[wish.send.unwrap()].answer = Some((id, time));
                self.own.entry(wish.chat.clone()).or_default().push(id);
                let highest = self.highest.entry(wish.chat.clone()).or_insert(0);
                *highest = id.max(*highest);
            }
            "edit" | "delete" => {
                let to = wish.payload["message"].as_str().map(str::to_owned);
                history.changes.push(Changed {
                    chat,
                    message: id.unwrap(),
                    to,
                });
            }
            "read" | "dlvrd" => {
                let (user, read) = (self.place.user.clone(), wish.kind == "read");
                history.marks.push(Marked {
                    chat,
                    user,
                    read,
                    message: id.unwrap(),
                    time: time.unwrap(),
                });
            }
            _ => {
                let stored = answer.as_array().unwrap().iter();
                let stored = stored.map(|message| observe::stored(&self.place.user, &wish.chat, message));
                for message in stored {
                    for (user, (delivered, read)) in message.marks {
                        for (is_read, time) in [(false, delivered), (true, read)] {
                            let (chat, user) = (chat.clone(), user.clone());
                            let mark = |time| Marked {
                                chat,
                                user,
                                read: is_read,
                                message: message.id,
                                time,
                            };
                            history.glimpses.extend(time.map(mark));
                        }
                    }
                }
            }
        }
    }

    /// Puts a few wishes into the outbox; at most one changes any one message.
    fn wish(&mut self) {
        let mut changed = BTreeSet::new();
        for _ in 0..self.rng.random_range(1..6) {
            let chat = self.chats[self.rng.random_range(0..self.chats.len())].clone();
            let dice = self.rng.random_range(0..100);
            match dice {
                0..20 => self.wish_change(&chat, dice < 6, &mut changed),
                20..40 => self.wish_mark(&chat, dice < 30),
                40..45 => self.push("messages", &chat, json!({"chatId": chat, "count": 40}), None),
                _ => {
                    self.counter += 1;
                    let text = format!("{} {}", self.place.user, self.counter);
                    self.wish_new(&chat, text);
                }
            }
        }
    }

    fn wish_new(&mut self, chat: &str, text: String) {
        let client_id = format!("{}-{}", self.place.user, text);
        let payload = json!({"chatId": chat, "message": text, "clientMessageId": client_id});
        let (sender, place) = (self.place.user.clone(), self.notes.history.borrow().sends.len());
        let sent = Sent {
            chat: chat_name(&sender, chat),
            sender,
            client_id,
            answer: None,
            text,
        };
        self.notes.history.borrow_mut().sends.push(sent);
        self.push("new", chat, payload, Some(place));
    }

    fn wish_change(&mut self, chat: &str, delete: bool, changed: &mut BTreeSet<(String, u64)>) {
        let Some(own) = self.own.get_mut(chat).filter(|own| !own.is_empty()) else {
            return;
        };
        let at = self.rng.random_range(0..own.len());
        let id = own[at];
        if !changed.insert((chat.to_owned(), id)) {
            return;
        }
        if delete {
            own.swap_remove(at);
            self.push("delete", chat, json!({"chatId": chat, "messageId": id}), None);
        } else {
            self.counter += 1;
            let text = format!("edit {}", self.counter);
            self.push(
                "edit",
                chat,
                json!({"chatId": chat, "messageId": id, "message": text}),
                None,
            );
        }
    }

    fn wish_mark(&mut self, chat: &str, read: bool) {
        let Some(highest) = self.highest.get(chat).copied() else {
            return;
        };
        let id = highest.saturating_sub(self.rng.random_range(0..3)).max(1);
        self.push(
            if read { "read" } else { "dlvrd" },
            chat,
            json!({"chatId": chat, "messageId": id}),
            None,
        );
    }

    fn push(&mut self, kind: &'static str, chat: &str, payload: Value, send: Option<usize>) {
        self.outbox.push_back(Wish {
            kind,
            chat: chat.to_owned(),
            payload,
            send,
            since: Instant::now(),
            again: false,
        });
    }

    /// The smaller of two ends their dialog, the first of all ends the group.
    fn wish_the_end(&mut self) {
        for chat in self.chats.clone() {
            let ends = if chat == self.group {
                self.place.user == "ann"
            } else {
                self.place.user < chat
            };
            if ends {
                self.wish_new(&chat, END.to_owned());
            }
        }
    }

    /// The events of the device, and what the user sees of each chat at the end.
    pub(crate) async fn into_observations(mut self) -> (Device, Vec<View>) {
        let mut client = self.client.take().unwrap();
        let mut views = Vec::new();
        let user = self.place.user.clone();
        for chat in &self.chats {
            let mut messages = Vec::new();
            loop {
                let start = messages.len() + 1;
                let page = client
                    .request(
                        "messages",
                        json!({"chatId": chat, "startId": start, "count": 500}),
                    )
                    .await;
                let page = page.as_array().unwrap();
                if page.is_empty() {
                    break;
                }
                messages.extend(page.iter().map(|message| observe::stored(&user, chat, message)));
            }
            let missed = client.request("chat", json!({"chatId": chat})).await["missed"]
                .as_u64()
                .unwrap();
            let list = client.request("chats", json!({})).await;
            let item = list
                .as_array()
                .unwrap()
                .iter()
                .find(|item| item["id"] == *chat)
                .unwrap();
            assert_eq!(
                item.get("missed").and_then(Value::as_u64).unwrap_or(0),
                missed,
                "{item}"
            );
            views.push(View {
                chat: chat_name(&user, chat),
                user: user.clone(),
                missed,
                messages,
            });
        }
        self.place.take(&mut client);
        (self.place.into_device(), views)
    }
}
