//! A database that goes away, or falls silent, and comes back.

use std::time::{Duration, Instant};

use confab_chat::UserId;
use confab_store::scylla::{Scylla, ScyllaOptions};
use confab_store::{Key, Store, StoreError, Write};
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::harness::with_store;

/// Longest wait for an answer, with some air.
const ANSWER: Duration = Duration::from_secs(7);
/// Longest wait until a database that is back is used again: less than the driver's own longest pause.
const BACK: Duration = Duration::from_secs(8);

/// What the way to the database does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Open,
    /// Connections stay, and nothing passes.
    Silent,
    /// Connections are cut, new ones are refused.
    Gone,
}

async fn connection(mut from: TcpStream, to: String, mut way: watch::Receiver<Way>) {
    let Ok(mut to) = TcpStream::connect(to).await else {
        return;
    };
    loop {
        let now = *way.borrow_and_update();
        match now {
            Way::Open => tokio::select! {
                _ = copy_bidirectional(&mut from, &mut to) => return,
                _ = way.changed() => {}
            },
            Way::Silent => way.changed().await.unwrap(),
            Way::Gone => return,
        }
    }
}

async fn proxy(listener: TcpListener, to: String, mut way: watch::Receiver<Way>) {
    let address = listener.local_addr().unwrap();
    let mut listener = Some(listener);
    let mut connections = FuturesUnordered::new();
    loop {
        match *way.borrow_and_update() {
            Way::Gone => listener = None,
            Way::Open | Way::Silent if listener.is_none() => {
                listener = Some(TcpListener::bind(address).await.unwrap());
            }
            Way::Open | Way::Silent => {}
        }
        let accept = async {
            match &listener {
                Some(listener) => listener.accept().await.unwrap().0,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            stream = accept => connections.push(connection(stream, to.clone(), way.clone())),
            Some(()) = connections.next(), if !connections.is_empty() => {}
            _ = way.changed() => {}
        }
    }
}

/// As many as go in two requests.
fn rows(version: u64) -> Vec<Write> {
    let row = |n| Write {
        key: Key::User(UserId::parse(&format!("ann{n}")).unwrap()),
        timestamp: version,
        value: version.to_string().into(),
        expires: None,
    };
    (0..10).map(row).collect()
}

async fn fails_in_time(store: &Scylla, version: u64) {
    let begun = Instant::now();
    let failed = store.write(rows(version)).await;
    assert!(matches!(failed, Err(StoreError::Unavailable(_))), "{failed:?}");
    assert!(begun.elapsed() < ANSWER, "after {:?}", begun.elapsed());
}

/// As the loop does it: again, until it stands.
async fn comes_back(store: &Scylla, version: u64) {
    let again = async {
        while store.write(rows(version)).await.is_err() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(BACK, again).await.unwrap();
    for row in rows(version) {
        let stands = store.get(row.key).await.unwrap().unwrap();
        assert_eq!((stands.timestamp, stands.value), (version, row.value));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_is_unavailable_and_passes() {
    with_store(async |_, options| {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let node = listener.local_addr().unwrap().to_string();
        let (way, seen) = watch::channel(Way::Open);
        let test = async {
            let through = ScyllaOptions {
                nodes: vec![node],
                ..options.clone()
            };
            let store = Scylla::connect(through).await.unwrap();
            store.write(rows(1)).await.unwrap();
            way.send(Way::Gone).unwrap();
            fails_in_time(&store, 2).await;
            way.send(Way::Open).unwrap();
            comes_back(&store, 3).await;
            way.send(Way::Silent).unwrap();
            fails_in_time(&store, 4).await;
            way.send(Way::Gone).unwrap();
            fails_in_time(&store, 5).await;
            way.send(Way::Open).unwrap();
            comes_back(&store, 6).await;
        };
        tokio::select! {
            () = test => {}
            () = proxy(listener, options.nodes[0].clone(), seen) => unreachable!("it serves for ever"),
        }
    })
    .await;
}
