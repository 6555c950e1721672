//! Owns: an app that writes one thing after the other, and what has to be in the store then, answer by answer. Must never know: what
//! the disk does meanwhile.

use std::{collections::BTreeMap, io, path::Path, time::Duration};

use mingle_tests::{app::App, wait::Watch};
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};

/// The configuration of the store that is written.
pub const CONFIG: &str = "[collection.things]\n";

/// No answer may take so long: generous, for the machine may be busy. What is promised is less (`ANSWER`).
pub const LATE: Duration = Duration::from_secs(10);

/// What the app was told of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// It is written.
    Acknowledged,
    /// It is not, for this reason.
    Refused(String),
    /// `outcome_unknown`, or no answer at all.
    Unknown,
}

/// The writes of one app, in order, and what it was told of each.
#[derive(Clone, Debug)]
pub struct Play {
    /// Its records begin so.
    name: String,
    /// The first is number 0.
    pub told: Vec<Told>,
    /// The slowest answer.
    pub slowest: Duration,
}

/// A write: the call and its parameters. Every fourth is large, changes three records at once, or patches the one before.
fn write(name: &str, number: usize) -> (&'static str, Value) {
    let id = format!("{name}{number}");
    let op = format!("op-{number}");
    let data = json!({ "n": number, "text": "x".repeat(if number % 4 == 1 { 20_000 } else { 200 }) });
    let put = |id: &str, data: Value| json!({ "put": { "collection": "things", "id": id, "data": data, "overwrite": true } });
    match number % 4 {
        2 => {
            let pair = json!({ "n": number });
            (
                "transact",
                json!({ "writes": [put(&id, data), put(&format!("{name}left"), pair.clone()), put(&format!("{name}right"), pair)], "op": op }),
            )
        }
        3 => {
            let before = format!("{name}{}", number - 1);
            ("patch", json!({ "collection": "things", "id": before, "patch": { "patched": number }, "op": op }))
        }
        _ => ("put", json!({ "collection": "things", "id": id, "data": data, "op": op, "overwrite": true })),
    }
}

impl Default for Play {
    fn default() -> Self {
        Self::new("w")
    }
}

impl Play {
    /// Of an app of this name.
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), told: Vec::new(), slowest: Duration::ZERO }
    }

    /// The app's.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Writes on until there are so many, or the connection ends: then the last one is unknown.
    ///
    /// # Errors
    /// When the connection ends.
    pub fn go_on(&mut self, app: &mut App, until: usize) -> io::Result<()> {
        while self.told.len() < until {
            let (method, params) = write(&self.name, self.told.len());
            let watch = Watch::start();
            let answer = app.ask(method, &params);
            self.slowest = self.slowest.max(watch.elapsed());
            self.told.push(match &answer {
                Ok(Ok(_)) => Told::Acknowledged,
                Ok(Err(error)) if error["data"]["name"] == "outcome_unknown" => Told::Unknown,
                Ok(Err(error)) => Told::Refused(error["data"]["name"].as_str().unwrap_or("no name").to_owned()),
                Err(_) => Told::Unknown,
            });
            answer?.ok();
        }
        Ok(())
    }

    /// Repeats what is unknown under the same operation, as an app is told to. What goes wrong with that.
    pub fn settle(&mut self, app: &mut App) -> Vec<String> {
        let mut wrong = Vec::new();
        for number in 0..self.told.len() {
            if self.told[number] != Told::Unknown {
                continue;
            }
            let (method, params) = write(&self.name, number);
            match app.ask(method, &params) {
                Ok(Ok(_)) => self.told[number] = Told::Acknowledged,
                // It patches what was refused.
                Ok(Err(error)) if number % 4 == 3 && error["data"]["name"] == "not_found" => {
                    self.told[number] = Told::Refused("not_found".to_owned());
                }
                other => wrong.push(format!("write {number}, repeated: {other:?}")),
            }
        }
        wrong
    }

    /// What an app that reads finds wrong.
    pub fn read(&self, app: &mut App) -> Vec<String> {
        self.held(&app.all("things"))
    }

    /// What is wrong in the file of a store that no daemon has open.
    pub fn look(&self, store: &Path) -> Vec<String> {
        match records(store) {
            Ok(records) => self.held(&records),
            Err(error) => vec![format!("{}: {error}", store.display())],
        }
    }

    /// The same, where there may be no store yet.
    pub fn look_if_there(&self, store: &Path) -> Vec<String> {
        match std::fs::symlink_metadata(store) {
            // Before its first commit it is empty, and after a kill at the very start it is not there.
            Ok(found) if found.len() > 0 && !self.told.is_empty() => self.look(store),
            _ => Vec::new(),
        }
    }

    /// What is wrong with these records.
    pub fn held(&self, records: &BTreeMap<String, Value>) -> Vec<String> {
        let mut wrong = Vec::new();
        for (number, told) in self.told.iter().enumerate() {
            let is_there = match number % 4 {
                3 => records.get(&format!("{}{}", self.name, number - 1)).is_some_and(|data| data["patched"] == number),
                // A later repetition of the record's own write takes the patch off it, and nothing else does.
                _ => records.get(&format!("{}{number}", self.name)).is_some_and(|data| data["n"] == number),
            };
            match told {
                Told::Acknowledged if !is_there => wrong.push(format!("write {number} was acknowledged, and is not there")),
                Told::Refused(name) if is_there => wrong.push(format!("write {number} was refused ({name}), and is there")),
                _ => {}
            }
        }
        let side = |id: &str| records.get(&format!("{}{id}", self.name)).map(|data| data["n"].clone());
        if side("left") != side("right") {
            wrong.push(format!("half a transaction: left {:?}, right {:?}", side("left"), side("right")));
        }
        wrong
    }

    /// How many of them were answered so.
    pub fn count(&self, told: &Told) -> usize {
        self.told.iter().filter(|one| *one == told).count()
    }
}

/// Whether SQLite finds the file whole, and every record in it. Nobody else may have it open.
///
/// # Errors
/// What SQLite says, or finds.
pub fn records(store: &Path) -> Result<BTreeMap<String, Value>, String> {
    let told = |error: rusqlite::Error| error.to_string();
    let conn = Connection::open_with_flags(store, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(told)?;
    let sound: String = conn.query_row("PRAGMA integrity_check", (), |row| row.get(0)).map_err(told)?;
    if sound != "ok" {
        return Err(sound);
    }
    let orphans: i64 = conn.query_row("SELECT count(*) FROM pragma_foreign_key_check", (), |row| row.get(0)).map_err(told)?;
    if orphans != 0 {
        return Err(format!("{orphans} rows point to nothing"));
    }
    let mut rows = conn.prepare("SELECT id, data FROM m_record WHERE state = 0").map_err(told)?;
    let rows = rows.query_map((), |row| Ok((row.get(0)?, row.get::<_, String>(1)?))).map_err(told)?;
    rows.map(|row| row.map(|(id, data)| (id, serde_json::from_str(&data).unwrap_or_default())).map_err(told)).collect()
}
