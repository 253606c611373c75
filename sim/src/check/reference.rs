//! One straight pass over every log, from nothing: what the actors made of it, without crashes, second owners or caches.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;
use confab_chat::conversation::{self, Facts, Input, MarkFacts, Need};
use confab_chat::mailbox::{self, At, Incoming};
use confab_chat::row::{ClientIdRow, MarkKind, MessageRow, Row};
use confab_chat::{
    ChatKey, Command, Event, GatewayId, Op, Rejection, Reply, RequestId, SessionId, Timestamp, UserId,
};
use confab_proto::message::{DeliverItem, EntryBody, Logged};
use confab_proto::row::InboxRow;
use confab_proto::wire::Wire;
use confab_store::Key;

use super::Finals;

/// Whose answer it is.
type Asked = (GatewayId, SessionId, RequestId);

/// What one chat sent to one user: its version, and the events of that version.
pub(super) type Sent = (u64, Vec<Arc<Event>>);

/// What a straight pass gives.
#[derive(Debug, Default)]
pub(super) struct Reference {
    pub(super) chats: BTreeMap<ChatKey, conversation::State>,
    pub(super) mailboxes: BTreeMap<UserId, mailbox::State>,
    /// The rows of chats and mailboxes, with their timestamps.
    pub(super) rows: BTreeMap<Key, (u64, Bytes)>,
    /// What each chat sent to each user, in order.
    pub(super) sent: BTreeMap<(UserId, ChatKey), Vec<Sent>>,
    /// Every answer, one a copy of the entry that is answered.
    pub(super) replies: BTreeMap<Asked, Vec<Result<Reply, Rejection>>>,
    /// Who ever was a member of a group.
    pub(super) members: BTreeSet<(ChatKey, UserId)>,
    facts: BTreeMap<ChatKey, Known>,
}

/// The rows of one chat that it looks up.
#[derive(Debug, Default)]
struct Known {
    messages: BTreeMap<u64, MessageRow>,
    client_ids: BTreeMap<(UserId, Arc<str>), ClientIdRow>,
    marks: BTreeMap<(UserId, MarkKind, u64), Timestamp>,
}

impl Known {
    fn facts(&self, needs: &[Need]) -> Facts {
        let mut facts = Facts::default();
        for need in needs {
            match need {
                Need::ClientId {
                    sender,
                    client_message_id,
                    ..
                } => {
                    let key = (sender.clone(), client_message_id.clone());
                    facts.client_id = self.client_ids.get(&key).copied();
                }
                Need::Message(id) => facts.messages.extend(self.messages.get(id).cloned()),
                Need::Marks { user, at, .. } => facts.marks = self.marks_around(user, *at),
            }
        }
        facts
    }

    fn marks_around(&self, user: &UserId, at: u64) -> MarkFacts {
        let from = |kind| {
            let ends = (user.clone(), kind, at)..=(user.clone(), kind, u64::MAX);
            let first = self.marks.range(ends).next();
            first.map(|((_, _, up_to), time)| (*up_to, *time))
        };
        let below = |kind| {
            let ends = (user.clone(), kind, 0)..(user.clone(), kind, at);
            let last = self.marks.range(ends).next_back();
            last.map(|((_, _, up_to), time)| (*up_to, *time))
        };
        MarkFacts {
            read_from: from(MarkKind::Read),
            read_below: below(MarkKind::Read),
            delivered_from: from(MarkKind::Delivered),
            delivered_below: below(MarkKind::Delivered),
        }
    }

    fn note(&mut self, row: &Row) {
        match row {
            Row::Message(row) => {
                self.messages.insert(row.message_id, row.clone());
            }
            Row::ClientId {
                sender,
                client_message_id,
                row,
            } => {
                let key = (sender.clone(), client_message_id.clone());
                self.client_ids.insert(key, *row);
            }
            Row::Mark {
                user,
                kind,
                up_to,
                at,
            } => {
                self.marks.entry((user.clone(), *kind, *up_to)).or_insert(*at);
            }
            Row::Head(_) | Row::Roster(_) | Row::Membership { .. } => {}
        }
    }
}

