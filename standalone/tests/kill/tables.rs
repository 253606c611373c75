//! The tables as they stand, read past the service, and what they must say.

use std::collections::BTreeMap;

use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;

use crate::support::checker::{History, View, What};
use crate::support::engines::Engines;

/// Tables whose rows depend on the log alone, so that every owner must write the same, with their key and columns.
const TABLES: [(&str, &str); 7] = [
    ("messages", "chat, bucket, id"),
    ("client_ids", "chat, sender, client_message_id"),
    ("heads", "chat"),
    ("rosters", "chat"),
    ("marks", "chat, bucket, user_id, kind, up_to"),
    ("memberships", "user_id, chat"),
    ("inbox", "user_id, bucket, id"),
];

/// Every row of those tables: its key as text, its bytes, and when it was written.
pub(crate) type Dump = BTreeMap<String, (Vec<u8>, i64)>;

async fn session(engines: &Engines) -> Session {
    let builder = SessionBuilder::new().known_node(engines.cql());
    builder.build().await.unwrap()
}

/// The tables of a keyspace.
pub(crate) async fn dump(engines: &Engines, keyspace: &str) -> Dump {
    let session = session(engines).await;
    let mut rows = Dump::new();
    for (table, key) in TABLES {
        let select = format!("SELECT JSON {key} FROM {keyspace}.{table}");
        let keys = texts(&session, &select).await;
        let select = format!("SELECT v, writetime(v) FROM {keyspace}.{table}");
        let found = session
            .query_unpaged(select, ())
            .await
            .unwrap()
            .into_rows_result()
            .unwrap();
        let values: Vec<(Vec<u8>, i64)> = found.rows().unwrap().map(Result::unwrap).collect();
        // Without a condition both give the rows in the order of their keys' tokens.
        assert_eq!(keys.len(), values.len(), "{table} is being written");
        let keys = keys.into_iter().map(|key| format!("{table} {key}"));
        rows.extend(keys.zip(values));
    }
    rows
}

async fn texts(session: &Session, select: &str) -> Vec<String> {
    let found = session
        .query_unpaged(select, ())
        .await
        .unwrap()
        .into_rows_result()
        .unwrap();
    found
        .rows::<(String,)>()
        .unwrap()
        .map(|row| row.unwrap().0)
        .collect()
}

/// Message ids and event ids in the tables are 1..n without a hole, and as many as the clients have seen.
pub(crate) async fn agree(engines: &Engines, history: &History) {
    let session = session(engines).await;
    let keyspace = engines.name();
    for user in users(history) {
        let select = format!("SELECT id FROM {keyspace}.inbox WHERE user_id = ? AND bucket IN (0, 1, 2, 3)");
        let ids = ids(&session, &select, &user).await;
        let seen = history.devices.iter().filter(|device| device.user == user);
        let seen = seen
            .flat_map(|device| device.connections.iter().flatten())
            .map(|event| event.id)
            .max();
        assert_eq!(
            Some(ids.len() as u64),
            seen,
            "{user}: events in the table, and the last one seen"
        );
        assert!(
            ids.iter().copied().eq(1..=ids.len() as i64),
            "{user}: event ids in the table have a hole: {ids:?}"
        );
    }
    for view in &history.views {
        let select = format!("SELECT id FROM {keyspace}.messages WHERE chat = ? AND bucket IN (0, 1, 2, 3)");
        let ids = ids(&session, &select, &key(view)).await;
        assert!(
            ids.iter().copied().eq(1..=view.messages.len() as i64),
            "{}: message ids in the table are {ids:?}, {} messages were read",
            view.chat,
            view.messages.len()
        );
    }
    let announced = history
        .devices
        .iter()
        .flat_map(|device| device.connections.iter().flatten());
    assert!(
        announced
            .clone()
            .any(|event| matches!(event.what, What::New { .. })),
        "nothing was announced"
    );
}

async fn ids(session: &Session, select: &str, of: &str) -> Vec<i64> {
    let found = session
        .query_unpaged(select, (of,))
        .await
        .unwrap()
        .into_rows_result()
        .unwrap();
    let mut ids: Vec<i64> = found
        .rows::<(i64,)>()
        .unwrap()
        .map(|row| row.unwrap().0)
        .collect();
    ids.sort_unstable();
    ids
}

fn users(history: &History) -> Vec<String> {
    let mut users: Vec<String> = history.devices.iter().map(|device| device.user.clone()).collect();
    users.sort();
    users.dedup();
    users
}

/// A chat as the tables name it.
fn key(view: &View) -> String {
    match view.chat.split_once('+') {
        Some((one, two)) => format!("d:{one} {two}"),
        None => view.chat.clone(),
    }
}
