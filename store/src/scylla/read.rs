//! Reading: rows, whole partitions, and runs of numbered rows over their buckets.

use std::ops::ControlFlow;
use std::pin::pin;

use bytes::Bytes;
use confab_chat::{ActorKey, ChatKey, DeviceId, UserId};
use scylla::deserialize::row::DeserializeRow;
use scylla::response::PagingState;
use scylla::response::query_result::QueryRowsResult;
use scylla::statement::prepared::PreparedStatement;

use super::Open;
use super::buckets::Rows;
use super::cells::{Cell, actor_cell, cells, kind_of, part_of};
use super::error::corrupt;
use super::requests::Request;
use super::tables::Table;
use crate::{Key, Range, Record, StoreError, Take};

impl Open {
    pub(super) async fn get(&self, key: Key) -> Result<Option<Record>, StoreError> {
        if let Key::State(actor, _) = &key {
            // Never a part alone: where replicas differ a read mends what it reads, and a part that is mended
            // without the others is a state in parts.
            let state = self.state(actor).await?;
            return Ok(state.into_iter().find(|record| record.key == key));
        }
        let Ok(values) = cells(&key) else {
            return Ok(None);
        };
        let select = &self.statements.row(Table::of(&key)).select;
        let session = self.link.session();
        let found = self
            .done(
                Request::Get,
                &session,
                pin!(session.execute_unpaged(select, values)),
            )
            .await?;
        let found = found.into_rows_result().map_err(|error| corrupt(&error))?;
        let row = found.maybe_first_row::<(Bytes, i64)>();
        let row = row.map_err(|error| corrupt(&error))?;
        row.map(|(value, written)| record(key, value, written))
            .transpose()
    }

    pub(super) async fn scan(&self, range: &Range, take: Take) -> Result<Vec<Record>, StoreError> {
        let (limit, down) = match take {
            Take::All => (usize::MAX, false),
            Take::First(limit) => (limit, false),
            Take::Last(limit) => (limit, true),
        };
        if limit == 0 {
            return Ok(Vec::new());
        }
        let numbered = |rows, from: &u64, to: &u64| self.numbered(rows, (*from, *to), limit, down);
        let mut records = match range {
            Range::Messages { chat, from, to } => return numbered(Rows::Messages(chat), from, to).await,
            Range::Inbox { user, from, to } => return numbered(Rows::Inbox(user), from, to).await,
            Range::AllMarks { chat, from, to } => return numbered(Rows::AllMarks(chat), from, to).await,
            Range::Marks {
                chat,
                user,
                kind,
                from,
                to,
            } => return numbered(Rows::Marks(chat, user, *kind), from, to).await,
            Range::Memberships(user) => self.memberships(user).await?,
            Range::Cursors(user) => self.cursors(user).await?,
            Range::State(actor) => self.state(actor).await?,
        };
        if down {
            records.reverse();
        }
        records.truncate(limit);
        Ok(records)
    }

    async fn memberships(&self, user: &UserId) -> Result<Vec<Record>, StoreError> {
        let key = |chat: &str| Some(Key::Membership(user.clone(), ChatKey::parse(chat).ok()?));
        let mut records = Vec::new();
        let statement = &self.statements.memberships;
        self.pages(statement, &[Cell::Text(user.as_str())], |page| {
            each(page, &mut records, |(chat, value, written): (&str, _, _)| {
                (key(chat), value, written)
            })
        })
        .await?;
        Ok(records)
    }

    async fn cursors(&self, user: &UserId) -> Result<Vec<Record>, StoreError> {
        let key = |device: &str| Some(Key::Cursor(user.clone(), DeviceId::parse(device).ok()?));
        let mut records = Vec::new();
        let statement = &self.statements.cursors;
        self.pages(statement, &[Cell::Text(user.as_str())], |page| {
            each(page, &mut records, |(device, value, written): (&str, _, _)| {
                (key(device), value, written)
            })
        })
        .await?;
        Ok(records)
    }

