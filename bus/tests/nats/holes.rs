//! What is missing from the log is never passed over.

use confab_bus::nats::{Nats, NatsOptions};
use confab_bus::{Bus, PartitionReader, Position, ReadError};
use confab_chat::Partition;

use crate::harness::{Installation, P, append, append_all, ids, large, numbers, read, read_to_end, soon};

fn is_hole_at(error: &ReadError, seq: u64) -> bool {
    matches!(error, ReadError::Hole { partition: P, expected, .. } if *expected == seq)
}

#[tokio::test]
async fn entries_purged_before_they_were_read_are_a_hole() {
    let Some(installation) = Installation::new() else {
        return;
    };
    let bus = installation.connect().await;
    append_all(&bus, 1..=20).await;
    let mut reader = bus.open(P, Position::default()).await.unwrap();
    installation.stream(P).await.purge().sequence(11).await.unwrap();
    let (entries, error) = read_to_end(&mut reader).await;
    assert!(entries.is_empty() && is_hole_at(&error, 1), "{entries:?} {error}");
    // And it stays one.
    assert_eq!(soon("an error", reader.next(1)).await, Err(error));
    for after in [0, 5, 9] {
        let opened = bus.open(P, Position { epoch: 1, seq: after }).await;
        assert!(opened.is_err_and(|error| is_hole_at(&error, after + 1)));
    }
    let mut reader = bus.open(P, Position { epoch: 1, seq: 10 }).await.unwrap();
    assert_eq!(ids(&read(&mut reader, 10).await), numbers(11..=20));
}

#[tokio::test]
async fn a_hole_in_the_middle_is_found_behind_all_that_comes_before_it() {
    let Some(installation) = Installation::new() else {
        return;
    };
    let bus = installation.connect().await;
    append_all(&bus, 1..=1000).await;
    let mut reader = bus.open(P, Position::default()).await.unwrap();
    assert_eq!(ids(&read(&mut reader, 5).await), numbers(1..=5));
    installation.stream(P).await.purge().sequence(901).await.unwrap();
    let (entries, error) = read_to_end(&mut reader).await;
    let read = 5 + entries.len() as u64;
    assert_eq!(ids(&entries), numbers(6..=read));
    assert!(read < 900 && is_hole_at(&error, read + 1), "{read} {error}");
}

#[tokio::test]
async fn a_log_that_is_lost_under_its_reader_is_a_hole() {
    let Some(installation) = Installation::new() else {
        return;
    };
    let bus = installation.connect().await;
    append_all(&bus, 1..=3).await;
    let mut reader = bus.open(P, Position::default()).await.unwrap();
    assert_eq!(ids(&read(&mut reader, 3).await), numbers(1..=3));
    installation.delete_stream(P).await;
    let error = soon("an error", reader.next(1)).await.unwrap_err();
    assert!(is_hole_at(&error, 4), "{error}");
}

#[tokio::test]
async fn another_log_in_the_place_of_the_lost_one_is_a_hole_however_long_it_is() {
    for length in [0, 3, 10] {
        let Some(installation) = Installation::new() else {
            return;
        };
        let bus = installation.connect().await;
        append_all(&bus, 1..=5).await;
        let mut reader = bus.open(P, Position::default()).await.unwrap();
        read(&mut reader, 5).await;
        installation.delete_stream(P).await;
        let other = installation.connect().await;
        for n in 0..length {
            append(&other, &format!("new {n}")).await;
        }
        let (entries, error) = read_to_end(&mut reader).await;
        assert!(entries.is_empty() && is_hole_at(&error, 6), "{entries:?} {error}");
    }
}

#[tokio::test]
async fn a_position_that_the_log_does_not_reach_is_a_hole() {
    let Some(installation) = Installation::new() else {
        return;
    };
    let bus = installation.connect().await;
    append_all(&bus, 1..=3).await;
    assert!(bus.open(P, Position { epoch: 1, seq: 3 }).await.is_ok());
    for seq in [4, 100] {
        let opened = bus.open(P, Position { epoch: 1, seq }).await;
        assert!(opened.is_err_and(|error| is_hole_at(&error, seq + 1)));
    }
    installation.delete_stream(P).await;
    let opened = bus.open(P, Position::default()).await;
    assert!(opened.is_err_and(|error| is_hole_at(&error, 1)));
    let elsewhere = bus.open(Partition(4), Position::default()).await;
    assert!(matches!(elsewhere, Err(ReadError::Closed(_))));
}

#[tokio::test]
async fn what_cannot_be_read_is_not_passed_over() {
    let Some(installation) = Installation::new() else {
        return;
    };
    let bus = installation.connect().await;
    append_all(&bus, 1..=2).await;
    let jetstream = installation.jetstream().await;
    let subject = format!("{}.log.0.1", installation.prefix);
    jetstream
        .publish(subject, "gibberish".into())
        .await
        .unwrap()
        .await
        .unwrap();
    append(&bus, "4").await;
    let mut reader = bus.open(P, Position::default()).await.unwrap();
    let (entries, error) = read_to_end(&mut reader).await;
    assert_eq!(ids(&entries), numbers(1..=2));
    assert!(is_hole_at(&error, 3), "{error}");
}

#[tokio::test]
async fn the_largest_entries_are_read_in_order_however_few_fit_at_once() {
    let Some(installation) = Installation::new() else {
        return;
    };
    let options = NatsOptions {
        max_bytes: 64 << 20,
        ..installation.options()
    };
    let bus = Nats::connect(options).await.unwrap();
    for (n, bytes) in (1..=30).zip([900_000, 400_000, 10].into_iter().cycle()) {
        bus.append(P, large(n, bytes)).await.unwrap();
    }
    let mut reader = bus.open(P, Position::default()).await.unwrap();
    assert_eq!(ids(&read(&mut reader, 30).await), numbers(1..=30));
}

#[tokio::test]
async fn a_single_entry_that_is_missing_is_a_hole() {
    let Some(installation) = Installation::new() else {
        return;
    };
    // One of ours would not let it be deleted.
    let careless = async_nats::jetstream::stream::Config {
        name: format!("{}-log-0", installation.prefix),
        subjects: vec![format!("{}.log.0.1", installation.prefix)],
        ..Default::default()
    };
    let jetstream = installation.jetstream().await;
    jetstream.create_stream(careless).await.unwrap();
    let bus = Nats::connect_unchecked(installation.options()).await.unwrap();
    append_all(&bus, 1..=9).await;
    let stream = installation.stream(P).await;
    stream.delete_message(5).await.unwrap();
    let mut reader = bus.open(P, Position::default()).await.unwrap();
    let (entries, error) = read_to_end(&mut reader).await;
    assert_eq!(ids(&entries), numbers(1..=4));
    assert!(is_hole_at(&error, 5), "{error}");
    let mut reader = bus.open(P, Position { epoch: 1, seq: 4 }).await.unwrap();
    let (entries, error) = read_to_end(&mut reader).await;
    assert!(entries.is_empty() && is_hole_at(&error, 5), "{entries:?} {error}");
}
