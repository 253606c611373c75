//! Who is in a chat and what they may do: making, changing, joining, leaving, ending.
//!
//! In a group and a channel alike the owner and the admins change members and name; the owner alone names the admins,
//! hands over and ends the chat; there is one owner as long as the chat exists.

use std::collections::BTreeSet;

use super::changes::{Changes, Decision, Made};
use super::context::{Context, forbidden, no_such_message};
use super::state::Member;
use crate::event::{Event, Reply};
use crate::ids::{ChatKind, UserId};
use crate::limits;
use crate::reject::{Code, Rejection};
use crate::row::Role;

/// Makes a group or channel. Made before, it stays as it is.
pub(super) fn create(
    context: &Context<'_>,
    made: Made,
    participants: &[UserId],
) -> Result<Decision, Rejection> {
    if context.state.key.is_dialog() || made.kind == ChatKind::Dialog {
        return Err(Rejection::new(
            Code::BadRequest,
            "only groups and channels are made",
        ));
    }
    let head = &context.state.head;
    if head.deleted {
        return Err(Rejection::new(Code::Conflict, "the chat was deleted"));
    }
    if head.open {
        return context.me().map(|_| Decision::only(Reply::Chat));
    }
    let caller = context.user();
    let users: BTreeSet<&UserId> = participants.iter().chain([caller]).collect();
    within_limit(users.len())?;

    let mut decision = Decision::only(Reply::Chat);
    let chats = decision.mail.event(Event::Chats);
    for user in &users {
        let role = if *user == caller {
            Role::Owner
        } else {
            Role::Member
        };
        let member = Member::new(role, context.stamp.time);
        decision.changes.members.insert((*user).clone(), member);
        decision.mail.post(user, chats);
    }
    if are_contacts(made.kind, users.len()) {
        decision.mail.acquaint(&users.into_iter().collect::<Vec<_>>());
    }
    decision.changes.made = Some(made);
    decision.changes.roster = true;
    Ok(decision)
}

/// What `updateChat` asks for; what is `None` stays.
#[derive(Clone, Copy)]
pub(super) struct Update<'a> {
    /// The new name.
    pub(super) name: Option<&'a str>,
    /// The new picture; an empty one takes it away.
    pub(super) photo_url: Option<&'a str>,
    /// The new list of admins. The owner's name in it means nothing; one who hands over may be named.
    pub(super) admins: Option<&'a [UserId]>,
    /// The new owner.
    pub(super) owner: Option<&'a UserId>,
}

/// Changes a group. Where nothing is different afterwards, nobody is told.
pub(super) fn update(context: &Context<'_>, update: Update<'_>) -> Result<Decision, Rejection> {
    let (_, role) = managing(context)?;
    if (update.admins.is_some() || update.owner.is_some()) && role != Role::Owner {
        return Err(forbidden("only the owner names the admins and the owner"));
    }
    let mut named = update.admins.into_iter().flatten().chain(update.owner);
    if !named.all(|user| is_current(context, user)) {
        return Err(Rejection::new(
            Code::BadRequest,
            "the owner and the admins are members",
        ));
    }
    let head = &context.state.head;
    let photo_url = update
        .photo_url
        .map(|url| Some(url).filter(|url| !url.is_empty()));
    let mut changes = Changes {
        name: update.name.filter(|name| *name != head.name).map(str::to_owned),
        photo_url: photo_url
            .filter(|url| *url != head.photo_url.as_deref())
            .map(|url| url.map(str::to_owned)),
        ..Changes::default()
    };
    assign_roles(context, update, &mut changes);
    changes.roster = !changes.members.is_empty();

    let mut decision = Decision::only(Reply::Chat);
    if changes.roster || changes.name.is_some() || changes.photo_url.is_some() {
        let chats = decision.mail.event(Event::Chats);
        for (user, _) in context.state.current() {
            decision.mail.post(user, chats);
        }
    }
    decision.changes = changes;
    Ok(decision)
}

