//! The engines under the cluster end and come back.

use std::process::Command;

use crate::support::engines::told;
use crate::{left_out, on_a_cluster};

/// Ends an engine by SIGKILL and starts it again with its data; returns when it answers.
async fn restart(engine: &'static str) {
    let command = told("CONFAB_TEST_RESTART").unwrap_or_else(|| {
        panic!(
            "CONFAB_TEST_RESTART is not set: only `cargo xtask test` can restart the engines that it started"
        )
    });
    let restarting = tokio::task::spawn_blocking(move || {
        Command::new("sh")
            .arg("-c")
            .arg(format!("{command} {engine} --kill"))
            .output()
            .unwrap()
    });
    let out = restarting.await.unwrap();
    let text = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.success(), "{engine} does not come back: {text}");
}

#[tokio::test]
async fn nats_is_killed_and_comes_back() {
    if left_out() {
        return;
    }
    on_a_cluster("nats-server is killed and started again", async |_, _| {
        restart("nats").await;
    })
    .await;
}

#[tokio::test]
async fn the_database_is_killed_and_comes_back() {
    if left_out() {
        return;
    }
    on_a_cluster("the database is killed and started again", async |_, _| {
        restart("cql").await;
    })
    .await;
}
