//! The commands of whoever runs a cluster, on one that is well; and both halves in one process.

use serde_json::json;

use crate::support::connect::Connecting;
use crate::support::process::{Process, end_of};
use crate::{alone, cluster, left_out};

#[tokio::test]
async fn a_cluster_that_is_well_is_said_to_be_so() {
    if left_out() {
        return;
    }
    let _alone = alone().await;
    let server = cluster();
    let mut a = server.connect("alice").open().await;
    a.say("bob", "hello").await;
    for (command, exit, says) in [
        (&["schema", "check"][..], 0, "is as it must be"),
        (&["schema", "apply"], 0, "is as it must be already"),
        (&["schema", "print"], 0, "CREATE TABLE"),
        (&["doctor"], 0, "8 of 8 sound"),
        (&["log", "recover"], 1, "3 workers are alive: stop them all first"),
        (
            &["log", "recover", "--partitions", "8"],
            64,
            "there is no partition 8, the last is 7",
        ),
        (
            &["log", "recover", "--partitions", "shared"],
            64,
            "neither all nor a list",
        ),
    ] {
        let (told, code) = server.engines().confab(command);
        assert_eq!(code, Some(exit), "{command:?}: {told}");
        assert!(told.contains(says), "{command:?}: {told}");
    }
}

/// `confab serve` on real engines: what one process was told, another one knows.
#[tokio::test]
async fn both_halves_run_in_one_process() {
    if left_out() {
        return;
    }
    let _alone = alone().await;
    let server = cluster();
    let mut a = server.connect("alice").open().await;
    a.say("bob", "by a gateway").await;
    let mut args = vec!["serve".to_owned()];
    args.extend(["--listen", "127.0.0.1:0", "--admin-listen", "off"].map(str::to_owned));
    args.extend(server.engines().flags());
    let both = Process::start(&args, server.dir());
    let mut b = Connecting::new(both.clients_address()).user("bob").open().await;
    b.say("alice", "by both").await;
    a.until_text("by both").await;
    let page = b.request("messages", json!({"chatId": "alice"})).await;
    let texts: Vec<_> = page
        .as_array()
        .unwrap()
        .iter()
        .map(|message| &message["message"])
        .collect();
    assert_eq!(texts, ["by a gateway", "by both"]);
    drop((a, b));
    both.signal("INT");
    assert!(end_of(both).await.success());
}
