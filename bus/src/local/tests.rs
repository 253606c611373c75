use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use confab_chat::{Command, EntryId, GatewayId, Op, Origin, Partition, RequestId, SessionId, UserId};
use confab_proto::message::{DeliveryBody, EntryBody, LogEntry, ToGateway};

use super::{Local, LocalOptions};
use crate::journal::disk::SimulatedDisk;
use crate::{Bus, PartitionReader, Position};

pub(super) fn options() -> LocalOptions {
    let ticks = Arc::new(AtomicU64::new(1000));
    LocalOptions::new(Arc::new(move || ticks.fetch_add(1, Ordering::Relaxed)))
}

pub(super) fn leave(id: &str) -> LogEntry {
    let user = UserId::parse("ann").unwrap();
    let chat = confab_chat::ChatKey::dialog(&user, &user);
    let gateway = GatewayId("gw".into());
    let origin = Origin {
        gateway,
        session: SessionId(1),
        request: RequestId(1),
    };
    LogEntry {
        id: EntryId(id.into()),
        body: EntryBody::Command(Command {
            chat,
            user,
            origin,
            op: Op::Leave,
        }),
    }
}

#[tokio::test]
async fn an_entry_is_read_at_once_and_its_delivery_after_the_commit() {
    let bus = Local::open_on(Arc::new(SimulatedDisk::new()), options()).unwrap();
    let gateway = GatewayId("gw".into());
    let mut end = bus.join_as_gateway(&gateway).await;
    let mut reader = bus.open(Partition(3), Position::default()).await.unwrap();
    let at = bus.append(Partition(3), leave("a")).await.unwrap();
    assert_eq!(at, Position { epoch: 1, seq: 1 });
    let got = reader.input(10).await.unwrap();
    assert_eq!(*got.entries[0].entry, leave("a"));
    let message = ToGateway {
        user: UserId::parse("ann").unwrap(),
        body: DeliveryBody::Online(vec![]),
    };
    bus.deliver(Partition(3), 1, &gateway, message.clone()).await;
    assert_eq!(end.deliveries.recv().await, Some(message));
    assert_eq!(bus.horizon().committed(), 1);
}
