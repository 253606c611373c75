//! Who was promised what, and who got it: the judge of every run.
//!
//! It knows each message by a number that the tool gave it, and holds what each connection is told against what every
//! other one was told: event ids of a user without holes, message ids of a chat without holes, one order for all
//! members, one message for one clientMessageId, marks that only rise. It owes each new message to every connection of
//! every member until that has seen it.

mod readback;
mod view;
mod violation;

use std::collections::HashMap;
use std::rc::Rc;

use crate::plan::Plan;
use crate::protocol::EventPayload;

pub(crate) use view::View;
pub(crate) use violation::{Kind, Violation, Violations};

/// A message that was sent. Its number is its place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    pub(crate) chat: u32,
    pub(crate) sender: u32,
    /// 0 until anybody tells it.
    pub(crate) message_id: u32,
    pub(crate) answered: bool,
    /// When it should have been sent, in microseconds of the run; none where the tool had taken its sender away.
    pub(crate) at: Option<u64>,
}

/// How a message was changed.
#[derive(Clone, Copy, Debug, Default)]
struct Change {
    under_way: bool,
    revision: u32,
    deleted: bool,
}

/// How far a member has come.
#[derive(Clone, Copy, Debug, Default)]
struct Reached {
    read: u32,
    sent: u32,
}

#[derive(Debug, Default)]
struct ChatLedger {
    /// By message id: the number of the message and 1; 0 where it is not known yet.
    order: Vec<u32>,
    changes: HashMap<u32, Change>,
    members: HashMap<u32, Reached>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Ledger {
    plan: Rc<Plan>,
    /// Ids of groups, once they are made.
    groups: HashMap<String, u32>,
    group_ids: HashMap<u32, String>,
    chats: Vec<ChatLedger>,
    sends: Vec<Sent>,
    views: Vec<View>,
    owed: u64,
    pub(crate) violations: Violations,
}

impl Ledger {
    pub(crate) fn new(plan: Rc<Plan>) -> Self {
        Self {
            groups: HashMap::new(),
            group_ids: HashMap::new(),
            chats: plan.chats.iter().map(|_| ChatLedger::default()).collect(),
            sends: Vec::new(),
            views: (0..plan.users * plan.devices).map(|_| View::default()).collect(),
            owed: 0,
            violations: Violations::default(),
            plan,
        }
    }

    pub(crate) fn group_made(&mut self, chat: u32, id: String) {
        self.groups.insert(id.clone(), chat);
        self.group_ids.insert(chat, id);
    }

    /// How a user names a chat.
    pub(crate) fn chat_id(&self, chat: u32, user: u32) -> String {
        let group = self.group_ids.get(&chat).cloned();
        group.unwrap_or_else(|| self.plan.user_id(self.plan.other(chat, user)))
    }

    fn chat(&self, id: &str, user: u32) -> Option<u32> {
        match self.groups.get(id) {
            Some(chat) => Some(*chat),
            None => self.plan.dialog(user, self.plan.user(id)?),
        }
    }

    /// A message goes out: its number.
    pub(crate) fn send(&mut self, chat: u32, sender: u32, at: Option<u64>) -> u32 {
        let n = self.sends.len() as u32;
        self.sends.push(Sent {
            chat,
            sender,
            message_id: 0,
            answered: false,
            at,
        });
        n
    }

    pub(crate) fn sent(&self, n: u32) -> Option<&Sent> {
        self.sends.get(n as usize)
    }

    /// The service has answered a `new`.
    pub(crate) fn answered(&mut self, n: u32, message_id: u32) {
        self.placed(n, message_id, "the response");
        let Some(sent) = self.sends.get_mut(n as usize) else {
            return;
        };
        sent.answered = true;
        let (chat, sender) = (sent.chat, sent.sender);
        let reached = self.chats[chat as usize].members.entry(sender).or_default();
        reached.sent = reached.sent.max(message_id);
    }

    /// Somebody says which message of its chat number `n` is. The first time it is owed to all members; later it must be
    /// the same.
    fn placed(&mut self, n: u32, message_id: u32, by: &str) {
        let Some(sent) = self.sends.get_mut(n as usize) else {
            let detail = format!("{by} names message {n} of this run, which was never sent");
            return self.violations.add(Kind::Duplicate, String::new(), detail);
        };
        let (chat, before) = (sent.chat, sent.message_id);
        if before == message_id {
            return;
        }
        if before != 0 {
            let detail = format!("message {n} is {before} and, by {by}, {message_id}");
            return self.violate(Kind::Duplicate, chat, detail);
        }
        sent.message_id = message_id;
        let order = &mut self.chats[chat as usize].order;
        let place = (message_id as usize).saturating_sub(1);
        if order.len() <= place {
            order.resize(place + 1, 0);
        }
        let taken = std::mem::replace(&mut order[place], n + 1);
        if taken != 0 {
            let detail = format!(
                "id {message_id} is message {} and, by {by}, message {n}",
                taken - 1
            );
            return self.violate(Kind::Order, chat, detail);
        }
        self.owe(chat);
    }

    fn owe(&mut self, chat: u32) {
        for user in &self.plan.chats[chat as usize].members {
            for device in self.plan.devices_of(*user) {
                self.views[device as usize].owed += 1;
                self.owed += 1;
            }
        }
    }

