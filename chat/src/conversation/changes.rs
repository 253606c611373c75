//! What an accepted command changes: computed whole beside the untouched state, then put into it by assignments
//! that cannot fail.

use std::collections::BTreeMap;

use super::Input;
use super::context::{Context, Stamp};
use super::mail::Mail;
use super::state::{Head, Member, State};
use crate::event::Reply;
use crate::ids::{ChatKind, UserId};
use crate::row::{HeadRow, LastMessage, MembershipRow, Role, RosterRow, Row};

/// An accepted command.
pub(super) struct Decision {
    /// The answer.
    pub(super) reply: Reply,
    /// What becomes of the state.
    pub(super) changes: Changes,
    /// Rows that cannot be told from `changes`: messages, client ids, marks.
    pub(super) rows: Vec<Row>,
    /// Who is told.
    pub(super) mail: Mail,
}

impl Decision {
    /// A command that changes nothing and tells nobody.
    pub(super) fn only(reply: Reply) -> Self {
        Self {
            reply,
            changes: Changes::default(),
            rows: Vec::new(),
            mail: Mail::default(),
        }
    }
}

/// What becomes of the state. What is not named stays.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// The chat comes to be.
    pub(super) made: Option<Made>,
    /// A group ends, for ever.
    pub(super) ended: bool,
    /// A message was sent, or the last one changed.
    pub(super) last: Option<LastMessage>,
    /// A new name.
    pub(super) name: Option<String>,
    /// A new picture, or none.
    pub(super) photo_url: Option<Option<String>>,
    /// Members as they are afterwards, those who left included.
    pub(super) members: BTreeMap<UserId, Member>,
    /// Members came, went, or changed roles.
    pub(super) roster: bool,
}

/// How a chat begins.
#[derive(Debug)]
pub(super) struct Made {
    /// What kind.
    pub(super) kind: ChatKind,
    /// The name of a group.
    pub(super) name: String,
    /// Its picture.
    pub(super) photo_url: Option<String>,
    /// Whether those who come later see everything.
    pub(super) history_all: bool,
}

/// Up to which message everyone has marked, of both kinds.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Everyone {
    delivered: u64,
    read: u64,
}

impl Everyone {
    const NOBODY: Self = Self {
        delivered: u64::MAX,
        read: u64::MAX,
    };

    /// Messages from before a member came do not wait for that member.
    fn join(&mut self, member: &Member) {
        if member.role.is_some() {
            self.delivered = self.delivered.min(member.delivered.max(member.joined_at));
            self.read = self.read.min(member.read.max(member.joined_at));
        }
    }
}

impl Changes {
    /// Adds the rows that show the changes to readers.
    pub(super) fn show(&self, context: &Context<'_>, rows: &mut Vec<Row>) {
        rows.reserve(self.members.len() + usize::from(self.roster) + 1);
        for (user, member) in &self.members {
            rows.push(Row::Membership {
                user: user.clone(),
                row: membership(member),
            });
        }
        if self.roster {
            rows.push(Row::Roster(self.roster_row(context)));
        }
        rows.extend(self.head_row(context).map(Row::Head));
    }

