//! Which rows are read together, and in which order.

use confab_chat::limits::BUCKET_MESSAGES;
use confab_chat::{ActorKey, ChatKey, UserId};
use confab_store::{Key, Range, Record};

/// What rows are scanned by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Run {
    Messages(ChatKey),
    Marks(ChatKey),
    Memberships(UserId),
    State(ActorKey),
    Inbox(UserId),
    Cursors(UserId),
    /// A row that is only read by itself.
    One(Key),
}

impl Run {
    /// Where a row stands.
    pub(super) fn of(key: &Key) -> Self {
        match key {
            Key::Message(chat, _) => Self::Messages(chat.clone()),
            Key::Mark(chat, ..) => Self::Marks(chat.clone()),
            Key::Membership(user, _) => Self::Memberships(user.clone()),
            Key::State(actor, _) => Self::State(actor.clone()),
            Key::Inbox(user, _) => Self::Inbox(user.clone()),
            Key::Cursor(user, _) => Self::Cursors(user.clone()),
            Key::ClientId(..)
            | Key::Head(_)
            | Key::Roster(_)
            | Key::User(_)
            | Key::Checkpoint(_)
            | Key::Reach(_) => Self::One(key.clone()),
        }
    }
}

/// What is read.
#[derive(Clone, Debug)]
pub(super) enum Wanted {
    One(Key),
    Run(Range),
}

impl Wanted {
    pub(super) fn run(&self) -> Run {
        match self {
            Self::One(key) => Run::of(key),
            Self::Run(Range::Messages { chat, .. }) => Run::Messages(chat.clone()),
            Self::Run(Range::Marks { chat, .. } | Range::AllMarks { chat, .. }) => Run::Marks(chat.clone()),
            Self::Run(Range::Memberships(user)) => Run::Memberships(user.clone()),
            Self::Run(Range::State(actor)) => Run::State(actor.clone()),
            Self::Run(Range::Inbox { user, .. }) => Run::Inbox(user.clone()),
            Self::Run(Range::Cursors(user)) => Run::Cursors(user.clone()),
        }
    }

    /// Whether a row of that run is among them.
    pub(super) fn holds(&self, key: &Key) -> bool {
        match (self, key) {
            (Self::One(one), key) => one == key,
            (Self::Run(Range::Messages { from, to, .. } | Range::Inbox { from, to, .. }), key) => match key {
                Key::Message(_, id) | Key::Inbox(_, id) => (from..=to).contains(&id),
                _ => false,
            },
            (
                Self::Run(Range::Marks {
                    user, kind, from, to, ..
                }),
                Key::Mark(_, by, of, up_to),
            ) => (by, of) == (user, kind) && (from..=to).contains(&up_to),
            (Self::Run(Range::AllMarks { from, to, .. }), Key::Mark(_, _, _, up_to)) => {
                (from..=to).contains(&up_to)
            }
            (Self::Run(Range::Memberships(_) | Range::State(_) | Range::Cursors(_)), _) => true,
            (Self::Run(_), _) => false,
        }
    }

    /// Puts rows in the order of their range.
    pub(super) fn sort(&self, records: &mut [Record]) {
        if matches!(self, Self::Run(Range::AllMarks { .. })) {
            records.sort_by_key(|record| match &record.key {
                Key::Mark(_, user, kind, up_to) => {
                    Some((up_to / BUCKET_MESSAGES, user.clone(), *kind, *up_to))
                }
                _ => None,
            });
        }
    }
}
