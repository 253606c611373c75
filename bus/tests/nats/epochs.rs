//! A lost log is given up by hand, and the next one is told apart from it.

use confab_bus::{Bus, PartitionReader, Position, ReadError};
use confab_chat::Partition;

use crate::harness::{Installation, P, append, append_all, command, ids, read, soon};

#[tokio::test]
async fn a_new_epoch_begins_an_empty_log_and_only_once() {
    let Some(installation) = Installation::new() else {
        return;
    };
    let bus = installation.connect().await;
    append_all(&bus, 1..=5).await;
    bus.raise_epoch(P, 2).await.unwrap();
    assert_eq!(append(&bus, "a").await, Position { epoch: 2, seq: 1 });
    // Again: it has that epoch.
    bus.raise_epoch(P, 2).await.unwrap();
    assert_eq!(append(&bus, "b").await, Position { epoch: 2, seq: 2 });
    assert!(bus.raise_epoch(P, 1).await.is_err(), "an epoch does not go back");
    assert!(
        bus.raise_epoch(Partition(4), 2).await.is_err(),
        "there is no such partition"
    );
    assert_eq!(append(&bus, "c").await, Position { epoch: 2, seq: 3 });
    // A process that starts later takes the epoch as it is; the other partitions have theirs.
    let later = installation.connect().await;
    assert_eq!(append(&later, "d").await, Position { epoch: 2, seq: 4 });
    let found = later.inspect().await.unwrap().partitions;
    let epochs: Vec<_> = found
        .into_iter()
        .map(|found| found.found.unwrap().unwrap().epoch)
        .collect();
    assert_eq!(epochs, [Some(2), Some(1), Some(1), Some(1)]);
}

#[tokio::test]
async fn a_process_that_knows_only_the_old_epoch_finds_the_new_one() {
    let Some(installation) = Installation::new() else {
        return;
    };
    let (bus, other) = (installation.connect().await, installation.connect().await);
    append(&other, "1").await;
    bus.raise_epoch(P, 7).await.unwrap();
    assert_eq!(append(&other, "2").await, Position { epoch: 7, seq: 1 });
    installation.delete_stream(P).await;
    assert!(other.append(P, command("3", 1)).await.is_err());
    // Raising works from nothing too, as after a loss.
    bus.raise_epoch(P, 8).await.unwrap();
    assert_eq!(append(&other, "3").await, Position { epoch: 8, seq: 1 });
}

#[tokio::test]
async fn a_position_of_an_older_epoch_reads_the_new_log_from_its_beginning() {
    let Some(installation) = Installation::new() else {
        return;
    };
    let bus = installation.connect().await;
    append_all(&bus, 1..=5).await;
    bus.raise_epoch(P, 3).await.unwrap();
    let old = Position { epoch: 1, seq: 5 };
    let reader = bus.open(P, old).await.unwrap();
    assert_eq!(reader.end_at_open(), Position { epoch: 3, seq: 0 });
    append(&bus, "a").await;
    append(&bus, "b").await;
    for after in [old, Position::default(), Position { epoch: 3, seq: 0 }] {
        let mut reader = bus.open(P, after).await.unwrap();
        assert_eq!(reader.end_at_open(), Position { epoch: 3, seq: 2 });
        assert_eq!(ids(&read(&mut reader, 2).await), ["a", "b"]);
    }
    for after in [Position { epoch: 4, seq: 0 }, Position { epoch: 3, seq: 3 }] {
        let opened = bus.open(P, after).await;
        assert!(matches!(opened, Err(ReadError::Hole { .. })), "{after:?}");
    }
}

#[tokio::test]
async fn a_reader_of_the_old_log_stops_when_it_is_given_up() {
    let Some(installation) = Installation::new() else {
        return;
    };
    let bus = installation.connect().await;
    append_all(&bus, 1..=2).await;
    let mut reader = bus.open(P, Position::default()).await.unwrap();
    read(&mut reader, 2).await;
    bus.raise_epoch(P, 2).await.unwrap();
    let (entries, error) = crate::harness::read_to_end(&mut reader).await;
    assert!(
        entries.is_empty() && matches!(error, ReadError::Hole { expected: 3, .. }),
        "{error}"
    );
}

#[tokio::test]
async fn entries_of_a_deleted_log_never_come_back_in_the_next_one() {
    let Some(installation) = Installation::new() else {
        return;
    };
    let bus = installation.connect().await;
    for epoch in 2..30 {
        append(&bus, &format!("before {epoch}")).await;
        // A server that has not finished with this deletion when it is told to replace the log fails at it.
        installation.delete_stream(P).await;
        bus.raise_epoch(P, epoch).await.unwrap();
        assert_eq!(append(&bus, &epoch.to_string()).await, Position { epoch, seq: 1 });
    }
}

#[tokio::test]
async fn somebody_who_listens_to_everything_hides_nothing() {
    let Some(installation) = Installation::new() else {
        return;
    };
    let client = async_nats::connect(&installation.server).await.unwrap();
    let _everything = client
        .subscribe(format!("{}.>", installation.prefix))
        .await
        .unwrap();
    client.flush().await.unwrap();
    let (bus, other) = (installation.connect().await, installation.connect().await);
    soon("joining", bus.join_as_worker()).await;
    append(&other, "1").await;
    bus.raise_epoch(P, 2).await.unwrap();
    // Nobody says that there is no such log any more, so it is found after a while in vain.
    let found = soon("the new log", async {
        loop {
            if let Ok(at) = other.append(P, command("2", 1)).await {
                break at;
            }
        }
    });
    assert_eq!(found.await, Position { epoch: 2, seq: 1 });
}
