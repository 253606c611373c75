//! The log: order, positions, and reading.

use confab_chat::Partition;
use futures_util::future::join_all;

use super::{Subject, append, entry, ids, numbered, open, read, soon};
use crate::{Bus, PartitionReader, Position, ReadError};

const P: Partition = Partition(0);

/// Appends give 1, 2, 3, …; what is read is what was appended, under those numbers, at times that never go back.
pub async fn appends_count_up_and_are_read_in_order<B: Bus>(subject: Subject<B>) {
    let bus = subject.bus;
    let mut reader = open(&bus, P, Position::default()).await;
    assert_eq!(reader.end_at_open().seq, 0);
    let mut expected = Vec::new();
    for n in 1..=50_u64 {
        let id = format!("entry-{n}");
        assert_eq!(append(&bus, P, &id).await.seq, n);
        expected.push(id);
    }
    let entries = read(&mut reader, 50).await;
    assert_eq!(ids(&entries), expected);
    assert!(
        entries.iter().zip(1..).all(|(logged, seq)| logged.seq == seq),
        "the numbers have a hole"
    );
    assert!(entries.is_sorted_by_key(|logged| logged.time), "time goes back");
    assert!(
        bus.now() >= entries[49].time,
        "the log's clock is behind its entries"
    );
    assert_eq!(*entries[7].entry, entry("entry-8"));
}

/// Of many senders at once, each one's entries stand in its order, and the numbers have no hole.
pub async fn concurrent_appends_keep_each_senders_order<B: Bus>(subject: Subject<B>) {
    let bus = &subject.bus;
    let mut reader = open(bus, P, Position::default()).await;
    let sender = async |sender: usize| {
        let mut last = 0;
        for n in 0..25 {
            let at = append(bus, P, &format!("{sender}/{n:03}")).await;
            assert!(at.seq > last, "a later append stands before an earlier one");
            last = at.seq;
        }
    };
    join_all((0..8).map(sender)).await;
    let entries = read(&mut reader, 200).await;
    assert!(
        entries.iter().zip(1..).all(|(logged, seq)| logged.seq == seq),
        "the numbers have a hole"
    );
    for sender in 0..8 {
        let prefix = format!("{sender}/");
        let own: Vec<_> = ids(&entries)
            .into_iter()
            .filter(|id| id.starts_with(&prefix))
            .collect();
        assert!(
            own.len() == 25 && own.is_sorted(),
            "the entries of one sender: {own:?}"
        );
    }
}

/// Reading goes on after any position of the log, its end included; a reader knows the end as it was.
pub async fn every_position_kept_can_be_opened<B: Bus>(subject: Subject<B>) {
    let bus = subject.bus;
    let mut positions = vec![Position::default()];
    for n in 1..=20 {
        positions.push(append(&bus, P, &format!("{n}")).await);
    }
    for (n, after) in positions.iter().enumerate() {
        let mut reader = open(&bus, P, *after).await;
        assert_eq!(reader.end_at_open(), positions[20]);
        if n < 20 {
            assert_eq!(ids(&read(&mut reader, 1).await), [format!("{}", n + 1)]);
        }
    }
    let mut reader = open(&bus, P, positions[20]).await;
    bus.trim(P, positions[15]).await;
    append(&bus, P, "21").await;
    assert_eq!(ids(&read(&mut reader, 1).await), ["21"]);
    let mut reader = open(&bus, P, positions[15]).await;
    assert_eq!(
        ids(&read(&mut reader, 6).await),
        ["16", "17", "18", "19", "20", "21"]
    );
}

/// A position that the log has not reached is refused, at once or by the first read, and never waited for.
pub async fn no_hole_is_passed_over<B: Bus>(subject: Subject<B>) {
    let bus = subject.bus;
    let at = append(&bus, P, "1").await;
    let beyond = Position {
        seq: at.seq + 5,
        ..at
    };
    let refused = match soon("opening a partition", bus.open(P, beyond)).await {
        Ok(mut reader) => {
            for n in 2..=8 {
                append(&bus, P, &format!("{n}")).await;
            }
            soon("a read", reader.next(1)).await.err()
        }
        Err(error) => Some(error),
    };
    assert!(
        matches!(refused, Some(ReadError::Hole { .. })),
        "a reader ahead of the log: {refused:?}"
    );
}

