//! The simulated bus is a bus: without faults it passes the suite that all forms pass.

use std::sync::Arc;

use confab_bus::conformance::{self, Subject};
use confab_service::Tasks;
use confab_sim::bus::{Hub, SimBus};
use confab_sim::clock;
use confab_sim::faults::{Faults, Rates};
use confab_sim::host::Host;
use confab_sim::wire::Wire;

#[tokio::test(start_paused = true)]
async fn it_passes_the_suite() {
    clock::start();
    let tasks = Tasks::new();
    let fresh = async || -> Subject<SimBus> {
        let (wire, faults) = (Arc::new(Wire::default()), Arc::new(Faults::new(1, Rates::new())));
        let hub = Hub::new(4, Arc::clone(&wire), faults);
        tasks.spawn_bare(async move { wire.carry().await });
        Subject {
            bus: hub.end(&Host::new("process", 0)),
            commits: None,
        }
    };
    conformance::all(fresh).await;
}
