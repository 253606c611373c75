//! What settings must be together.

use std::path::Path;

use super::{Auth, Settings, Span};
use crate::exit::{Code, Failure};

impl Settings {
    /// Checks what no value shows by itself.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let open = self.auth == Auth::Insecure && !self.listen.ip().is_loopback() && !self.insecure_anywhere;
        refuse(open, || {
            let listen = self.listen;
            format!(
                "auth insecure is for loopback addresses, not {listen}: use --auth jwt, or say --insecure-anywhere"
            )
        })?;
        refuse(self.tls_cert.is_some() != self.tls_key.is_some(), || {
            "tls_cert and tls_key go together: one is missing".to_owned()
        })?;
        for (name, value) in [
            ("header_timeout", self.header_timeout),
            ("handshake_timeout", self.handshake_timeout),
            ("ping_timeout", self.ping_timeout),
            ("event_retention", self.event_retention),
        ] {
            refuse(value < Span::seconds(1), || {
                format!("{name} is at least 1s, not {value}")
            })?;
        }
        for (name, value) in [
            ("rate_limit", u64::from(self.rate_limit)),
            ("rate_burst", u64::from(self.rate_burst)),
            ("max_connections", self.max_connections as u64),
            ("max_user_connections", self.max_user_connections as u64),
        ] {
            refuse(value == 0, || format!("{name} is at least 1"))?;
        }
        confab_service::telemetry::parse_filter(&self.log)
            .map_err(|error| Failure::new(Code::Setting, format_args!("log: {error}")))?;
        self.data_dir().map(|_| ())
    }

    /// The data directory.
    pub(crate) fn data_dir(&self) -> Result<&Path, Failure> {
        let reason = "there is no home directory: name a directory with --data-dir";
        self.data_dir
            .as_deref()
            .ok_or_else(|| Failure::new(Code::Setting, reason))
    }

    /// Whether tokens are checked with the development key, since no other key is set.
    pub(crate) fn uses_development_key(&self) -> bool {
        let files = [&self.hs256_keys, &self.rs256_keys, &self.eddsa_keys];
        files.iter().all(|files| files.is_empty()) && self.jwks_url.is_none()
    }
}

fn refuse(wrong: bool, reason: impl FnOnce() -> String) -> Result<(), Failure> {
    if wrong {
        Err(Failure::new(Code::Setting, reason()))
    } else {
        Ok(())
    }
}
