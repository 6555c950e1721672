//! Owns: columns that line up. Must never know: what stands in them.

use crate::words::plain;

/// Rows of text; the first may be a heading. A row of one cell is a remark: it does not widen its column.
#[derive(Default)]
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// With a heading.
    pub fn new(heading: &[&str]) -> Self {
        Self { rows: vec![heading.iter().map(ToString::to_string).collect()] }
    }

    /// One more row. Text from elsewhere is made fit for a terminal here.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.into_iter().map(|cell| plain(&cell).replace('\n', " ")).collect());
    }

    /// One more row, of as many cells as there are.
    pub fn cells(&mut self, cells: Vec<String>) {
        self.rows.push(cells.into_iter().map(|cell| plain(&cell).replace('\n', " ")).collect());
    }

    /// A remark about the row above, set in.
    pub fn remark(&mut self, text: &str) {
        self.rows.push(vec![format!("  {}", plain(text).replace('\n', " "))]);
    }

    /// The text: each column as wide as its widest cell, two spaces between.
    pub fn text(&self) -> String {
        let wide = |row: &&Vec<String>| row.len() > 1;
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            self.rows.iter().filter(wide).filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
        };
        let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
        let mut text = String::new();
        for row in &self.rows {
            let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
            text.push_str(cells.join("  ").trim_end());
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_remarks_do_not_widen_them() {
        let mut table = Table::new(&["NAME", "N"]);
        table.row(["a".into(), "1".into()]);
        table.remark("a long remark about a");
        table.row(["bbbbbb".into(), "\x1b[2J".into()]);
        assert_eq!(table.text(), "NAME    N\na       1\n  a long remark about a\nbbbbbb  \\u{1b}[2J\n");
    }
}
