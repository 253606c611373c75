//! The gateway of a process, with what goes on beside it: the file of banned users.

use std::net::SocketAddr;
use std::time::Duration;

use confab_bus::Bus;
use confab_gateway::{Config, Gateway};
use confab_service::{Stop, Tasks};
use tokio::net::TcpListener;

use crate::banned;
use crate::exit::{Code, Failure, OrFail};
use crate::settings::Settings;

/// A running gateway.
pub(crate) struct Front<B> {
    gateway: Gateway<B>,
    drain_time: Duration,
    tasks: Tasks,
}

impl<B: Bus> Front<B> {
    /// Starts it on a listener.
    pub(crate) async fn start(
        settings: &Settings,
        config: Config,
        listener: TcpListener,
        bus: B,
    ) -> Result<Self, Failure> {
        let gateway = Gateway::start(config, listener, bus)
            .await
            .or_fail(Code::Address, "the clients' address")?;
        let tasks = Tasks::new();
        if let Some(path) = settings.banned_file.clone() {
            let stopping = tasks.stopping().clone();
            let watch = banned::watch(path, settings.banned.clone(), gateway.banning(), stopping);
            tasks.spawn("banned", watch);
        }
        Ok(Self {
            gateway,
            drain_time: settings.drain_time.0,
            tasks,
        })
    }

    /// Where clients connect.
    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.gateway.local_addr()
    }

    /// Sends the clients away, over a while or at once, and ends.
    pub(crate) async fn stop(self, stop: Stop) {
        if stop == Stop::Drain {
            self.gateway.drain(self.drain_time).await;
        }
        self.tasks.stop().await;
        self.gateway.shutdown().await;
    }
}
