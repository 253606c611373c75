//! Free ports on loopback.
//!
//! They are taken from below the range that outgoing connections get theirs from (32768 and above on Linux). In that range any client
//! could take a server's port while the server restarts; and a client that retries against its absent server could connect to itself.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Result, bail};

const FIRST: u16 = 21_000;
const COUNT: u16 = 11_000;

/// Chooses ports that nobody listens on and that are not `taken`, and adds them to `taken`.
pub(crate) fn choose(count: usize, taken: &mut Vec<u16>) -> Result<Vec<u16>> {
    let start = u16::try_from(RandomState::new().build_hasher().finish() % u64::from(COUNT)).unwrap_or(0);
    let candidates = (0..COUNT).map(|step| FIRST + (start + step) % COUNT);
    let chosen: Vec<u16> = candidates
        .filter(|port| !taken.contains(port) && is_free(*port))
        .take(count)
        .collect();
    if chosen.len() < count {
        bail!(
            "fewer than {count} free ports on 127.0.0.1 from {FIRST} to {}",
            FIRST + COUNT - 1
        );
    }
    taken.extend(&chosen);
    Ok(chosen)
}

/// Whether nobody listens on any of them.
pub(super) fn are_free(ports: &[u16]) -> bool {
    ports.iter().copied().all(is_free)
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::{COUNT, FIRST, are_free, choose};
    use std::net::TcpListener;

    #[test]
    fn chosen_ports_are_distinct_free_and_below_the_ephemeral_range() {
        let mut taken = vec![];
        choose(3, &mut taken).unwrap();
        choose(3, &mut taken).unwrap();
        assert!(taken.iter().all(|port| (FIRST..FIRST + COUNT).contains(port)));
        taken.sort_unstable();
        taken.dedup();
        assert_eq!(taken.len(), 6);
    }

    #[test]
    fn a_port_that_somebody_listens_on_is_not_chosen() {
        // All but two are taken, and one of the two is in use.
        let pair = choose(2, &mut vec![]).unwrap();
        let mut taken: Vec<u16> = (FIRST..FIRST + COUNT)
            .filter(|port| !pair.contains(port))
            .collect();
        let held = TcpListener::bind(("127.0.0.1", pair[0])).unwrap();
        assert!(!are_free(&pair));
        assert!(choose(2, &mut taken.clone()).is_err());
        assert_eq!(choose(1, &mut taken).unwrap(), pair[1..]);
        drop(held);
    }
}
