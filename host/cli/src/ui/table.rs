//! Columns.

use super::clean::one_line;
use super::style::Style;

/// Characters of one cell.
const WIDEST: usize = 60;

/// Rows under a heading; columns as wide as their widest cell.
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
    /// Characters of the last column.
    last: usize,
}

impl Table {
    pub(crate) fn new(heading: &[&str]) -> Self {
        Self {
            last: WIDEST,
            rows: vec![heading.iter().map(|cell| (*cell).to_owned()).collect()],
        }
    }

    /// Lets the last column hold this many characters.
    pub(crate) fn last(mut self, width: usize) -> Self {
        self.last = width;
        self
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let last = self.rows[0].len() - 1;
        let width = |column| if column == last { self.last } else { WIDEST };
        let cells = cells.into_iter().enumerate();
        let cells = cells.map(|(column, cell)| one_line(&cell, width(column)));
        let row = cells.collect();
        self.rows.push(row);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.len() == 1
    }

    pub(crate) fn render(&self, style: Style) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            self.rows
                .iter()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or(0)
        };
        let widths = (0..columns).map(width).collect::<Vec<_>>();
        let lines = self.rows.iter().enumerate().map(|(number, row)| {
            let cells = row
                .iter()
                .zip(&widths)
                .map(|(cell, width)| format!("{cell:<width$}"));
            let line = cells.collect::<Vec<_>>().join("  ").trim_end().to_owned();
            if number == 0 { style.dim(&line) } else { line }
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}
