//! Sessions with the database: how requests are sent, and how long they may take.
//!
//! **Nothing is repeated here.** A request is sent once, to one node, and what it did is then known or not: the loop repeats
//! it, with the same bytes and timestamps, and it alone knows for how long. (The driver itself goes on to the next node
//! only while it has not sent anything yet.)

use std::collections::BTreeSet;
use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use scylla::client::execution_profile::ExecutionProfile;
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::policies::load_balancing::DefaultPolicy;
use scylla::policies::retry::FallthroughRetryPolicy;
use scylla::statement::Consistency;

use super::{ConnectError, CqlTls, ScyllaOptions};

/// How long a request may take. Beyond what servers themselves allow (2 to 5 s by default), so that mostly they tell.
pub(super) const REQUEST: Duration = Duration::from_secs(5);
/// How long a change of the schema may take: it waits for every node, and for the disk.
pub(super) const SCHEMA_CHANGE: Duration = Duration::from_secs(60);
/// How long it may take to connect to a node, and to find the others and prepare.
const NODE: Duration = Duration::from_secs(5);
const SESSION: Duration = Duration::from_secs(20);
/// A connection that is silent so long is asked for a sign of life, and given up after so long again: a node that has
/// vanished without a word is noticed so.
const KEEPALIVE: Duration = Duration::from_secs(5);

/// Connects, and finds the cluster's nodes.
pub(super) async fn session(options: &ScyllaOptions, request: Duration) -> Result<Session, ConnectError> {
    options.check()?;
    // One connection to a node of Cassandra or a shard of ScyllaDB, as the driver has it: more of them made a row dearer
    // and no faster.
    let mut builder = SessionBuilder::new()
        .known_nodes(&options.nodes)
        .default_execution_profile_handle(profile(options, request).into_handle())
        .connection_timeout(NODE)
        .keepalive_interval(KEEPALIVE)
        .keepalive_timeout(KEEPALIVE)
        // Of the schema the driver needs what routing needs: who has which part of this keyspace.
        .keyspaces_to_fetch([&options.keyspace])
        .fetch_full_schema_metadata(false)
        .refresh_metadata_on_auto_schema_agreement(false)
        .schema_agreement_timeout(SCHEMA_CHANGE);
    if let (Some(user), Some(password)) = (&options.user, &options.password) {
        builder = builder.user(user, password);
    }
    if let Some(tls) = &options.tls {
        builder = builder.tls_context(Some(Arc::new(client_config(tls)?)));
    }
    let session = within(&options.nodes, builder.build()).await?;
    let session = session.map_err(|error| ConnectError::of_session(options, &error))?;
    check_datacenter(&session, options)?;
    Ok(session)
}

/// Bounds what has to be done before a session is of use.
pub(super) async fn within<T>(nodes: &[String], work: impl Future<Output = T>) -> Result<T, ConnectError> {
    let late = |_| ConnectError::unreachable(nodes, format!("not ready after {} s", SESSION.as_secs()));
    // Much is going on in it: it is not to be a part of every caller.
    tokio::time::timeout(SESSION, Box::pin(work)).await.map_err(late)
}

fn profile(options: &ScyllaOptions, request: Duration) -> ExecutionProfile {
    let mut nodes = DefaultPolicy::builder()
        .token_aware(true)
        .permit_dc_failover(false);
    if let Some(datacenter) = &options.datacenter {
        nodes = nodes.prefer_datacenter(datacenter.clone());
    }
    ExecutionProfile::builder()
        .consistency(Consistency::LocalQuorum)
        .request_timeout(Some(request))
        .load_balancing_policy(nodes.build())
        .retry_policy(Arc::new(FallthroughRetryPolicy::new()))
        .speculative_execution_policy(None)
        .build()
}

/// Without a preference, requests would go to all datacenters, and each would be done by a quorum of another one.
fn check_datacenter(session: &Session, options: &ScyllaOptions) -> Result<(), ConnectError> {
    let state = session.get_cluster_state();
    let known = state
        .get_nodes_info()
        .iter()
        .filter_map(|node| node.datacenter.clone());
    let known: BTreeSet<String> = known.collect();
    let names = known.iter().cloned().collect::<Vec<_>>().join(", ");
    match &options.datacenter {
        Some(preferred) if !known.contains(preferred) => Err(ConnectError::Datacenter(format!(
            "there is no datacenter {preferred}: the cluster has {names}"
        ))),
        None if known.len() > 1 => Err(ConnectError::Datacenter(format!(
            "the cluster has the datacenters {names}: say which is this one's, and the same for all workers"
        ))),
        _ => Ok(()),
    }
}

fn client_config(tls: &CqlTls) -> Result<ClientConfig, ConnectError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| ConnectError::Tls(error.to_string()))?
        .with_root_certificates(roots(tls)?);
    match (&tls.cert, &tls.key) {
        (None, None) => Ok(builder.with_no_client_auth()),
        (Some(cert), Some(key)) => {
            let private = PrivateKeyDer::from_pem_file(key).map_err(|error| unusable(key, &error))?;
            builder
                .with_client_auth_cert(certificates(cert)?, private)
                .map_err(|error| unusable(cert, &error))
        }
        _ => Err(ConnectError::Options(
            "a certificate and its private key belong together".to_owned(),
        )),
    }
}

fn roots(tls: &CqlTls) -> Result<RootCertStore, ConnectError> {
    let mut roots = RootCertStore::empty();
    match &tls.ca {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(ca) => {
            for certificate in certificates(ca)? {
                roots.add(certificate).map_err(|error| unusable(ca, &error))?;
            }
        }
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, ConnectError> {
    let found = CertificateDer::pem_file_iter(path).map_err(|error| unusable(path, &error))?;
    let found = found
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| unusable(path, &error))?;
    if found.is_empty() {
        return Err(unusable(path, &"there is no certificate in it"));
    }
    Ok(found)
}

fn unusable(path: &Path, why: &dyn Display) -> ConnectError {
    ConnectError::Tls(format!("{}: {why}", path.display()))
}
