//! What stands of an actor in the store, as its state is restored from it after its log was lost.
//!
//! A row above the last number that a state knows, and not younger than the state, was left behind by a log that was lost
//! before: whoever restored the actor then did not find it, and it has not been since. It counts for nothing.
//!
//! What counts is written again as it is before anybody builds on it: of a batch that was written in part a row may stand
//! on one replica only, and the next reader may not ask that one.

use confab_bus::Bus;
use confab_chat::conversation::restore::{self, Dated, Standing};
use confab_chat::row::{LastMessage, MarkKind, MembershipRow, MessageRow, RosterRow};
use confab_chat::{ChatKey, Timestamp, UserId, conversation, mailbox};
use confab_proto::row::InboxRow;
use confab_proto::wire::Wire;
use confab_store::{Key, Range, Record, Store, Take};

use super::apply::BATCH_ACTORS;
use super::batch::Rows;
use crate::config::Config;
use crate::seams::{Fault, Seams, as_it_is, decode};

/// The most messages that a batch makes in one chat: so far above what stands whole may a part of one stand.
const BATCH: u64 = BATCH_ACTORS as u64;

/// How far above what stands whole anything of a chat may stand: each log that was lost since the state was written may
/// have left a part of a batch.
fn torn(before: &conversation::State, epoch: u32) -> u64 {
    BATCH * u64::from(epoch.saturating_sub(before.head.epoch.max(1)).max(1))
}

/// How far the clocks of workers and of the store may be apart, in milliseconds.
const CLOCKS: u64 = 60 * 60 * 1000;

/// How many messages or events are read at a time.
const PAGE: u64 = 256;

impl<B: Bus, S: Store> Seams<B, S> {
    /// What stands of a chat. With messages above the state's last goes the row by which their senders' repeats are known,
    /// which may not stand at all.
    pub(super) async fn standing_chat(
        &self,
        before: &conversation::State,
        epoch: u32,
    ) -> Result<Standing, Fault> {
        let chat = &before.key;
        let mut standing = Standing {
            head: self.get(Key::Head(chat.clone())).await?,
            ..Standing::default()
        };
        if !chat.is_dialog() {
            let record = self.record(Key::Roster(chat.clone())).await?;
            standing.roster = record.as_ref().map(dated::<RosterRow>).transpose()?;
        }
        let rows = standing.users(before).into_iter().map(|user| async move {
            let key = Key::Membership(user.clone(), chat.clone());
            let record = self.record(key).await?;
            let row = record.as_ref().map(dated::<MembershipRow>).transpose()?;
            Ok(row.map(|row| (user, row)))
        });
        let rows = super::concurrently(rows.collect()).await?;
        standing.memberships = rows.into_iter().flatten().collect();
        let torn = torn(before, epoch);
        Box::pin(self.standing_messages(before, torn, &mut standing)).await?;
        Box::pin(self.standing_marks(before, torn, &mut standing)).await?;
        Ok(standing)
    }

    async fn standing_messages(
        &self,
        before: &conversation::State,
        torn: u64,
        standing: &mut Standing,
    ) -> Result<(), Fault> {
        let chat = &before.key;
        standing.messages_from = standing.messages_from(before, torn);
        let mut from = standing.messages_from;
        let mut known = standing.last_id(before);
        loop {
            let range = Range::Messages {
                chat: chat.clone(),
                from,
                to: known + torn,
            };
            let page = usize::try_from(PAGE).unwrap_or(usize::MAX);
            let records = self.scan(range, Take::First(page)).await?;
            let mut again = Rows::default();
            for record in &records {
                let row: MessageRow = decode(record)?;
                from = row.message_id + 1;
                let is_new = row.message_id > before.head.last_id;
                if is_new && row.version <= before.head.version {
                    continue;
                }
                if is_new && let Some(id) = restore::client_id(&row) {
                    again.chat(chat, row.version, id, false);
                }
                again.push(as_it_is(record, None));
                note(standing, row);
            }
            self.write(again.take()).await?;
            let is_last = records.len() < page && from <= known + 1;
            known = known.max(from - 1);
            if is_last {
                return Ok(());
            }
        }
    }

