//! What a chat is restored from: the rows that stand of it, and which of them are needed.

use std::collections::{BTreeMap, BTreeSet};

use super::super::state::State;
use crate::ids::UserId;
use crate::row::{HeadRow, LastMessage, MembershipRow, RosterRow};
use crate::time::Timestamp;

/// A row and the version that wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dated<T> {
    /// The version.
    pub version: u64,
    /// The row.
    pub row: T,
}

/// What stands of a chat.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// The head.
    pub head: Option<HeadRow>,
    /// The roster.
    pub roster: Option<Dated<RosterRow>>,
    /// The memberships of those whom [`Standing::users`] names.
    pub memberships: BTreeMap<UserId, Dated<MembershipRow>>,
    /// Their highest marks above those that the memberships know, of either kind: delivered, read.
    pub marks: BTreeMap<UserId, (u64, u64)>,
    /// From which message on `messages` has all that stand; see [`Standing::messages_from`].
    pub messages_from: u64,
    /// Messages by their number: who sent it, when.
    pub messages: BTreeMap<u64, (UserId, Timestamp)>,
    /// The highest of them.
    pub last: Option<LastMessage>,
}

impl Standing {
    /// Whose memberships are needed, once the roster is known: those who were members at the state, or are by the roster.
    #[must_use]
    pub fn users(&self, before: &State) -> BTreeSet<UserId> {
        let sides = before.key.sides();
        let sides = sides.into_iter().flat_map(|(low, high)| [low, high]);
        let rostered = self.roster.iter().flat_map(|roster| &roster.row.members);
        let current = before.current().map(|(user, _)| user);
        sides.chain(rostered.chain(current).cloned()).collect()
    }

    /// Whether somebody's membership tells of a coming for which the roster does not stand. That coming has not happened,
    /// and neither has what this one then did: only a state in which this one had not left yet finds these rows at all.
    pub(super) fn is_unfounded(&self, user: &UserId) -> bool {
        let (Some(dated), Some(roster)) = (self.memberships.get(user), &self.roster) else {
            return false;
        };
        let named = roster.row.members.contains(user);
        dated.row.role.is_some() && dated.version > roster.version && !named
    }

    /// The highest number that the rows here know of.
    #[must_use]
    pub fn last_id(&self, before: &State) -> u64 {
        let last = |last: &Option<LastMessage>| last.as_ref().map_or(0, |last| last.message_id);
        let known = [
            before.head.last_id,
            self.head.as_ref().map_or(0, |head| last(&head.last)),
            last(&self.last),
        ];
        let founded = |user: &UserId| !self.is_unfounded(user);
        let rows = self.memberships.iter().filter(|(user, _)| founded(user));
        let rows = rows.map(|(_, dated)| {
            let row = &dated.row;
            [
                row.delivered,
                row.read,
                row.last_sent,
                row.joined_at,
                row.hidden_before,
            ]
        });
        let marks = self.marks.iter().filter(|(user, _)| founded(user));
        let marks = marks.map(|(_, (delivered, read))| [*delivered, *read]);
        let all = known.into_iter().chain(rows.flatten()).chain(marks.flatten());
        all.max().unwrap_or(0)
    }

    /// From which message on messages are needed, once head and memberships are known: those after the state's last, and
    /// that one, since it may have changed. All but the last `torn` of those that were made stand, so lower ones need no
    /// look.
    #[must_use]
    pub fn messages_from(&self, before: &State, torn: u64) -> u64 {
        let known = self.last_id(before);
        before.head.last_id.max(known.saturating_sub(torn)).max(1)
    }

    /// The latest time that any row here knows of.
    pub(super) fn time(&self, before: &State) -> Timestamp {
        let head = self.head.iter().map(|head| head.created_at);
        let messages = self.messages.values().map(|(_, at)| *at);
        let members = self.memberships.values().map(|dated| dated.row.since);
        let all = head.chain(messages).chain(members);
        all.max().unwrap_or_default().max(before.head.time)
    }
}
