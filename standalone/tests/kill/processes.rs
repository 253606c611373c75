//! Processes of Confab that end, pause, come and go.

use std::time::Duration;

use crate::support::process::end_of;
use crate::{away_for, left_out, on_a_cluster};

/// A worker that is gone is replaced after 6 s at the most; a request waits a little longer, for its turn.
const TAKEOVER: Duration = Duration::from_secs(8);
/// What users may notice where nothing fails and everything moves in order.
const IN_ORDER: Duration = Duration::from_secs(3);

#[tokio::test]
async fn a_worker_is_killed() {
    if left_out() {
        return;
    }
    let outcome = on_a_cluster("a worker is killed", async |server, _| {
        server.take_worker().kill();
    })
    .await;
    assert!(outcome.longest_wait < TAKEOVER, "{:?}", outcome.longest_wait);
}

#[tokio::test]
async fn a_worker_is_stopped_for_15_s_and_goes_on_as_a_stale_owner() {
    if left_out() {
        return;
    }
    let outcome = on_a_cluster("a worker sleeps for 15 s", async |server, hand| {
        let worker = server.take_worker();
        worker.signal("STOP");
        away_for(15).await;
        worker.signal("CONT");
        hand.answers(crate::AFTER).await;
        server.return_worker(worker);
    })
    .await;
    assert!(outcome.longest_wait < TAKEOVER, "{:?}", outcome.longest_wait);
}

#[tokio::test]
async fn a_gateway_is_killed() {
    if left_out() {
        return;
    }
    let outcome = on_a_cluster("a gateway is killed", async |server, hand| {
        server.take_gateway().kill();
        hand.listens(server.addresses());
        hand.answers(crate::AFTER).await;
        server.add_gateway().await;
        hand.listens(server.addresses());
    })
    .await;
    assert!(outcome.longest_wait < TAKEOVER, "{:?}", outcome.longest_wait);
}

#[tokio::test]
async fn workers_are_replaced_in_order_while_others_run() {
    if left_out() {
        return;
    }
    let outcome = on_a_cluster("every worker is deployed anew", async |server, hand| {
        for _ in 0..server.workers() {
            server.add_worker(&[]).await;
            let old = server.take_worker();
            old.signal("TERM");
            assert!(end_of(old).await.success());
            hand.answers(crate::AFTER / 3).await;
        }
    })
    .await;
    assert!(outcome.longest_wait < IN_ORDER, "{:?}", outcome.longest_wait);
}

#[tokio::test]
async fn all_workers_are_gone_for_30_s() {
    if left_out() {
        return;
    }
    on_a_cluster("all workers are gone for 30 s", async |server, _| {
        let workers = server.workers();
        for _ in 0..workers {
            server.take_worker().kill();
        }
        away_for(30).await;
        for _ in 0..workers {
            server.add_worker(&[]).await;
        }
    })
    .await;
}
