//! What came of fetching files, counted.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use store::files::FileOutcome;

type Label = [(&'static str, &'static str); 1];

/// Metrics of one process; cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics {
    attempts: Family<Label, Counter>,
    bytes: Counter,
}

impl Default for Metrics {
    fn default() -> Metrics {
        let attempts = Family::<Label, Counter>::default();
        for outcome in ["stored", "retry", "failed"] {
            drop(attempts.get_or_create(&[("outcome", outcome)]));
        }
        Metrics { attempts, bytes: Counter::default() }
    }
}

impl Metrics {
    /// Shows them to whoever asks.
    pub fn register(&self, registry: &mut Registry) {
        let help = "Tries to fetch files from platforms by what follows for the file";
        registry.register("file_attempts", help, self.attempts.clone());
        registry.register("file_bytes", "Bytes of files that were fetched and stored", self.bytes.clone());
    }

    /// Counts what follows for a file.
    pub(crate) fn recorded(&self, outcome: &FileOutcome) {
        let label = match outcome {
            FileOutcome::Stored(content) => {
                self.bytes.inc_by(content.bytes);
                "stored"
            }
            FileOutcome::RetryAt(..) => "retry",
            FileOutcome::Failed(_) => "failed",
        };
        self.attempts.get_or_create(&[("outcome", label)]).inc();
    }
}
