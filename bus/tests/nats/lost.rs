//! Connections that are cut, answers that are lost, queues that are full: nothing durable is lost or doubled, and what is soft is
//! made up for.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use confab_bus::nats::{Nats, NatsOptions};
use confab_bus::{AppendError, Bus, GatewayEnd, PartitionReader, Position, ReadError};
use confab_chat::{GatewayId, Partition, UserId};
use confab_proto::message::{Announcement, Query, QueryKind};

use crate::harness::{
    Installation, P, append, append_all, command, ids, numbers, online, read, read_to_end, signal, soon,
};
use crate::proxy::Proxy;

/// What fails because there is no connection fails at once.
const AT_ONCE: Duration = Duration::from_millis(500);

async fn through(proxy: &Proxy, installation: &Installation) -> Nats {
    let options = NatsOptions {
        servers: vec![proxy.address()],
        ..installation.options()
    };
    Nats::connect(options).await.unwrap()
}

async fn until(bus: &Nats, connected: bool) {
    let waiting = async {
        while bus.is_connected() != connected {
            tokio::task::yield_now().await;
        }
    };
    soon("the connection", waiting).await;
}

fn gateway() -> GatewayId {
    GatewayId("gateway".into())
}

/// Waits until every one of these partitions is said to have begun.
async fn hears_of(end: &mut GatewayEnd, partitions: impl IntoIterator<Item = u16>) {
    let mut missing: BTreeSet<u16> = partitions.into_iter().collect();
    while !missing.is_empty() {
        if let Some(Announcement::Began { partition }) = soon("Began", end.announcements.recv()).await {
            missing.remove(&partition.0);
        }
    }
}

#[tokio::test]
async fn a_cut_connection_loses_nothing_of_the_log() {
    let Some(installation) = Installation::new() else {
        return;
    };
    let proxy = Proxy::start(&installation.server).await;
    let (far, near) = (through(&proxy, &installation).await, installation.connect().await);
    let mut reader = far.open(P, Position::default()).await.unwrap();
    append_all(&near, 1..=300).await;
    assert_eq!(ids(&read(&mut reader, 250).await), numbers(1..=250));
    let (mut at, mut end) = (250, 300);
    for _ in 0..3 {
        proxy.cut();
        until(&far, false).await;
        append_all(&near, end + 1..=end + 100).await;
        proxy.heal();
        assert_eq!(ids(&read(&mut reader, 100).await), numbers(at + 1..=at + 100));
        until(&far, true).await;
        append_all(&far, end + 101..=end + 110).await;
        (at, end) = (at + 100, end + 110);
    }
    assert_eq!(
        ids(&read(&mut reader, usize::try_from(end - at).unwrap()).await),
        numbers(at + 1..=end)
    );
}

#[tokio::test]
async fn a_reader_that_cannot_reach_the_log_ends_and_can_be_opened_again() {
    let Some(installation) = Installation::new() else {
        return;
    };
    let proxy = Proxy::start(&installation.server).await;
    let bus = through(&proxy, &installation).await;
    append_all(&bus, 1..=2).await;
    let mut reader = bus.open(P, Position::default()).await.unwrap();
    read(&mut reader, 1).await;
    proxy.cut();
    until(&bus, false).await;
    let begun = Instant::now();
    let opened = bus.open(P, Position::default()).await;
    assert!(matches!(opened, Err(ReadError::Closed(_))));
    assert!(begun.elapsed() < AT_ONCE);
    let (_, error) = read_to_end(&mut reader).await;
    assert!(matches!(error, ReadError::Closed(_)), "{error}");
    proxy.heal();
    until(&bus, true).await;
    let mut reader = bus.open(P, Position { epoch: 1, seq: 1 }).await.unwrap();
    assert_eq!(ids(&read(&mut reader, 1).await), ["2"]);
}

#[tokio::test]
async fn another_log_after_a_cut_is_a_hole() {
    let Some(installation) = Installation::new() else {
        return;
    };
    let proxy = Proxy::start(&installation.server).await;
    let bus = through(&proxy, &installation).await;
    append_all(&bus, 1..=3).await;
    let mut reader = bus.open(P, Position::default()).await.unwrap();
    read(&mut reader, 3).await;
    proxy.cut();
    until(&bus, false).await;
    installation.delete_stream(P).await;
    append_all(&installation.connect().await, 1..=5).await;
    proxy.heal();
    let (entries, error) = read_to_end(&mut reader).await;
    assert!(
        entries.is_empty() && matches!(error, ReadError::Hole { expected: 4, .. }),
        "{error}"
    );
}