/// A read or a wait for signals that is given up half-way has taken nothing.
pub async fn giving_up_a_wait_loses_nothing<B: Bus>(subject: Subject<B>) {
    let bus = subject.bus;
    let mut reader = open(&bus, P, Position::default()).await;
    let mut entries = Vec::new();
    let mut signals = Vec::new();
    for n in 0..100 {
        let (id, signal) = (format!("{n:03}"), numbered(n));
        tokio::select! {
            biased;
            next = reader.next(3) => entries.extend(next.unwrap()),
            _ = append(&bus, P, &id) => {}
        }
        if entries.len() as u64 <= n {
            // Was it given up, or read already?
            entries.extend(read_or_append(&bus, &mut reader, &id, entries.len()).await);
        }
        let given_up = tokio::select! {
            biased;
            next = reader.signals() => {
                signals.extend(next);
                true
            }
            () = bus.signal(P, signal.clone()) => false,
        };
        if given_up {
            // An earlier one came late: this one was not sent.
            bus.signal(P, signal).await;
        }
        tokio::select! {
            biased;
            next = reader.input(3) => {
                let next = next.unwrap();
                entries.extend(next.entries);
                signals.extend(next.signals);
            }
            () = tokio::task::yield_now() => {}
        }
    }
    while signals.last() != Some(&numbered(99)) {
        signals.extend(soon("the signals", reader.signals()).await);
    }
    assert_eq!(signals, (0..100).map(numbered).collect::<Vec<_>>());
    assert_eq!(
        ids(&entries),
        (0..100).map(|n| format!("{n:03}")).collect::<Vec<_>>()
    );
}

/// Reads the entry that must be there next; if its append was given up before it did anything, appends it first.
async fn read_or_append<B: Bus>(
    bus: &B,
    reader: &mut B::Reader,
    id: &str,
    read_so_far: usize,
) -> Vec<confab_proto::message::Logged> {
    let end = open(bus, P, Position::default()).await.end_at_open();
    if end.seq <= read_so_far as u64 {
        append(bus, P, id).await;
    }
    read(reader, 1).await
}

/// What is appended to one partition, or signalled to it, is read in that one.
pub async fn partitions_do_not_mix<B: Bus>(subject: Subject<B>) {
    let bus = subject.bus;
    let last = Partition(bus.partitions() - 1);
    let mut here = open(&bus, P, Position::default()).await;
    let mut there = open(&bus, last, Position::default()).await;
    for n in 0..10 {
        append(&bus, P, &format!("here-{n}")).await;
        append(&bus, last, &format!("there-{n}")).await;
        bus.signal(last, numbered(n)).await;
    }
    assert!(
        ids(&read(&mut here, 10).await)
            .iter()
            .all(|id| id.starts_with("here-"))
    );
    assert!(
        ids(&read(&mut there, 10).await)
            .iter()
            .all(|id| id.starts_with("there-"))
    );
    let mut signals = Vec::new();
    while signals.len() < 10 {
        signals.extend(soon("a signal", there.signals()).await);
    }
    super::not_yet("a signal arrived in another partition", here.signals()).await;
}

/// Two owners of a partition read the same entries, and both get its signals.
pub async fn two_readers_read_the_same<B: Bus>(subject: Subject<B>) {
    let bus = subject.bus;
    let mut one = open(&bus, P, Position::default()).await;
    append(&bus, P, "first").await;
    let mut two = open(&bus, P, Position::default()).await;
    append(&bus, P, "second").await;
    bus.signal(P, numbered(1)).await;
    assert_eq!(read(&mut one, 2).await, read(&mut two, 2).await);
    assert_eq!(soon("a signal", one.signals()).await, [numbered(1)]);
    assert_eq!(soon("a signal", two.signals()).await, [numbered(1)]);
    drop(one);
    append(&bus, P, "third").await;
    bus.signal(P, numbered(2)).await;
    let mut input = soon("input", two.input(10)).await.unwrap();
    while input.entries.is_empty() || input.signals.is_empty() {
        let more = soon("input", two.input(10)).await.unwrap();
        input.entries.extend(more.entries);
        input.signals.extend(more.signals);
    }
    assert_eq!(
        (ids(&input.entries), input.signals),
        (vec!["third".to_owned()], vec![numbered(2)])
    );
}