    /// The highest marks, of those near the chat's end. A mark that was written in part far below it stays as it is: made
    /// again, it may get a later time.
    async fn standing_marks(
        &self,
        before: &conversation::State,
        torn: u64,
        standing: &mut Standing,
    ) -> Result<(), Fault> {
        let last_id = standing.last_id(before);
        let lowest = (last_id + 1).saturating_sub(torn);
        let marks = standing.users(before).into_iter().map(|user| async move {
            let [delivered, read] = [MarkKind::Delivered, MarkKind::Read]
                .map(|kind| self.highest_mark(&before.key, &user, kind, (lowest, last_id + torn)));
            let marks = (delivered.await?, read.await?);
            Ok((user, marks))
        });
        let marks = super::concurrently(marks.collect()).await?;
        standing.marks = marks.into_iter().collect();
        Ok(())
    }

    async fn highest_mark(
        &self,
        chat: &ChatKey,
        user: &UserId,
        kind: MarkKind,
        (from, to): (u64, u64),
    ) -> Result<u64, Fault> {
        let range = Range::Marks {
            chat: chat.clone(),
            user: user.clone(),
            kind,
            from,
            to,
        };
        let records = self.scan(range, Take::All).await?;
        let again = records.iter().map(|record| as_it_is(record, None));
        self.write(again.collect()).await?;
        Ok(records.last().map_or(0, |record| match &record.key {
            Key::Mark(_, _, _, up_to) => *up_to,
            _ => 0,
        }))
    }

    /// The events that stand after a mailbox's last, up to the first that is missing. They are kept as long as any event.
    pub(super) async fn standing_inbox(
        &self,
        before: &mailbox::State,
        config: &Config,
    ) -> Result<Vec<mailbox::Standing>, Fault> {
        let mut standing = Vec::new();
        let mut next = before.head.last + 1;
        loop {
            let page = next + PAGE;
            let range = Range::Inbox {
                user: before.user.clone(),
                from: next,
                to: page - 1,
            };
            let records = self.scan(range, Take::All).await?;
            let counts = (next..).zip(&records).take_while(|(id, record)| {
                record.timestamp > before.head.version && record.key == Key::Inbox(before.user.clone(), *id)
            });
            let mut again = Vec::new();
            for (id, record) in counts {
                let row: InboxRow = decode(record)?;
                again.push(as_it_is(record, Some(config.expiry(row.at))));
                standing.push(mailbox::Standing {
                    id,
                    at: row.at,
                    chat: row.chat,
                    version: row.version,
                    rest: row.rest,
                });
            }
            next += again.len() as u64;
            self.write(again).await?;
            if next < page {
                return Ok(standing);
            }
        }
    }

    /// Whether a device may have seen events that came after those of a time and are not kept any more.
    pub(super) async fn may_have_expired(
        &self,
        user: &UserId,
        newest: Timestamp,
        config: &Config,
    ) -> Result<bool, Fault> {
        let kept_until = config.expiry(newest).0;
        if kept_until > self.bus.now().0.saturating_add(CLOCKS) {
            return Ok(false);
        }
        // Without a cursor no device has ever seen anything.
        let cursors = self.scan(Range::Cursors(user.clone()), Take::First(1)).await?;
        Ok(!cursors.is_empty())
    }
}

fn dated<T: Wire>(record: &Record) -> Result<Dated<T>, Fault> {
    Ok(Dated {
        version: record.timestamp,
        row: decode(record)?,
    })
}

/// Puts a message to the others, which are below it.
fn note(standing: &mut Standing, row: MessageRow) {
    let sent = (row.sender.clone(), row.created_at);
    standing.messages.insert(row.message_id, sent);
    standing.last = Some(LastMessage {
        message_id: row.message_id,
        sender: row.sender,
        text: row.text,
        at: row.created_at,
        deleted: row.deleted.is_some(),
    });
}
