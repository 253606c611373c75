//! The frames of the client protocol.
