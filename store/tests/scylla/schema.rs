//! The schema: applied, printed, checked, refused.

use confab_store::scylla::schema::{self, Replication, VERSION};
use confab_store::scylla::{ConnectError, Scylla, ScyllaOptions};
use confab_store::{Key, Store};
use futures_util::future::join_all;

use crate::harness::{one_copy, session, with_options};

async fn run(options: &ScyllaOptions, statements: &[String]) {
    let session = session(&options.nodes[0]).await;
    for statement in statements {
        session.query_unpaged(statement.as_str(), ()).await.unwrap();
    }
}

async fn refusal(options: &ScyllaOptions) -> ConnectError {
    Scylla::connect(options.clone()).await.unwrap_err()
}

#[tokio::test]
async fn is_applied_by_two_at_once_and_again() {
    with_options(async |options| {
        let copies = one_copy();
        let (one, other) =
            futures_util::join!(schema::apply(&options, &copies), schema::apply(&options, &copies));
        assert!(
            one.unwrap().steps.len() + other.unwrap().steps.len() >= VERSION as usize,
            "somebody takes each step"
        );
        let again = schema::apply(&options, &copies).await.unwrap();
        assert_eq!((again.steps, again.notes), (Vec::new(), Vec::new()));
        let checked = schema::check(&options).await.unwrap();
        assert_eq!(checked.version, Some(VERSION));
        assert_eq!(checked.replication.as_deref(), Some("simple:1"));
        assert_eq!(checked.findings, Vec::<String>::new());
        assert_eq!(checked.notes.len(), 1, "one copy is noted: {:?}", checked.notes);

        let wider = "simple:3".parse::<Replication>().unwrap();
        let kept = schema::apply(&options, &wider).await.unwrap();
        assert!(
            kept.notes[0].contains("keeps its replication, simple:1"),
            "{kept:?}"
        );
    })
    .await;
}

/// As workers do that start together, on a database that has to prepare again what they ask it.
#[tokio::test]
async fn is_looked_at_by_many_at_once() {
    with_options(async |options| {
        schema::apply(&options, &one_copy()).await.unwrap();
        let table = format!("{}.schema_version", options.keyspace);
        for round in 0..30 {
            // Servers forget statements on a table whose columns change.
            run(&options, &[format!("ALTER TABLE {table} ADD extra_{round} int")]).await;
            let looks = (0..8).map(|_| schema::check(&options));
            for checked in join_all(looks).await {
                assert_eq!(checked.unwrap().version, Some(VERSION));
            }
        }
    })
    .await;
}

#[tokio::test]
async fn is_what_an_operator_can_run_by_hand() {
    with_options(async |options| {
        let printed = schema::print(&options.keyspace, &one_copy());
        let statements: Vec<_> = printed
            .split(";\n")
            .map(str::trim)
            .filter(|statement| !statement.is_empty())
            .map(str::to_owned)
            .collect();
        run(&options, &statements).await;
        let store = Scylla::connect(options.clone()).await.unwrap();
        let nobody = confab_chat::UserId::parse("nobody").unwrap();
        assert_eq!(store.get(Key::User(nobody)).await, Ok(None));
        assert_eq!(
            schema::check(&options).await.unwrap().findings,
            Vec::<String>::new()
        );
        assert_eq!(
            schema::apply(&options, &one_copy()).await.unwrap().steps,
            Vec::<u32>::new()
        );
    })
    .await;
}

/// From nothing to the version of a later program, and what `connect`, `check` and `apply` make of each.
#[tokio::test]
async fn any_other_than_ours_is_refused() {
    with_options(async |options| {
        let keyspace = options.keyspace.clone();
        let findings = async || schema::check(&options).await.unwrap().findings;
        assert_eq!(
            refusal(&options).await,
            ConnectError::NoKeyspace(keyspace.clone())
        );
        assert!(findings().await[0].contains("run `confab schema apply`"));

        let create = "WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}";
        run(&options, &[format!("CREATE KEYSPACE {keyspace} {create}")]).await;
        assert_eq!(refusal(&options).await, ConnectError::NoSchema(keyspace.clone()));
        assert!(findings().await[0].contains("run `confab schema apply`"));

        schema::apply(&options, &one_copy()).await.unwrap();
        let table = format!("{keyspace}.schema_version");
        run(&options, &[format!("DELETE FROM {table} WHERE scope = 'confab'")]).await;
        let older = refusal(&options).await;
        assert!(
            matches!(
                older,
                ConnectError::OlderSchema {
                    found: 0,
                    needed: VERSION,
                    ..
                }
            ),
            "{older:?}"
        );
        assert!(older.to_string().contains("run `confab schema apply`"), "{older}");
        assert_eq!(findings().await, [older.to_string()]);

        let newer = VERSION + 1;
        let insert = format!("INSERT INTO {table} (scope, step, v) VALUES ('confab', {newer}, '9')");
        run(&options, &[insert]).await;
        let refused = refusal(&options).await;
        assert!(
            matches!(refused, ConnectError::NewerSchema { found, known: VERSION, .. } if found == newer),
            "{refused:?}"
        );
        assert_eq!(findings().await, [refused.to_string()]);
        assert_eq!(schema::apply(&options, &one_copy()).await, Err(refused));
    })
    .await;
}

#[tokio::test]
async fn what_is_missing_is_found() {
    with_options(async |options| {
        schema::apply(&options, &one_copy()).await.unwrap();
        let keyspace = &options.keyspace;
        let spoil = [
            format!("DROP TABLE {keyspace}.heads"),
            format!("ALTER TABLE {keyspace}.users DROP v"),
            format!("DROP TABLE {keyspace}.reach"),
            format!("CREATE TABLE {keyspace}.reach (log_partition text PRIMARY KEY, v blob)"),
        ];
        run(&options, &spoil).await;
        let mut findings = schema::check(&options).await.unwrap().findings;
        findings.sort();
        assert_eq!(
            findings,
            [
                format!("column log_partition of table {keyspace}.reach is of type text and should be int"),
                format!("table {keyspace}.heads is missing"),
                format!("table {keyspace}.users has no column v"),
            ]
        );
        let refused = refusal(&options).await;
        assert!(matches!(refused, ConnectError::Refused(_)), "{refused:?}");
        assert!(refused.to_string().contains("confab schema check"), "{refused}");
    })
    .await;
}