    /// The members as they are afterwards, in order of id.
    fn members_after<'a>(&'a self, state: &'a State) -> BTreeMap<&'a UserId, &'a Member> {
        let mut members: BTreeMap<_, _> = state.current().collect();
        members.extend(&self.members);
        members.retain(|_, member| member.role.is_some());
        members
    }

    fn roster_row(&self, context: &Context<'_>) -> RosterRow {
        roster(context.user(), self.members_after(context.state))
    }

    /// The head's row, where it changed.
    fn head_row(&self, context: &Context<'_>) -> Option<HeadRow> {
        let head = &context.state.head;
        let named = self.made.is_some() || self.name.is_some() || self.photo_url.is_some();
        let (before, after) = self.everyone(context.state);
        if self.ended || (!named && self.last.is_none() && before == after) {
            return None;
        }
        let last = self.last.as_ref().or(head.last.as_ref()).cloned();
        let last_id = last.as_ref().map_or(0, |last| last.message_id);
        let (kind, name, photo_url, created_at, history_all) = match &self.made {
            Some(made) => (
                made.kind,
                &made.name,
                &made.photo_url,
                context.stamp.time,
                made.history_all,
            ),
            None => (
                head.kind,
                self.name.as_ref().unwrap_or(&head.name),
                self.photo_url.as_ref().unwrap_or(&head.photo_url),
                head.created_at,
                head.history_all,
            ),
        };
        Some(HeadRow {
            kind,
            name: name.clone(),
            photo_url: photo_url.clone(),
            created_at,
            last,
            delivered_up_to: after.delivered.min(last_id),
            read_up_to: after.read.min(last_id),
            history_all,
        })
    }

    /// Before and after, in one pass over the members.
    fn everyone(&self, state: &State) -> (Everyone, Everyone) {
        let (mut before, mut after) = (Everyone::NOBODY, Everyone::NOBODY);
        for (user, member) in &state.members {
            before.join(member);
            if !self.members.contains_key(user) {
                after.join(member);
            }
        }
        for member in self.members.values() {
            after.join(member);
        }
        (before, after)
    }

    /// Puts the changes into the state; tells whose state changed.
    pub(super) fn commit(self, state: &mut State, stamp: Stamp) -> Vec<UserId> {
        let head = &mut state.head;
        if let Some(made) = self.made {
            head.open = true;
            head.created_at = stamp.time;
            (head.kind, head.name) = (made.kind, made.name);
            (head.photo_url, head.history_all) = (made.photo_url, made.history_all);
        }
        if self.ended {
            (head.open, head.deleted) = (false, true);
        }
        if let Some(last) = self.last {
            head.last_id = last.message_id;
            head.last = Some(last);
        }
        head.name = self.name.unwrap_or_else(|| std::mem::take(&mut head.name));
        head.photo_url = self.photo_url.unwrap_or_else(|| head.photo_url.take());
        let mut changed = Vec::with_capacity(self.members.len());
        for (user, member) in self.members {
            changed.push(user.clone());
            if remembered(head, &member) {
                state.members.insert(user, member);
            } else {
                state.members.remove(&user);
            }
        }
        changed
    }
}

/// Those gone are kept only where their marks count again when they come back: where they would see what they
/// marked.
pub(super) fn remembered(head: &Head, member: &Member) -> bool {
    member.role.is_some() || (head.open && head.history_all && member.delivered > 0)
}

/// The rows of a chat that show its state, but for its messages and marks.
pub(super) fn whole_rows(state: &State) -> Vec<Row> {
    let head = &state.head;
    let mut everyone = Everyone::NOBODY;
    let mut owner = None;
    let mut rows: Vec<Row> = Vec::with_capacity(state.members.len() + 2);
    for (user, member) in &state.members {
        everyone.join(member);
        owner = owner.or(Some(user).filter(|_| member.role == Some(Role::Owner)));
        rows.push(Row::Membership {
            user: user.clone(),
            row: membership(member),
        });
    }
    // Of a group that was deleted the row without members stands; there is no other.
    if let Some(owner) = owner {
        rows.push(Row::Roster(roster(owner, state.current())));
    }
    if head.open {
        rows.push(Row::Head(HeadRow {
            kind: head.kind,
            name: head.name.clone(),
            photo_url: head.photo_url.clone(),
            created_at: head.created_at,
            last: head.last.clone(),
            delivered_up_to: everyone.delivered.min(head.last_id),
            read_up_to: everyone.read.min(head.last_id),
            history_all: head.history_all,
        }));
    }
    rows
}

/// The row of the members there are; `owner` is named where none of them is one.
fn roster<'a>(owner: &UserId, members: impl IntoIterator<Item = (&'a UserId, &'a Member)>) -> RosterRow {
    let mut row = RosterRow {
        owner: owner.clone(),
        admins: Vec::new(),
        members: Vec::new(),
    };
    for (user, member) in members {
        match member.role {
            Some(Role::Owner) => row.owner = user.clone(),
            Some(Role::Admin) => row.admins.push(user.clone()),
            Some(Role::Member) | None => {}
        }
        row.members.push(user.clone());
    }
    row
}

fn membership(member: &Member) -> MembershipRow {
    MembershipRow {
        role: member.role,
        listed: member.listed,
        since: member.since,
        hidden_before: member.hidden_before,
        delivered: member.delivered,
        read: member.read,
        joined_at: member.joined_at,
        last_sent: member.last_sent,
    }
}

/// Counts an entry: whatever it did, or did not.
pub(super) fn count(state: &mut State, input: &Input<'_>, stamp: Stamp) {
    let head = &mut state.head;
    head.version = stamp.version;
    head.time = stamp.time;
    (head.epoch, head.seq) = (input.epoch, input.seq);
    if !head.recent.contains(input.id) {
        head.recent.push(input.id.clone());
    }
}
