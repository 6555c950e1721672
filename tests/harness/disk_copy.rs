//! Owns: an app that keeps its own copy of one collection in a file, under ids and in a form of its own, and may be killed at every
//! point. Must never know: what a test does to it.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use mingle_client::{
    Options, Raw,
    call::PulledRecord,
    keeper::{Change, DriveError, Driver, Each, Keeper, Record, Renamed, Report, Step, Stored},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The app keeps so many letters of a title.
const TITLE: usize = 12;

/// A record as the app keeps it.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Kept {
    data: Value,
    /// The id that it was shown under, until that is over.
    shown: Option<String>,
    /// The number of the edit of it that was not pushed.
    edit: Option<u64>,
}

/// What is on the disk.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Disk {
    anchor: Option<String>,
    edits: u64,
    made: u64,
    records: BTreeMap<String, Kept>,
    /// By the id that it was known by, the number of its end.
    gone: BTreeMap<String, u64>,
    lost: Vec<(String, bool)>,
}

/// The app.
pub struct DiskCopy {
    collection: String,
    path: PathBuf,
    disk: Disk,
    /// Edits up to this one were told.
    told: u64,
    /// Called at each point with its number: nothing, or the end of somebody.
    pub point: Box<dyn FnMut(u64)>,
    points: u64,
}

/// The form in which the app keeps a record.
#[must_use]
pub fn form(data: &Value) -> Value {
    let mut kept = data.clone();
    if let Some(title) = data["title"].as_str().filter(|title| title.len() > TITLE) {
        kept["title"] = title[..TITLE].into();
    }
    kept
}

fn raw(data: &Value) -> io::Result<Raw> {
    Ok(serde_json::value::to_raw_value(data)?)
}

impl DiskCopy {
    /// The copy in this file; where there is none, an empty one.
    ///
    /// # Panics
    /// The file is damaged.
    #[must_use]
    pub fn open(path: &Path, collection: &str) -> Self {
        let disk = match fs::read(path) {
            Ok(text) => serde_json::from_slice(&text).expect("a whole copy"),
            Err(_) => Disk::default(),
        };
        let point = Box::new(|_| {});
        Self { collection: collection.into(), path: path.into(), disk, told: 0, point, points: 0 }
    }

    /// How many points there were.
    #[must_use]
    pub fn points(&self) -> u64 {
        self.points
    }

    fn at_a_point(&mut self) {
        self.points += 1;
        (self.point)(self.points);
    }

    fn write(&mut self) -> io::Result<()> {
        self.at_a_point();
        let new = self.path.with_extension("new");
        fs::write(&new, serde_json::to_vec(&self.disk)?)?;
        fs::rename(new, &self.path)?;
        self.at_a_point();
        Ok(())
    }

    /// The records, by the app's own ids.
    #[must_use]
    pub fn all(&self) -> BTreeMap<String, Value> {
        self.disk.records.iter().map(|(id, kept)| (id.clone(), kept.data.clone())).collect()
    }

    /// The id of the record with this property.
    ///
    /// # Panics
    /// There is none.
    #[must_use]
    pub fn find(&self, property: &str, value: &Value) -> String {
        let found = self.disk.records.iter().find(|(_, kept)| kept.data[property] == *value);
        found.map(|(id, _)| id.clone()).unwrap_or_else(|| panic!("no record has {property} {value}: {:?}", self.disk))
    }

    /// A record is edited, or made.
    ///
    /// # Panics
    /// It cannot be written.
    pub fn put(&mut self, id: &str, data: &Value) {
        self.disk.edits += 1;
        let shown = self.disk.records.get(id).and_then(|kept| kept.shown.clone());
        self.disk.records.insert(id.into(), Kept { data: form(data), shown, edit: Some(self.disk.edits) });
        self.write().expect("written");
    }

    /// One property of a record is edited.
    ///
    /// # Panics
    /// It cannot be written.
    pub fn set(&mut self, id: &str, property: &str, value: Value) {
        let mut data = self.disk.records[id].data.clone();
        data[property] = value;
        self.put(id, &data);
    }

    /// A record is deleted.
    ///
    /// # Panics
    /// It cannot be written.
    pub fn delete(&mut self, id: &str) {
        self.disk.edits += 1;
        if let Some(kept) = self.disk.records.remove(id) {
            self.disk.gone.insert(kept.shown.unwrap_or_else(|| id.into()), self.disk.edits);
        }
        self.write().expect("written");
    }

