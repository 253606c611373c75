use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Context;
use std::time::Duration;

use confab_chat::{GatewayId, Partition, UserId};
use confab_proto::message::{DeliveryBody, EntryBody, LogEntry, ToGateway};
use futures_util::FutureExt;
use futures_util::task::{self, ArcWake};
use proptest::prelude::*;
use tokio::task::JoinSet;

use super::{Local, LocalOptions};
use crate::conformance::{
    self, Commits, Hook, Hooks, Subject, append, entry, ids, not_yet, open, read, soon,
};
use crate::faulty::{BusFaultCounts, BusFaults, Faulty};
use crate::journal::disk::{Fault, SimulatedDisk};
use crate::{AppendError, Bus, PartitionReader, Position, ReadError};

const P: Partition = Partition(3);

fn options() -> LocalOptions {
    let ticks = Arc::new(AtomicU64::new(1000));
    LocalOptions::new(Arc::new(move || ticks.fetch_add(1, Ordering::Relaxed)))
}

fn start(disk: &SimulatedDisk) -> Local {
    let options = LocalOptions {
        segment_bytes: 16 << 10,
        ..options()
    };
    Local::open_on(Arc::new(disk.clone()), options).unwrap()
}

/// A bus whose commits wait longer for what follows than any test does: only that nothing more follows ends the wait.
fn start_patient(disk: &SimulatedDisk) -> Local {
    let options = LocalOptions {
        gather: Duration::from_secs(3600),
        ..options()
    };
    Local::open_on(Arc::new(disk.clone()), options).unwrap()
}

fn commits(disk: &SimulatedDisk) -> Commits {
    let (stop, resume) = (disk.clone(), disk.clone());
    Hooks {
        stop: Hook(Box::new(move || stop.pause())),
        resume: Hook(Box::new(move || resume.resume())),
    }
}

fn online(user: &str) -> ToGateway {
    let user = UserId::parse(user).unwrap();
    ToGateway {
        user: user.clone(),
        body: DeliveryBody::Online(vec![user]),
    }
}

#[tokio::test]
async fn a_log_keeps_the_partitions_that_it_was_made_with() {
    let disk = SimulatedDisk::new();
    let with = |partitions| {
        let options = LocalOptions {
            partitions,
            ..options()
        };
        Local::open_on(Arc::new(disk.clone()), options).unwrap()
    };
    let bus = with(4);
    assert_eq!(append(&bus, P, "here").await.seq, 1);
    bus.close();
    drop(bus);
    let bus = with(2);
    assert_eq!(bus.partitions(), 4);
    assert_eq!(append(&bus, P, "on").await.seq, 2);
}

#[tokio::test]
async fn passes_the_suite() {
    conformance::all(async || {
        let disk = SimulatedDisk::new();
        Subject {
            bus: start(&disk),
            commits: Some(commits(&disk)),
        }
    })
    .await;
}

/// Even where there are entries already, whoever is about to append does so before they are taken.
#[tokio::test]
async fn a_reader_lets_others_append_first() {
    let bus = start(&SimulatedDisk::new());
    let mut reader = open(&bus, P, Position::default()).await;
    append(&bus, P, "one").await;
    let (entries, _) = tokio::join!(reader.next(9), append(&bus, P, "two"));
    assert_eq!(ids(&entries.unwrap()), ["one", "two"]);
}

/// One who has others go first each time, and is given up each time, would never read.
#[tokio::test]
async fn a_reader_that_is_given_up_gets_on_all_the_same() {
    let bus = start(&SimulatedDisk::new());
    let mut reader = open(&bus, P, Position::default()).await;
    append(&bus, P, "one").await;
    assert!(reader.next(9).now_or_never().is_none());
    let entries = reader.next(9).now_or_never().unwrap();
    assert_eq!(ids(&entries.unwrap()), ["one"]);
}

struct Woken(AtomicBool);

