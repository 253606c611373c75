//! The statements, prepared once: for each table how a row is written and read, for each range how a run is read.

use futures_util::future::try_join_all;
use futures_util::try_join;
use scylla::client::session::Session;
use scylla::statement::prepared::PreparedStatement;

use super::ConnectError;
use super::tables::Table;

/// Rows in a page of a run. Rows may hold 20 KB: such a page is 10 MB, an ordinary one 200 KB.
const PAGE_ROWS: i32 = 500;

/// Everything that is ever asked of the database while it serves.
#[derive(Debug)]
pub(super) struct Statements {
    /// By the tables' numbers.
    rows: Vec<RowStatements>,
    pub(super) messages: RunStatements,
    pub(super) inbox: RunStatements,
    pub(super) marks: RunStatements,
    pub(super) all_marks: RunStatements,
    pub(super) memberships: PreparedStatement,
    pub(super) cursors: PreparedStatement,
    /// Never paged: what one statement reads of one partition is of one moment, pages are not.
    pub(super) state: PreparedStatement,
}

/// One row of a table.
#[derive(Debug)]
pub(super) struct RowStatements {
    pub(super) insert: PreparedStatement,
    pub(super) select: PreparedStatement,
}

/// A run of rows in one partition of a table, from either end.
#[derive(Debug)]
pub(super) struct RunStatements {
    pub(super) ascending: PreparedStatement,
    pub(super) descending: PreparedStatement,
}

impl Statements {
    pub(super) async fn prepare(session: &Session, keyspace: &str) -> Result<Self, ConnectError> {
        let with = Preparing { session, keyspace };
        let numbers = "id >= ? AND id <= ?";
        let own_marks = "user_id = ? AND kind = ? AND up_to >= ? AND up_to <= ?";
        let all_marks = "up_to >= ? AND up_to <= ?";
        // The database goes through a bucket for this; what it leaves out need not be sent.
        let filtering = " ALLOW FILTERING";
        let (rows, messages, inbox, marks, all_marks, memberships, cursors, state) = try_join!(
            try_join_all(Table::ALL.map(|table| with.row(table))),
            with.run(Table::Messages, numbers, ""),
            with.run(Table::Inbox, numbers, ""),
            with.run(Table::Marks, own_marks, ""),
            with.run(Table::Marks, all_marks, filtering),
            with.partition(Table::Memberships),
            with.partition(Table::Cursors),
            with.partition(Table::State),
        )?;
        Ok(Self {
            rows,
            messages,
            inbox,
            marks,
            all_marks,
            memberships,
            cursors,
            state,
        })
    }

    pub(super) fn row(&self, table: Table) -> &RowStatements {
        &self.rows[table as usize]
    }
}

struct Preparing<'a> {
    session: &'a Session,
    keyspace: &'a str,
}

impl Preparing<'_> {
    async fn row(&self, table: Table) -> Result<RowStatements, ConnectError> {
        let (keyspace, name) = (self.keyspace, table.name());
        let columns = [table.partition_columns(), table.clustering_columns()].concat();
        let places = vec!["?"; columns.len()].join(", ");
        // A time to live of 0 is none.
        let life = if table == Table::Inbox { " AND TTL ?" } else { "" };
        let insert = format!(
            "INSERT INTO {keyspace}.{name} ({}, v) VALUES ({places}, ?) USING TIMESTAMP ?{life}",
            columns.join(", ")
        );
        let select = format!(
            "SELECT v, WRITETIME(v) FROM {keyspace}.{name} WHERE {}",
            equal(&columns)
        );
        let (insert, select) = try_join!(self.prepare(&insert), self.prepare(&select))?;
        Ok(RowStatements { insert, select })
    }

    /// Rows of one partition between two bounds, at most so many.
    async fn run(&self, table: Table, bounds: &str, filtering: &str) -> Result<RunStatements, ConnectError> {
        let select = format!("{} AND {bounds}", self.rows_of(table));
        let backwards = table.clustering_columns().join(" DESC, ");
        let ascending = format!("{select} LIMIT ?{filtering}");
        let descending = format!("{select} ORDER BY {backwards} DESC LIMIT ?{filtering}");
        let (ascending, descending) = try_join!(self.prepare(&ascending), self.prepare(&descending))?;
        Ok(RunStatements {
            ascending,
            descending,
        })
    }

    async fn partition(&self, table: Table) -> Result<PreparedStatement, ConnectError> {
        self.prepare(&self.rows_of(table)).await
    }

    fn rows_of(&self, table: Table) -> String {
        format!(
            "SELECT {}, v, WRITETIME(v) FROM {}.{} WHERE {}",
            table.clustering_columns().join(", "),
            self.keyspace,
            table.name(),
            equal(table.partition_columns())
        )
    }

    async fn prepare(&self, text: &str) -> Result<PreparedStatement, ConnectError> {
        let prepared = self.session.prepare(text).await;
        let mut prepared = prepared.map_err(|error| ConnectError::of_prepare(&error))?;
        // All are: a write says what it writes and when, whenever and however often it is done.
        prepared.set_is_idempotent(true);
        prepared.set_page_size(PAGE_ROWS);
        // Every column is named, and none ever changes its type: answers need not describe themselves each time.
        prepared.set_use_cached_result_metadata(true);
        Ok(prepared)
    }
}

fn equal(columns: &[&str]) -> String {
    let equal: Vec<_> = columns.iter().map(|column| format!("{column} = ?")).collect();
    equal.join(" AND ")
}
