//! A process: everything in it reaches the world through the two seams, so that it is paused, or dead, when its calls do
//! not return.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

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
    /// The one replica that its writes reach, counted from 1; 0 for all of them.
    replica: Arc<AtomicUsize>,
}

impl Host {
    /// A process that runs.
    #[must_use]
    pub fn new(name: &str, skew: i64) -> Self {
        Self {
            name: name.into(),
            state: Arc::new(watch::Sender::new(State::Runs)),
            skew: Arc::new(AtomicI64::new(skew)),
            replica: Arc::default(),
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

    /// From now on what it writes reaches one replica, and is not acknowledged.
    pub fn cut_off(&self, replica: usize) {
        self.replica.store(replica + 1, Ordering::Relaxed);
    }

    /// The one replica that its writes reach.
    #[must_use]
    pub fn only_replica(&self) -> Option<usize> {
        self.replica.load(Ordering::Relaxed).checked_sub(1)
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