    /// A record gets lost.
    ///
    /// # Panics
    /// It cannot be written.
    pub fn lose(&mut self, id: &str, again: bool) {
        self.disk.records.remove(id);
        self.disk.lost.push((id.into(), again));
        self.write().expect("written");
    }

    /// The copy is as it was when it was made: no anchor.
    pub fn forget_anchor(&mut self) {
        self.disk.anchor = None;
    }

    /// Brings it in step.
    ///
    /// # Errors
    /// As [`Driver::run`].
    pub fn run(&mut self, options: Options) -> Result<Report, DriveError<io::Error>> {
        let collection = self.collection.clone();
        Driver { page_records: Some(2), ..Driver::new(options, &[&collection]) }.run(self)
    }

    fn records_now(&self) -> io::Result<Vec<(Record, Option<u64>)>> {
        let one = |(id, kept): (&String, &Kept)| {
            let id = kept.shown.as_ref().unwrap_or(id).clone();
            Ok((Record { collection: self.collection.clone(), id, data: raw(&kept.data)? }, kept.edit))
        };
        self.disk.records.iter().map(one).collect()
    }
}

impl Keeper for DiskCopy {
    type Error = io::Error;

    fn anchor(&mut self) -> io::Result<Option<String>> {
        Ok(self.disk.anchor.clone())
    }

    fn records<'a>(&'a mut self, _: &str) -> io::Result<Each<'a, Record, io::Error>> {
        self.told = self.disk.edits;
        Ok(Box::new(self.records_now()?.into_iter().map(|(record, _)| Ok(record))))
    }

    fn changes<'a>(&'a mut self) -> io::Result<Each<'a, Change, io::Error>> {
        self.told = self.disk.edits;
        let collection = || self.collection.clone();
        let mut all: Vec<Change> =
            self.disk.gone.keys().map(|id| Change::Delete { collection: collection(), id: id.clone() }).collect();
        let edited = self.records_now()?.into_iter().filter(|(_, edit)| edit.is_some());
        all.extend(edited.map(|(record, _)| Change::Put(record)));
        let lost = self.disk.lost.iter();
        all.extend(lost.map(|(id, again)| Change::Lost { collection: collection(), id: id.clone(), again: *again }));
        Ok(Box::new(all.into_iter().map(Ok)))
    }

    fn pushed(&mut self) -> io::Result<()> {
        let told = self.told;
        self.disk.gone.retain(|_, edit| *edit > told);
        self.disk.lost.clear();
        for kept in self.disk.records.values_mut() {
            kept.edit = kept.edit.filter(|edit| *edit > told);
        }
        self.write()
    }

    fn apply(&mut self, record: &PulledRecord) -> io::Result<Stored> {
        let by_shown = |(_, kept): &(&String, &Kept)| kept.shown.as_ref() == Some(&record.id);
        let own = match self.disk.records.iter().find(by_shown) {
            Some((own, _)) => Some(own.clone()),
            None => self.disk.records.contains_key(&record.id).then(|| record.id.clone()),
        };
        let edited = own.as_ref().is_some_and(|own| self.disk.records[own].edit.is_some());
        if edited || self.disk.gone.contains_key(&record.id) {
            return Ok(Stored::Later);
        }
        let Some(data) = &record.data else {
            if let Some(own) = own {
                self.disk.records.remove(&own);
            }
            return Ok(Stored::AsShown);
        };
        let data: Value = serde_json::from_str(data.get())?;
        let kept = form(&data);
        let own = own.unwrap_or_else(|| {
            self.disk.made += 1;
            format!("own-{}", self.disk.made)
        });
        let shown = (own != record.id).then(|| record.id.clone());
        self.disk.records.insert(own.clone(), Kept { data: kept.clone(), shown: shown.clone(), edit: None });
        Ok(Stored::As { data: (kept != data).then(|| raw(&kept)).transpose()?, id: shown.map(|_| own) })
    }

    fn save(&mut self) -> io::Result<()> {
        self.write()
    }

    fn keep(&mut self, anchor: &str, renamed: &[Renamed]) -> io::Result<()> {
        self.disk.anchor = Some(anchor.into());
        for one in renamed {
            if let Some(kept) = self.disk.records.get_mut(&one.own) {
                kept.shown = None;
            }
        }
        self.write()
    }

    fn empty(&mut self, _: &str) -> io::Result<()> {
        (self.disk.records, self.disk.gone) = <_>::default();
        self.write()
    }

    fn reached(&mut self, _: Step, _: &Report) -> io::Result<()> {
        self.at_a_point();
        Ok(())
    }
}
