//! A database restored from a backup, with the checkpoints of then, catches up from the log.

use scylla::client::session_builder::SessionBuilder;
use serde_json::{Value, json};

use crate::support::engines::Engines;
use crate::support::server::Settings;
use crate::{alone, left_out};

/// Every table, in an order in which a copy is never ahead of what it rests on: how far things are comes first.
const TABLES: [&str; 12] = [
    "checkpoints",
    "reach",
    "state",
    "heads",
    "rosters",
    "memberships",
    "cursors",
    "users",
    "inbox",
    "client_ids",
    "marks",
    "messages",
];

/// Copies the tables as they now are into another keyspace, with the times at which they were written.
async fn back_up(from: &Engines, to: &Engines) {
    let session = SessionBuilder::new()
        .known_node(from.cql())
        .build()
        .await
        .unwrap();
    for table in TABLES {
        let columns = format!(
            "SELECT column_name FROM system_schema.columns WHERE keyspace_name = '{}' AND table_name = '{table}'",
            from.name()
        );
        let columns = session
            .query_unpaged(columns, ())
            .await
            .unwrap()
            .into_rows_result()
            .unwrap();
        let columns: Vec<String> = columns
            .rows::<(String,)>()
            .unwrap()
            .map(|row| row.unwrap().0)
            .collect();
        let select = format!(
            "SELECT JSON {}, writetime(v) AS wt FROM {}.{table}",
            columns.join(", "),
            from.name()
        );
        let rows = session
            .query_unpaged(select, ())
            .await
            .unwrap()
            .into_rows_result()
            .unwrap();
        for row in rows.rows::<(String,)>().unwrap() {
            let mut row: Value = serde_json::from_str(&row.unwrap().0).unwrap();
            let written = row.as_object_mut().unwrap().remove("wt").unwrap();
            let insert = format!(
                "INSERT INTO {}.{table} JSON ? USING TIMESTAMP {written}",
                to.name()
            );
            session.query_unpaged(insert, (row.to_string(),)).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_database_restored_from_a_backup_catches_up_from_the_log() {
    if left_out() {
        return;
    }
    let _alone = alone().await;
    let mut server = Settings::lenient().start_cluster();
    let mut a = server.connect("alice").open().await;
    let b = server.connect("bob").device("phone").open().await;
    for n in 1..=10 {
        assert_eq!(a.say("bob", &format!("m{n}")).await, n);
    }
    let restored = Engines::beside(server.engines());
    back_up(server.engines(), &restored).await;
    for n in 11..=30 {
        assert_eq!(a.say("bob", &format!("m{n}")).await, n);
    }
    a.request(
        "edit",
        json!({"chatId": "bob", "messageId": 3, "message": "edited"}),
    )
    .await;
    a.request("delete", json!({"chatId": "bob", "messageId": 4}))
        .await;
    let all = json!({"chatId": "bob"});
    let before = a.request("messages", all.clone()).await;
    drop((a, b));
    while server.workers() > 0 {
        server.take_worker().kill();
    }
    let keyspace = restored.name().to_owned();
    server.add_worker(&["--cql-keyspace", &keyspace]).await;
    let mut a = server.connect("alice").open().await;
    assert_eq!(a.request("messages", all).await, before);
    assert_eq!(a.say("bob", "m31").await, 31);
    let mut b = server
        .connect("bob")
        .device("phone")
        .last_event_id(0)
        .open()
        .await;
    let mut announced = Vec::new();
    // One `chats`, 31 messages, an edit and a deletion.
    for id in 1..=34_u64 {
        let event = b.next().await;
        assert_eq!(event["id"], id, "{event}");
        if event["eventType"] == "new" {
            announced.push(event["payload"]["messageId"].as_u64().unwrap());
        }
    }
    assert_eq!(announced, (1..=31).collect::<Vec<_>>());
}
