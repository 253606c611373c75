//! Mistakes that are made on purpose: a simulation switches one on, and must notice.
//!
//! Without the feature `mistakes` all of this is nothing: no mistake can be made. A build for use does not take the
//! feature.

#[cfg(all(feature = "mistakes", not(debug_assertions)))]
compile_error!("the feature `mistakes` is for simulations, which keep debug assertions on");

macro_rules! mistakes {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// What can be done wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Mistake { $($(#[$doc])* $name,)* }

        impl Mistake {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// As a command line names it.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

mistakes! {
    /// States are written before what they say is done has left.
    StateBeforeEffects = "state-before-effects",
    /// The checkpoint is written for entries whose effects are not out.
    CheckpointAhead = "checkpoint-ahead",
    /// The checkpoint says how far the loop is when the last state is written, instead of how far it was before the first.
    CheckpointOfTheEnd = "checkpoint-of-the-end",
    /// A sender's own id of a message is not looked up.
    ClientIdUnseen = "client-id-unseen",
    /// The first time of a mark is not looked up.
    FirstMarkForgotten = "first-mark-forgotten",
    /// A mailbox takes what it has seen already.
    RepeatTaken = "repeat-taken",
    /// A session goes on behind a hole.
    HolePassed = "hole-passed",
    /// A reply leaves before the rows stand.
    ReplyBeforeRows = "reply-before-rows",
    /// Members are read from what was once heard of them.
    StaleMembers = "stale-members",
    /// A state that an entry was skipped for is not written again.
    SkipUnpaid = "skip-unpaid",
    /// A state is loaded part by part.
    TornLoad = "torn-load",
    /// The events of one version leave in entries of their own.
    EventsApart = "events-apart",
}

/// Makes a mistake from now on, or none. False where this build cannot make any.
pub fn make(mistake: Option<Mistake>) -> bool {
    #[cfg(feature = "mistakes")]
    made::set(mistake);
    cfg!(feature = "mistakes") || mistake.is_none()
}

/// Whether a mistake is made.
#[inline]
#[must_use]
pub fn is_made(mistake: Mistake) -> bool {
    #[cfg(feature = "mistakes")]
    return made::get() == Some(mistake);
    #[cfg(not(feature = "mistakes"))]
    {
        let _never = mistake;
        false
    }
}

/// The text of a message on which a chat panics, where mistakes can be made.
pub const POISON: &str = "poison";

/// Whether messages can be poisoned.
#[must_use]
pub fn can_poison() -> bool {
    cfg!(feature = "mistakes")
}

/// Panics on poison, where mistakes can be made.
///
/// # Panics
/// As it says.
#[inline]
pub fn taste(text: &str) {
    assert!(!can_poison() || text != POISON, "poisoned");
}

/// What was heard first under a key, by whoever asked: a cache that is never told of anything.
#[must_use]
pub fn first_heard<T: Clone + Send + 'static>(key: &str, fresh: T) -> T {
    #[cfg(feature = "mistakes")]
    return made::first_heard(key, fresh);
    #[cfg(not(feature = "mistakes"))]
    {
        let _unused = key;
        fresh
    }
}

#[cfg(feature = "mistakes")]
mod made {
    use std::any::Any;
    use std::collections::BTreeMap;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Mutex, PoisonError};

    use super::Mistake;

    static HEARD: Mutex<BTreeMap<String, Box<dyn Any + Send>>> = Mutex::new(BTreeMap::new());

    pub(super) fn first_heard<T: Clone + Send + 'static>(key: &str, fresh: T) -> T {
        let mut heard = HEARD.lock().unwrap_or_else(PoisonError::into_inner);
        let first = heard
            .entry(key.to_owned())
            .or_insert_with(|| Box::new(fresh.clone()));
        first.downcast_ref().cloned().unwrap_or(fresh)
    }

    /// The place of the mistake among all, counted from 1; 0 for none.
    static MADE: AtomicUsize = AtomicUsize::new(0);

    pub(super) fn set(mistake: Option<Mistake>) {
        let place = mistake.and_then(|mistake| Mistake::ALL.iter().position(|one| *one == mistake));
        MADE.store(place.map_or(0, |place| place + 1), Ordering::Relaxed);
    }

    pub(super) fn get() -> Option<Mistake> {
        let place = MADE.load(Ordering::Relaxed).checked_sub(1)?;
        Mistake::ALL.get(place).copied()
    }
}