    /// Deliveries that are still to come.
    pub(crate) fn owed(&self) -> u64 {
        self.owed
    }

    pub(crate) fn view(&self, device: u32) -> &View {
        &self.views[device as usize]
    }

    pub(crate) fn view_mut(&mut self, device: u32) -> &mut View {
        &mut self.views[device as usize]
    }

    /// A durable event came to a connection: the message of a `new`, where it is the first time that it is told there.
    pub(crate) fn told(
        &mut self,
        device: u32,
        id: u64,
        kind: &str,
        payload: Option<&EventPayload<'_>>,
    ) -> Option<u32> {
        let user = device / self.plan.devices;
        match self.views[device as usize].next(id) {
            view::Next::Right => {}
            view::Next::Again => return None,
            view::Next::Twice(last) => {
                let detail = format!("event {id} came again on one connection, after {last}");
                self.violate_user(Kind::Duplicate, user, detail);
                return None;
            }
            view::Next::Hole(last) => {
                let detail = format!("event {id} came after {last}");
                self.violate_user(Kind::EventHole, user, detail);
            }
        }
        let payload = payload?;
        let Some(chat) = self.chat(&payload.chat_id, user) else {
            let detail = format!(
                "event {id} is of chat {}, which is none of this user's",
                payload.chat_id
            );
            self.violate_user(Kind::Stranger, user, detail);
            return None;
        };
        match kind {
            "new" => return self.told_new(device, chat, payload),
            "read" | "dlvrd" => self.told_mark(device, chat, kind, payload),
            _ => {}
        }
        None
    }

    fn told_new(&mut self, device: u32, chat: u32, payload: &EventPayload<'_>) -> Option<u32> {
        let id = payload.message_id;
        let view = &mut self.views[device as usize];
        let last = view.chats.insert(chat, id).unwrap_or(0);
        if id != last + 1 {
            let user = self.plan.user_id(device / self.plan.devices);
            let kind = if id > last { Kind::MessageHole } else { Kind::Order };
            self.violate(
                kind,
                chat,
                format!("{user} was told of message {id} after {last}"),
            );
        }
        let n = payload
            .client_message_id
            .as_deref()
            .and_then(|own| own.parse().ok());
        let Some(n) = n else {
            self.violate(
                Kind::Stranger,
                chat,
                format!("message {id} carries no number of this run"),
            );
            return None;
        };
        self.placed(n, id, "an event");
        let view = &mut self.views[device as usize];
        view.seen += 1;
        // A message that is told twice under two ids is a violation already; it is owed once.
        if view.owed > 0 {
            view.owed -= 1;
            self.owed -= 1;
        }
        Some(n)
    }

    fn told_mark(&mut self, device: u32, chat: u32, kind: &str, payload: &EventPayload<'_>) {
        let Some(by) = self.plan.user(&payload.user_id) else {
            return;
        };
        let view = &mut self.views[device as usize];
        let last = view.marks.entry((chat, by, kind == "read")).or_default();
        let before = std::mem::replace(last, payload.message_id.max(*last));
        if payload.message_id < before {
            let detail = format!(
                "{kind} of {} went from {before} to {}",
                payload.user_id, payload.message_id
            );
            self.violate(Kind::MarkWentBack, chat, detail);
        }
    }

    /// The last message of a chat that a connection was told of.
    pub(crate) fn last_seen(&self, device: u32, chat: u32) -> u32 {
        self.views[device as usize].chats.get(&chat).copied().unwrap_or(0)
    }

    /// A `read` was answered.
    pub(crate) fn read(&mut self, chat: u32, user: u32, message_id: u32) {
        let reached = self.chats[chat as usize].members.entry(user).or_default();
        reached.read = reached.read.max(message_id);
    }

    /// A message may be changed now, and is until [`Ledger::changed`]: the revision it will have. None where it is being
    /// changed, deleted, or not answered.
    pub(crate) fn change(&mut self, n: u32) -> Option<(u32, u32)> {
        let sent = self.sends.get(n as usize).filter(|sent| sent.answered)?;
        let changes = &mut self.chats[sent.chat as usize].changes;
        let change = changes.entry(sent.message_id).or_default();
        if change.under_way || change.deleted {
            return None;
        }
        change.under_way = true;
        Some((sent.message_id, change.revision + 1))
    }

    /// A change was answered.
    pub(crate) fn changed(&mut self, n: u32, deleted: bool) {
        let Some(sent) = self.sends.get(n as usize) else {
            return;
        };
        let change = self.chats[sent.chat as usize]
            .changes
            .entry(sent.message_id)
            .or_default();
        change.under_way = false;
        change.deleted |= deleted;
        change.revision += u32::from(!deleted);
    }

    fn violate(&mut self, kind: Kind, chat: u32, detail: String) {
        let members = &self.plan.chats[chat as usize].members;
        let id = match (self.group_ids.get(&chat), &members[..]) {
            (Some(id), _) => id.clone(),
            (None, [one, other]) => format!("{} with {}", self.plan.user_id(*one), self.plan.user_id(*other)),
            (None, _) => format!("number {chat} of the plan"),
        };
        self.violations.add(kind, id, detail);
    }

    fn violate_user(&mut self, kind: Kind, user: u32, detail: String) {
        self.violations.add(kind, self.plan.user_id(user), detail);
    }
}
