//! Ctrl-C, and the signal to end: the first ends the load, and what was found so far is judged and written; the second
//! ends the tool.

use anyhow::{Context, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// As a shell says it of a command that Ctrl-C has ended.
const INTERRUPTED: i32 = 130;

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Interrupt(watch::Receiver<bool>);

impl Interrupt {
    /// Listens for as long as the tool runs. To be called in a `LocalSet`.
    ///
    /// # Errors
    ///
    /// Where the system does not let it.
    pub(crate) fn listen() -> Result<Self> {
        let open = |kind| signal(kind).context("listening for signals");
        let (interrupt, terminate) = (open(SignalKind::interrupt())?, open(SignalKind::terminate())?);
        let (tell, told) = watch::channel(false);
        tokio::task::spawn_local(listen(interrupt, terminate, tell));
        Ok(Self(told))
    }

    /// Whether it has come.
    pub(crate) fn has_come(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits for it.
    pub(crate) async fn comes(&mut self) {
        if self.0.wait_for(|come| *come).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

#[allow(clippy::print_stderr, reason = "it is what the tool says to whoever runs it")]
async fn listen(mut interrupt: Signal, mut terminate: Signal, tell: watch::Sender<bool>) {
    loop {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        if tell.send_replace(true) {
            std::process::exit(INTERRUPTED);
        }
        eprintln!("the load ends, what was found so far is judged; once more ends the tool at once");
    }
}
