//! Whether the invariants held, from what all clients saw and from what stands in the end.
//!
//! - [`reference`] is one straight pass over the logs: what must stand.
//! - [`tables`] compares it with what stands: nothing lost, no holes, one order, the same bytes (1 to 5, 7).
//! - [`answers`] holds responses against rows: one clientMessageId is one message, marks never go back (1, 2, 5).
//! - [`events`] holds events against inboxes: consecutive from where the device stood, nothing foreign (3, 4, 8).
//! - [`reads`] holds queries against what was known when they were asked (6, 8).
//! - [`epochs`] holds what is numbered after the way back from a lost log against what was before.
//!
//! Where the log itself lost what it had acknowledged there is no straight pass: it stops with an alarm (`chaos`), and
//! nothing is used again. The rest holds even then.

mod answers;
mod epochs;
mod events;
mod reads;
mod reference;
mod tables;

use std::collections::BTreeMap;

use confab_chat::row::{HeadRow, MessageRow};
use confab_chat::{ActorKey, ChatKey, GatewayId, Timestamp, UserId, mailbox};
use confab_proto::message::ToGateway;
use confab_proto::row::InboxRow;
use confab_proto::wire::Wire;
use confab_store::{Key, StatePart};

use crate::bus::Era;
use crate::history::Records;
use crate::plan::Story;
use crate::store::Cell;
use reference::Reference;

/// Of one kind of violation so many are told.
const TOLD: usize = 4;

/// What stands in the end.
#[derive(Debug)]
pub struct Finals {
    /// How many partitions the log has.
    pub partitions: u16,
    /// What the run was about.
    pub story: Story,
    /// The logs.
    pub eras: Vec<Era>,
    /// The rows.
    pub rows: Vec<(Key, Cell)>,
    /// The rows as each two of the replicas have them: whoever reads asks two.
    pub quorums: Vec<Vec<(Key, Cell)>>,
    /// Every answer that was sent, and to which gateway.
    pub replies: Vec<(GatewayId, ToGateway)>,
    /// Whether events expire within a run.
    pub expires: bool,
    /// The time in the end.
    pub now: Timestamp,
}

/// The rows that clients see, decoded.
#[derive(Debug, Default)]
struct Standing {
    messages: BTreeMap<ChatKey, BTreeMap<u64, MessageRow>>,
    inboxes: BTreeMap<UserId, BTreeMap<u64, InboxRow>>,
}

/// What was broken, in words; a few of each kind.
#[derive(Debug, Default)]
struct Broken {
    found: Vec<String>,
    kinds: BTreeMap<&'static str, usize>,
}

impl Broken {
    fn add(&mut self, kind: &'static str, what: std::fmt::Arguments<'_>) {
        let told = self.kinds.entry(kind).or_default();
        *told += 1;
        if *told <= TOLD {
            self.found.push(format!("{kind}: {what}"));
        }
    }
}

/// Every violation, in words.
#[must_use]
pub fn check(records: &Records, finals: &Finals) -> Vec<String> {
    let mut broken = Broken::default();
    let mut standing = Standing::of(finals, &mut broken);
    if finals.story == Story::LostLog {
        standing.leave_out_left_overs(finals);
    }
    let reference = (finals.story == Story::Ordinary).then(|| Reference::of(finals));
    if let Some(reference) = &reference {
        tables::check(reference, finals, &mut broken);
    }
    tables::numbers(&standing, finals, &mut broken);
    answers::check(records, finals, &standing, &mut broken);
    events::check(records, finals, &standing, reference.as_ref(), &mut broken);
    epochs::check(finals, &mut broken);
    reads::check(records, reference.as_ref(), &mut broken);
    broken.found
}

impl Standing {
    fn of(finals: &Finals, broken: &mut Broken) -> Self {
        let mut standing = Self::default();
        for (key, cell) in &finals.rows {
            match key {
                Key::Message(chat, id) => match MessageRow::decode(&cell.value) {
                    Ok(row) => {
                        standing
                            .messages
                            .entry(chat.clone())
                            .or_default()
                            .insert(*id, row);
                    }
                    Err(error) => broken.add("a row cannot be read", format_args!("{key:?}: {error}")),
                },
                Key::Inbox(user, id) => match InboxRow::decode(&cell.value) {
                    Ok(row) => {
                        standing.inboxes.entry(user.clone()).or_default().insert(*id, row);
                    }
                    Err(error) => broken.add("a row cannot be read", format_args!("{key:?}: {error}")),
                },
                _ => {}
            }
        }
        standing
    }

    /// What a lost log has left above the end of a chat or of a mailbox is seen by nobody, and the next that gets the
    /// number takes its place.
    fn leave_out_left_overs(&mut self, finals: &Finals) {
        for (key, cell) in &finals.rows {
            match key {
                Key::Head(chat) => {
                    let last = HeadRow::decode(&cell.value).ok().and_then(|head| head.last);
                    let end = last.map_or(0, |last| last.message_id);
                    let messages = self.messages.get_mut(chat).into_iter();
                    messages.for_each(|messages| messages.retain(|id, _| *id <= end));
                }
                Key::State(ActorKey::Mailbox(user), StatePart::Head) => {
                    let end = mailbox::Head::decode(&cell.value).map_or(u64::MAX, |head| head.last);
                    let events = self.inboxes.get_mut(user).into_iter();
                    events.for_each(|events| {
                        events.retain(|id, _| *id <= end);
                        tables::leave_out_between(events);
                    });
                }
                _ => {}
            }
        }
    }
}

/// A chat as one of its users names it.
fn chat_key(user: &str, name: &str) -> Option<ChatKey> {
    ChatKey::named_by(&UserId::parse(user).ok()?, name).ok()
}
