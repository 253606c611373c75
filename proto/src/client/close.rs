//! Why the service closes a connection.

/// The close codes, each telling the client what to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseCode {
    /// The gateway goes away: reconnect after the delay that the reason gives, in milliseconds.
    Away,
    /// A frame was larger than [`MAX_INCOMING_BYTES`](super::MAX_INCOMING_BYTES): do not send it again.
    TooLarge,
    /// The gateway restarts: reconnect after the delay that the reason gives, in milliseconds.
    Restart,
    /// The token expired while connected: get a new one.
    TokenExpired,
    /// Banned while connected: stop.
    Banned,
    /// No frame for too long: reconnect.
    NoPing,
    /// Reads too slowly, its queue is full: reconnect, nothing is lost.
    TooSlow,
    /// The same device connected again: stop.
    Replaced,
    /// Kept exceeding the rate limit: back off.
    RateLimited,
}

impl CloseCode {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Away,
        Self::TooLarge,
        Self::Restart,
        Self::TokenExpired,
        Self::Banned,
        Self::NoPing,
        Self::TooSlow,
        Self::Replaced,
        Self::RateLimited,
    ];

    /// The number that goes over the wire.
    #[must_use]
    pub const fn code(self) -> u16 {
        match self {
            Self::Away => 1001,
            Self::TooLarge => 1009,
            Self::Restart => 1012,
            Self::TokenExpired => 4001,
            Self::Banned => 4003,
            Self::NoPing => 4008,
            Self::TooSlow => 4009,
            Self::Replaced => 4010,
            Self::RateLimited => 4029,
        }
    }

    /// The close reason, for people to read. When draining (`Away`, `Restart`) the reason is a number instead: the
    /// milliseconds to wait, which the gateway spreads over its clients.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Away | Self::Restart => "",
            Self::TooLarge => "frame too large",
            Self::TokenExpired => "token expired",
            Self::Banned => "banned",
            Self::NoPing => "no ping",
            Self::TooSlow => "reads too slowly",
            Self::Replaced => "connected again",
            Self::RateLimited => "rate limit exceeded",
        }
    }
}
