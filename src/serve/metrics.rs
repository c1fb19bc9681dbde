//! Metrics at `/-/metrics`: OpenMetrics 1.0, which Prometheus reads, written by its own library.

use std::fmt;
use std::sync::atomic::Ordering::Relaxed;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _, MetricEncoder, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use super::{Server, StepProgress};
use base::{Timestamp, clock};
use tlog::check::read_vkey;
use tlog::stored::read_checkpoint;

/// The media type of what [`text`] gives.
pub(crate) const TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// One number, or one for each set of labels.
#[derive(Debug)]
struct Metric {
    name: &'static str,
    help: &'static str,
    kind: MetricType,
    values: Vec<(Vec<(&'static str, String)>, u64)>,
}

/// All of them, as they are now.
#[derive(Debug)]
struct Numbers(Vec<Metric>);

impl Numbers {
    fn counter(&mut self, name: &'static str, help: &'static str, value: u64) {
        self.0.push(Metric { name, help, kind: MetricType::Counter, values: vec![(Vec::new(), value)] });
    }

    fn gauge(&mut self, name: &'static str, help: &'static str, value: u64) {
        self.0.push(Metric { name, help, kind: MetricType::Gauge, values: vec![(Vec::new(), value)] });
    }

    fn of(service: &Server, certificate: Option<&str>) -> Self {
        let (mut all, counts, now) = (Self(Vec::new()), &service.counts, clock::now());
        all.counter("connections", "Connections accepted.", counts.connections.load(Relaxed));
        all.gauge("connections_open", "Connections open now.", service.seats.count() as u64);
        all.counter("connections_turned_away", "Connections closed at a limit.", counts.turned_away.load(Relaxed));
        all.counter("requests", "Requests answered.", counts.requests.load(Relaxed));
        all.counter("requests_refused", "Requests refused and recorded.", counts.refused.load(Relaxed));
        all.counter("requests_missing", "Requests for paths that do not exist.", counts.missing.load(Relaxed));
        all.counter("body_bytes", "Bytes of bodies handed to the network.", counts.bytes.load(Relaxed));
        all.counter("load_faults", "Times a published set could not be loaded.", counts.load_faults.load(Relaxed));
        all.counter(
            "evidence_dropped",
            "Attempts that are only part of a count, since too many agents made some.",
            service.evidence.dropped.load(Relaxed),
        );
        let unreadable = "Answers cut short or not given because their file could not be read.";
        all.counter("files_unreadable", unreadable, counts.unreadable.load(Relaxed));
        all.counter("pulls_dropped", "Pulls that were not recorded.", service.pulls.dropped.load(Relaxed));
        all.feeds(service, certificate);
        all.import(service, now);
        let folder = service.published.import_log();
        let head = read_vkey(&folder).and_then(|vkey| read_checkpoint(&folder, &vkey));
        if let Ok(head) = head {
            all.gauge("import_log_entries", "Entries under the import log's signed head.", head.size);
        }
        all
    }

    fn feeds(&mut self, service: &Server, certificate: Option<&str>) {
        let index = service.index.load();
        let mut add = |name, help, value: &dyn Fn(&crate::freshness::FeedState) -> u64, fresh: bool| {
            let feeds = index.feeds.iter().filter(|feed| feed.audience.has(certificate));
            let values = feeds.map(|feed| {
                let mut labels = vec![("feed", feed.name.clone()), ("channel", feed.channel.clone())];
                labels.extend(fresh.then(|| ("freshness", feed.freshness().to_owned())));
                (labels, value(feed))
            });
            self.0.push(Metric { name, help, kind: MetricType::Gauge, values: values.collect() });
        };
        add("feed_version", "Version of the feed that is served.", &|feed| feed.version, true);
        add("feed_issued_timestamp_seconds", "Time when the content was made.", &|feed| feed.issued().secs(), false);
        add("feed_expires_timestamp_seconds", "Time when the content expires.", &|feed| feed.expires().secs(), false);
    }

    /// Progress of an import, while one runs.
    fn import(&mut self, service: &Server, now: Timestamp) {
        let running = (service.import)(now);
        self.gauge("import_running", "1 while an import runs, else 0.", u64::from(running.is_some()));
        let StepProgress { done, all } = running.unwrap_or_default();
        self.gauge("import_step_bytes", "Bytes of the present step of the import that are done.", done);
        self.gauge("import_step_total_bytes", "Bytes of the present step of the import in all.", all);
    }
}

impl Collector for Numbers {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for metric in &self.0 {
            let mut family = encoder.encode_descriptor(metric.name, metric.help, None, metric.kind)?;
            match metric.values.as_slice() {
                [(labels, value)] if labels.is_empty() => one(metric.kind, *value, family)?,
                values => {
                    for (labels, value) in values {
                        one(metric.kind, *value, family.encode_family(labels)?)?;
                    }
                }
            }
        }
        Ok(())
    }
}

fn one(kind: MetricType, value: u64, encoder: MetricEncoder<'_>) -> fmt::Result {
    match kind {
        MetricType::Counter => ConstCounter::new(value).encode(encoder),
        _ => ConstGauge::new(value).encode(encoder),
    }
}

/// All numbers as text, for an agent with this name in its certificate.
pub(crate) fn show(service: &Server, certificate: Option<&str>) -> String {
    let mut registry = Registry::with_prefix("gaprelay");
    registry.register_collector(Box::new(Numbers::of(service, certificate)));
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = text::encode(&mut out, &registry);
    out
}
