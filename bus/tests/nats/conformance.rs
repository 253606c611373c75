//! The suite that every form passes.

use std::sync::Mutex;

use confab_bus::conformance::{self, Subject};
use confab_bus::faulty::{BusFaults, Faulty};

use crate::harness::{Installation, server};

#[tokio::test]
async fn passes_the_suite() {
    let Some(_) = server() else { return };
    let used = Mutex::new(Vec::new());
    conformance::all(async || {
        let installation = Installation::new().unwrap();
        let bus = installation.connect().await;
        used.lock().unwrap().push(installation);
        Subject { bus, commits: None }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passes_the_suite_on_threads_and_late() {
    let Some(_) = server() else { return };
    let used = Mutex::new(Vec::new());
    conformance::all(async || {
        let installation = Installation::new().unwrap();
        let faults = BusFaults {
            late: 20,
            ..BusFaults::default()
        };
        let bus = Faulty::new(installation.connect().await, 7, faults);
        used.lock().unwrap().push(installation);
        Subject { bus, commits: None }
    })
    .await;
}
