//! Who was promised what, and who got it: the judge of every run.
//!
//! It knows each message by a number that the tool gave it, and holds what each connection is told against what every
//! other one was told: event ids of a user without holes, message ids of a chat without holes, one order for all
//! members, one message for one clientMessageId, the text and sender that were sent, marks that somebody asked for and
//! that only rise. It owes each new message, edit and deletion to every connection of every member until that has seen it.

mod changes;
mod events;
mod lists;
mod marks;
mod missing;
mod readback;
mod view;
mod violation;

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::time::Instant;

use crate::plan::Plan;
use changes::{Change, Deed, Untold};
use marks::Reached;

pub(crate) use view::View;
pub(crate) use violation::{Kind, Violation, Violations};

/// A message that was sent. Its number is its place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    pub(crate) chat: u32,
    pub(crate) sender: u32,
    /// 0 until anybody tells it.
    pub(crate) message_id: u32,
    /// How long its text is. With the number this is all of it: texts are made, and need not be kept.
    bytes: u16,
    pub(crate) answered: bool,
    /// For good: it is not there, and will not be.
    refused: bool,
    /// When it should have been sent, in microseconds of the run; none where the tool had taken its sender away.
    pub(crate) at: Option<u64>,
}

#[derive(Debug, Default)]
struct ChatLedger {
    /// By message id: the number of the message and 1; 0 where it is not known yet.
    order: Vec<u32>,
    /// Messages that were sent here: no id can be above.
    sent: u32,
    /// Those of them that have no answer.
    open: u32,
    /// When a message or a `read` was last answered: lists that were asked for before may be older.
    answered_at: Option<Instant>,
    changes: HashMap<u32, Change>,
    members: HashMap<u32, Reached>,
    /// By the id of a message that nobody knows yet: those who must have sent it, for somebody was told of the mark that
    /// comes with sending.
    claims: HashMap<u32, Vec<u32>>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Ledger {
    plan: Rc<Plan>,
    /// How long the text of an edited message is.
    edited_bytes: u32,
    /// Ids of groups, once they are made.
    groups: HashMap<String, u32>,
    group_ids: HashMap<u32, String>,
    /// How many groups there will be.
    planned_groups: usize,
    chats: Vec<ChatLedger>,
    sends: Vec<Sent>,
    views: Vec<View>,
    /// Edits and deletions that not every member has been told of, by chat and message.
    untold: BTreeMap<(u32, u32, Deed), Untold>,
    owed: u64,
    heard: u64,
    pub(crate) violations: Violations,
}

impl Ledger {
    pub(crate) fn new(plan: Rc<Plan>, edited_bytes: u32) -> Self {
        Self {
            edited_bytes,
            groups: HashMap::new(),
            group_ids: HashMap::new(),
            planned_groups: plan.chats.iter().filter(|chat| chat.group).count(),
            chats: plan.chats.iter().map(|_| ChatLedger::default()).collect(),
            sends: Vec::new(),
            views: (0..plan.users * plan.devices).map(|_| View::default()).collect(),
            untold: BTreeMap::new(),
            owed: 0,
            heard: 0,
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

    /// The chat that a user names so. None where it is none of the user's.
    fn chat(&self, id: &str, user: u32) -> Option<u32> {
        match self.groups.get(id) {
            // The chats of a user are in the order of their numbers.
            Some(chat) => self.plan.of_user[user as usize]
                .binary_search(chat)
                .is_ok()
                .then_some(*chat),
            None => self.plan.dialog(user, self.plan.user(id)?),
        }
    }

    /// A message of so many bytes goes out: its number.
    pub(crate) fn send(&mut self, chat: u32, sender: u32, bytes: u32, at: Option<u64>) -> u32 {
        let n = self.sends.len() as u32;
        self.sends.push(Sent {
            chat,
            sender,
            message_id: 0,
            bytes: bytes as u16,
            answered: false,
            refused: false,
            at,
        });
        let chat = &mut self.chats[chat as usize];
        chat.sent += 1;
        chat.open += 1;
        n
    }

    pub(crate) fn sent(&self, n: u32) -> Option<&Sent> {
        self.sends.get(n as usize)
    }

    /// The service has answered a `new`.
    pub(crate) fn answered(&mut self, n: u32, message_id: u32) {
        let Some(sent) = self.sends.get_mut(n as usize) else {
            return;
        };
        sent.answered = true;
        let (number, sender) = (sent.chat, sent.sender);
        let chat = &mut self.chats[number as usize];
        chat.open -= 1;
        chat.answered_at = Some(Instant::now());
        if self.placed(n, number, message_id, "the response") {
            let members = &mut self.chats[number as usize].members;
            let reached = members.entry(sender).or_default();
            reached.sent = reached.sent.max(message_id);
        }
    }

    /// The service has refused a `new` for good.
    pub(crate) fn refused(&mut self, n: u32) {
        let Some(sent) = self.sends.get_mut(n as usize) else {
            return;
        };
        sent.refused = true;
        let (chat, message_id) = (sent.chat, sent.message_id);
        self.chats[chat as usize].open -= 1;
        if message_id != 0 {
            self.stands_refused(n, chat, message_id);
        }
    }

    fn stands_refused(&mut self, n: u32, chat: u32, message_id: u32) {
        let detail = format!("message {n} was refused, and is message {message_id}");
        self.violate(Kind::Refused, chat, detail);
    }

    /// Somebody says which message of which chat number `n` is. The first time it is owed to all members; later it must be
    /// the same. False where it cannot be.
    fn placed(&mut self, n: u32, chat: u32, message_id: u32, by: &str) -> bool {
        let sent = self.sends.get(n as usize).copied();
        let known = sent.filter(|sent| (sent.chat, sent.message_id) == (chat, message_id));
        if known.is_some() {
            return true;
        }
        if let Some((kind, detail)) = self.misplaced(n, sent.as_ref(), chat, message_id, by) {
            self.violate(kind, chat, detail);
            return false;
        }
        self.sends[n as usize].message_id = message_id;
        let order = &mut self.chats[chat as usize].order;
        let place = message_id as usize - 1;
        if order.len() <= place {
            order.resize(place + 1, 0);
        }
        let taken = std::mem::replace(&mut order[place], n + 1);
        if taken != 0 {
            let taken = taken - 1;
            let detail = format!("id {message_id} is message {taken} and, by {by}, message {n}");
            self.violate(Kind::Order, chat, detail);
            return false;
        }
        if self.sends[n as usize].refused {
            self.stands_refused(n, chat, message_id);
        }
        self.owe(chat);
        self.claimed(chat, message_id);
        true
    }

    /// Why a message cannot be there. Ids count from 1 without holes, so none is above the number of messages sent: this
    /// also keeps one false id from making the order as long as it says.
    fn misplaced(
        &self,
        n: u32,
        sent: Option<&Sent>,
        chat: u32,
        message_id: u32,
        by: &str,
    ) -> Option<(Kind, String)> {
        let Some(sent) = sent else {
            let detail = format!("{by} names message {n} of this run, which was never sent");
            return Some((Kind::Stranger, detail));
        };
        if sent.chat != chat {
            let there = self.name(sent.chat);
            let detail =
                format!("message {n} was sent to {there} and is, by {by}, {message_id} of this chat");
            return Some((Kind::Stranger, detail));
        }
        let most = self.chats[chat as usize].sent;
        if !(1..=most).contains(&message_id) {
            let detail = format!("message {n} is, by {by}, {message_id}, and {most} were sent to this chat");
            return Some((Kind::MessageHole, detail));
        }
        let before = sent.message_id;
        (before != 0).then(|| {
            let detail = format!("message {n} is {before} and, by {by}, {message_id}");
            (Kind::Duplicate, detail)
        })
    }

    fn owe(&mut self, chat: u32) {
        for user in &self.plan.chats[chat as usize].members {
            for device in self.plan.devices_of(*user) {
                self.views[device as usize].owed += 1;
                self.owed += 1;
            }
        }
    }

    /// Something that was owed has come.
    fn pay(&mut self, device: u32) {
        let view = &mut self.views[device as usize];
        // What is told twice under two ids is a violation already; it is owed once.
        if view.owed > 0 {
            view.paid();
            self.owed -= 1;
        }
    }

    /// Deliveries that are still to come.
    pub(crate) fn owed(&self) -> u64 {
        self.owed
    }

    /// Durable events that came, each once for each connection.
    pub(crate) fn heard(&self) -> u64 {
        self.heard
    }

    pub(crate) fn view(&self, device: u32) -> &View {
        &self.views[device as usize]
    }

    pub(crate) fn view_mut(&mut self, device: u32) -> &mut View {
        &mut self.views[device as usize]
    }

    /// The last message of a chat that a connection was told of.
    pub(crate) fn last_seen(&self, device: u32, chat: u32) -> u32 {
        self.views[device as usize].chats.get(&chat).copied().unwrap_or(0)
    }

    /// The number of the message that has an id in a chat, where it is known.
    fn number(&self, chat: u32, message_id: u32) -> Option<u32> {
        let place = (message_id as usize).checked_sub(1)?;
        self.chats[chat as usize].order.get(place)?.checked_sub(1)
    }

    /// Something came that cannot be read as what the protocol says it is.
    pub(crate) fn unreadable(&mut self, user: u32, what: &str, error: &str, text: &str) {
        let start: String = text.chars().take(200).collect();
        self.violate_user(Kind::Unreadable, user, format!("{what}: {error}: {start}"));
    }

    /// A chat, for whoever reads the violations.
    fn name(&self, chat: u32) -> String {
        let members = &self.plan.chats[chat as usize].members;
        match (self.group_ids.get(&chat), &members[..]) {
            (Some(id), _) => id.clone(),
            (None, [one, other]) => format!("{} with {}", self.plan.user_id(*one), self.plan.user_id(*other)),
            (None, _) => format!("number {chat} of the plan"),
        }
    }

    fn violate(&mut self, kind: Kind, chat: u32, detail: String) {
        self.violations.add(kind, self.name(chat), detail);
    }

    fn violate_user(&mut self, kind: Kind, user: u32, detail: String) {
        self.violations.add(kind, self.plan.user_id(user), detail);
    }
}
