//! Reads the Tables that the API server prints for kubectl, with the whole object in each row.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// What a request must accept to be answered with Tables.
pub(super) const ACCEPT: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";

/// Columns that say nothing new, or change with the clock alone.
const LEFT_OUT: [&str; 4] = ["NAME", "AGE", "LAST SEEN", "FIRST SEEN"];

/// `meta.k8s.io/v1 Table`, as far as it is needed (`apimachinery/pkg/apis/meta/v1/types.go`).
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Table {
    /// Null in all but the first Table of a watch.
    column_definitions: Option<Vec<ColumnDefinition>>,
    #[serde(default)]
    pub(super) rows: Vec<TableRow>,
}

#[derive(Debug, Deserialize)]
struct ColumnDefinition {
    name: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct TableRow {
    cells: Vec<Value>,
    pub(super) object: Value,
}

/// The headers of a stream of Tables; only the first Table of a watch carries them.
#[derive(Debug, Default)]
pub(super) struct Headers(Vec<String>);

impl Headers {
    /// Takes the headers of a Table that has some.
    pub(super) fn learn(&mut self, table: &Table) {
        if let Some(columns) = table.column_definitions.as_ref().filter(|columns| !columns.is_empty()) {
            self.0 = columns.iter().map(|column| column.name.to_uppercase()).collect();
        }
    }

    /// The cells of a row by header.
    pub(super) fn cells(&self, row: &TableRow) -> BTreeMap<String, String> {
        let cells = self.0.iter().cloned().zip(row.cells.iter().map(text));
        cells.filter(|(header, _)| !LEFT_OUT.contains(&header.as_str())).collect()
    }
}

fn text(cell: &Value) -> String {
    cell.as_str().map_or_else(|| cell.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_first_table_names_the_columns_of_all() {
        let row = |ready| json!({"cells": ["web", ready, 3, "5s"], "object": {}});
        let columns: Vec<Value> = ["Name", "Ready", "Restarts", "Age"].iter().map(|name| json!({"name": name})).collect();
        let first: Table = serde_json::from_value(json!({"columnDefinitions": columns, "rows": [row("0/1")]})).unwrap();
        let later: Table = serde_json::from_value(json!({"columnDefinitions": null, "rows": [row("1/1")]})).unwrap();
        let mut headers = Headers::default();
        let cells: Vec<_> = [first, later]
            .iter()
            .flat_map(|table| {
                headers.learn(table);
                headers.cells(&table.rows[0])
            })
            .collect();
        let cell = |header: &str, text: &str| (header.to_owned(), text.to_owned());
        assert_eq!(cells, [cell("READY", "0/1"), cell("RESTARTS", "3"), cell("READY", "1/1"), cell("RESTARTS", "3")]);
    }
}
