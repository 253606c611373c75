//! How many copies of the rows there are, and where.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// The replication of the keyspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replication {
    /// So many copies, wherever (`simple:1`): for development.
    Simple(u32),
    /// So many copies in each of some datacenters (`dc1:3,dc2:3`).
    Datacenters(BTreeMap<String, u32>),
}

/// A replication that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no replication: `simple:1`, or datacenters as `dc1:3,dc2:3`")]
pub struct MalformedReplication(String);

impl FromStr for Replication {
    type Err = MalformedReplication;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).ok_or_else(|| MalformedReplication(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<Replication> {
    let mut datacenters = BTreeMap::new();
    for part in text.split(',') {
        let (name, factor) = part.trim().split_once(':')?;
        let factor: u32 = factor.parse().ok().filter(|factor| *factor > 0)?;
        if name.is_empty()
            || name.contains(['\'', '"', '\\'])
            || datacenters.insert(name.to_owned(), factor).is_some()
        {
            return None;
        }
    }
    match (datacenters.len(), datacenters.get("simple")) {
        (1, Some(factor)) => Some(Replication::Simple(*factor)),
        (_, Some(_)) => None,
        (_, None) => Some(Replication::Datacenters(datacenters)),
    }
}

impl fmt::Display for Replication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Simple(factor) => write!(f, "simple:{factor}"),
            Self::Datacenters(datacenters) => {
                let parts: Vec<_> = datacenters
                    .iter()
                    .map(|(name, factor)| format!("{name}:{factor}"))
                    .collect();
                f.write_str(&parts.join(","))
            }
        }
    }
}

impl Replication {
    /// As CQL has it.
    pub(super) fn cql(&self) -> String {
        match self {
            Self::Simple(factor) => {
                format!("{{'class': 'SimpleStrategy', 'replication_factor': {factor}}}")
            }
            Self::Datacenters(datacenters) => {
                let parts: String = datacenters
                    .iter()
                    .map(|(name, factor)| format!(", '{}': {factor}", name.replace('\'', "''")))
                    .collect();
                format!("{{'class': 'NetworkTopologyStrategy'{parts}}}")
            }
        }
    }

    /// What a keyspace has; none if it is something that this program would not have made.
    pub(in crate::scylla) fn of(mut options: BTreeMap<String, String>) -> Option<Self> {
        let class = options.remove("class")?;
        if class.ends_with("SimpleStrategy") {
            return Some(Self::Simple(options.get("replication_factor")?.parse().ok()?));
        }
        if !class.ends_with("NetworkTopologyStrategy") {
            return None;
        }
        let factor = |(name, factor): (String, String)| Some((name, factor.parse().ok()?));
        Some(Self::Datacenters(
            options.into_iter().map(factor).collect::<Option<_>>()?,
        ))
    }

    /// What is to be said about it.
    pub(super) fn advice(&self) -> Vec<String> {
        match self {
            Self::Simple(factor) => vec![format!(
                "replication simple:{factor} is for development: it does not know of datacenters, and ScyllaDB gives such a \
                 keyspace no tablets"
            )],
            Self::Datacenters(datacenters) => datacenters
                .iter()
                .filter(|(_, factor)| **factor < 3)
                .map(|(name, factor)| {
                    format!("replication {name}:{factor} is below 3: no node of {name} may be away")
                })
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::Replication;

    #[test]
    fn is_read_as_it_is_written() {
        for text in [
            "simple:1",
            "simple:3",
            "dc1:3",
            "dc1:3,dc2:3",
            "eu-west:5,us_east:3",
        ] {
            let replication: Replication = text.parse().unwrap();
            assert_eq!(replication.to_string(), text);
        }
        let two: Replication = "b:2, a:3".parse().unwrap();
        assert_eq!(two.to_string(), "a:3,b:2");
        assert_eq!(two.cql(), "{'class': 'NetworkTopologyStrategy', 'a': 3, 'b': 2}");
        let quoted = Replication::Datacenters([("a'b".to_owned(), 1)].into());
        assert_eq!(quoted.cql(), "{'class': 'NetworkTopologyStrategy', 'a''b': 1}");
    }

    #[test]
    fn what_is_none_is_refused() {
        for text in [
            "",
            "simple",
            "simple:",
            "simple:0",
            "simple:x",
            ":1",
            "dc1:3,",
            "dc1:3,dc1:2",
            "simple:1,dc1:3",
            "d'c:1",
            "dc1:-1",
        ] {
            assert!(text.parse::<Replication>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn is_known_again_in_a_keyspace() {
        let options = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            let owned = pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned()));
            owned.collect()
        };
        let simple = options(&[
            ("class", "org.apache.cassandra.locator.SimpleStrategy"),
            ("replication_factor", "1"),
        ]);
        assert_eq!(Replication::of(simple), Some(Replication::Simple(1)));
        let wide = options(&[("class", "NetworkTopologyStrategy"), ("dc1", "3"), ("dc2", "2")]);
        assert_eq!(Replication::of(wide), "dc1:3,dc2:2".parse().ok());
        let other = options(&[("class", "EverywhereStrategy")]);
        assert_eq!(Replication::of(other), None);
    }
}
