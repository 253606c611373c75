//! A rollout, pod by pod, under load.

use std::time::Duration;

use tokio::time::sleep;

use crate::installation::Installation;
use crate::pod::Pod;
use crate::support::trial::{self, Trouble};
use crate::{alone, left_out};

/// What users may notice.
const NOTICEABLE: Duration = Duration::from_secs(3);
/// Answers before and after, so that it happens under load.
const AROUND: u64 = 150;

/// The pods of a part, as its Deployment has them.
async fn pods(installation: &Installation, part: &str) -> Vec<Pod> {
    let mut pods = Vec::new();
    for _ in 0..installation.replicas(part) {
        pods.push(installation.start(part).await);
    }
    pods
}

fn addresses(gateways: &[Pod]) -> Vec<std::net::SocketAddr> {
    gateways.iter().map(Pod::clients).collect()
}

async fn workers_roll(installation: &Installation, workers: &mut Vec<Pod>, hand: &mut Trouble) {
    for _ in 0..workers.len() {
        workers.push(installation.start("worker").await);
        sleep(installation.settles("worker")).await;
        let took = workers.remove(0).end(|| ()).await;
        eprintln!("a worker handed over and ended within {took:?}");
        hand.answers(AROUND / 3).await;
    }
}

async fn gateways_roll(installation: &Installation, gateways: &mut Vec<Pod>, hand: &mut Trouble) {
    for _ in 0..gateways.len() {
        gateways.push(installation.start("gateway").await);
        hand.listens(addresses(gateways));
        sleep(installation.settles("gateway")).await;
        // Clients are sent to it until its `preStop` is over: so long the news may take.
        let old = gateways.remove(0);
        let took = old.end(|| hand.listens(addresses(gateways))).await;
        eprintln!("a gateway sent its clients away and ended within {took:?}");
        hand.answers(AROUND / 3).await;
    }
}

#[tokio::test]
async fn every_pod_is_replaced_and_nobody_waits_long() {
    if left_out() {
        return;
    }
    let _alone = alone().await;
    let installation = Installation::new();
    let mut workers = pods(&installation, "worker").await;
    let mut gateways = pods(&installation, "gateway").await;
    let outcome = trial::run_at(
        addresses(&gateways),
        Installation::sign_in(),
        rand::random(),
        async |hand: &mut Trouble| {
            hand.answers(AROUND).await;
            workers_roll(&installation, &mut workers, hand).await;
            gateways_roll(&installation, &mut gateways, hand).await;
            hand.answers(AROUND).await;
        },
    )
    .await;
    for pod in workers.iter().chain(&gateways) {
        pod.must_be_alive().await;
    }
    eprintln!(
        "every pod is replaced: the longest that a request waited was {:?}, that a device was away {:?}",
        outcome.longest_wait, outcome.longest_away
    );
    assert!(outcome.longest_wait < NOTICEABLE, "{:?}", outcome.longest_wait);
    assert!(outcome.longest_away < NOTICEABLE, "{:?}", outcome.longest_away);
}
