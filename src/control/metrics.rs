//! `GET /metrics`: the few numbers that an operator's alarms are made of, in the text format that Prometheus reads. What
//! `status` says in words stands there.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse;
use http::header::CONTENT_TYPE;

use super::ControlState;
use crate::adapters::fleet::FleetView;
use crate::adapters::fleet::histogram::Counted;

const TRIPPED: &str = "bursar_switches_tripped_total";
const FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(super) async fn metrics(State(state): State<Arc<ControlState>>) -> impl IntoResponse {
    let mut page = Page::default();
    let ready = u64::from(state.ledger.trouble().is_none());
    page.one("bursar_ledger_ready", "gauge", "1 if calls can be admitted now.", ready);
    page.one("bursar_calls_in_flight", "gauge", "Calls between admission and their last byte.", count(&state));
    page.one("bursar_books_behind", "gauge", "Events that the books do not have yet.", state.books.lag());
    let refused = state.ledger.refused_behind();
    page.one("bursar_refused_behind_total", "counter", "Calls refused as the books were too far behind.", refused);
    let untold = state.keyring.untold().len() as u64;
    page.one("bursar_flags_untold", "gauge", "Revocations and kill flags that the ledger does not know yet.", untold);
    page.head(TRIPPED, "counter", "Switches of policies that were set off at this node, by what they do.");
    for (deed, count) in state.trips.counts() {
        page.line(TRIPPED, &format!("{{do=\"{deed}\"}}"), count);
    }
    if let Some(fleet) = state.others.as_ref().and_then(|others| others.view()) {
        page.fleet(&fleet);
    }
    ([(CONTENT_TYPE, FORMAT)], page.0)
}

fn count(state: &ControlState) -> u64 {
    state.switchboard.in_flight() as u64
}

#[derive(Default)]
struct Page(String);

impl Page {
    fn one(&mut self, name: &str, kind: &str, help: &str, value: u64) {
        self.head(name, kind, help);
        self.line(name, "", value);
    }

    fn head(&mut self, name: &str, kind: &str, help: &str) {
        // Writing into a text cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn line(&mut self, name: &str, labels: &str, value: impl std::fmt::Display) {
        let _ = writeln!(self.0, "{name}{labels} {value}");
    }

    fn fleet(&mut self, fleet: &FleetView) {
        let live = fleet.nodes.iter().filter(|node| node.live).count() as u64;
        self.one("bursar_fleet_nodes_live", "gauge", "Nodes that this one hears.", live);
        self.head("bursar_fleet_silence_seconds", "gauge", "Since the other nodes were heard last.");
        self.line("bursar_fleet_silence_seconds", "", seconds(fleet.silent_ms * 1000));
        self.histogram(
            "bursar_revoke_latency_seconds",
            "From a revocation until every live node has ended its calls in flight, as the canary finds it.",
            &fleet.revoke_latency,
        );
        let late = fleet.revoke_latency_late;
        let help = "Canaries that some live node did not answer in two seconds.";
        self.one("bursar_revoke_latency_late_total", "counter", help, late);
    }

    fn histogram(&mut self, name: &str, help: &str, counted: &Counted) {
        self.head(name, "histogram", help);
        let bucket = format!("{name}_bucket");
        for each in &counted.buckets {
            self.line(&bucket, &format!("{{le=\"{}\"}}", seconds(each.le_ms * 1000)), each.count);
        }
        self.line(&bucket, "{le=\"+Inf\"}", counted.count);
        self.line(&format!("{name}_sum"), "", seconds(counted.sum_us));
        self.line(&format!("{name}_count"), "", counted.count);
    }
}

/// Exact, and without the zeros that say nothing.
fn seconds(us: u64) -> String {
    let text = format!("{}.{:06}", us / 1_000_000, us % 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::adapters::fleet::histogram::Histogram;

    #[test]
    fn a_histogram_is_written_as_prometheus_reads_it() {
        let histogram = Histogram::default();
        [4_500, 80_000, 9_000_000].into_iter().for_each(|us| histogram.add(Duration::from_micros(us)));
        let mut page = Page::default();
        page.histogram("h", "What.", &histogram.counted());
        for line in [
            "# TYPE h histogram",
            "h_bucket{le=\"0.005\"} 1",
            "h_bucket{le=\"0.1\"} 2",
            "h_bucket{le=\"2\"} 2",
            "h_bucket{le=\"+Inf\"} 3",
            "h_sum 9.0845",
            "h_count 3",
        ] {
            assert!(page.0.lines().any(|l| l == line), "{line} in {}", page.0);
        }
    }

    #[test]
    fn seconds_are_exact() {
        let cases = [(0, "0"), (1, "0.000001"), (5_000, "0.005"), (2_000_000, "2"), (10_500_000, "10.5")];
        cases.into_iter().for_each(|(us, text)| assert_eq!(seconds(us), text));
    }
}
