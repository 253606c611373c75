//! Entries of any kind, applied to chats and mailboxes, which keep their promises whatever comes.

use std::collections::BTreeMap;
use std::sync::Arc;

use confab_chat::conversation::{self, Facts, Input, Need};
use confab_chat::mailbox::{self, At, Incoming};
use confab_chat::row::{ClientIdRow, MarkKind, MessageRow, Row};
use confab_chat::{ChatKey, Command, EntryId, Timestamp, UserId};
use confab_proto::message::{DeliverItem, EntryBody};

use crate::entries::unpack;

/// The rows of one chat that it looks up.
#[derive(Default)]
struct Rows {
    messages: BTreeMap<u64, MessageRow>,
    client_ids: BTreeMap<(UserId, Arc<str>), ClientIdRow>,
    marks: BTreeMap<(UserId, MarkKind, u64), Timestamp>,
}

impl Rows {
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
                Need::Marks { user, at, .. } => {
                    let from = |kind| self.from(user, kind, *at);
                    facts.marks.read_from = from(MarkKind::Read);
                    facts.marks.delivered_from = from(MarkKind::Delivered);
                }
            }
        }
        facts
    }

    fn from(&self, user: &UserId, kind: MarkKind, at: u64) -> Option<(u64, Timestamp)> {
        let ends = (user.clone(), kind, at)..=(user.clone(), kind, u64::MAX);
        let first = self.marks.range(ends).next();
        first.map(|((_, _, up_to), time)| (*up_to, *time))
    }

    fn note(&mut self, row: Row) {
        match row {
            Row::Message(row) => {
                self.messages.insert(row.message_id, row);
            }
            Row::ClientId {
                sender,
                client_message_id,
                row,
            } => {
                let known = self.client_ids.insert((sender, client_message_id), row);
                assert!(known.is_none(), "a clientMessageId stands for two messages");
            }
            Row::Mark {
                user,
                kind,
                up_to,
                at,
            } => {
                let known = self.marks.insert((user, kind, up_to), at);
                assert!(
                    known.is_none_or(|known| known == at),
                    "the first time of a mark stands"
                );
            }
            Row::Head(_) | Row::Roster(_) | Row::Membership { .. } => {}
        }
    }
}

/// All actors that entries have named.
#[derive(Default)]
struct Actors {
    chats: BTreeMap<ChatKey, (conversation::State, Rows)>,
    mailboxes: BTreeMap<UserId, mailbox::State>,
}

/// Entries one after the other, in the form that [`unpack`] reads: message ids have no holes, events are numbered one by
/// one, time does not go back, and a copy of an entry changes nothing.
///
/// # Panics
/// Where a promise is broken.
pub fn apply(bytes: &[u8]) {
    let mut actors = Actors::default();
    for (seq, entry) in (1..).zip(unpack(bytes)) {
        let time = Timestamp(1_700_000_000_000 + seq * 7 % 50);
        let at = At { epoch: 1, seq, time };
        match &entry.body {
            EntryBody::Command(command) => actors.command(at, &entry.id, command),
            EntryBody::Deliver(items) => items.iter().for_each(|item| actors.deliver(at, item)),
            EntryBody::Enroll(enroll) => {
                let state = actors.mailbox(&enroll.user);
                let (_, cursor) = mailbox::enroll(state, at, enroll.after);
                assert!(cursor <= state.head.last, "a cursor beyond the last event");
            }
            EntryBody::SetLogic(_) | EntryBody::Restored(_) => {}
        }
    }
}

impl Actors {
    fn mailbox(&mut self, user: &UserId) -> &mut mailbox::State {
        let state = self.mailboxes.entry(user.clone());
        state.or_insert_with(|| mailbox::State::new(user.clone()))
    }

    fn command(&mut self, at: At, id: &EntryId, command: &Command) {
        let chat = self.chats.entry(command.chat.clone());
        let (state, rows) =
            chat.or_insert_with(|| (conversation::State::new(command.chat.clone()), Rows::default()));
        let input = Input {
            id,
            epoch: at.epoch,
            seq: at.seq,
            time: at.time,
            command,
        };
        let (before, was_repeat) = (state.clone(), state.head.recent.contains(id));
        let facts = rows.facts(&conversation::needs(state, id, command));
        let mut twin = before.clone();
        let effects = conversation::apply(state, input, &facts);
        assert_eq!(
            conversation::apply(&mut twin, input, &facts),
            effects,
            "the same entry, the same effects"
        );
        assert_eq!(&twin, state, "the same entry, the same state");
        assert_eq!(state.head.version, before.head.version + 1, "every entry counts");
        assert!(state.head.time >= before.head.time, "time goes back");
        assert!(
            (before.head.last_id..=before.head.last_id + 1).contains(&state.head.last_id),
            "message ids have holes"
        );
        assert!(!was_repeat || effects.rows.is_empty(), "a copy changes something");
        effects.rows.into_iter().for_each(|row| rows.note(row));
    }

    fn deliver(&mut self, at: At, item: &DeliverItem) {
        for user in &item.to {
            let state = self.mailbox(user);
            let last = state.head.last;
            let incoming = [Incoming {
                chat: &item.chat,
                version: item.version,
                events: &item.events,
            }];
            let effects = mailbox::deliver(state, at, &incoming);
            let ids = effects.events.iter().map(|(id, _)| *id);
            assert!(
                ids.eq(last + 1..=state.head.last),
                "events are not numbered one by one"
            );
            let again = mailbox::deliver(state, at, &incoming);
            assert!(again.events.is_empty(), "a repeat is taken");
        }
    }
}
