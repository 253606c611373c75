//! A real database, and keyspaces of one's own on it.

use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use confab_store::scylla::schema::{self, Replication};
use confab_store::scylla::{Scylla, ScyllaOptions};
use futures_util::FutureExt;
use scylla::client::execution_profile::ExecutionProfile;
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;

/// The database that tests run against; none if only the embedded form is to be tested.
#[expect(
    clippy::disallowed_methods,
    reason = "a test has no other way to be told where the database is"
)]
pub(crate) fn address() -> Option<String> {
    let given = std::env::var("CONFAB_TEST_CQL")
        .ok()
        .filter(|given| !given.is_empty());
    if given.is_none() && std::env::var("CONFAB_TEST_EMBEDDED_ONLY").is_ok_and(|only| only == "1") {
        println!("not run: CONFAB_TEST_EMBEDDED_ONLY=1 leaves out what needs a CQL database");
        return None;
    }
    assert!(
        given.is_some(),
        "this test needs a CQL database: `cargo xtask test`, or `export $(cargo xtask services up --print-env)`"
    );
    given
}

#[expect(
    clippy::disallowed_methods,
    reason = "the database's clock is the real one, too"
)]
pub(crate) fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(now.as_millis()).unwrap()
}

/// Options for a keyspace that nobody else has.
pub(crate) fn options(address: &str) -> ScyllaOptions {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let nth = NEXT.fetch_add(1, Ordering::SeqCst);
    ScyllaOptions {
        keyspace: format!("t{}_{}_{nth}", now(), std::process::id()),
        ..ScyllaOptions::new(vec![address.to_owned()], Arc::new(now))
    }
}

pub(crate) fn one_copy() -> Replication {
    Replication::Simple(1)
}

/// A session past the store, for what operators and others do.
pub(crate) async fn session(address: &str) -> Session {
    let profile = ExecutionProfile::builder().request_timeout(Some(Duration::from_secs(60)));
    SessionBuilder::new()
        .known_node(address)
        .default_execution_profile_handle(profile.build().into_handle())
        .fetch_schema_metadata(false)
        .build()
        .await
        .unwrap()
}

/// Runs a test with options for a keyspace, and drops that keyspace whatever becomes of the test.
pub(crate) async fn with_options(test: impl AsyncFnOnce(ScyllaOptions)) {
    let Some(address) = address() else {
        return;
    };
    let options = options(&address);
    let keyspace = options.keyspace.clone();
    let outcome = AssertUnwindSafe(Box::pin(test(options))).catch_unwind().await;
    let drop = format!("DROP KEYSPACE IF EXISTS {keyspace}");
    session(&address).await.query_unpaged(drop, ()).await.unwrap();
    if let Err(panic) = outcome {
        resume_unwind(panic);
    }
}

/// Runs a test with an empty store.
pub(crate) async fn with_store(test: impl AsyncFnOnce(Scylla, ScyllaOptions)) {
    with_options(async |options| {
        schema::apply(&options, &one_copy()).await.unwrap();
        let store = Scylla::connect(options.clone()).await.unwrap();
        test(store, options).await;
    })
    .await;
}
