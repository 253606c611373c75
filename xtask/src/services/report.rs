//! `cargo xtask services status`.

use anyhow::{Result, bail};

use super::site::Site;
use super::state::{Book, Keeper};
use super::{Kind, container};

/// Prints where both services are and whether they answer; fails if one does not.
pub(super) fn status(site: &Site) -> Result<()> {
    let book = Book::open(site)?;
    let mut unwell = Vec::new();
    for kind in Kind::ALL {
        if !one(site, &book, kind) {
            unwell.push(kind.name());
        }
    }
    if !unwell.is_empty() {
        bail!("not running: {}", unwell.join(", "));
    }
    Ok(())
}

fn one(site: &Site, book: &Book, kind: Kind) -> bool {
    let name = kind.name();
    let running = book.get(kind);
    let given = site.environment.address(kind);
    if let Some(address) =
        given.filter(|given| running.as_ref().is_none_or(|running| running.address != *given))
    {
        println!("{name}: {address}, of {}", kind.variable());
        return health(kind, address);
    }
    let Some(running) = running else {
        println!("{name}: not started");
        return false;
    };
    println!("{name}: {}", running.address);
    println!("    from    {}", running.source);
    if let Keeper::Container(name) = &running.keeper {
        // The engine keeps the log of a container that runs; a failure shows in the health below.
        container::save_log(site, kind, name, &running.log).ok();
    }
    println!("    log     {}", running.log.display());
    if !running.keeper.alive(site, kind) {
        println!(
            "    health  gone: {} ended without `services down`",
            running.keeper
        );
        return false;
    }
    let memory = match &running.keeper {
        Keeper::Process(identity) => identity.resident(),
        Keeper::Container(_) => None,
    };
    let memory = memory
        .map(|bytes| format!(", {} MiB resident", bytes >> 20))
        .unwrap_or_default();
    println!("    runs as {}{memory}", running.keeper);
    health(kind, &running.address)
}

fn health(kind: Kind, address: &str) -> bool {
    match kind.probe(address) {
        Ok(health) => println!("    health  {health}"),
        Err(error) => {
            println!("    health  does not answer: {error:#}");
            return false;
        }
    }
    true
}
