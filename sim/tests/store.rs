//! The simulated store is a store: it passes the suite that all forms pass. That is without faults: where a replica misses a write
//! that is still under way, two reads may see it and then not, since reads mend nothing. The seeds are about that.

use std::sync::Arc;

use confab_service::Tasks;
use confab_sim::clock;
use confab_sim::faults::{Faults, Rates};
use confab_sim::host::Host;
use confab_sim::store::{SimStore, Tables};
use confab_sim::wire::Wire;
use confab_store::conformance::{self, Subject};

#[tokio::test(start_paused = true)]
async fn it_passes_the_suite() {
    clock::start();
    let tasks = Tasks::new();
    let fresh = async || -> Subject<SimStore> {
        let (wire, faults) = (Arc::new(Wire::default()), Arc::new(Faults::new(1, Rates::new())));
        let tables = Tables::new(Arc::clone(&wire), faults);
        tasks.spawn_bare(async move { wire.carry().await });
        Subject {
            store: tables.end(&Host::new("process", 0)),
            now: Box::new(|| clock::now(0)),
            pass: Box::new(|time| Box::pin(tokio::time::sleep(time))),
        }
    };
    conformance::all(fresh).await;
}