/// The roles after an update: one owner, who becomes a plain member by handing over unless named an admin.
fn assign_roles(context: &Context<'_>, update: Update<'_>, changes: &mut Changes) {
    let admins = update.admins.map(|admins| admins.iter().collect::<BTreeSet<_>>());
    for (user, member) in context.state.current() {
        let owns = match update.owner {
            Some(owner) => user == owner,
            None => member.role == Some(Role::Owner),
        };
        let listed = admins.as_ref().map(|admins| admins.contains(user));
        let role = match (owns, listed, member.role) {
            (true, _, _) => Role::Owner,
            (false, Some(true), _) | (false, None, Some(Role::Admin)) => Role::Admin,
            (false, _, _) => Role::Member,
        };
        if member.role != Some(role) {
            let role = Some(role);
            changes.members.insert(user.clone(), Member { role, ..*member });
        }
    }
}

/// Adds those who are not members yet.
pub(super) fn add(context: &Context<'_>, participants: &[UserId]) -> Result<Decision, Rejection> {
    managing(context)?;
    let state = context.state;
    let added = distinct(participants, |user| !is_current(context, user));
    let count = state.current().count() + added.len();
    within_limit(count)?;

    let mut decision = Decision::only(Reply::Participants(added.clone()));
    if added.is_empty() {
        return Ok(decision);
    }
    let chats = decision.mail.event(Event::Chats);
    for user in &added {
        decision.mail.post(user, chats);
        decision
            .changes
            .members
            .insert(user.clone(), joining(context, user));
    }
    if are_contacts(state.head.kind, count) {
        let newcomers: Vec<&UserId> = decision.changes.members.keys().collect();
        for newcomer in &newcomers {
            for (member, _) in state.current() {
                decision.mail.greet(newcomer, member);
            }
        }
        decision.mail.acquaint(&newcomers);
    }
    decision.changes.roster = true;
    Ok(decision)
}

/// One who is added. With open history, marks from an earlier stay count on; else the chat begins here, and what
/// was before is neither seen nor waits for this member's mark.
fn joining(context: &Context<'_>, user: &UserId) -> Member {
    let head = &context.state.head;
    let mut member = Member {
        joined_at: head.last_id,
        ..Member::new(Role::Member, context.stamp.time)
    };
    if !head.history_all {
        (member.hidden_before, member.delivered, member.read) = (head.last_id, head.last_id, head.last_id);
    } else if let Some(earlier) = context.state.members.get(user) {
        (member.delivered, member.read, member.last_sent) =
            (earlier.delivered, earlier.read, earlier.last_sent);
    }
    member
}

/// Removes those who are members.
pub(super) fn remove(context: &Context<'_>, participants: &[UserId]) -> Result<Decision, Rejection> {
    managing(context)?;
    let removed = distinct(participants, |user| is_current(context, user));
    let is_owner = |user: &UserId| {
        let member = context.state.members.get(user);
        member.is_some_and(|member| member.role == Some(Role::Owner))
    };
    if removed.iter().any(is_owner) {
        return Err(forbidden("the owner cannot be removed"));
    }
    let mut decision = Decision::only(Reply::Participants(removed.clone()));
    if !removed.is_empty() {
        depart(context, &removed, &mut decision);
    }
    Ok(decision)
}

/// Leaves a group.
pub(super) fn leave(context: &Context<'_>) -> Result<Decision, Rejection> {
    let (_, role) = context.me_in_group()?;
    if role == Role::Owner {
        return Err(Rejection::new(
            Code::Conflict,
            "the owner hands over or deletes the chat",
        ));
    }
    let mut decision = Decision::only(Reply::Left);
    depart(context, std::slice::from_ref(context.user()), &mut decision);
    Ok(decision)
}

