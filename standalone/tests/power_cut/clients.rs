//! Clients of an in-process service: they send commands and hear answers and events, without a socket between.

use std::collections::{BTreeMap, HashMap, VecDeque};

use confab_bus::{Bus, GatewayEnd};
use confab_chat::{
    ActorKey, ChatKey, ChatKind, Command, DeviceId, EntryId, Op, Origin, Reply, RequestId, SessionId, UserId,
};
use confab_proto::message::{
    Attach, AttachFrom, Attached, DeliveryBody, EntryBody, LogEntry, MailboxEvent, Profile, Signal, ToGateway,
};
use rand::Rng;
use rand::rngs::StdRng;

use crate::look::{name, observed, view};
use crate::support::checker::{Changed, Device, Event, History, Marked, Sent, What};
use crate::{Service, gateway};

/// Commands that a user has under way at a time.
const AT_ONCE: usize = 8;

/// Something asked and not answered yet.
#[derive(Clone, Debug)]
struct Wish {
    user: UserId,
    chat: ChatKey,
    op: Op,
    /// Its place among the history's sends.
    send: Option<usize>,
}

/// A user's one device.
struct Mailbox {
    user: UserId,
    connections: Vec<Vec<Event>>,
    /// The last event processed.
    last: u64,
    session: SessionId,
}

pub(crate) struct Clients {
    rng: StdRng,
    history: History,
    mailboxes: Vec<Mailbox>,
    chats: Vec<(ChatKey, Vec<UserId>)>,
    asked: HashMap<u64, Wish>,
    again: VecDeque<Wish>,
    /// Messages of each sender and chat that are not deleted.
    own: BTreeMap<(UserId, ChatKey), Vec<u64>>,
    highest: BTreeMap<ChatKey, u64>,
    counter: u64,
    answered: u64,
}

fn user(name: &str) -> UserId {
    UserId::parse(name).unwrap()
}

impl Clients {
    pub(crate) fn new(rng: StdRng) -> Self {
        let users = ["ann", "ben", "cat"].map(user);
        let group = ChatKey::group(&users[0], "all");
        let mut chats = vec![(group.clone(), users.to_vec())];
        for (one, two) in [(0, 1), (0, 2), (1, 2)] {
            let (one, two) = (users[one].clone(), users[two].clone());
            chats.push((ChatKey::dialog(&one, &two), vec![one, two]));
        }
        let op = Op::CreateChat {
            kind: ChatKind::Group,
            name: "All".to_owned(),
            participants: users.to_vec(),
            photo_url: None,
            history_all: false,
        };
        let creation = Wish {
            user: users[0].clone(),
            chat: group,
            op,
            send: None,
        };
        let mailbox = |user| Mailbox {
            user,
            connections: Vec::new(),
            last: 0,
            session: SessionId(0),
        };
        Self {
            rng,
            history: History::default(),
            mailboxes: users.into_iter().map(mailbox).collect(),
            chats,
            asked: HashMap::new(),
            again: VecDeque::from([creation]),
            own: BTreeMap::new(),
            highest: BTreeMap::new(),
            counter: 0,
            answered: 0,
        }
    }

