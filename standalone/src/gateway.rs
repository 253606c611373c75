//! The gateway's settings, from the service's: keys, certificates and lists are read here, so that a bad one is found
//! at the start.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use confab_chat::{GatewayId, UserId};
use confab_gateway::auth::{Authenticator, JwtConfig, Key, Secret};
use confab_gateway::{Auth, Config, Origins};
use ipnet::IpNet;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::banned;
use crate::data_dir::DataDir;
use crate::exit::{Code, Failure, OrFail};
use crate::settings::{self, Settings};

/// The shortest secret that HS256 is safe with, in bytes.
const SECRET_BYTES: usize = 32;

/// The gateway's settings.
pub(crate) fn config(settings: &Settings, id: GatewayId) -> Result<Config, Failure> {
    let auth = match settings.auth {
        settings::Auth::Insecure => Auth::Insecure,
        settings::Auth::Jwt => {
            let mut keys = keys(settings)?;
            if settings.uses_development_key() {
                let directory = DataDir::open(settings.data_dir()?)?;
                keys.push(secret(&directory.development_key()?)?);
            }
            Auth::Jwt(Arc::new(authenticator(settings, keys)?))
        }
    };
    let mut config = Config::new(id, auth);
    config.origins = origins(settings);
    config.banned = banned::read(&settings.banned, settings.banned_file.as_deref())?;
    config.trusted_proxies = proxies(settings)?;
    config.tls = tls(settings)?;
    config.max_connections = settings.max_connections;
    config.max_user_connections = settings.max_user_connections;
    config.rate_limit = settings.rate_limit;
    config.rate_burst = settings.rate_burst;
    config.header_timeout = settings.header_timeout.0;
    config.handshake_timeout = settings.handshake_timeout.0;
    config.ping_timeout = settings.ping_timeout.0;
    Ok(config)
}

/// Checks everything that the settings of the gateway name, without making anything.
pub(crate) fn check(settings: &Settings) -> Result<(), Failure> {
    if settings.auth == settings::Auth::Jwt {
        let mut keys = keys(settings)?;
        if settings.uses_development_key() {
            // It is made when the service starts; any will do here.
            keys.push(Key::Hs256(Secret::new(vec![0; SECRET_BYTES])));
        }
        authenticator(settings, keys)?;
    }
    banned::read(&settings.banned, settings.banned_file.as_deref())?;
    proxies(settings)?;
    tls(settings)?;
    Ok(())
}

/// The keys in files.
fn keys(settings: &Settings) -> Result<Vec<Key>, Failure> {
    let secrets = settings.hs256_keys.iter().map(|path| secret(path));
    let rsa = settings.rs256_keys.iter().map(|path| public(path, Key::Rs256Pem));
    let ed25519 = settings.eddsa_keys.iter().map(|path| public(path, Key::EdDsaPem));
    secrets.chain(rsa).chain(ed25519).collect()
}

fn authenticator(settings: &Settings, keys: Vec<Key>) -> Result<Authenticator, Failure> {
    let config = JwtConfig {
        keys,
        jwks_url: settings.jwks_url.clone(),
        issuer: settings.issuer.clone(),
        audience: settings.audience.clone(),
    };
    // The keys were tried one by one: what is left to be wrong is the URL.
    Authenticator::new(config).or_fail(Code::Setting, "jwks_url")
}

/// Reads a public key, and tries it alone, so that a bad one is named.
fn public(path: &Path, key: fn(Vec<u8>) -> Key) -> Result<Key, Failure> {
    let pem = read(path)?;
    let alone = JwtConfig {
        keys: vec![key(pem.clone())],
        jwks_url: None,
        issuer: None,
        audience: None,
    };
    Authenticator::new(alone).or_fail(Code::File, path.display())?;
    Ok(key(pem))
}

fn secret(path: &Path) -> Result<Key, Failure> {
    let bytes = read(path)?;
    if bytes.len() < SECRET_BYTES {
        let reason = format!(
            "{}: a secret for HS256 has at least {SECRET_BYTES} bytes, this has {}",
            path.display(),
            bytes.len()
        );
        return Err(Failure::new(Code::File, reason));
    }
    Ok(Key::Hs256(Secret::new(bytes)))
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).or_fail(Code::File, path.display())
}

fn origins(settings: &Settings) -> Option<Origins> {
    if settings.origins.iter().any(|origin| origin == "*") {
        return None;
    }
    if !settings.origins.is_empty() {
        let listed: HashSet<String> = settings.origins.iter().cloned().collect();
        return Some(Origins::Listed(listed));
    }
    (settings.auth == settings::Auth::Insecure).then_some(Origins::Local)
}

fn proxies(settings: &Settings) -> Result<Vec<IpNet>, Failure> {
    let parse = |text: &String| {
        let net = text.parse::<IpNet>();
        net.or_else(|_| text.parse::<std::net::IpAddr>().map(IpNet::from))
            .or_fail(Code::Setting, format_args!("trusted_proxies: {text:?}"))
    };
    settings.trusted_proxies.iter().map(parse).collect()
}

fn tls(settings: &Settings) -> Result<Option<Arc<ServerConfig>>, Failure> {
    let (Some(chain), Some(key)) = (&settings.tls_cert, &settings.tls_key) else {
        return Ok(None);
    };
    let certificates = CertificateDer::pem_file_iter(chain)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .or_fail(Code::File, format_args!("tls_cert {}", chain.display()))?;
    let private = PrivateKeyDer::from_pem_file(key);
    let private = private.or_fail(Code::File, format_args!("tls_key {}", key.display()))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| {
            builder
                .with_no_client_auth()
                .with_single_cert(certificates, private)
        });
    let mut config = config.or_fail(
        Code::File,
        format_args!("{} and {}", chain.display(), key.display()),
    )?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Some(Arc::new(config)))
}

/// Reads a user id of a setting.
pub(crate) fn user(text: &str, of: &str) -> Result<UserId, Failure> {
    UserId::parse(text).or_fail(Code::Setting, format_args!("{of}: {text:?}"))
}
