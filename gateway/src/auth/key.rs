//! The keys that tokens are checked with, each for one algorithm.

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};

use super::secret::Secret;

/// A key as it is configured.
#[derive(Debug)]
pub enum Key {
    /// A shared secret, for HS256.
    Hs256(Secret),
    /// A public RSA key as PEM, for RS256.
    Rs256Pem(Vec<u8>),
    /// A public Ed25519 key as PEM, for EdDSA.
    EdDsaPem(Vec<u8>),
}

/// A key, or the place of keys, that is none.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct KeyError(pub(super) String);

/// A key with the one algorithm that it verifies.
#[derive(Clone, Debug)]
pub(super) struct Verifier {
    /// The name it is published under.
    pub(super) id: Option<String>,
    pub(super) algorithm: Algorithm,
    pub(super) key: DecodingKey,
}

impl Verifier {
    /// Reads a configured key.
    pub(super) fn of(key: Key) -> Result<Self, KeyError> {
        let (algorithm, key) = match key {
            Key::Hs256(secret) => (Algorithm::HS256, DecodingKey::from_secret(secret.bytes())),
            Key::Rs256Pem(pem) => (Algorithm::RS256, public(&pem, "RSA", DecodingKey::from_rsa_pem)?),
            Key::EdDsaPem(pem) => (
                Algorithm::EdDSA,
                public(&pem, "Ed25519", DecodingKey::from_ed_pem)?,
            ),
        };
        Ok(Self {
            id: None,
            algorithm,
            key,
        })
    }

    /// A published key, if it is one that signs tokens here. Secrets are none: whoever can read them can sign with them.
    pub(super) fn published(jwk: &Jwk) -> Option<Self> {
        if jwk
            .common
            .public_key_use
            .as_ref()
            .is_some_and(|usage| *usage != PublicKeyUse::Signature)
        {
            return None;
        }
        let (algorithm, named) = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => (Algorithm::RS256, KeyAlgorithm::RS256),
            AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 => {
                (Algorithm::EdDSA, KeyAlgorithm::EdDSA)
            }
            _ => return None,
        };
        if jwk.common.key_algorithm.is_some_and(|other| other != named) {
            return None;
        }
        Some(Self {
            id: jwk.common.key_id.clone(),
            algorithm,
            key: DecodingKey::from_jwk(jwk).ok()?,
        })
    }
}

fn public(
    pem: &[u8],
    kind: &str,
    read: impl FnOnce(&[u8]) -> Result<DecodingKey, jsonwebtoken::errors::Error>,
) -> Result<DecodingKey, KeyError> {
    if pem
        .windows(b"PRIVATE KEY".len())
        .any(|text| text == b"PRIVATE KEY")
    {
        let reason = format!("this is a private {kind} key: the service needs the public one alone");
        return Err(KeyError(reason));
    }
    read(pem).map_err(|error| {
        let why = match error.kind() {
            ErrorKind::InvalidKeyFormat => "it is of another kind",
            _ => "it cannot be read",
        };
        KeyError(format!("this is no public {kind} key as PEM: {why}"))
    })
}
