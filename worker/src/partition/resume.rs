//! Events as they are sent again from an inbox, and what is filled into events when a frame is made: quoted text as it
//! now is, and nothing of what was deleted since.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use confab_bus::Bus;
use confab_chat::epoch::first_event_before;
use confab_chat::row::{MembershipRow, MessageRow};
use confab_chat::{ChatKey, Event, UserId};
use confab_proto::message::{MailboxEvent, Quoted};
use confab_proto::row::InboxRow;
use confab_store::{Key, Range, Store, Take};

use super::bounds;
use crate::seams::{Fault, Seams, decode};

/// The most events of one answer.
const EVENTS: u64 = 256;

/// The events after a point.
#[derive(Debug, Default)]
pub(super) struct Page {
    /// Consecutive, the first right after the point.
    pub(super) events: Vec<MailboxEvent>,
    /// There are more.
    pub(super) more: bool,
    /// What comes next is not kept any more.
    pub(super) expired: bool,
}

/// Reads the events after a point, of a mailbox whose last is `last`.
pub(super) async fn page<B: Bus, S: Store>(
    seams: &Seams<B, S>,
    user: &UserId,
    after: u64,
    last: u64,
) -> Result<Page, Fault> {
    if after >= last {
        return Ok(Page::default());
    }
    if after < first_event_before(last) {
        return Ok(Page {
            expired: true,
            ..Page::default()
        });
    }
    let range = Range::Inbox {
        user: user.clone(),
        from: after + 1,
        to: last.min(after + EVENTS),
    };
    let mut events: Vec<MailboxEvent> = Vec::new();
    let mut bytes = 0;
    for (id, record) in (after + 1..).zip(seams.scan(range, Take::All).await?) {
        bytes += record.value.len();
        let full = bytes > bounds::BYTES && !events.is_empty();
        if full || record.key != Key::Inbox(user.clone(), id) {
            break;
        }
        let row: InboxRow = decode(&record)?;
        events.push(MailboxEvent {
            id,
            at: row.at,
            event: row.event,
            quoted: None,
        });
    }
    // All rows up to the last stand before it counts as the last: one that is missing has expired.
    let expired = events.is_empty();
    let mut events = dress(seams, user, events, Deleted::Stripped).await?;
    // What they quote may be longer than they are.
    events.truncate(bounds::fitting(&events, bounds::mailbox_event_bytes));
    let reached = after + events.len() as u64;
    Ok(Page {
        events,
        more: reached < last && !expired,
        expired,
    })
}

/// What becomes of the text of a message that was deleted since its event.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Deleted {
    /// A live event: it is what happened.
    AsItWas,
    /// An event sent again: it carries no text and no attachments.
    Stripped,
}

/// Whether an event quotes a message.
pub(super) fn quotes(item: &MailboxEvent) -> bool {
    matches!(
        &*item.event,
        Event::New {
            reply_to: Some(_),
            ..
        }
    )
}

/// Fills in what an event does not hold itself.
pub(super) async fn dress<B: Bus, S: Store>(
    seams: &Seams<B, S>,
    user: &UserId,
    events: Vec<MailboxEvent>,
    deleted: Deleted,
) -> Result<Vec<MailboxEvent>, Fault> {
    let mut messages: BTreeSet<(&ChatKey, u64)> = BTreeSet::new();
    let mut quoting: BTreeSet<&ChatKey> = BTreeSet::new();
    for item in &events {
        if deleted == Deleted::Stripped {
            messages.extend(content_of(&item.event));
        }
        if let Some((chat, quoted)) = quoted_in(&item.event) {
            messages.insert((chat, quoted));
            quoting.insert(chat);
        }
    }
    let messages = messages.into_iter().map(|(chat, id)| async move {
        let row: Option<MessageRow> = seams.get(Key::Message(chat.clone(), id)).await?;
        Ok::<_, Fault>(((chat.clone(), id), row))
    });
    let messages = super::concurrently(messages.collect()).await?;
    let hidden = quoting.into_iter().map(|chat| async move {
        let row: Option<MembershipRow> = seams.get(Key::Membership(user.clone(), chat.clone())).await?;
        Ok::<_, Fault>((chat.clone(), row.map_or(0, |row| row.hidden_before)))
    });
    let rows = Rows {
        messages: messages.into_iter().collect(),
        hidden: super::concurrently(hidden.collect()).await?.into_iter().collect(),
    };
    Ok(events.into_iter().map(|item| rows.dress(item, deleted)).collect())
}

struct Rows {
    messages: HashMap<(ChatKey, u64), Option<MessageRow>>,
    hidden: HashMap<ChatKey, u64>,
}

impl Rows {
    fn dress(&self, mut item: MailboxEvent, deleted: Deleted) -> MailboxEvent {
        let is_deleted = |chat: &ChatKey, id: u64| {
            let row = self.message(chat, id);
            row.is_some_and(|row| row.deleted.is_some())
        };
        let content = content_of(&item.event);
        if deleted == Deleted::Stripped && content.is_some_and(|(chat, id)| is_deleted(chat, id)) {
            item.event = Arc::new(without_content((*item.event).clone()));
        }
        let Event::New {
            chat,
            reply_to: Some(quote),
            ..
        } = &*item.event
        else {
            return item;
        };
        if quote.message_id <= self.hidden.get(chat).copied().unwrap_or(0) {
            // This receiver cannot see the message that is answered.
            item.event = Arc::new(without_quote((*item.event).clone()));
            return item;
        }
        let row = self.message(chat, quote.message_id);
        let text = row
            .filter(|row| row.deleted.is_none())
            .map(|row| row.text.clone());
        item.quoted = Some(Quoted {
            quote: quote.clone(),
            text,
        });
        item
    }

    fn message(&self, chat: &ChatKey, id: u64) -> Option<&MessageRow> {
        self.messages.get(&(chat.clone(), id)).and_then(Option::as_ref)
    }
}

/// The message whose text an event carries.
fn content_of(event: &Event) -> Option<(&ChatKey, u64)> {
    match event {
        Event::New { chat, message_id, .. } | Event::Edit { chat, message_id, .. } => {
            Some((chat, *message_id))
        }
        Event::Chats | Event::Delete { .. } | Event::Delivered { .. } | Event::Read { .. } => None,
    }
}

fn quoted_in(event: &Event) -> Option<(&ChatKey, u64)> {
    match event {
        Event::New {
            chat,
            reply_to: Some(quote),
            ..
        } => Some((chat, quote.message_id)),
        _ => None,
    }
}

fn without_content(mut event: Event) -> Event {
    if let Event::New {
        text, attachments, ..
    }
    | Event::Edit {
        text, attachments, ..
    } = &mut event
    {
        text.clear();
        attachments.clear();
    }
    event
}

fn without_quote(mut event: Event) -> Event {
    if let Event::New { reply_to, .. } = &mut event {
        *reply_to = None;
    }
    event
}
