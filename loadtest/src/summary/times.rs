//! Times as a summary keeps them: for people a few percentiles, for merging the whole histogram.

use anyhow::{Context, Result};
use data_encoding::BASE64;
use hdrhistogram::serialization::{Deserializer, Serializer, V2Serializer};
use serde::{Deserialize, Serialize};

use crate::stats::{Times, times};

/// See the module. In milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct TimesSummary {
    pub(crate) count: u64,
    pub(crate) p50_ms: f64,
    pub(crate) p90_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) p999_ms: f64,
    pub(crate) max_ms: f64,
    /// An HDR histogram of microseconds, V2, in base64.
    hdr: String,
}

impl TimesSummary {
    pub(crate) fn of(times: &Times) -> Self {
        let ms = |part| times.value_at_quantile(part) as f64 / 1000.0;
        let mut bytes = Vec::new();
        // Writing into memory does not fail; an empty text would say so on merging.
        let _ = V2Serializer::new().serialize(times, &mut bytes);
        Self {
            count: times.len(),
            p50_ms: ms(0.5),
            p90_ms: ms(0.9),
            p99_ms: ms(0.99),
            p999_ms: ms(0.999),
            max_ms: times.max() as f64 / 1000.0,
            hdr: BASE64.encode(&bytes),
        }
    }

    pub(crate) fn times(&self) -> Result<Times> {
        let bytes = BASE64
            .decode(self.hdr.as_bytes())
            .context("a histogram is no base64")?;
        let read: Times = Deserializer::new()
            .deserialize(&mut bytes.as_slice())
            .map_err(|error| anyhow::anyhow!("a histogram cannot be read: {error:?}"))?;
        let mut all = times();
        all.add(&read).context("a histogram has other bounds")?;
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_comes_back_whole() {
        let mut all = times();
        for micros in [1, 700, 1_500, 3_600_000_000] {
            all.record(micros).unwrap();
        }
        let summary = TimesSummary::of(&all);
        assert_eq!(summary.times().unwrap(), all);
        assert_eq!(summary.count, 4);
    }
}
