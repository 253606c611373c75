//! What is fetched, by its exact version, in this one place.

/// nats-server as a Go module, and the version of it.
pub(super) const NATS_MODULE: &str = "github.com/nats-io/nats-server/v2";
pub(super) const NATS_VERSION: &str = "v2.14.8";

/// The oldest nats-server that the bus works on.
pub(super) const NATS_OLDEST: (u32, u32) = (2, 9);

/// Apache Cassandra's version, and that of the Maven plugin which copies it and its dependencies.
pub(super) const CASSANDRA_VERSION: &str = "5.0.5";
pub(super) const MAVEN_COPY: &str =
    "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies";

/// The major version of a Cassandra found on the machine, and the versions of Java that it runs on.
pub(super) const CASSANDRA_MAJOR: u32 = 5;
pub(super) const JAVA_VERSIONS: [u32; 2] = [17, 11];

/// Container images. Their tags name a line of releases: the engine keeps what it once pulled.
pub(super) const NATS_IMAGE: &str = "nats:2";
pub(super) const SCYLLA_IMAGE: &str = "scylladb/scylla:2025.1";
