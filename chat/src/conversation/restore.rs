//! The way back from a lost log: a chat's state, as it was last written, brought up to what its rows say.
//!
//! Rows are written before an entry is answered and before the state, so whatever was answered stands in rows that are
//! at or ahead of the state. Of the last batch before the loss some rows may stand and others not: none of it was
//! answered, all of it may have been seen. So
//!
//! - a number that any row knows is taken, and one without a message becomes a deleted message (a [`Hole`]): ids stay
//!   1..n, and what stands above a hole stays;
//! - a mark, and a message's sender, move a watermark forward, never back;
//! - who is in a group, and as what, is for its roster to say, one row and so never in part: a change of members whose
//!   roster does not stand has not happened, one whose roster stands has;
//! - a group without its head or without its roster was not made.
//!
//! A roster names those who are there. So of one who both came and went since the state was written nothing is known
//! here, and a membership that stands without its roster is not found, or not looked at where it is: the change was not
//! answered, and made again it writes both.
//!
//! All rows that show the state are then written again, dated by the new epoch: no row of the lost log that is still on
//! its way wins over them.
//!
//! The ids of the lost entries cannot be brought back. An append that is repeated across the loss is applied again,
//! where its first copy was lost with the log, or not: a `new` is known by its row of [`Row::ClientId`], a mark or a
//! deletion finds itself done, an edit is made twice.

mod standing;

pub use standing::{Dated, Standing};

use std::collections::{BTreeMap, BTreeSet};

use super::changes::{remembered, whole_rows};
use super::messages::own_key;
use super::state::{Head, Member, State};
use crate::epoch::first_version;
use crate::ids::UserId;
use crate::row::{ClientIdRow, Deletion, LastMessage, MembershipRow, MessageRow, Role, RosterRow, Row};
use crate::time::Timestamp;

/// A number whose message was lost: a deleted message stands there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hole {
    /// The number.
    pub message_id: u64,
    /// Who sent what was lost, as far as other rows tell.
    pub sender: UserId,
    /// When, as far as other rows tell.
    pub at: Timestamp,
}

/// A chat as it begins an epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// Its state. May still name members who are gone and need not be remembered, but whose rows say otherwise.
    pub state: State,
    /// Numbers without messages.
    pub holes: Vec<Hole>,
}

/// A chat's state in a later epoch, from its state in an earlier one and from what stands.
#[must_use]
pub fn restore(before: &State, standing: &Standing, epoch: u32) -> Restored {
    let mut state = State {
        key: before.key.clone(),
        head: Head {
            version: first_version(epoch),
            epoch,
            seq: 0,
            time: standing.time(before),
            last_id: standing.last_id(before),
            ..before.head.clone()
        },
        members: BTreeMap::new(),
    };
    match before.key.sides() {
        Some(sides) => restore_dialog(&mut state, before, standing, sides.into()),
        None => restore_group(&mut state, before, standing),
    }
    for (user, member) in &mut state.members {
        raise(member, user, standing);
    }
    let holes = holes(&state, before, standing);
    state.head.last = last_message(&state.head, standing, &holes);
    Restored { state, holes }
}

/// Both sides are in a dialog from its first message on; it shows where there is anything to see.
fn restore_dialog(state: &mut State, before: &State, standing: &Standing, sides: [UserId; 2]) {
    describe(&mut state.head, standing);
    let head = &mut state.head;
    if !head.open && head.last_id > 0 {
        head.open = true;
        if standing.head.is_none() {
            let first = standing.messages.values().next();
            head.created_at = first.map_or(head.time, |(_, at)| *at);
        }
    }
    for user in sides {
        let known = known(before, standing, &user);
        if known.is_none() && head.last_id == 0 {
            continue;
        }
        let mut member = known.unwrap_or_else(|| Member::new(Role::Member, head.created_at));
        member.role = Some(Role::Member);
        member.listed = member.hidden_before < head.last_id;
        state.members.insert(user, member);
    }
}

fn restore_group(state: &mut State, before: &State, standing: &Standing) {
    let head = &mut state.head;
    let roster = standing.roster.as_ref();
    head.deleted = before.head.deleted || roster.is_some_and(|roster| roster.row.members.is_empty());
    let made = before.head.open || (standing.head.is_some() && roster.is_some());
    head.open = made && !head.deleted;
    if !made && !head.deleted {
        head.last_id = 0;
        return;
    }
    describe(head, standing);
    let named = roster.into_iter().flat_map(|roster| &roster.row.members);
    let users: BTreeSet<&UserId> = before.members.keys().chain(named).collect();
    for user in users {
        let member = match roster {
            Some(roster) if roster.row.members.contains(user) => {
                Some(staying(state, before, standing, roster, user))
            }
            Some(_) => known(before, standing, user).map(Member::gone),
            None => known(before, standing, user),
        };
        if let Some(member) = member {
            state.members.insert(user.clone(), member);
        }
    }
}

/// What the head's row says of the chat.
fn describe(head: &mut Head, standing: &Standing) {
    if let Some(row) = &standing.head {
        (head.kind, head.name, head.photo_url) = (row.kind, row.name.clone(), row.photo_url.clone());
        (head.created_at, head.history_all) = (row.created_at, row.history_all);
    }
}

/// A member as the membership says, or as it was.
fn known(before: &State, standing: &Standing, user: &UserId) -> Option<Member> {
    let row = standing.memberships.get(user).map(|dated| from_row(&dated.row));
    row.filter(|_| !standing.is_unfounded(user))
        .or_else(|| before.members.get(user).copied())
}

