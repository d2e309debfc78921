//! Observed objects as kubectl prints them.

use serde_json::Value;

use crate::report::text::{aligned, printable, width};
use crate::scenario::kinds;
use crate::timeline::ObjectObservation;

/// Columns that kubectl prints with `--output wide` only.
const WIDE: [&str; 9] =
    ["CONTAINERS", "IMAGES", "SELECTOR", "IP", "NODE", "NOMINATED NODE", "READINESS GATES", "VOLUMEMODE", "VOLUMEATTRIBUTESCLASS"];

/// The object with its kind, as `pod/httpserver`.
pub(super) fn reference(object: &ObjectObservation) -> String {
    printable(&format!("{}/{}", object.kind.to_lowercase(), object.name))
}

/// Headers and cells in kubectl's order, without NAME, AGE and what only the wide output has.
pub(super) fn cells(object: &ObjectObservation) -> Vec<(String, String)> {
    let known = kinds::columns(&object.api_version, &object.kind).unwrap_or_default();
    let place = |header: &str| known.iter().position(|column| *column == header).unwrap_or(known.len());
    let mut cells: Vec<_> = object.columns.iter().filter(|(header, _)| !WIDE.contains(&header.as_str())).collect();
    cells.sort_by_key(|(header, _)| place(header));
    cells.into_iter().map(|(header, cell)| (printable(header), printable(cell))).collect()
}

/// An event in one line, as `kubectl get events` has it: `Warning  Unhealthy  pod/httpserver  Liveness probe failed: …`.
/// Both groups of the API are understood.
pub(super) fn event(object: &Value) -> String {
    let text = |names: [&str; 2]| names.iter().find_map(|name| object.get(name)?.as_str()).unwrap_or_default();
    let about = object.get("involvedObject").or_else(|| object.get("regarding"));
    let of = |name: &str| about.and_then(|about| about.get(name)?.as_str()).unwrap_or_default();
    let about = format!("{}/{}", of("kind").to_lowercase(), of("name"));
    let counts = [object.get("count"), object.get("deprecatedCount"), object.pointer("/series/count")];
    let count = counts.into_iter().flatten().filter_map(Value::as_u64).max().filter(|count| *count > 1);
    let times = count.map(|count| format!(" (x{count})")).unwrap_or_default();
    let parts = [text(["type", "type"]), text(["reason", "reason"]), &about, text(["message", "note"])];
    parts.map(printable).join("  ") + &times
}

/// A table that grows row by row, as that of `kubectl get --watch`: a column is as wide as its widest cell so far.
#[derive(Default)]
pub(super) struct GrowingTable {
    headers: Vec<String>,
    widths: Vec<usize>,
}

impl GrowingTable {
    /// The next row, with the headers above it if they are new.
    pub(super) fn row(&mut self, cells: Vec<(String, String)>) -> Vec<String> {
        let (headers, row): (Vec<_>, Vec<_>) = cells.into_iter().unzip();
        let is_new = self.headers != headers;
        if is_new {
            self.widths = vec![0; headers.len()];
        }
        for (i, widest) in self.widths.iter_mut().enumerate() {
            *widest = (*widest).max(width(&headers[i])).max(width(&row[i]));
        }
        let mut lines = Vec::new();
        if is_new {
            lines.push(aligned(&headers, &self.widths));
            self.headers = headers;
        }
        lines.push(aligned(&row, &self.widths));
        lines
    }
}
