//! The table: one line a measurement, or one JSON object a line.

use std::time::Duration;

use serde::Serialize;

use super::child::Usage;
use super::load::Taken;
use crate::cli::BenchArgs;

/// One measurement.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Line {
    name: String,
    store: String,
    connections: usize,
    count: u64,
    pub(crate) rate: f64,
    p50_ms: f64,
    p99_ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_us: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rss_mib: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes_kept: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ratio: Option<f64>,
    /// The lowest and the highest of the turns that the ratio is the median of.
    #[serde(skip_serializing_if = "Option::is_none")]
    spread: Option<(f64, f64)>,
}

impl Line {
    pub(crate) fn of(name: &str, args: &BenchArgs, taken: &Taken) -> Line {
        let engine = if args.store.starts_with("postgres") { "postgres" } else { "sqlite" };
        Line {
            name: name.to_owned(),
            store: engine.to_owned(),
            connections: args.connections,
            count: taken.count,
            rate: taken.rate(),
            p50_ms: ms(taken.percentile(0.50)),
            p99_ms: ms(taken.percentile(0.99)),
            cpu_us: None,
            rss_mib: None,
            bytes_kept: None,
            ratio: None,
            spread: None,
        }
    }

    pub(crate) fn with_usage(mut self, usage: Usage, count: u64) -> Line {
        self.cpu_us = Some(usage.cpu.as_secs_f64() * 1e6 / count.max(1) as f64);
        self.rss_mib = Some(usage.rss_bytes as f64 / 1_048_576.0);
        self
    }

    pub(crate) fn with_ratio(mut self, ratio: f64) -> Line {
        self.ratio = Some(ratio);
        self
    }

    /// The median of the ratios of several turns, and how far they lie apart.
    pub(crate) fn with_ratios(mut self, mut ratios: Vec<f64>) -> Line {
        ratios.sort_unstable_by(f64::total_cmp);
        self.ratio = ratios.get(ratios.len() / 2).copied();
        self.spread = ratios.first().copied().zip(ratios.last().copied());
        self
    }

    pub(crate) fn with_kept(mut self, bytes: Option<f64>) -> Line {
        self.bytes_kept = bytes;
        self
    }
}

fn ms(span: Duration) -> f64 {
    span.as_secs_f64() * 1e3
}

/// Prints the lines.
#[allow(clippy::print_stdout, reason = "what the user asked to see")]
pub(crate) fn print(lines: &[Line], json: bool) {
    if json {
        for line in lines {
            println!("{}", serde_json::to_string(line).expect("a line has text keys only"));
        }
        return;
    }
    println!(
        "{:<34} {:>8} {:>5} {:>9} {:>10} {:>9} {:>9} {:>8} {:>8} {:>8} {:>6}",
        "name", "store", "conn", "count", "per s", "p50 ms", "p99 ms", "cpu µs", "rss MiB", "kept B", "ratio"
    );
    for line in lines {
        let optional = |value: Option<f64>, digits: usize| {
            value.map_or("-".to_owned(), |value| format!("{value:.digits$}"))
        };
        println!(
            "{:<34} {:>8} {:>5} {:>9} {:>10.0} {:>9.2} {:>9.2} {:>8} {:>8} {:>8} {:>6}",
            line.name,
            line.store,
            line.connections,
            line.count,
            line.rate,
            line.p50_ms,
            line.p99_ms,
            optional(line.cpu_us, 1),
            optional(line.rss_mib, 0),
            optional(line.bytes_kept, 0),
            optional(line.ratio, 3),
        );
        if let Some((low, high)) = line.spread {
            println!("{:<34} {low:.3} to {high:.3}", "  turn by turn");
        }
    }
}
