//! The values that settings hold beside numbers and texts: time spans, sizes, and the like. Each is written as a
//! text, the same in a flag, in the environment and in the file.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use confab_chat::Partition;
use serde::{Deserialize, Serialize};

/// A span of time: a whole number and a unit, `500ms`, `20s`, `5m`, `12h`, `7d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Span(pub(crate) Duration);

/// Units of a span, largest first, in milliseconds.
const SPAN_UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
    ("ms", 1),
];

impl Span {
    pub(crate) const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let millis = number_and_unit(text, &SPAN_UNITS);
        let millis =
            millis.ok_or_else(|| format!("{text:?} is no span of time such as 500ms, 20s, 5m, 12h or 7d"))?;
        Ok(Self(Duration::from_millis(millis)))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        f.write_str(&largest_unit(millis, "0s", &SPAN_UNITS))
    }
}

/// A size in bytes: a whole number and a unit, `512B`, `64KiB`, `256MiB`, `2GiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Size(pub(crate) u64);

/// Units of a size, largest first, in bytes.
const SIZE_UNITS: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

impl Size {
    pub(crate) const fn mib(mib: u64) -> Self {
        Self(mib << 20)
    }
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bytes = number_and_unit(text, &SIZE_UNITS);
        Ok(Self(bytes.ok_or_else(|| {
            format!("{text:?} is no size such as 512B, 64KiB, 256MiB or 2GiB")
        })?))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&largest_unit(self.0, "0B", &SIZE_UNITS))
    }
}

fn number_and_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

fn largest_unit(value: u64, zero: &str, units: &[(&str, u64)]) -> String {
    let fitting = units
        .iter()
        .find(|(_, factor)| value >= *factor && value.is_multiple_of(*factor));
    fitting.map_or_else(
        || zero.to_owned(),
        |(name, factor)| format!("{}{name}", value / factor),
    )
}

/// Where the health endpoint listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) enum AdminListen {
    /// On a usual address, or a free port where that is taken.
    Auto,
    /// There, or the service does not start.
    At(SocketAddr),
    /// Nowhere.
    Off,
}

impl FromStr for AdminListen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "off" => Ok(Self::Off),
            _ => match text.parse() {
                Ok(address) => Ok(Self::At(address)),
                Err(_) => Err(format!(
                    "{text:?} is neither an address such as 127.0.0.1:8081, nor auto, nor off"
                )),
            },
        }
    }
}

impl fmt::Display for AdminListen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Off => f.write_str("off"),
            Self::At(address) => address.fmt(f),
        }
    }
}

/// Which partitions a worker owns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) enum Owned {
    /// Its share.
    Shared,
    /// Every one.
    All,
    /// These: ranges with both ends included.
    These(Vec<(u16, u16)>),
}

impl Owned {
    /// The first partition named that an installation of so many does not have.
    pub(crate) fn beyond(&self, partitions: u16) -> Option<u16> {
        let Self::These(ranges) = self else { return None };
        let mut ends = ranges.iter().map(|(_, last)| *last);
        ends.find(|last| *last >= partitions)
    }

    /// The partitions of an installation that has so many; `shared` names none in particular, and so all.
    pub(crate) fn of(&self, partitions: u16) -> Vec<Partition> {
        let all = [(0, partitions.saturating_sub(1))];
        let ranges = match self {
            Self::Shared | Self::All => all.as_slice(),
            Self::These(ranges) => ranges,
        };
        let numbers = ranges.iter().flat_map(|(first, last)| *first..=*last);
        numbers.map(Partition).collect()
    }
}

impl FromStr for Owned {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let range = |text: &str| {
            let (first, last) = text.split_once('-').unwrap_or((text, text));
            let (first, last) = (first.parse().ok()?, last.parse().ok()?);
            (first <= last).then_some((first, last))
        };
        match text {
            "shared" => Ok(Self::Shared),
            "all" => Ok(Self::All),
            _ => text
                .split(',')
                .map(range)
                .collect::<Option<_>>()
                .map(Self::These)
                .ok_or_else(|| format!("{text:?} is neither shared, nor all, nor a list such as 0,3,8-15")),
        }
    }
}

impl fmt::Display for Owned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shared => f.write_str("shared"),
            Self::All => f.write_str("all"),
            Self::These(ranges) => {
                for (place, (first, last)) in ranges.iter().enumerate() {
                    let comma = if place == 0 { "" } else { "," };
                    match first == last {
                        true => write!(f, "{comma}{first}")?,
                        false => write!(f, "{comma}{first}-{last}")?,
                    }
                }
                Ok(())
            }
        }
    }
}

macro_rules! through_text {
    ($($type:ty),*) => {$(
        impl TryFrom<String> for $type {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(value: $type) -> Self {
                value.to_string()
            }
        }
    )*};
}

through_text!(Span, Size, AdminListen, Owned);

#[cfg(test)]
mod tests {
    use super::{AdminListen, Owned, Size, Span};

    #[test]
    fn spans_read_and_print_in_their_largest_unit() {
        for (text, printed) in [
            ("1500ms", "1500ms"),
            ("60s", "1m"),
            ("168h", "7d"),
            ("90m", "90m"),
            ("0s", "0s"),
        ] {
            assert_eq!(text.parse::<Span>().unwrap().to_string(), printed);
        }
    }

    #[test]
    fn sizes_read_and_print_in_their_largest_unit() {
        for (text, printed) in [
            ("2048KiB", "2MiB"),
            ("1GiB", "1GiB"),
            ("100B", "100B"),
            ("0B", "0B"),
        ] {
            assert_eq!(text.parse::<Size>().unwrap().to_string(), printed);
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "5",
            "s",
            "-1s",
            "1.5s",
            "5 s",
            "5S",
            "99999999999999999999s",
            "18446744073709551615d",
        ] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
        for text in ["", "5", "5MB", "18446744073709551615GiB"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_admin_address_is_an_address_or_a_word() {
        for text in ["auto", "off", "127.0.0.1:0", "[::1]:8081"] {
            assert_eq!(text.parse::<AdminListen>().unwrap().to_string(), text);
        }
        assert!("8081".parse::<AdminListen>().is_err());
    }

    #[test]
    fn owned_partitions_are_a_word_or_ranges() {
        for text in ["shared", "all", "0", "0,3,8-15", "63-63"] {
            let printed = if text == "63-63" { "63" } else { text };
            assert_eq!(text.parse::<Owned>().unwrap().to_string(), printed);
        }
        for text in ["", "none", "3-1", "-1", "1-", "1,,2", "65536"] {
            assert!(text.parse::<Owned>().is_err(), "{text}");
        }
    }
}
