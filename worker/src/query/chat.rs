//! `chat`: one chat, whole.

use std::borrow::Cow;

use confab_chat::row::{HeadRow, MembershipRow, RosterRow};
use confab_chat::{ChatKey, Code, Rejection, Timestamp, UserId};
use confab_proto::client::view::{Chat, ChatMeta, ChatType};
use confab_proto::message::Answer;
use confab_store::{Key, Store};

use super::chats::{Seen, dialog_type};
use super::page::to_json;
use super::people::Person;
use super::reads::Reads;

/// The most members that are listed.
const PARTICIPANTS: usize = 500;

/// A chat that is not there, or not for the one who asks: the answer is the same.
pub(super) fn not_found() -> Rejection {
    Rejection::new(Code::NotFound, "there is no such chat")
}

/// The chat as `user` sees it. A dialog that was never opened is `None`, a group that is none of the user's is refused.
pub(super) async fn seen<S: Store>(
    reads: &Reads<S>,
    user: &UserId,
    chat: &ChatKey,
) -> Result<Option<Seen>, Rejection> {
    if chat.is_dialog() && !chat.has_side(user) {
        return Err(not_found());
    }
    let membership: Option<MembershipRow> = reads.get(Key::Membership(user.clone(), chat.clone())).await?;
    let current = membership.filter(|row| chat.is_dialog() || row.role.is_some());
    let head: Option<HeadRow> = match current {
        Some(_) => reads.get(Key::Head(chat.clone())).await?,
        None => None,
    };
    match (current, head) {
        (Some(membership), Some(head)) => Ok(Some(Seen {
            chat: chat.clone(),
            membership,
            head,
        })),
        _ if chat.is_dialog() => Ok(None),
        _ => Err(not_found()),
    }
}

/// The answer to `chat`.
pub(super) async fn chat<S: Store>(
    reads: &Reads<S>,
    user: &UserId,
    chat: &ChatKey,
    now: Timestamp,
) -> Answer {
    let seen = seen(reads, user, chat).await?;
    let first_missed = match &seen {
        Some(seen) => seen.first_missed(reads).await?,
        None => None,
    };
    let first_missed = first_missed.map(Cow::Owned);
    let view = match (chat.other_side(user), seen) {
        (Some(other), seen) => {
            let other = Person::read(reads, other).await?;
            let view = Chat {
                first_missed,
                ..dialog(user, chat, &other, seen.as_ref(), now)
            };
            return Ok(to_json(&view)?.into());
        }
        (None, Some(seen)) => {
            let roster: Option<RosterRow> = reads.get(Key::Roster(chat.clone())).await?;
            let roster = roster.ok_or_else(not_found)?;
            to_json(&Chat {
                first_missed,
                ..group(user, &seen, &roster)
            })?
        }
        (None, None) => return Err(not_found()),
    };
    Ok(view.into())
}

fn dialog<'a>(
    user: &UserId,
    chat: &'a ChatKey,
    other: &'a Person,
    seen: Option<&Seen>,
    now: Timestamp,
) -> Chat<'a> {
    let kind = dialog_type(chat, user);
    let profile = &other.row.profile;
    let name = profile.name.as_deref().filter(|name| !name.is_empty());
    // The token has one name; its first word is the first name, the rest the last.
    let (first_name, last_name) = match name.map(|name| name.split_once(' ').unwrap_or((name, ""))) {
        Some((first, last)) => (Some(first), Some(last).filter(|last| !last.is_empty())),
        None => (None, None),
    };
    Chat {
        chat_id: chat.name_for(user),
        kind,
        name: other.name(),
        photo_url: other.photo_url(),
        last_message_id: seen.and_then(Seen::last).map(|last| last.message_id),
        missed: seen.map_or(0, Seen::missed),
        first_missed: None,
        meta: ChatMeta::Dialog {
            first_name: first_name.map(Cow::Borrowed),
            last_name: last_name.map(Cow::Borrowed),
            username: profile.username.as_deref().map(Cow::Borrowed),
            phone_number: profile.phone_number.as_deref().map(Cow::Borrowed),
            verified: profile.verified,
            last_seen: other.last_seen(now).filter(|_| kind == ChatType::Dialog),
        },
    }
}

fn group<'a>(user: &UserId, seen: &'a Seen, roster: &'a RosterRow) -> Chat<'a> {
    let text = |user: &'a UserId| Cow::Borrowed(user.as_str());
    Chat {
        chat_id: seen.chat.name_for(user),
        kind: seen.kind(user),
        name: Cow::Borrowed(&seen.head.name),
        photo_url: seen.head.photo_url.as_deref().map(Cow::Borrowed),
        last_message_id: seen.last().map(|last| last.message_id),
        missed: seen.missed(),
        first_missed: None,
        meta: ChatMeta::Group {
            owner: text(&roster.owner),
            admins: roster.admins.iter().map(text).collect(),
            participants: roster.members.iter().take(PARTICIPANTS).map(text).collect(),
            participant_count: roster.members.len() as u64,
            created_at: seen.head.created_at.as_millis(),
        },
    }
}
