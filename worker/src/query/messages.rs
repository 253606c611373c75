//! `messages`: a page of a chat's history.
//!
//! Ids have no gaps, so a row that is missing is a write under way: it is read again, and if it does not come the page
//! ends before it.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::ops::RangeInclusive;
use std::time::Duration;

use confab_chat::limits::BUCKET_MESSAGES;
use confab_chat::row::{MembershipRow, MessageRow, RosterRow};
use confab_chat::{ChatKey, Rejection, Timestamp, UserId};
use confab_proto::client::view::{Attachments, Delivering, Message, ReplyTo};
use confab_proto::message::{Answer, Page as Which};
use confab_store::{Key, Range, Store, Take};

use super::chat::seen;
use super::chats::Seen;
use super::concurrently;
use super::marks::Marks;
use super::page::Page;
use super::reads::{Reads, decode};

/// Messages are read and put into the page in runs of so many, since a page of large ones ends early.
const RUN: u64 = 64;
/// How often a page with a hole is read again, and how long after.
const READ_AGAIN: usize = 3;
const READ_AGAIN_AFTER: Duration = Duration::from_millis(3);

/// The answer to `messages`: by ascending id.
pub(super) async fn messages<S: Store>(
    reads: &Reads<S>,
    user: &UserId,
    chat: &ChatKey,
    page: Which,
    count: u32,
) -> Answer {
    let Some(seen) = seen(reads, user, chat).await? else {
        return Ok(Page::new().finish(false));
    };
    let upwards = matches!(page, Which::From(_));
    let ids = ids(&seen, page, u64::from(count));
    let source = Source {
        reads,
        user,
        seen: &seen,
        others: others(reads, user, &seen).await?,
    };
    let mut out = Page::new();
    for run in runs(ids, upwards) {
        let wanted = run.end() - run.start() + 1;
        let rows = source.rows(run).await?;
        let whole = rows.len() as u64 == wanted;
        if !source.add(&rows, upwards, &mut out).await? || (upwards && !whole) {
            break;
        }
    }
    Ok(out.finish(!upwards))
}

/// Which messages a page is about: of those that the user can see.
fn ids(seen: &Seen, page: Which, count: u64) -> RangeInclusive<u64> {
    let first = seen.membership.hidden_before + 1;
    let last = seen.head.last.as_ref().map_or(0, |last| last.message_id);
    match page {
        Which::From(start) => {
            let start = start.max(first);
            start..=last.min(start.saturating_add(count).saturating_sub(1))
        }
        Which::Before(_) | Which::Latest => {
            let last = match page {
                Which::Before(end) => last.min(end.saturating_sub(1)),
                Which::Latest | Which::From(_) => last,
            };
            first.max((last + 1).saturating_sub(count))..=last
        }
    }
}

/// The runs of a page, in the direction in which it is filled. None crosses the end of a bucket, where marks begin anew.
fn runs(ids: RangeInclusive<u64>, upwards: bool) -> Vec<RangeInclusive<u64>> {
    let (first, last) = ids.into_inner();
    let bucket = |id: u64| id / BUCKET_MESSAGES * BUCKET_MESSAGES;
    let mut runs = Vec::new();
    if upwards {
        let mut from = first;
        while from <= last {
            let to = last
                .min(from + (RUN - 1))
                .min(bucket(from) + (BUCKET_MESSAGES - 1));
            runs.push(from..=to);
            from = to + 1;
        }
    } else {
        let mut to = last;
        while to >= first && to > 0 {
            let from = first.max((to + 1).saturating_sub(RUN)).max(bucket(to)).max(1);
            runs.push(from..=to);
            to = from - 1;
        }
    }
    runs
}

/// Whose marks are shown on a message: in a dialog the other side's, in a group those of all other current members.
async fn others<S: Store>(reads: &Reads<S>, user: &UserId, seen: &Seen) -> Result<Vec<UserId>, Rejection> {
    let members = match seen.chat.other_side(user) {
        Some(other) => vec![other],
        None => {
            let roster: Option<RosterRow> = reads.get(Key::Roster(seen.chat.clone())).await?;
            roster.map(|roster| roster.members).unwrap_or_default()
        }
    };
    Ok(members.into_iter().filter(|member| member != user).collect())
}

/// Where a page's messages come from.
struct Source<'a, S> {
    reads: &'a Reads<S>,
    user: &'a UserId,
    seen: &'a Seen,
    others: Vec<UserId>,
}

/// What is shown of a run of messages beside their own rows.
struct Around {
    quoted: HashMap<u64, MessageRow>,
    marks: Marks,
    /// Of a group's members who have marked something: from where on each sees the chat.
    hidden: Vec<(UserId, u64)>,
}

