//! The recorder of everything that is counted through the `metrics` crate, and the process's own figures beside it.

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use metrics_process::Collector;

/// Upper bounds of the buckets of every histogram whose name ends in `_seconds`: from a tenth of a millisecond, below
/// one group commit, to the five seconds after which a command counts as lost.
const SECONDS: &[f64] = &[
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0,
];

/// Upper bounds of the buckets of every histogram whose name ends in `_size` (entries of a batch, rows of a write).
const SIZES: &[f64] = &[
    1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 4096.0,
];

/// The process's recorder.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    recorder: PrometheusHandle,
    process: Collector,
}

impl Metrics {
    /// Installs the recorder, for the whole process.
    ///
    /// # Errors
    /// When there is one already.
    pub(crate) fn install() -> Result<Self, BuildError> {
        let recorder = builder()?.install_recorder()?;
        let process = Collector::default();
        process.describe();
        Ok(Self { recorder, process })
    }

    /// Everything, in the text format of Prometheus.
    pub(crate) fn render(&self) -> String {
        self.process.collect();
        self.recorder.render()
    }

    /// Folds what histograms have gathered into their buckets; without it they would grow. Call it every few seconds.
    pub(crate) fn upkeep(&self) {
        self.recorder.run_upkeep();
    }
}

fn builder() -> Result<PrometheusBuilder, BuildError> {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), SECONDS)?
        .set_buckets_for_metric(Matcher::Suffix("_size".to_owned()), SIZES)
}