/// One whom the roster names: as the membership says, unless the roster is about this one's coming and the membership
/// does not stand.
fn staying(
    state: &State,
    before: &State,
    standing: &Standing,
    roster: &Dated<RosterRow>,
    user: &UserId,
) -> Member {
    let role = if roster.row.owner == *user {
        Role::Owner
    } else if roster.row.admins.contains(user) {
        Role::Admin
    } else {
        Role::Member
    };
    let earlier = known(before, standing, user);
    let dated = standing.memberships.get(user);
    let came = dated.is_some_and(|dated| dated.row.role.is_some() || dated.version > roster.version);
    if let Some(member) = earlier.filter(|_| came) {
        return Member {
            role: Some(role),
            listed: true,
            ..member
        };
    }
    let head = &state.head;
    let mut member = Member {
        joined_at: head.last_id,
        ..Member::new(role, head.time)
    };
    if !head.history_all {
        (member.hidden_before, member.delivered, member.read) = (head.last_id, head.last_id, head.last_id);
    } else if let Some(earlier) = earlier {
        (member.delivered, member.read, member.last_sent) =
            (earlier.delivered, earlier.read, earlier.last_sent);
    }
    member
}

fn from_row(row: &MembershipRow) -> Member {
    Member {
        role: row.role,
        listed: row.listed,
        since: row.since,
        joined_at: row.joined_at,
        hidden_before: row.hidden_before,
        delivered: row.delivered,
        read: row.read,
        last_sent: row.last_sent,
    }
}

/// Moves a member's watermarks up to what marks and messages say.
fn raise(member: &mut Member, user: &UserId, standing: &Standing) {
    if member.role.is_none() {
        return;
    }
    let mut own = standing.messages.iter().rev();
    let sent = own.find(|(_, (sender, _))| sender == user).map(|(id, _)| *id);
    if let Some(id) = sent.filter(|id| *id > member.joined_at) {
        member.last_sent = member.last_sent.max(id);
    }
    let (delivered, read) = standing.marks.get(user).copied().unwrap_or_default();
    member.read = member.read.max(read).max(member.last_sent);
    member.delivered = member.delivered.max(delivered).max(member.read);
}

/// The numbers above the state's last that no message stands for.
fn holes(state: &State, before: &State, standing: &Standing) -> Vec<Hole> {
    let from = standing.messages_from.max(before.head.last_id + 1);
    let mut at = before.head.last.as_ref().map_or(Timestamp(0), |last| last.at);
    let mut holes = Vec::new();
    for message_id in from..=state.head.last_id {
        if let Some((_, sent_at)) = standing.messages.get(&message_id) {
            at = *sent_at;
            continue;
        }
        let shown = standing.head.as_ref().and_then(|head| head.last.as_ref());
        let shown = shown.filter(|last| last.message_id == message_id);
        let mut senders = state.members.iter();
        let sender = senders.find(|(_, member)| member.last_sent == message_id);
        at = shown.map_or(at, |last| last.at);
        holes.extend(
            shown
                .map(|last| &last.sender)
                .or(sender.map(|(user, _)| user))
                .or(anybody(state))
                .map(|sender| Hole {
                    message_id,
                    sender: sender.clone(),
                    at,
                }),
        );
    }
    holes
}

/// A group's owner, or the first side of a dialog. A chat that has messages has members.
fn anybody(state: &State) -> Option<&UserId> {
    let owner = state
        .current()
        .find(|(_, member)| member.role == Some(Role::Owner));
    owner
        .or_else(|| state.members.iter().next())
        .map(|(user, _)| user)
}

fn last_message(head: &Head, standing: &Standing, holes: &[Hole]) -> Option<LastMessage> {
    let stands = standing
        .last
        .as_ref()
        .filter(|last| last.message_id == head.last_id);
    let hole = holes.last().filter(|hole| hole.message_id == head.last_id);
    let lost = hole.map(|hole| LastMessage {
        message_id: hole.message_id,
        sender: hole.sender.clone(),
        text: String::new(),
        at: hole.at,
        deleted: true,
    });
    stands.cloned().or(lost).or_else(|| head.last.clone())
}

/// The row by which a message is known when its sender sends it again; none where the message has no clientMessageId.
///
/// Of a message found above the state's last it is written again, with the bytes and the version that it had: the lost
/// log may have left the message without it.
#[must_use]
pub fn client_id(message: &MessageRow) -> Option<Row> {
    let own = message.client_message_id.as_deref()?;
    Some(Row::ClientId {
        sender: message.sender.clone(),
        client_message_id: own_key(own),
        row: ClientIdRow {
            message_id: message.message_id,
            at: message.created_at,
            version: message.version,
        },
    })
}

/// Begins an epoch with a restored chat: its state, and the rows that show it, dated by the state's version.
#[must_use]
pub fn begin(restored: Restored) -> (State, Vec<Row>) {
    let Restored { mut state, holes } = restored;
    let version = state.head.version;
    let lost = holes.into_iter().map(|hole| {
        Row::Message(MessageRow {
            message_id: hole.message_id,
            sender: hole.sender,
            client_message_id: None,
            text: String::new(),
            attachments: Vec::new(),
            reply_to: None,
            created_at: hole.at,
            version,
            updated_at: None,
            deleted: Some(Deletion { at: hole.at, version }),
        })
    });
    let mut rows: Vec<Row> = lost.collect();
    rows.extend(whole_rows(&state));
    let head = &state.head;
    state.members.retain(|_, member| remembered(head, member));
    (state, rows)
}
