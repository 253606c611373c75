//! Two owners of the same partitions leave the same tables as one.

use std::collections::BTreeSet;

use crate::support::engines::Engines;
use crate::support::server::{Server, Settings};
use crate::tables::{Dump, dump};
use crate::{alone, left_out, on};

/// All workers own all partitions; then one worker makes the tables anew, from the log alone, in a keyspace of their own.
#[tokio::test]
async fn many_owners_leave_the_same_tables_as_one() {
    if left_out() {
        return;
    }
    let _alone = alone().await;
    let mut server = Settings::lenient()
        .flag("--own-partitions", "all")
        .start_cluster();
    on("every partition has three owners", &mut server, async |_, _| {}).await;
    let by_three = settled(&server).await;
    let alone = Engines::beside(server.engines());
    while server.workers() > 0 {
        server.take_worker().kill();
    }
    let keyspace = alone.name().to_owned();
    server.add_worker(&["--cql-keyspace", &keyspace]).await;
    let by_one = dump(&alone, alone.name()).await;
    let (three, one): (BTreeSet<_>, BTreeSet<_>) = (by_three.iter().collect(), by_one.iter().collect());
    let differing: Vec<_> = three.symmetric_difference(&one).take(10).collect();
    assert!(
        differing.is_empty() && by_one.len() > 500,
        "{} rows; {differing:#?}",
        by_one.len()
    );
}

/// The tables once nothing is written any more: every owner has done what the log holds.
async fn settled(server: &Server) -> Dump {
    let engines = server.engines();
    let mut last = Dump::new();
    loop {
        let now = dump(engines, engines.name()).await;
        if now == last {
            return now;
        }
        last = now;
    }
}
