//! `cargo xtask services`: a real nats-server and a real CQL database, for tests and development.
//!
//! What holds always: everything listens on 127.0.0.1 alone; what runs stands in the state file, from the moment it was started;
//! a process is signalled only while it is provably the one that was started here; one command at a time changes anything.

mod cassandra;
mod container;
mod cql;
pub(crate) mod environment;
mod java;
mod nats;
mod pins;
pub(crate) mod ports;
mod probe;
pub(crate) mod process;
mod report;
pub(crate) mod site;
mod starting;
mod state;

use std::path::Path;
use std::thread;

use anyhow::{Result, anyhow, bail};

use environment::Environment;
use site::Site;
use state::Book;

pub(crate) const HELP: &str = "\
\x20 services up [--keep] [--print-env]
             start nats-server and a CQL database on loopback, empty, and wait until both answer;
             --keep goes on with the data of the last time, --print-env prints the addresses for a shell
  services down | status
  services restart nats|cql [--kill]
             end one (--kill: by SIGKILL) and start it again, with its data and on its ports
";

/// Where the two services answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Addresses {
    /// `nats://host:port`.
    pub(crate) nats: String,
    /// `host:port` of the native protocol.
    pub(crate) cql: String,
}

/// One of the two services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Nats,
    Cql,
}

impl Kind {
    const ALL: [Self; 2] = [Self::Nats, Self::Cql];

    const fn name(self) -> &'static str {
        match self {
            Self::Nats => "nats",
            Self::Cql => "cql",
        }
    }

    /// The variable that carries its address, to and from the environment.
    const fn variable(self) -> &'static str {
        match self {
            Self::Nats => "CONFAB_TEST_NATS",
            Self::Cql => "CONFAB_TEST_CQL",
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Asks it over its own protocol, and returns what it says of itself.
    fn probe(self, address: &str) -> Result<String> {
        match self {
            Self::Nats => probe::nats(address),
            Self::Cql => probe::cql(address),
        }
    }
}

/// Both services, for a while.
#[derive(Debug)]
pub(crate) struct Borrowed {
    addresses: Addresses,
    site: Site,
    /// They ran before, and go on.
    theirs: bool,
}

impl Borrowed {
    /// The variables by which tests find them.
    pub(crate) fn variables(&self) -> [(&'static str, String); 2] {
        [
            (Kind::Nats.variable(), self.addresses.nats.clone()),
            (Kind::Cql.variable(), self.addresses.cql.clone()),
        ]
    }

    /// Stops what was started for this.
    ///
    /// # Errors
    /// Where a service does not stop.
    pub(crate) fn give_back(self) -> Result<()> {
        if self.theirs { Ok(()) } else { down(&self.site) }
    }
}

/// Both services, started where they do not run, then empty. Progress goes to standard error.
///
/// # Errors
/// Where one of them cannot be had: one sentence for each source that was tried.
pub(crate) fn borrow(root: &Path) -> Result<Borrowed> {
    let site = Site::new(root, Environment::read())?;
    let theirs = {
        let book = Book::open(&site)?;
        Kind::ALL.into_iter().any(|kind| book.get(kind).is_some())
    };
    let addresses = up(&site, false)?;
    Ok(Borrowed {
        addresses,
        site,
        theirs,
    })
}

/// Carries out one command line, without the word `services`.
pub(crate) fn run(root: &Path, arguments: &[&str]) -> Result<()> {
    let site = || Site::new(root, Environment::read());
    match arguments {
        ["up", flags @ ..] => {
            if let Some(unknown) = flags
                .iter()
                .find(|flag| !["--keep", "--print-env"].contains(flag))
            {
                bail!("no such flag of services up: {unknown}");
            }
            let addresses = up(&site()?, flags.contains(&"--keep"))?;
            if flags.contains(&"--print-env") {
                println!("{}={}", Kind::Nats.variable(), addresses.nats);
                println!("{}={}", Kind::Cql.variable(), addresses.cql);
            }
            Ok(())
        }
        ["down"] => down(&site()?),
        ["status"] => report::status(&site()?),
        ["restart", name] => restart(&site()?, name, false),
        ["restart", name, "--kill"] => restart(&site()?, name, true),
        _ => bail!("no such command: services {}\n{HELP}", arguments.join(" ")),
    }
}

fn up(site: &Site, keep: bool) -> Result<Addresses> {
    let _alone = site.lock()?;
    let book = Book::open(site)?;
    // A service that comes back gets the ports it had; nobody else may choose them meanwhile.
    let mut taken: Vec<u16> = Kind::ALL.into_iter().flat_map(|kind| book.ports(kind)).collect();
    let nats_ports = ports::choose(nats::PORTS, &mut taken)?;
    let cql_ports = ports::choose(cql::PORTS, &mut taken)?;
    let (nats, cql) = thread::scope(|scope| {
        let nats = scope.spawn(|| starting::bring_up(Kind::Nats, site, &book, &nats_ports, keep));
        let cql = starting::bring_up(Kind::Cql, site, &book, &cql_ports, keep);
        let nats = nats
            .join()
            .unwrap_or_else(|_| Err(anyhow!("nats: starting it panicked")));
        (nats, cql)
    });
    match (nats, cql) {
        (Ok(nats), Ok(cql)) => Ok(Addresses { nats, cql }),
        (Err(nats), Err(cql)) => Err(anyhow!("{nats:#}\n{cql:#}")),
        (Err(error), Ok(_)) | (Ok(_), Err(error)) => Err(error),
    }
}

fn down(site: &Site) -> Result<()> {
    let _alone = site.lock()?;
    let book = Book::open(site)?;
    for kind in Kind::ALL {
        let Some(running) = book.get(kind) else {
            println!("{}: nothing was started here", kind.name());
            continue;
        };
        let how = running.keeper.stop(site, kind, &running.log)?;
        book.set(kind, None)?;
        println!("{}: {how}; its log is {}", kind.name(), running.log.display());
    }
    Ok(())
}

fn restart(site: &Site, name: &str, kill: bool) -> Result<()> {
    let Some(kind) = Kind::named(name) else {
        bail!("no such service: {name} (there are nats and cql)")
    };
    let _alone = site.lock()?;
    let book = Book::open(site)?;
    let Some(running) = book.get(kind) else {
        bail!("{name} was not started here: `cargo xtask services up` does it");
    };
    let how = if kill {
        running.keeper.kill(site, kind)?
    } else {
        running.keeper.stop(site, kind, &running.log)?
    };
    eprintln!("{name}: {how}");
    let ports = if ports::are_free(&running.ports) {
        running.ports
    } else {
        eprintln!("{name}: somebody took its port meanwhile; it gets a new address");
        ports::choose(running.ports.len(), &mut Vec::new())?
    };
    let address = starting::first_that_works(kind, site, &book, &ports, true)?;
    println!("{name}: back at {address}");
    Ok(())
}