#[tokio::test]
async fn without_a_connection_everything_fails_at_once() {
    let Some(installation) = Installation::new() else {
        return;
    };
    let proxy = Proxy::start(&installation.server).await;
    let bus = through(&proxy, &installation).await;
    append(&bus, "1").await;
    proxy.cut();
    until(&bus, false).await;
    let begun = Instant::now();
    let refused = bus.append(P, command("2", 1)).await;
    assert!(matches!(refused, Err(AppendError::Refused(_))), "{refused:?}");
    let query = Query {
        user: UserId::parse("ann").unwrap(),
        what: QueryKind::Chats {
            count: 1,
            before: None,
        },
    };
    assert!(bus.query(query).await.is_err());
    for n in 0..20_000 {
        bus.signal(P, signal(n)).await;
        bus.deliver(P, 1, &gateway(), online("ann", "bob")).await;
    }
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    proxy.heal();
    until(&bus, true).await;
    // What was refused does not turn up later.
    assert_eq!(append(&bus, "3").await.seq, 2);
}

#[tokio::test]
async fn an_append_whose_acknowledgement_is_lost_and_is_repeated_stands_once() {
    let Some(installation) = Installation::new() else {
        return;
    };
    let proxy = Proxy::start(&installation.server).await;
    let bus = through(&proxy, &installation).await;
    append(&bus, "1").await;
    proxy.lose_answers();
    let lost = bus.append(P, command("2", 1)).await;
    assert!(matches!(lost, Err(AppendError::Unknown(_))), "{lost:?}");
    proxy.cut();
    until(&bus, false).await;
    append(&installation.connect().await, "3").await;
    proxy.heal();
    until(&bus, true).await;
    assert_eq!(append(&bus, "2").await, Position { epoch: 1, seq: 2 });
    let mut reader = bus.open(P, Position::default()).await.unwrap();
    assert_eq!(reader.end_at_open().seq, 3);
    assert_eq!(ids(&read(&mut reader, 3).await), ["1", "2", "3"]);
}

#[tokio::test]
async fn after_a_cut_the_sessions_are_attached_again() {
    let Some(installation) = Installation::new() else {
        return;
    };
    let proxy = Proxy::start(&installation.server).await;
    let (far, near) = (through(&proxy, &installation).await, installation.connect().await);
    let mut own = far.join_as_gateway(&gateway()).await;
    let mut other = near.join_as_gateway(&GatewayId("other".into())).await;
    let mut reader = far.open(Partition(2), Position::default()).await.unwrap();
    proxy.cut();
    until(&far, false).await;
    near.deliver(P, 1, &gateway(), online("ann", "lost")).await;
    near.signal(Partition(2), signal(1)).await;
    proxy.heal();
    // The gateway whose connection it was attaches all its sessions, the others those of the partition that is read there.
    hears_of(&mut own, 0..4).await;
    hears_of(&mut other, [2]).await;
    assert!(!heard_of_another(&mut other, 2));
    // Both subscriptions stand again.
    near.deliver(P, 1, &gateway(), online("ann", "bob")).await;
    near.signal(Partition(2), signal(2)).await;
    assert_eq!(
        soon("a delivery", own.deliveries.recv()).await,
        Some(online("ann", "bob"))
    );
    assert_eq!(soon("a signal", reader.signals()).await, [signal(2)]);
}

fn heard_of_another(end: &mut GatewayEnd, partition: u16) -> bool {
    let mut heard = false;
    while let Ok(announcement) = end.announcements.try_recv() {
        heard |= matches!(announcement, Announcement::Began { partition: other } if other.0 != partition);
    }
    heard
}

#[tokio::test]
async fn deliveries_that_do_not_fit_are_made_up_for() {
    let Some(installation) = Installation::new() else {
        return;
    };
    let (bus, sender) = (installation.connect().await, installation.connect().await);
    let mut end = bus.join_as_gateway(&gateway()).await;
    for n in 0..80_000 {
        sender.deliver(P, n, &gateway(), online("ann", "bob")).await;
    }
    hears_of(&mut end, 0..4).await;
    let mut got = 0;
    while end.deliveries.try_recv().is_ok() {
        got += 1;
    }
    assert!((1..80_000).contains(&got), "{got}");
}

#[tokio::test]
async fn signals_that_do_not_fit_are_made_up_for() {
    let Some(installation) = Installation::new() else {
        return;
    };
    let (bus, sender) = (installation.connect().await, installation.connect().await);
    let mut end = sender.join_as_gateway(&gateway()).await;
    let mut reader = bus.open(Partition(1), Position::default()).await.unwrap();
    for n in 0..20_000 {
        sender.signal(Partition(1), signal(n)).await;
    }
    hears_of(&mut end, [1]).await;
    // What came before the loss is there, in order, and what comes after it arrives again.
    let first = soon("signals", reader.signals()).await;
    assert_eq!(first, (0..first.len() as u64).map(signal).collect::<Vec<_>>());
    loop {
        sender.signal(Partition(1), signal(77_000)).await;
        if soon("signals", reader.signals()).await.contains(&signal(77_000)) {
            break;
        }
    }
}