    fn number(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    /// Attaches every device, and asks again what was not answered.
    pub(crate) async fn connect(&mut self, service: &Service) {
        self.again.extend(self.asked.drain().map(|(_, wish)| wish));
        for n in 0..self.mailboxes.len() {
            let session = SessionId(self.number());
            let mailbox = &mut self.mailboxes[n];
            mailbox.session = session;
            mailbox.connections.push(Vec::new());
            let from = AttachFrom::Cursor {
                last_event_id: Some(mailbox.last),
            };
            attach(service, mailbox, from, false).await;
        }
        while let Some(wish) = self.again.pop_front() {
            self.ask(service, wish).await;
        }
    }

    async fn ask(&mut self, service: &Service, wish: Wish) {
        let request = self.number();
        let origin = Origin {
            gateway: gateway(),
            session: SessionId(1),
            request: RequestId(request),
        };
        let partition = ActorKey::Chat(wish.chat.clone()).partition(service.bus.partitions());
        let command = Command {
            chat: wish.chat.clone(),
            user: wish.user.clone(),
            origin,
            op: wish.op.clone(),
        };
        let id = EntryId(format!("e{request}").into());
        self.asked.insert(request, wish);
        // An append refused after a power cut stays asked, and is asked again.
        let _ = service
            .bus
            .append(
                partition,
                LogEntry {
                    id,
                    body: EntryBody::Command(command),
                },
            )
            .await;
    }

    /// Works until so many answers more have come.
    pub(crate) async fn work(&mut self, service: &mut Service, answers: u64) {
        let target = self.answered + answers;
        while self.answered < target {
            self.ask_more(service).await;
            let message = service.end.deliveries.recv().await.expect("the service is there");
            self.take(Some(service), message).await;
        }
    }

    /// Asks until every user has enough under way.
    pub(crate) async fn ask_more(&mut self, service: &Service) {
        while self.asked.len() < AT_ONCE * self.mailboxes.len() {
            let wish = self.wish();
            self.ask(service, wish).await;
        }
    }

    /// Takes what had been delivered before the power went.
    pub(crate) fn take_what_came(&mut self, mut end: GatewayEnd) {
        while let Ok(message) = end.deliveries.try_recv() {
            // Without a service nothing is asked in return.
            futures_util::future::FutureExt::now_or_never(self.take(None, message)).unwrap();
        }
    }

    async fn take(&mut self, service: Option<&Service>, message: ToGateway) {
        match message.body {
            DeliveryBody::Reply { request, result, .. } => {
                // A repeated copy's answer, or one from before the cut, is nobody's.
                let Some(wish) = self.asked.remove(&request.0) else {
                    return;
                };
                let reply = result.unwrap_or_else(|rejection| panic!("{wish:?}: {rejection:?}"));
                self.answered += 1;
                self.done(&wish, &reply);
            }
            DeliveryBody::Live(events) => self.take_events(service, &message.user, events).await,
            DeliveryBody::Attached(attached) => self.take_attached(service, &message.user, attached).await,
            _ => {}
        }
    }

    async fn take_attached(&mut self, service: Option<&Service>, user: &UserId, attached: Attached) {
        assert_eq!(attached.reset, None, "nothing has expired, nobody is ahead");
        let more = attached.more;
        self.take_events(service, user, attached.events).await;
        let Some(service) = service.filter(|_| more) else {
            return;
        };
        let mailbox = self
            .mailboxes
            .iter_mut()
            .find(|mailbox| mailbox.user == *user)
            .unwrap();
        attach(service, mailbox, AttachFrom::After(mailbox.last), true).await;
    }

    async fn take_events(&mut self, service: Option<&Service>, user: &UserId, events: Vec<MailboxEvent>) {
        let mailbox = self
            .mailboxes
            .iter_mut()
            .find(|mailbox| mailbox.user == *user)
            .unwrap();
        for event in events {
            if event.id > mailbox.last + 1 {
                // A hole: a live event came before what is missed. As a gateway does, attach again.
                if let Some(service) = service {
                    attach(service, mailbox, AttachFrom::After(mailbox.last), true).await;
                }
                return;
            }
            if event.id == mailbox.last + 1 {
                mailbox.last = event.id;
                mailbox.connections.last_mut().unwrap().push(observed(&event));
            }
        }
    }

    fn done(&mut self, wish: &Wish, reply: &Reply) {
        let chat = name(&wish.chat);
        let (id, time) = match reply {
            Reply::Message { message_id, at, .. } | Reply::Read { message_id, at, .. } => {
                (*message_id, at.as_millis())
            }
            Reply::Chat => return,
            other => panic!("{wish:?} was answered {other:?}"),
        };
        let by = wish.user.as_str().to_owned();
        match &wish.op {
            Op::New { .. } => {
                self.history.sends[wish.send.unwrap()].answer = Some((id, time));
                self.own
                    .entry((wish.user.clone(), wish.chat.clone()))
                    .or_default()
                    .push(id);
                let highest = self.highest.entry(wish.chat.clone()).or_insert(0);
                *highest = id.max(*highest);
            }
            Op::Edit { text, .. } => {
                self.history.changes.push(Changed {
                    chat,
                    message: id,
                    to: Some(text.clone()),
                });
                self.own
                    .entry((wish.user.clone(), wish.chat.clone()))
                    .or_default()
                    .push(id);
            }
            Op::Delete { .. } => self.history.changes.push(Changed {
                chat,
                message: id,
                to: None,
            }),
            op => {
                let read = matches!(op, Op::MarkRead { .. });
                self.history.marks.push(Marked {
                    chat,
                    user: by,
                    read,
                    message: id,
                    time,
                });
            }
        }
    }

    fn wish(&mut self) -> Wish {
        let (chat, members) = self.chats[self.rng.random_range(0..self.chats.len())].clone();
        let user = members[self.rng.random_range(0..members.len())].clone();
        let dice = self.rng.random_range(0..100);
        let op = match dice {
            0..20 => self.change(&user, &chat, dice < 6),
            20..40 => self.mark(&chat, dice < 30),
            _ => None,
        };
        match op {
            Some(op) => Wish {
                user,
                chat,
                op,
                send: None,
            },
            None => self.new_message(user, chat),
        }
    }

    /// Takes the message from the own ones until the answer comes: no two changes of one are under way.
    fn change(&mut self, user: &UserId, chat: &ChatKey, delete: bool) -> Option<Op> {
        let own = self
            .own
            .get_mut(&(user.clone(), chat.clone()))
            .filter(|own| !own.is_empty())?;
        let message_id = own.swap_remove(self.rng.random_range(0..own.len()));
        let text = format!("edit {}", self.number());
        Some(if delete {
            Op::Delete { message_id }
        } else {
            Op::Edit {
                message_id,
                text,
                attachments: vec![],
            }
        })
    }

    fn mark(&mut self, chat: &ChatKey, read: bool) -> Option<Op> {
        let highest = self.highest.get(chat).copied()?;
        let message_id = Some(highest.saturating_sub(self.rng.random_range(0..3)).max(1));
        Some(if read {
            Op::MarkRead { message_id }
        } else {
            Op::MarkDelivered { message_id }
        })
    }

    fn new_message(&mut self, user: UserId, chat: ChatKey) -> Wish {
        let text = format!("message {}", self.number());
        let client_id = format!("c{text}");
        let op = Op::New {
            text: text.clone(),
            attachments: vec![],
            reply_to: None,
            client_message_id: Some(client_id.clone()),
        };
        let sender = user.as_str().to_owned();
        self.history.sends.push(Sent {
            chat: name(&chat),
            sender,
            client_id,
            answer: None,
            text,
        });
        Wish {
            user,
            chat,
            op,
            send: Some(self.history.sends.len() - 1),
        }
    }

    /// Waits for every answer, ends every chat, waits until everybody has seen that, and looks at what stands.
    pub(crate) async fn finish(mut self, service: &mut Service) -> History {
        while !self.asked.is_empty() {
            self.hear(service).await;
        }
        let mut last = BTreeMap::new();
        for (chat, members) in self.chats.clone() {
            let wish = self.new_message(members[0].clone(), chat.clone());
            let place = wish.send.unwrap();
            self.ask(service, wish).await;
            while self.history.sends[place].answer.is_none() {
                self.hear(service).await;
            }
            last.insert(name(&chat), self.history.sends[place].answer.unwrap().0);
        }
        while !self.all_seen(&last) {
            self.hear(service).await;
        }
        for (chat, members) in self.chats.clone() {
            for member in members {
                let view = view(service, &chat, &member).await;
                self.history.views.push(view);
            }
        }
        for mailbox in self.mailboxes {
            let (user, name) = (mailbox.user.as_str().to_owned(), "phone".to_owned());
            self.history.devices.push(Device {
                user,
                name,
                connections: mailbox.connections,
            });
        }
        self.history
    }

    async fn hear(&mut self, service: &mut Service) {
        let message = service.end.deliveries.recv().await.expect("the service is there");
        self.take(Some(service), message).await;
    }

    /// Whether every member has seen the last message of every chat.
    fn all_seen(&self, last: &BTreeMap<String, u64>) -> bool {
        self.chats.iter().all(|(chat, members)| {
            members.iter().all(|member| {
                let mailbox = self
                    .mailboxes
                    .iter()
                    .find(|mailbox| mailbox.user == *member)
                    .unwrap();
                let name = name(chat);
                let is_last = |event: &Event| {
                    event.chat == name
                        && matches!(event.what, What::New { message, .. } if message == last[&name])
                };
                mailbox.connections.iter().flatten().any(is_last)
            })
        })
    }
}

async fn attach(service: &Service, mailbox: &Mailbox, from: AttachFrom, repeat: bool) {
    let attach = Attach {
        user: mailbox.user.clone(),
        device: DeviceId::parse("phone").unwrap(),
        gateway: gateway(),
        session: mailbox.session,
        from,
        repeat,
        away: false,
        profile: (!repeat).then(Profile::default),
    };
    let partition = ActorKey::Mailbox(mailbox.user.clone()).partition(service.bus.partitions());
    service.bus.signal(partition, Signal::Attach(attach)).await;
}