impl<S: Store> Source<'_, S> {
    /// The messages of a run up to the first that is missing.
    async fn rows(&self, ids: RangeInclusive<u64>) -> Result<Vec<MessageRow>, Rejection> {
        let (from, to) = ids.into_inner();
        let mut rows = Vec::new();
        for attempt in 0..=READ_AGAIN {
            if attempt > 0 {
                tokio::time::sleep(READ_AGAIN_AFTER).await;
            }
            let chat = self.seen.chat.clone();
            let records = self
                .reads
                .scan(Range::Messages { chat, from, to }, Take::All)
                .await?;
            rows = records
                .iter()
                .map(decode)
                .collect::<Result<Vec<MessageRow>, _>>()?;
            let consecutive = (from..=to)
                .zip(&rows)
                .take_while(|(id, row)| row.message_id == *id);
            let consecutive = consecutive.count();
            rows.truncate(consecutive);
            if rows.len() as u64 == to - from + 1 {
                break;
            }
        }
        Ok(rows)
    }

    /// Adds a run to the page; false where no more fits.
    async fn add(&self, rows: &[MessageRow], upwards: bool, out: &mut Page) -> Result<bool, Rejection> {
        let around = self.around(rows).await?;
        let place = |nth: usize| if upwards { nth } else { rows.len() - 1 - nth };
        for row in (0..rows.len()).filter_map(|nth| rows.get(place(nth))) {
            if !out.add(&self.view(row, &around))? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn around(&self, rows: &[MessageRow]) -> Result<Around, Rejection> {
        let marks = self.marks(rows).await?;
        let mut hidden = Vec::new();
        if !self.seen.chat.is_dialog() {
            let marked = self.others.iter().filter(|member| marks.has(member));
            let rows = marked.map(|member| async move {
                let key = Key::Membership(member.clone(), self.seen.chat.clone());
                let row: Option<MembershipRow> = self.reads.get(key).await?;
                Ok::<_, Rejection>((member.clone(), row.map_or(0, |row| row.hidden_before)))
            });
            hidden = concurrently(rows.collect()).await?;
        }
        Ok(Around {
            quoted: self.quoted(rows).await?,
            marks,
            hidden,
        })
    }

    /// The messages that are answered, where the user can see them.
    async fn quoted(&self, rows: &[MessageRow]) -> Result<HashMap<u64, MessageRow>, Rejection> {
        let answered = rows.iter().filter_map(|row| row.reply_to.as_ref());
        let answered: BTreeSet<u64> = answered.map(|quote| quote.message_id).collect();
        let visible = answered
            .into_iter()
            .filter(|id| *id > self.seen.membership.hidden_before);
        let quoted = visible.map(|id| async move {
            let row: Option<MessageRow> = self.reads.get(Key::Message(self.seen.chat.clone(), id)).await?;
            Ok::<_, Rejection>(row.map(|row| (id, row)))
        });
        Ok(concurrently(quoted.collect())
            .await?
            .into_iter()
            .flatten()
            .collect())
    }

    /// In a dialog all marks are shown, in a group those on the user's own messages.
    async fn marks(&self, rows: &[MessageRow]) -> Result<Marks, Rejection> {
        let is_dialog = self.seen.chat.is_dialog();
        let marked = |row: &&MessageRow| is_dialog || row.sender == *self.user;
        let first = rows.iter().find(marked);
        let (Some(first), Some(to)) = (first, rows.iter().rfind(marked)) else {
            return Ok(Marks::default());
        };
        if self.others.is_empty() {
            return Ok(Marks::default());
        }
        let mut users = self.others.clone();
        if is_dialog {
            users.push(self.user.clone());
        }
        let last = self.seen.head.last.as_ref().map_or(0, |last| last.message_id);
        let range = (first.message_id, to.message_id, last);
        Marks::read(self.reads, &self.seen.chat, &users, range).await
    }

    fn view<'r>(&self, row: &'r MessageRow, around: &'r Around) -> Message<'r> {
        let is_mine = row.sender == *self.user;
        let is_dialog = self.seen.chat.is_dialog();
        // The one who marks a message is not the one who sent it.
        let marker = if is_mine {
            self.others.first()
        } else {
            Some(self.user)
        };
        let times = marker
            .filter(|_| is_dialog)
            .map(|marker| around.marks.times(marker, row.message_id))
            .unwrap_or_default();
        Message {
            message_id: row.message_id,
            client_message_id: row.client_message_id.as_deref().map(Cow::Borrowed),
            message: Some(Cow::Borrowed(&*row.text)).filter(|_| row.deleted.is_none()),
            sender: row.sender.as_str().into(),
            attachments: Attachments::new(&row.attachments),
            reply_to: self.reply_to(row, around),
            status: self
                .seen
                .status(self.user, &row.sender, row.message_id, row.deleted.is_some()),
            created_at: row.created_at.as_millis(),
            updated_at: row.updated_at.map(Timestamp::as_millis),
            deleted_at: row.deleted.map(|deletion| deletion.at.as_millis()),
            dlvrd: times.delivered,
            read: times.read,
            delivering: (is_mine && !is_dialog).then(|| delivering(row.message_id, around)),
        }
    }

    /// The message answered, unless the user cannot see it.
    fn reply_to<'r>(&self, row: &'r MessageRow, around: &'r Around) -> Option<ReplyTo<'r>> {
        let quote = row.reply_to.as_ref()?;
        if quote.message_id <= self.seen.membership.hidden_before {
            return None;
        }
        let quoted = around.quoted.get(&quote.message_id);
        let text = quoted.filter(|row| row.deleted.is_none()).map(|row| &*row.text);
        Some(ReplyTo::new(quote, text))
    }
}

/// The marks of a group's other members on a message; those who cannot see it have none, whatever they marked later.
fn delivering(id: u64, around: &Around) -> Vec<Delivering<'_>> {
    let seeing = around
        .hidden
        .iter()
        .filter(|(_, hidden_before)| id > *hidden_before);
    let marks = seeing.map(|(member, _)| (member, around.marks.times(member, id)));
    let marks = marks.filter(|(_, times)| times.delivered.is_some());
    let entry = marks.map(|(member, times)| Delivering {
        user_id: member.as_str().into(),
        dlvrd: times.delivered,
        read: times.read,
    });
    entry.collect()
}
