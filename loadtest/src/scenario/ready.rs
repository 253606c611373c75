//! The scenarios that come with the tool.

macro_rules! ready {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../scenarios/", $name, ".toml")))),*]
    };
}

/// Name and text of each.
pub(crate) const READY: &[(&str, &str)] = ready![
    "smoke",
    "dialogs",
    "message-cost",
    "groups",
    "fanout-200",
    "idle-10k",
    "connect-storm",
    "reconnect-storm",
    "chat-list",
    "slow-readers",
    "soak",
];
