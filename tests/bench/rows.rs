//! Owns: the rows of a store, to see which are new. Must never know: what they mean.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use rusqlite::{Connection, OpenFlags};

/// Every row of every table, by the table's name.
pub struct Rows(BTreeMap<String, BTreeSet<String>>);

impl Rows {
    pub fn read(store: &Path) -> anyhow::Result<Self> {
        let store = Connection::open_with_flags(store, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        // One look at all of them.
        store.execute_batch("BEGIN")?;
        let names: Vec<String> = store
            .prepare("SELECT name FROM sqlite_schema WHERE type = 'table'")?
            .query_map((), |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        let mut all = BTreeMap::new();
        for name in names {
            let mut rows = store.prepare(&format!("SELECT * FROM \"{name}\""))?;
            let columns = rows.column_count();
            let text = |row: &rusqlite::Row<'_>| -> rusqlite::Result<String> {
                let values: Vec<String> =
                    (0..columns).map(|at| Ok(format!("{:?}", row.get_ref(at)?))).collect::<Result<_, rusqlite::Error>>()?;
                Ok(values.join(","))
            };
            let rows = rows.query_map((), |row| text(row))?.collect::<Result<_, _>>()?;
            all.insert(name, rows);
        }
        Ok(Self(all))
    }

    /// How many rows are new or other than they were, by table; tables without any are left out.
    pub fn since(&self, before: &Self) -> BTreeMap<String, usize> {
        let new = |(name, rows): (&String, &BTreeSet<String>)| {
            let new = before.0.get(name).map_or(rows.len(), |before| rows.difference(before).count());
            (new > 0).then(|| (name.clone(), new))
        };
        self.0.iter().filter_map(new).collect()
    }
}