impl Reference {
    pub(super) fn of(finals: &Finals) -> Self {
        let mut reference = Self::default();
        for era in &finals.eras {
            for logged in &era.entries {
                match &logged.entry.body {
                    EntryBody::Command(command) => reference.command(era.epoch, logged, command),
                    EntryBody::Deliver(items) => reference.deliver(era.epoch, logged, items),
                    EntryBody::Enroll(enroll) => {
                        let at = at(era.epoch, logged);
                        let state = reference.mailbox(&enroll.user);
                        mailbox::enroll(state, at, enroll.after);
                    }
                    EntryBody::SetLogic(_) | EntryBody::Restored(_) => {}
                }
            }
        }
        reference
    }

    fn mailbox(&mut self, user: &UserId) -> &mut mailbox::State {
        let state = self.mailboxes.entry(user.clone());
        state.or_insert_with(|| mailbox::State::new(user.clone()))
    }

    fn command(&mut self, epoch: u32, logged: &Logged, command: &Command) {
        let chat = &command.chat;
        let state = self.chats.entry(chat.clone());
        let state = state.or_insert_with(|| conversation::State::new(chat.clone()));
        let known = self.facts.entry(chat.clone()).or_default();
        let input = Input {
            id: &logged.entry.id,
            epoch,
            seq: logged.seq,
            time: logged.time,
            command,
        };
        let facts = known.facts(&conversation::needs(state, &logged.entry.id, command));
        let tasted = catch_unwind(AssertUnwindSafe(|| taste(command)));
        let effects = match tasted {
            Ok(()) => conversation::apply(state, input, &facts),
            Err(_) => conversation::apply_panicked(state, input),
        };
        for (user, member) in &state.members {
            if member.role.is_some() {
                self.members.insert((chat.clone(), user.clone()));
            }
        }
        for row in effects.rows {
            known.note(&row);
            let (key, value) = key_and_value(chat, row);
            self.rows.insert(key, (effects.version, value));
        }
        if let Some(reply) = effects.reply {
            let origin = &command.origin;
            let asked = (origin.gateway.clone(), origin.session, origin.request);
            self.replies.entry(asked).or_default().push(reply);
        }
        for delivery in effects.deliveries {
            for user in delivery.to {
                let sent = self.sent.entry((user, chat.clone())).or_default();
                sent.push((effects.version, delivery.events.to_vec()));
            }
        }
    }

    fn deliver(&mut self, epoch: u32, logged: &Logged, items: &[DeliverItem]) {
        let mut by_user: BTreeMap<&UserId, Vec<&DeliverItem>> = BTreeMap::new();
        for item in items {
            for user in &item.to {
                by_user.entry(user).or_default().push(item);
            }
        }
        for (user, items) in by_user {
            let incoming: Vec<_> = items
                .iter()
                .map(|item| Incoming {
                    chat: &item.chat,
                    version: item.version,
                    events: &item.events,
                })
                .collect();
            let effects = mailbox::deliver(self.mailbox(user), at(epoch, logged), &incoming);
            let mut events = effects.events.into_iter();
            for item in effects.fresh.iter().filter_map(|place| items.get(*place)) {
                let mut rest = u32::try_from(item.events.len()).unwrap_or(u32::MAX);
                for (id, event) in events.by_ref().take(item.events.len()) {
                    rest = rest.saturating_sub(1);
                    let row = InboxRow {
                        at: effects.at,
                        chat: item.chat.clone(),
                        version: item.version,
                        event,
                        rest,
                    };
                    let key = Key::Inbox(user.clone(), id);
                    self.rows.insert(key, (effects.version, row.encode()));
                }
            }
        }
    }
}

/// Panics where the worker's chat does.
fn taste(command: &Command) {
    if let Op::New { text, .. } = &command.op {
        confab_service::mistake::taste(text);
    }
}

fn at(epoch: u32, logged: &Logged) -> At {
    At {
        epoch,
        seq: logged.seq,
        time: logged.time,
    }
}

fn key_and_value(chat: &ChatKey, row: Row) -> (Key, Bytes) {
    let chat = chat.clone();
    match row {
        Row::Message(row) => (Key::Message(chat, row.message_id), row.encode()),
        Row::ClientId {
            sender,
            client_message_id,
            row,
        } => (Key::ClientId(chat, sender, client_message_id), row.encode()),
        Row::Mark {
            user,
            kind,
            up_to,
            at,
        } => (Key::Mark(chat, user, kind, up_to), at.encode()),
        Row::Head(row) => (Key::Head(chat), row.encode()),
        Row::Roster(row) => (Key::Roster(chat), row.encode()),
        Row::Membership { user, row } => (Key::Membership(user, chat), row.encode()),
    }
}