    /// All parts of a state, of one moment.
    async fn state(&self, actor: &ActorKey) -> Result<Vec<Record>, StoreError> {
        let session = self.link.session();
        let read = pin!(session.execute_unpaged(&self.statements.state, vec![actor_cell(actor)]));
        let found = self.done(Request::Scan, &session, read).await?;
        let found = found.into_rows_result().map_err(|error| corrupt(&error))?;
        let mut records = Vec::with_capacity(found.rows_num());
        each(
            &found,
            &mut records,
            |(kind, name, value, written): (&str, &str, _, _)| {
                let part = part_of(kind, name);
                (part.map(|part| Key::State(actor.clone(), part)), value, written)
            },
        )?;
        Ok(records)
    }

    /// Adds rows of one bucket, at most so many.
    pub(super) async fn run(
        &self,
        rows: Rows<'_>,
        mut cells: Vec<Cell<'_>>,
        limit: usize,
        down: bool,
        records: &mut Vec<Record>,
    ) -> Result<(), StoreError> {
        let statements = rows.statements(&self.statements);
        let statement = if down {
            &statements.descending
        } else {
            &statements.ascending
        };
        cells.push(Cell::Small(i32::try_from(limit).unwrap_or(i32::MAX)));
        self.pages(statement, &cells, |page| match rows {
            Rows::Messages(chat) => each(page, records, |(id, value, written): (i64, _, _)| {
                (id_of(id).map(|id| Key::Message(chat.clone(), id)), value, written)
            }),
            Rows::Inbox(user) => each(page, records, |(id, value, written): (i64, _, _)| {
                (id_of(id).map(|id| Key::Inbox(user.clone(), id)), value, written)
            }),
            Rows::Marks(chat, ..) | Rows::AllMarks(chat) => each(
                page,
                records,
                |(user, kind, up_to, value, written): (&str, &str, i64, _, _)| {
                    (mark(chat, user, kind, up_to), value, written)
                },
            ),
        })
        .await
    }

    /// Reads page after page.
    async fn pages(
        &self,
        statement: &PreparedStatement,
        cells: &[Cell<'_>],
        mut take: impl FnMut(&QueryRowsResult) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let session = self.link.session();
        let mut state = PagingState::start();
        loop {
            let read = pin!(session.execute_single_page(statement, cells, state));
            let (page, next) = self.done(Request::Scan, &session, read).await?;
            take(&page.into_rows_result().map_err(|error| corrupt(&error))?)?;
            match next.into_paging_control_flow() {
                ControlFlow::Break(()) => return Ok(()),
                ControlFlow::Continue(next) => state = next,
            }
        }
    }
}

/// Adds the rows of a page.
fn each<'a, R: DeserializeRow<'a, 'a>>(
    page: &'a QueryRowsResult,
    records: &mut Vec<Record>,
    read: impl Fn(R) -> (Option<Key>, Bytes, i64),
) -> Result<(), StoreError> {
    for row in page.rows::<R>().map_err(|error| corrupt(&error))? {
        let (key, value, written) = read(row.map_err(|error| corrupt(&error))?);
        let key = key.ok_or_else(|| StoreError::Corrupt("a key that is none".to_owned()))?;
        records.push(record(key, value, written)?);
    }
    Ok(())
}

fn record(key: Key, value: Bytes, written: i64) -> Result<Record, StoreError> {
    match u64::try_from(written) {
        Ok(timestamp) => Ok(Record {
            key,
            timestamp,
            value,
        }),
        Err(_) => Err(StoreError::Corrupt(format!("{key:?} was written at {written}"))),
    }
}

fn id_of(number: i64) -> Option<u64> {
    u64::try_from(number).ok()
}

fn mark(chat: &ChatKey, user: &str, kind: &str, up_to: i64) -> Option<Key> {
    let (user, kind) = (UserId::parse(user).ok()?, kind_of(kind)?);
    Some(Key::Mark(chat.clone(), user, kind, id_of(up_to)?))
}
