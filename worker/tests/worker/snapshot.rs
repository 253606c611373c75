//! A database restored from a snapshot: states, checkpoints and rows are those of some time ago, the log is all there.

use std::time::Duration;

use confab_chat::EntryId;

use crate::crash::{Script, USERS, finish, inboxes, rows, small};
use crate::support::copy::{Content, entry_key};
use crate::support::{World, user};
use confab_worker::Worker;

/// What the script puts into a store.
pub(crate) fn content(script: &Script, requests: usize) -> Content {
    let named = (1..12).map(|n| format!("c{n}"));
    let entries = (1..=requests).map(|n| entry_key(&EntryId(format!("gw-{n}").into())));
    Content {
        users: USERS.map(user).to_vec(),
        chats: script.chats.clone(),
        client_ids: named.chain(entries).collect(),
        partitions: 8,
    }
}

/// Restores a snapshot that was taken at once, or whose states and checkpoints were taken before its rows.
async fn restored(seed: u64, at_once: bool) {
    let mut world = World::whose_logs_can_be_lost().await;
    let (mut script, mut requests) = Script::new(&mut world, seed).await;
    let (snapshot, _dir) = world.another_store();
    for run in 0..3 {
        let config = small(&format!("w{run}"), 2);
        let worker = Worker::start(config, world.bus.clone(), world.store.clone()).await;
        for step in 0..40 {
            let (who, chat, op) = script.step();
            requests.push(world.gateway.command(who, &chat, op, None).await);
            world.pass(Duration::from_millis(1));
            tokio::time::sleep(Duration::from_millis(step % 2)).await;
        }
        worker.abort().await;
        let content = content(&script, requests.len());
        if run == 0 {
            content.copy_progress(&world.store, &snapshot).await;
        }
        if run == usize::from(!at_once) {
            content.copy_rows(&world.store, &snapshot).await;
        }
    }
    finish(&world.bus, &world.store, "last").await;
    finish(&world.bus, &snapshot, "restored").await;
    assert_eq!(
        rows(&world.store, &script.chats).await,
        rows(&snapshot, &script.chats).await
    );
    assert_eq!(inboxes(&world.store).await, inboxes(&snapshot).await);
}

#[tokio::test]
async fn a_database_restored_from_a_snapshot_catches_up_from_the_log() {
    for seed in 0..4 {
        restored(seed, true).await;
    }
}

#[tokio::test]
async fn a_snapshot_whose_rows_are_later_than_its_checkpoints_catches_up_too() {
    for seed in 0..4 {
        restored(seed, false).await;
    }
}
