//! What passes the seams, told as it happens, for whoever looks into one seed. It is no part of the history.

#![allow(clippy::print_stdout, reason = "it tells whoever asked for it")]

use std::sync::atomic::{AtomicBool, Ordering};

use crate::clock;
use crate::host::Host;

static ON: AtomicBool = AtomicBool::new(false);

/// From now on all of it is told.
pub fn begin() {
    ON.store(true, Ordering::Relaxed);
}

/// Tells, if anybody listens.
pub(crate) fn tell(host: Option<&Host>, what: std::fmt::Arguments<'_>) {
    if ON.load(Ordering::Relaxed) {
        let name = host.map_or("log", |host| host.name());
        println!("{:>7} . {name} {what}", clock::millis());
    }
}