/// Takes members out and tells them. Those who stay become contacts where the group becomes small enough by it.
fn depart(context: &Context<'_>, gone: &[UserId], decision: &mut Decision) {
    let state = context.state;
    let chats = decision.mail.event(Event::Chats);
    for user in gone {
        if let Some(member) = state.members.get(user) {
            decision.changes.members.insert(user.clone(), member.gone());
            decision.mail.post(user, chats);
        }
    }
    decision.changes.roster = true;
    let left = &decision.changes.members;
    let staying: Vec<&UserId> = state
        .current()
        .map(|(user, _)| user)
        .filter(|user| !left.contains_key(*user))
        .collect();
    let kind = state.head.kind;
    if are_contacts(kind, staying.len()) && !are_contacts(kind, staying.len() + left.len()) {
        decision.mail.acquaint(&staying);
    }
}

/// Deletes a chat: a group for all, a dialog for the one who asks, up to a message.
pub(super) fn delete(context: &Context<'_>, message_id: Option<u64>) -> Result<Decision, Rejection> {
    if context.state.key.is_dialog() {
        return hide(context, message_id);
    }
    let (_, role) = context.me_in_group()?;
    if role != Role::Owner {
        return Err(forbidden("only the owner deletes the chat"));
    }
    let mut decision = Decision::only(Reply::Left);
    let chats = decision.mail.event(Event::Chats);
    for (user, member) in context.state.current() {
        decision.mail.post(user, chats);
        decision.changes.members.insert(user.clone(), member.gone());
    }
    // Those gone before are told nothing; their state need not be kept either.
    let gone = context
        .state
        .members
        .iter()
        .filter(|(_, member)| member.role.is_none());
    decision
        .changes
        .members
        .extend(gone.map(|(user, member)| (user.clone(), *member)));
    decision.changes.ended = true;
    decision.changes.roster = true;
    Ok(decision)
}

/// Hides a dialog's messages up to one from the one who asks; with the last one the dialog leaves the list.
fn hide(context: &Context<'_>, message_id: Option<u64>) -> Result<Decision, Rejection> {
    let me = context.me()?;
    let last_id = context.state.head.last_id;
    let up_to = message_id.unwrap_or(last_id);
    if message_id.is_some() && (up_to == 0 || up_to > last_id) {
        return Err(no_such_message());
    }
    let hidden_before = me.hidden_before.max(up_to);
    let after = Member {
        hidden_before,
        listed: me.listed && hidden_before < last_id,
        ..me
    };
    let mut decision = Decision::only(Reply::Left);
    if after != me {
        let chats = decision.mail.event(Event::Chats);
        decision.mail.post(context.user(), chats);
        decision.changes.members.insert(context.user().clone(), after);
    }
    Ok(decision)
}

/// The one who asks, where that is the owner or an admin.
fn managing(context: &Context<'_>) -> Result<(Member, Role), Rejection> {
    let (me, role) = context.me_in_group()?;
    if role < Role::Admin {
        return Err(forbidden("only the owner and the admins change the chat"));
    }
    Ok((me, role))
}

fn is_current(context: &Context<'_>, user: &UserId) -> bool {
    let member = context.state.members.get(user);
    member.is_some_and(|member| member.role.is_some())
}

/// Those that `wanted` holds for, each once, in the order given.
fn distinct(users: &[UserId], wanted: impl Fn(&UserId) -> bool) -> Vec<UserId> {
    let mut seen = BTreeSet::new();
    let once = users.iter().filter(|user| wanted(user) && seen.insert(*user));
    once.cloned().collect()
}

fn within_limit(members: usize) -> Result<(), Rejection> {
    if members > limits::MEMBERS {
        return Err(Rejection::new(Code::TooLarge, "a chat has at most 1,000 members"));
    }
    Ok(())
}

/// Whether the members of a chat of this size are each other's contacts.
fn are_contacts(kind: ChatKind, members: usize) -> bool {
    kind == ChatKind::Group && members <= limits::CONTACT_GROUP_MEMBERS
}
