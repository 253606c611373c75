//! The engines of a cluster: NATS and the database, reached as the settings say.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use confab_bus::nats::{Credentials, Nats, NatsOptions, TlsFiles};
use confab_service::clock;
use confab_store::scylla::{CqlTls, Scylla, ScyllaOptions};

use crate::exit::{Code, Failure, OrFail};
use crate::settings::Settings;

/// How NATS is reached. `name` is what its operator sees of this process.
pub(crate) fn nats_options(settings: &Settings, name: &str) -> Result<NatsOptions, Failure> {
    let mut options = NatsOptions::new(settings.nats.clone(), Arc::new(clock::now_millis));
    options.credentials = credentials(settings)?;
    options.tls = TlsFiles {
        ca: settings.nats_ca.clone(),
        cert: settings.nats_cert.clone(),
        key: settings.nats_key.clone(),
        required: settings.nats_tls,
    };
    settings.nats_prefix.clone_into(&mut options.prefix);
    options.partitions = settings.log_partitions;
    options.replicas = settings.log_replicas;
    options.max_bytes = settings.log_partition_size.0;
    options.max_age = settings.log_retention.0;
    name.clone_into(&mut options.name);
    Ok(options)
}

/// Connects to NATS, and makes the log's streams where there are none.
pub(crate) async fn nats(settings: &Settings, name: &str) -> Result<Nats, Failure> {
    let options = nats_options(settings, name)?;
    Nats::connect(options).await.or_fail(Code::Engine, "NATS")
}

/// How the database is reached.
pub(crate) fn cql_options(settings: &Settings) -> Result<ScyllaOptions, Failure> {
    let mut options = ScyllaOptions::new(settings.cql.clone(), Arc::new(clock::now_millis));
    settings.cql_keyspace.clone_into(&mut options.keyspace);
    options.user.clone_from(&settings.cql_user);
    options.password = settings.cql_password_file.as_deref().map(secret).transpose()?;
    options.datacenter.clone_from(&settings.cql_datacenter);
    options.tls = settings.cql_tls.then(|| CqlTls {
        ca: settings.cql_ca.clone(),
        cert: settings.cql_cert.clone(),
        key: settings.cql_key.clone(),
    });
    Ok(options)
}

/// Connects to the database, whose schema must be this program's.
pub(crate) async fn cql(settings: &Settings) -> Result<Scylla, Failure> {
    let options = cql_options(settings)?;
    Scylla::connect(options)
        .await
        .or_fail(Code::Engine, "the database")
}

fn credentials(settings: &Settings) -> Result<Credentials, Failure> {
    if let (Some(user), Some(file)) = (&settings.nats_user, &settings.nats_password_file) {
        return Ok(Credentials::UserPassword {
            user: user.clone(),
            password: secret(file)?,
        });
    }
    if let Some(file) = &settings.nats_token_file {
        return Ok(Credentials::Token(secret(file)?));
    }
    if let Some(file) = &settings.nats_nkey_file {
        return Ok(Credentials::NkeySeedFile(file.clone()));
    }
    if let Some(file) = &settings.nats_creds_file {
        return Ok(Credentials::CredsFile(file.clone()));
    }
    Ok(Credentials::None)
}

/// The secret in a file, without the line end that editors put behind it.
fn secret(file: &Path) -> Result<String, Failure> {
    let text = fs::read_to_string(file).or_fail(Code::File, file.display())?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// Runs what a command asks of the engines, on a runtime of its own.
pub(crate) fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.or_fail(Code::Fault, "runtime")?.block_on(work)
}