impl ArcWake for Woken {
    fn wake_by_ref(woken: &Arc<Self>) {
        woken.0.store(true, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn who_wants_signals_waits_for_signals_alone() {
    let bus = start(&SimulatedDisk::new());
    let mut reader = open(&bus, P, Position::default()).await;
    append(&bus, P, "one").await;
    let woken = Arc::new(Woken(AtomicBool::new(false)));
    let waker = task::waker(Arc::clone(&woken));
    let mut signals = Box::pin(reader.signals());
    assert!(
        signals
            .as_mut()
            .poll(&mut Context::from_waker(&waker))
            .is_pending()
    );
    // Whoever is to be polled again at once is so after this.
    tokio::task::yield_now().await;
    assert!(!woken.0.load(Ordering::SeqCst));
}

#[tokio::test]
async fn a_command_and_what_follows_from_it_share_a_sync() {
    let disk = SimulatedDisk::new();
    let bus = start_patient(&disk);
    let (chats, mailboxes) = (P, Partition(4));
    let mut of_chats = open(&bus, chats, Position::default()).await;
    let mut of_mailboxes = open(&bus, mailboxes, Position::default()).await;
    let before = disk.syncs();
    append(&bus, chats, "command").await;
    assert_eq!(ids(&read(&mut of_chats, 1).await), ["command"]);
    append(&bus, mailboxes, "delivery").await;
    not_yet("nothing more is there", of_chats.next(1)).await;
    assert_eq!(ids(&read(&mut of_mailboxes, 1).await), ["delivery"]);
    not_yet("nothing more is there", of_mailboxes.next(1)).await;
    soon("a commit", bus.horizon().wait(2)).await.unwrap();
    assert_eq!(disk.syncs() - before, 1);
    // Who reads no more makes nothing of it either.
    append(&bus, chats, "unread").await;
    drop(of_chats);
    append(&bus, chats, "unheard").await;
    soon("a commit", bus.horizon().wait(4)).await.unwrap();
    // Who begins is about to make something of all that is there.
    let mut again = open(&bus, chats, Position::default()).await;
    append(&bus, mailboxes, "another").await;
    assert_eq!(read(&mut of_mailboxes, 1).await.len(), 1);
    not_yet("nothing more is there", of_mailboxes.next(1)).await;
    assert!(bus.horizon().committed() < 5);
    assert_eq!(read(&mut again, 3).await.len(), 3);
    not_yet("nothing more is there", again.next(1)).await;
    soon("a commit", bus.horizon().wait(5)).await.unwrap();
}

/// Of the first entry the committer is told at once; of the others it would rather hear once all is settled.
#[tokio::test]
async fn who_makes_nothing_of_an_entry_keeps_no_commit_waiting_for_long() {
    let bus = start(&SimulatedDisk::new());
    let mut reader = open(&bus, P, Position::default()).await;
    for count in 1..=3 {
        append(&bus, P, "kept").await;
        assert_eq!(read(&mut reader, 1).await.len(), 1);
        soon("a commit", bus.horizon().wait(count)).await.unwrap();
    }
}

/// A commit that is not told that all is settled never comes here.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn every_commit_is_told_that_all_is_settled() {
    let bus = start_patient(&SimulatedDisk::new());
    let unread = Partition(0);
    let mut readers = JoinSet::new();
    for partition in (1..=3).map(Partition) {
        let (bus, mut reader) = (bus.clone(), open(&bus, partition, Position::default()).await);
        readers.spawn(async move {
            loop {
                for _ in read(&mut reader, 4).await {
                    append(&bus, unread, "what follows").await;
                }
            }
        });
    }
    let mut clients = JoinSet::new();
    for number in 0..4 {
        let bus = bus.clone();
        clients.spawn(async move {
            for count in 0..500 {
                append(&bus, Partition((number + count) % 4), "command").await;
                let horizon = bus.horizon();
                soon("a commit", horizon.wait(horizon.appended())).await.unwrap();
            }
        });
    }
    clients.join_all().await;
}

#[tokio::test]
async fn what_nobody_reads_is_committed_at_once() {
    let bus = start_patient(&SimulatedDisk::new());
    for count in 1..=3 {
        append(&bus, P, "unread").await;
        soon("a commit", bus.horizon().wait(count)).await.unwrap();
    }
}

#[tokio::test]
async fn who_does_something_else_first_can_say_that_all_is_settled() {
    let bus = start_patient(&SimulatedDisk::new());
    let mut reader = open(&bus, P, Position::default()).await;
    append(&bus, P, "command").await;
    assert_eq!(ids(&read(&mut reader, 1).await), ["command"]);
    assert_eq!(bus.horizon().committed(), 0);
    reader.settled();
    soon("a commit", bus.horizon().wait(1)).await.unwrap();
    // The end waits for nobody.
    append(&bus, P, "never settled").await;
    let horizon = bus.horizon();
    drop(bus);
    assert_eq!(horizon.committed(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passes_the_suite_on_threads_and_a_real_directory() {
    let dir = tempfile::tempdir().unwrap();
    let made = AtomicU64::new(0);
    conformance::all(async || {
        let path = dir.path().join(made.fetch_add(1, Ordering::Relaxed).to_string());
        let options = LocalOptions {
            segment_bytes: 64 << 10,
            ..options()
        };
        Subject {
            bus: Local::open(&path, options).unwrap(),
            commits: None,
        }
    })
    .await;
}

#[tokio::test]
async fn passes_the_suite_through_a_wrapper_whose_faults_are_only_delays() {
    conformance::all(async || {
        let disk = SimulatedDisk::new();
        let faults = BusFaults {
            late: 20,
            ..BusFaults::default()
        };
        Subject {
            bus: Faulty::new(start(&disk), 7, faults),
            commits: Some(commits(&disk)),
        }
    })
    .await;
}

#[tokio::test]
async fn faults_are_really_injected_and_follow_from_the_seed() {
    let faults = BusFaults {
        append_stored_unknown: 100,
        append_lost_unknown: 100,
        append_doubled: 100,
        append_refused: 100,
        signal_lost: 300,
        delivery_lost: 300,
        announcement_lost: 300,
        query_failed: 500,
        late: 0,
    };
    let mut seen: Vec<(BusFaultCounts, Vec<String>)> = Vec::new();
    for seed in [1, 1, 2] {
        let bus = Faulty::new(start(&SimulatedDisk::new()), seed, faults);
        let mut reader = open(&bus, P, Position::default()).await;
        let mut stored = Vec::new();
        for n in 0..200 {
            let before = bus.counts();
            let id = n.to_string();
            let outcome = bus.append(P, entry(&id)).await;
            let after = bus.counts();
            let copies = match outcome {
                Ok(_) => 1 + usize::from(after.append_doubled > before.append_doubled),
                Err(AppendError::Refused(_)) => 0,
                Err(AppendError::Unknown(_)) => {
                    usize::from(after.append_stored_unknown > before.append_stored_unknown)
                }
            };
            stored.extend(std::iter::repeat_n(id, copies));
            bus.signal(P, conformance::numbered(n)).await;
        }
        assert_eq!(ids(&read(&mut reader, stored.len()).await), stored);
        let got = soon("signals", reader.signals()).await;
        let counts = bus.counts();
        assert_eq!(got.len() as u64, 200 - counts.lost);
        for count in [
            counts.append_stored_unknown,
            counts.append_lost_unknown,
            counts.append_doubled,
            counts.append_refused,
            counts.lost,
        ] {
            assert!(count > 0, "{counts:?}");
        }
        seen.push((counts, stored));
    }
    assert_eq!(seen[0], seen[1]);
    assert_ne!(seen[0], seen[2]);
}

#[tokio::test]
async fn a_new_process_reads_on_where_the_last_one_was() {
    let disk = SimulatedDisk::new();
    let bus = start(&disk);
    for n in 1..=30 {
        append(&bus, P, &n.to_string()).await;
    }
    bus.close();
    assert!(matches!(
        bus.append(P, entry("late")).await,
        Err(AppendError::Refused(_))
    ));
    let bus = start(&disk.kill());
    let mut reader = open(&bus, P, Position { epoch: 1, seq: 10 }).await;
    assert_eq!(reader.end_at_open(), Position { epoch: 1, seq: 30 });
    assert_eq!(append(&bus, P, "31").await, Position { epoch: 1, seq: 31 });
    let entries = read(&mut reader, 21).await;
    assert_eq!(
        ids(&entries),
        (11..=31).map(|n| n.to_string()).collect::<Vec<_>>()
    );
    assert_eq!(*entries[0].entry, entry("11"));
    assert!(entries.is_sorted_by_key(|logged| logged.time));
}

#[tokio::test]
async fn a_position_that_is_trimmed_or_of_another_epoch_is_refused() {
    let bus = start(&SimulatedDisk::new());
    let mut positions = Vec::new();
    for n in 1..=5 {
        positions.push(append(&bus, P, &n.to_string()).await);
    }
    let mut behind = open(&bus, P, Position::default()).await;
    bus.trim(P, positions[2]).await;
    assert!(matches!(
        behind.next(1).await,
        Err(ReadError::Hole { expected: 1, .. })
    ));
    for after in [Position::default(), positions[1], Position { epoch: 2, seq: 4 }] {
        let refused = bus.open(P, after).await;
        assert!(matches!(refused, Err(ReadError::Hole { .. })), "{after:?}");
    }
    assert_eq!(
        ids(&read(&mut open(&bus, P, positions[2]).await, 2).await),
        ["4", "5"]
    );
}

#[tokio::test]
async fn a_failed_disk_ends_everything_that_waits_for_it() {
    let disk = SimulatedDisk::new();
    let bus = start(&disk);
    let gateway = GatewayId("gateway".into());
    let mut end = bus.join_as_gateway(&gateway).await;
    let mut reader = open(&bus, P, Position::default()).await;
    disk.pause();
    disk.fail_after(1, Fault::Io);
    let at = append(&bus, P, "never durable").await;
    bus.deliver(P, at.seq, &gateway, online("bob")).await;
    let horizon = bus.horizon();
    let (waited, why, ()) = tokio::join!(horizon.wait(1), bus.failure(), async { disk.resume() });
    assert!(waited.is_err() && why.contains("simulated"), "{why}");
    assert!(horizon.wait_blocking(1).is_err());
    assert!(matches!(reader.next(1).await, Err(ReadError::Closed(_))));
    let refused = bus.append(P, entry("more")).await;
    assert!(matches!(refused, Err(AppendError::Refused(why)) if why.contains("simulated")));
    not_yet("what is not durable was delivered", end.deliveries.recv()).await;
    let released = bus.release_segments(|| io::Result::Ok(()));
    assert_eq!(released.unwrap(), 0);
}

#[tokio::test]
async fn memory_is_bounded_and_commands_are_refused_first() {
    let options = LocalOptions {
        memory_bytes: 100_000,
        ..options()
    };
    let bus = Local::open_on(Arc::new(SimulatedDisk::new()), options).unwrap();
    let delivery = || LogEntry {
        id: entry("d").id,
        body: EntryBody::Deliver(Vec::new()),
    };
    let mut last = Position::default();
    while let Ok(at) = bus.append(P, entry("x")).await {
        last = at;
    }
    let commands = last.seq;
    assert!(matches!(
        bus.append(P, entry("x")).await,
        Err(AppendError::Refused(_))
    ));
    let mut deliveries = 0;
    while let Ok(at) = bus.append(P, delivery()).await {
        last = at;
        deliveries += 1;
    }
    assert!(
        commands > 100 && deliveries > 30,
        "{commands} commands, {deliveries} deliveries"
    );
    bus.trim(P, last).await;
    append(&bus, P, "again").await;
    assert!(bus.append(P, delivery()).await.is_ok());
}

#[tokio::test]
async fn queues_are_bounded() {
    let options = LocalOptions {
        signals: 4,
        deliveries: 4,
        queries: 1,
        announcements: 2,
        ..options()
    };
    let disk = SimulatedDisk::new();
    let bus = Local::open_on(Arc::new(disk.clone()), options).unwrap();
    let gateway = GatewayId("gateway".into());
    let mut end = bus.join_as_gateway(&gateway).await;
    let mut reader = open(&bus, P, Position::default()).await;
    for n in 0..10 {
        bus.signal(P, conformance::numbered(n)).await;
        bus.deliver(P, 0, &gateway, online("bob")).await;
        bus.announce(confab_proto::message::Announcement::Began { partition: P })
            .await;
    }
    assert_eq!(
        reader.signals().await,
        (0..4).map(conformance::numbered).collect::<Vec<_>>()
    );
    bus.close();
    drop((bus, reader));
    let mut got = 0;
    while end.deliveries.try_recv().is_ok() {
        got += 1;
    }
    let mut heard = 0;
    while end.announcements.try_recv().is_ok() {
        heard += 1;
    }
    assert_eq!((got, heard), (4, 2));
}

#[tokio::test]
async fn segments_go_once_all_is_trimmed_and_the_checkpoints_are_safe() {
    let disk = SimulatedDisk::new();
    let bus = start(&disk);
    let mut last = Position::default();
    for n in 0..300 {
        last = append(&bus, P, &n.to_string()).await;
    }
    append(&bus, Partition(0), "held on to").await;
    bus.horizon().wait(301).await.unwrap();
    bus.trim(P, last).await;
    let unneeded = || -> io::Result<()> { Ok(()) };
    let freed = bus.release_segments(unneeded).unwrap();
    assert!(freed > 0, "segments before the other partition's entry can go");
    for n in 0..300 {
        last = append(&bus, P, &n.to_string()).await;
    }
    bus.trim(P, last).await;
    let panics = || -> io::Result<()> { panic!("nothing can be deleted") };
    assert_eq!(bus.release_segments(panics).unwrap(), 0);
    bus.trim(Partition(0), Position { epoch: 1, seq: 1 }).await;
    let horizon = bus.horizon();
    horizon.wait(horizon.appended()).await.unwrap();
    let mut synced = false;
    let freed = bus.release_segments(|| {
        assert_eq!(horizon.committed(), horizon.appended());
        synced = true;
        io::Result::Ok(())
    });
    assert!(synced && freed.unwrap() > 0);
    drop(bus);
    let bus = start(&disk.kill());
    assert_eq!(append(&bus, P, "on").await.seq, 601);
    assert_eq!(append(&bus, Partition(0), "on").await.seq, 2);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// What a gateway was told follows from entries that are there after a power cut.
    #[test]
    fn a_power_cut_takes_back_nothing_that_was_delivered(
        seed in any::<u64>(),
        appends in prop::collection::vec((0..8_u16, any::<bool>()), 1..80),
        heard in 0..80_usize,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let disk = SimulatedDisk::new();
            let bus = start(&disk);
            let gateway = GatewayId("gateway".into());
            let mut end = bus.join_as_gateway(&gateway).await;
            let mut delivered = Vec::new();
            for (n, (partition, pause)) in appends.iter().enumerate() {
                let partition = Partition(*partition);
                let at = append(&bus, partition, &format!("e{n}")).await;
                bus.deliver(partition, at.seq, &gateway, online(&format!("e{n}"))).await;
                if *pause && delivered.len() < heard {
                    delivered.extend(soon("a delivery", end.deliveries.recv()).await);
                }
            }
            let after = disk.power_cut(seed);
            bus.close();
            while let Ok(message) = end.deliveries.try_recv() {
                delivered.push(message);
            }
            let bus = start(&after);
            let mut found = Vec::new();
            for partition in (0..8).map(Partition) {
                let mut reader = open(&bus, partition, Position::default()).await;
                let count = usize::try_from(reader.end_at_open().seq).unwrap();
                found.extend(ids(&read(&mut reader, count).await));
            }
            for message in delivered {
                assert!(found.contains(&message.user.to_string()), "{message:?} was delivered, and is not in the log");
            }
        });
    }
}
