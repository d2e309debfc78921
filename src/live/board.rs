//! What is going on in one scenario right now: its step and the current rows of its objects.

use std::collections::BTreeMap;

use super::rows;
use crate::report::text::align;
use crate::timeline::{Change, ObjectObservation};

/// How many rows are shown.
const SHOWN: usize = 12;

/// The current rows of a scenario's objects.
#[derive(Default)]
pub(super) struct Board {
    step: String,
    /// By kind, then by name.
    objects: BTreeMap<String, BTreeMap<String, Vec<(String, String)>>>,
}

impl Board {
    pub(super) fn step_started(&mut self, step: String) {
        self.step = step;
    }

    pub(super) fn observed(&mut self, object: &ObjectObservation) {
        // Events have no state to show.
        if object.kind == "Event" {
            return;
        }
        let rows = self.objects.entry(object.kind.clone()).or_default();
        match object.change {
            Change::Deleted => rows.remove(&rows::reference(object)),
            Change::Initial | Change::Added | Change::Modified => rows.insert(rows::reference(object), rows::cells(object)),
        };
    }

    /// The step, and below it a table for each kind.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = vec![self.step.clone()];
        let mut left = SHOWN;
        for rows in self.objects.values() {
            let shown: Vec<_> = rows.iter().take(left).collect();
            left -= shown.len();
            let Some((_, first)) = shown.first() else { continue };
            let head = std::iter::once("NAME".to_owned()).chain(first.iter().map(|(header, _)| header.clone())).collect();
            let body = shown
                .iter()
                .map(|(name, cells)| std::iter::once((*name).clone()).chain(cells.iter().map(|(_, cell)| cell.clone())).collect());
            let table = align(&std::iter::once(head).chain(body).collect::<Vec<Vec<String>>>());
            lines.extend(table.into_iter().map(|line| format!("  {line}")));
        }
        let hidden = self.objects.values().map(BTreeMap::len).sum::<usize>() - (SHOWN - left);
        if hidden > 0 {
            lines.push(format!("  … {hidden} more"));
        }
        lines
    }
}
