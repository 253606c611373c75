//! What is not logged: signals, deliveries, queries, announcements; and what must wait for the log.

use bytes::Bytes;
use confab_chat::{GatewayId, Partition, UserId};
use confab_proto::message::{Announcement, DeliveryBody, Query, QueryKind, ToGateway};
use tokio::join;

use super::{Subject, ann, append, not_yet, numbered, open, soon};
use crate::{Bus, PartitionReader, Position, WorkerEnd};

const P: Partition = Partition(0);

/// Signals of one sender arrive in its order.
pub async fn signals_keep_their_order<B: Bus>(subject: Subject<B>) {
    let bus = subject.bus;
    let mut reader = open(&bus, P, Position::default()).await;
    let mut signals = Vec::new();
    for n in 0..200 {
        bus.signal(P, numbered(n)).await;
        if n % 50 == 49 {
            while signals.len() <= usize::try_from(n).unwrap() {
                let next = soon("the signals", reader.signals()).await;
                assert!(!next.is_empty());
                signals.extend(next);
            }
        }
    }
    assert_eq!(signals, (0..200).map(numbered).collect::<Vec<_>>());
}

/// Deliveries of a partition reach their gateway, and no other, in the order in which they were sent; also those
/// that follow from an earlier entry than the one before.
pub async fn deliveries_keep_their_order<B: Bus>(subject: Subject<B>) {
    let bus = subject.bus;
    let (one, two) = (GatewayId("gateway-1".into()), GatewayId("gateway-2".into()));
    let mut first = soon("joining", bus.join_as_gateway(&one)).await;
    let mut second = soon("joining", bus.join_as_gateway(&two)).await;
    let mut sent = Vec::new();
    for n in 0..100_u64 {
        let seq = append(&bus, P, &format!("{n}")).await.seq;
        for from in [seq, seq / 2, 0] {
            let message = online(&format!("user-{n}-{from}"));
            bus.deliver(P, from, &one, message.clone()).await;
            sent.push(message);
        }
    }
    bus.deliver(P, 1, &two, online("other")).await;
    bus.deliver(P, 1, &GatewayId("nobody".into()), online("lost"))
        .await;
    for message in sent {
        assert_eq!(soon("a delivery", first.deliveries.recv()).await, Some(message));
    }
    assert_eq!(
        soon("a delivery", second.deliveries.recv()).await,
        Some(online("other"))
    );
    not_yet("a delivery came to the wrong gateway", first.deliveries.recv()).await;
}

/// A query is answered by a worker, or fails: where there is none, and where it gives up.
pub async fn queries_are_answered_or_fail<B: Bus>(subject: Subject<B>) {
    let bus = subject.bus;
    assert!(
        soon("a query without a worker", bus.query(query()))
            .await
            .is_err()
    );
    let mut worker = soon("joining", bus.join_as_worker()).await;
    let (answer, ()) = join!(soon("a query", bus.query(query())), answer(&mut worker, "[]"));
    assert_eq!(answer.unwrap(), Ok(Bytes::from_static(b"[]")));
    let gives_up = async {
        let asked = soon("a query", worker.queries.recv()).await.unwrap();
        drop(asked.answer);
    };
    let (answer, ()) = join!(soon("a query", bus.query(query())), gives_up);
    assert!(answer.is_err(), "a worker that gave up answered {answer:?}");
    drop(worker);
    assert!(
        soon("a query without a worker", bus.query(query()))
            .await
            .is_err()
    );
}

/// What is announced reaches every gateway and every worker that has joined, in order.
pub async fn announcements_reach_everybody<B: Bus>(subject: Subject<B>) {
    let bus = subject.bus;
    let mut gateway = soon("joining", bus.join_as_gateway(&GatewayId("gateway".into()))).await;
    let mut worker = soon("joining", bus.join_as_worker()).await;
    let announcements = [
        Announcement::Alive {
            worker: "worker".into(),
            partitions: vec![P, Partition(1)],
        },
        Announcement::Began { partition: P },
    ];
    for announcement in &announcements {
        bus.announce(announcement.clone()).await;
    }
    for announcement in announcements {
        let heard = soon("an announcement", gateway.announcements.recv()).await;
        assert_eq!(heard.as_ref(), Some(&announcement));
        let heard = soon("an announcement", worker.announcements.recv()).await;
        assert_eq!(heard, Some(announcement));
    }
}

/// A delivery waits until the entry that it follows from is durable, and those behind it in the partition wait with it; an answer waits
/// for all that was appended before it. (A form without the hooks hands out only what is durable: it passes by having none.)
pub async fn nothing_leaves_before_it_is_safe<B: Bus>(subject: Subject<B>) {
    let Some(commits) = subject.commits else { return };
    let bus = subject.bus;
    let name = GatewayId("gateway".into());
    let mut gateway = soon("joining", bus.join_as_gateway(&name)).await;
    let mut worker = soon("joining", bus.join_as_worker()).await;
    let mut reader = open(&bus, P, Position::default()).await;
    let safe = append(&bus, P, "safe").await;
    bus.deliver(P, safe.seq, &name, online("safe")).await;
    assert_eq!(
        soon("a delivery", gateway.deliveries.recv()).await,
        Some(online("safe"))
    );

    (commits.stop.0)();
    let unsafe_yet = append(&bus, P, "unsafe").await;
    assert_eq!(super::ids(&super::read(&mut reader, 2).await), ["safe", "unsafe"]);
    bus.deliver(P, safe.seq, &name, online("free")).await;
    bus.deliver(P, unsafe_yet.seq, &name, online("held")).await;
    bus.deliver(P, safe.seq, &name, online("behind")).await;
    bus.deliver(Partition(1), 0, &name, online("elsewhere")).await;
    assert_eq!(
        soon("a delivery", gateway.deliveries.recv()).await,
        Some(online("free"))
    );
    assert_eq!(
        soon("a delivery", gateway.deliveries.recv()).await,
        Some(online("elsewhere"))
    );
    {
        let asked = async { join!(bus.query(query()), answer(&mut worker, "early")) };
        tokio::pin!(asked);
        not_yet(
            "an answer left before what it may rest on was durable",
            asked.as_mut(),
        )
        .await;
        not_yet(
            "a delivery left before its entry was durable",
            gateway.deliveries.recv(),
        )
        .await;
        (commits.resume.0)();
        let (answer, ()) = soon("the answer", asked).await;
        assert_eq!(answer.unwrap(), Ok(Bytes::from_static(b"early")));
    }
    assert_eq!(
        soon("a delivery", gateway.deliveries.recv()).await,
        Some(online("held"))
    );
    assert_eq!(
        soon("a delivery", gateway.deliveries.recv()).await,
        Some(online("behind"))
    );
}

async fn answer(worker: &mut WorkerEnd, with: &'static str) {
    let asked = soon("a query", worker.queries.recv()).await.unwrap();
    assert_eq!(asked.query, query());
    asked
        .answer
        .0
        .send(Ok(Bytes::from_static(with.as_bytes())))
        .unwrap();
}

fn query() -> Query {
    Query {
        user: ann(),
        what: QueryKind::Chats {
            count: 3,
            before: None,
        },
    }
}

fn online(user: &str) -> ToGateway {
    ToGateway {
        user: ann(),
        body: DeliveryBody::Online(vec![UserId::parse(user).unwrap()]),
    }
}
