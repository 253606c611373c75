//! What core NATS carries: odd names, large messages, and queries to several workers.

use bytes::Bytes;
use confab_bus::{Asked, Bus};
use confab_chat::{GatewayId, Partition, UserId};
use confab_proto::client::{ENVELOPE_BYTES, MAX_OUTGOING_BYTES};
use confab_proto::message::{Beat, DeliveryBody, Query, QueryKind, Signal, ToGateway};
use tokio::join;

use crate::harness::{Installation, P, online, signal, soon};
use confab_bus::{PartitionReader, Position};

fn query() -> Query {
    Query {
        user: UserId::parse("ann").unwrap(),
        what: QueryKind::Chats {
            count: 3,
            before: None,
        },
    }
}

fn answer(asked: Asked, bytes: usize) {
    let payload = Bytes::from("x".repeat(bytes));
    asked.answer.0.send(Ok(payload)).unwrap();
}

#[tokio::test]
async fn users_and_gateways_of_any_name_are_reached() {
    let Some(installation) = Installation::new() else {
        return;
    };
    let (bus, sender) = (installation.connect().await, installation.connect().await);
    let gateways = ["plain", "with.dots", ">", "*", "", "ä b"].map(|name| GatewayId(name.into()));
    let users = [
        "ann",
        "a.b",
        "*",
        ">",
        "$SYS",
        "ünï·cödé",
        "=2E",
        ".",
        &"é".repeat(64),
    ];
    let mut ends = Vec::new();
    for gateway in &gateways {
        ends.push(bus.join_as_gateway(gateway).await);
    }
    for gateway in &gateways {
        for user in users {
            sender.deliver(P, 1, gateway, online(user, user)).await;
        }
    }
    for end in &mut ends {
        for user in users {
            assert_eq!(
                soon("a delivery", end.deliveries.recv()).await,
                Some(online(user, user))
            );
        }
        assert!(end.deliveries.try_recv().is_err());
    }
}

#[tokio::test]
async fn the_largest_answer_arrives_and_a_larger_one_fails_at_once() {
    let Some(installation) = Installation::new() else {
        return;
    };
    let (bus, far) = (installation.connect().await, installation.connect().await);
    let mut worker = far.join_as_worker().await;
    let largest = MAX_OUTGOING_BYTES - ENVELOPE_BYTES;
    let (answered, ()) = join!(soon("an answer", bus.query(query())), async {
        answer(worker.queries.recv().await.unwrap(), largest);
    });
    assert_eq!(answered.unwrap().unwrap().len(), largest);
    let begun = std::time::Instant::now();
    let (answered, ()) = join!(soon("an answer", bus.query(query())), async {
        answer(worker.queries.recv().await.unwrap(), MAX_OUTGOING_BYTES + 1);
    });
    assert!(answered.is_err() && begun.elapsed().as_secs() < 2, "{answered:?}");
}

#[tokio::test]
async fn a_query_falls_to_one_worker_and_none_is_lost_when_one_leaves() {
    let Some(installation) = Installation::new() else {
        return;
    };
    let (bus, one, two) = (
        installation.connect().await,
        installation.connect().await,
        installation.connect().await,
    );
    let (mut first, mut second) = (one.join_as_worker().await, two.join_as_worker().await);
    let mut asked = (0, 0);
    let asking = async {
        for _ in 0..50 {
            assert!(bus.query(query()).await.is_ok());
        }
    };
    tokio::pin!(asking);
    loop {
        tokio::select! {
            () = &mut asking => break,
            Some(query) = first.queries.recv() => { asked.0 += 1; answer(query, 1); }
            Some(query) = second.queries.recv() => { asked.1 += 1; answer(query, 1); }
        }
    }
    assert!(asked.0 + asked.1 == 50 && asked.0 > 0 && asked.1 > 0, "{asked:?}");
    drop(first);
    let begun = std::time::Instant::now();
    let asking = async {
        for _ in 0..20 {
            // The first may still fall to the one that leaves: it fails then, and does not hang.
            let _ = bus.query(query()).await;
        }
        bus.query(query()).await
    };
    tokio::pin!(asking);
    let last = loop {
        tokio::select! {
            last = &mut asking => break last,
            Some(query) = second.queries.recv() => answer(query, 1),
        }
    };
    assert!(last.is_ok() && begun.elapsed().as_secs() < 2, "{last:?}");
}

#[tokio::test]
async fn what_is_too_large_is_dropped_and_takes_nothing_with_it() {
    let Some(installation) = Installation::new() else {
        return;
    };
    let bus = installation.connect().await;
    let gateway = GatewayId("gateway".into());
    let mut end = bus.join_as_gateway(&gateway).await;
    let mut reader = bus.open(Partition(1), Position::default()).await.unwrap();
    let user = |n: usize| UserId::parse(&format!("{n:0>128}")).unwrap();
    let beat = |n: usize| Beat {
        user: user(n),
        device: confab_chat::DeviceId::parse("phone").unwrap(),
        session: confab_chat::SessionId(1),
        forwarded: 1,
        away: false,
    };
    let heartbeat = Signal::Heartbeat {
        gateway: gateway.clone(),
        sessions: (0..10_000).map(beat).collect(),
    };
    bus.signal(Partition(1), heartbeat).await;
    bus.signal(Partition(1), signal(1)).await;
    assert_eq!(soon("a signal", reader.signals()).await, [signal(1)]);
    let large = ToGateway {
        user: user(1),
        body: DeliveryBody::Online((0..10_000).map(user).collect()),
    };
    bus.deliver(P, 1, &gateway, large).await;
    bus.deliver(P, 1, &gateway, online("ann", "bob")).await;
    assert_eq!(
        soon("a delivery", end.deliveries.recv()).await,
        Some(online("ann", "bob"))
    );
}
