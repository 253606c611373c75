//! A process: everything in it reaches the world through the two seams, so that it is paused, or dead, when its calls do
//! not return.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tokio::sync::watch;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Runs,
    Paused,
    Dead,
}

/// A process. Clones are the same.
#[derive(Clone, Debug)]
pub struct Host {
    name: Arc<str>,
    state: Arc<watch::Sender<State>>,
    /// By how many milliseconds its clock is wrong.
    skew: Arc<AtomicI64>,
}

impl Host {
    /// A process that runs.
    #[must_use]
    pub fn new(name: &str, skew: i64) -> Self {
        Self {
            name: name.into(),
            state: Arc::new(watch::Sender::new(State::Runs)),
            skew: Arc::new(AtomicI64::new(skew)),
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// By how many milliseconds its clock is wrong.
    #[must_use]
    pub fn skew(&self) -> i64 {
        self.skew.load(Ordering::Relaxed)
    }

    /// Stops it where it stands.
    pub fn pause(&self) {
        self.to(State::Paused);
    }

    /// Lets it go on.
    pub fn go_on(&self) {
        self.to(State::Runs);
    }

    /// Ends it where it stands.
    pub fn kill(&self) {
        self.to(State::Dead);
    }

    fn to(&self, state: State) {
        self.state.send_if_modified(|now| {
            let changes = *now != State::Dead && *now != state;
            if changes {
                *now = state;
            }
            changes
        });
    }

    /// Whether it is dead.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        *self.state.borrow() == State::Dead
    }

    /// Waits while it is paused; for ever, once it is dead.
    pub async fn runs(&self) {
        let mut state = self.state.subscribe();
        if state.wait_for(|state| *state == State::Runs).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Waits for its death.
    pub async fn death(&self) {
        let mut state = self.state.subscribe();
        let _dead = state.wait_for(|state| *state == State::Dead).await;
    }
}
