//! `chats`: a user's list of chats. One scan of the user's memberships, one head a chat, and then, for those that are
//! shown, the other side and the first message missed.

use std::borrow::Cow;
use std::cmp::Reverse;

use confab_chat::row::{HeadRow, LastMessage, MembershipRow, MessageRow};
use confab_chat::{ChatKey, ChatKind, Rejection, Timestamp, UserId};
use confab_proto::client::view::{ChatListItem, ChatType, MessageStatus};
use confab_proto::message::Answer;
use confab_store::{Key, Range, Store, Take};

use super::concurrently;
use super::page::Page;
use super::people::Person;
use super::reads::{Reads, decode, internal};

/// A chat as one member sees it: the rows that concern it.
pub(super) struct Seen {
    pub(super) chat: ChatKey,
    pub(super) membership: MembershipRow,
    pub(super) head: HeadRow,
}

impl Seen {
    /// The last message, where the user can see it.
    pub(super) fn last(&self) -> Option<&LastMessage> {
        let last = self.head.last.as_ref();
        last.filter(|last| last.message_id > self.membership.hidden_before)
    }

    /// When the last visible message was sent; without one, when the chat was made for the user.
    fn time(&self) -> Timestamp {
        self.last().map_or(self.membership.since, |last| last.at)
    }

    /// Up to which message the user misses none: what is hidden is not missed either.
    fn not_missed(&self) -> u64 {
        self.membership.read.max(self.membership.hidden_before)
    }

    /// How many messages the user has not read. All of them are by others, since a send reads what is before it.
    pub(super) fn missed(&self) -> u64 {
        let last = self.head.last.as_ref().map_or(0, |last| last.message_id);
        last.saturating_sub(self.not_missed())
    }

    /// The sender's own id of the first of them.
    pub(super) async fn first_missed<S: Store>(&self, reads: &Reads<S>) -> Result<Option<String>, Rejection> {
        if self.missed() == 0 {
            return Ok(None);
        }
        let key = Key::Message(self.chat.clone(), self.not_missed() + 1);
        let row: Option<MessageRow> = reads.get(key).await?;
        Ok(row.and_then(|row| row.client_message_id))
    }

    /// How far a message has come, as `user` sees it.
    pub(super) fn status(&self, user: &UserId, sender: &UserId, id: u64, deleted: bool) -> MessageStatus {
        if deleted {
            return MessageStatus::Deleted;
        }
        if sender != user {
            let read = id <= self.membership.read;
            return if read {
                MessageStatus::Read
            } else {
                MessageStatus::Unread
            };
        }
        // A send reads up to itself: so where there is nobody else, everyone has read it.
        if id <= self.head.read_up_to {
            MessageStatus::Read
        } else if id <= self.head.delivered_up_to {
            MessageStatus::Unread
        } else {
            MessageStatus::Undelivered
        }
    }

    pub(super) fn kind(&self, user: &UserId) -> ChatType {
        match self.head.kind {
            ChatKind::Group => ChatType::Group,
            ChatKind::Channel => ChatType::Channel,
            ChatKind::Dialog => dialog_type(&self.chat, user),
        }
    }
}

/// What a dialog is to one of its sides.
pub(super) fn dialog_type(chat: &ChatKey, user: &UserId) -> ChatType {
    if chat.other_side(user).as_ref() == Some(user) {
        ChatType::Favorites
    } else {
        ChatType::Dialog
    }
}

/// The list, latest first; of chats equally late the smaller key first.
pub(super) async fn chats<S: Store>(
    reads: &Reads<S>,
    user: &UserId,
    count: u32,
    before: Option<Timestamp>,
    now: Timestamp,
) -> Answer {
    let records = reads.scan(Range::Memberships(user.clone()), Take::All).await?;
    let mut listed = Vec::with_capacity(records.len());
    for record in &records {
        let Key::Membership(_, chat) = &record.key else {
            return Err(internal());
        };
        let membership: MembershipRow = decode(record)?;
        if membership.listed && membership.role.is_some() {
            listed.push((chat.clone(), membership));
        }
    }
    let seen = listed.into_iter().map(|(chat, membership)| async move {
        let head: Option<HeadRow> = reads.get(Key::Head(chat.clone())).await?;
        // Without a head the chat is being made: its row is under way.
        let seen = head.map(|head| Seen {
            chat,
            membership,
            head,
        });
        Ok::<_, Rejection>(seen)
    });
    let seen = concurrently(seen.collect()).await?;
    let mut seen: Vec<Seen> = seen.into_iter().flatten().collect();
    if let Some(before) = before {
        seen.retain(|seen| seen.time() < before);
    }
    seen.sort_by(|a, b| (Reverse(a.time()), &a.chat).cmp(&(Reverse(b.time()), &b.chat)));
    seen.truncate(usize::try_from(count).unwrap_or(usize::MAX));
    let details = concurrently(seen.iter().map(|seen| details(reads, user, seen)).collect()).await?;
    let mut page = Page::new();
    for (seen, details) in seen.iter().zip(&details) {
        if !page.add(&item(user, seen, details, now))? {
            break;
        }
    }
    Ok(page.finish(false))
}

/// What an item shows beside the chat's own rows.
struct Details {
    other: Option<Person>,
    first_missed: Option<String>,
}

async fn details<S: Store>(reads: &Reads<S>, user: &UserId, seen: &Seen) -> Result<Details, Rejection> {
    let other = match seen.chat.other_side(user) {
        Some(other) => Some(Person::read(reads, other).await?),
        None => None,
    };
    Ok(Details {
        other,
        first_missed: seen.first_missed(reads).await?,
    })
}

fn item<'a>(user: &UserId, seen: &'a Seen, details: &'a Details, now: Timestamp) -> ChatListItem<'a> {
    let kind = seen.kind(user);
    let last = seen.last();
    let status = last.map_or(MessageStatus::Read, |last| {
        seen.status(user, &last.sender, last.message_id, last.deleted)
    });
    let other = details.other.as_ref();
    let stranger = other.filter(|_| kind == ChatType::Dialog);
    ChatListItem {
        kind,
        id: seen.chat.name_for(user),
        photo_url: match other {
            Some(other) => other.photo_url(),
            None => seen.head.photo_url.as_deref().map(Cow::Borrowed),
        },
        name: match other {
            Some(other) => other.name(),
            None => Cow::Borrowed(&seen.head.name),
        },
        last_message_text: last.map_or("", |last| &last.text).into(),
        last_message_time: seen.time().as_millis(),
        last_message_author: last.map(|last| last.sender.as_str().into()),
        last_message_status: status,
        missed: Some(seen.missed()),
        first_missed: details.first_missed.as_deref().map(Cow::Borrowed),
        verified: other.and_then(Person::verified),
        is_mine: last.is_some_and(|last| last.sender == *user),
        last_message_id: last.map_or(0, |last| last.message_id),
        last_seen: stranger.and_then(|other| other.last_seen(now)),
    }
}
