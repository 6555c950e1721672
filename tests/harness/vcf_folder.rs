//! Owns: an app whose copy is a folder of `.vcf` files, one contact each, which others edit too; in the truth a contact is a JSContact
//! card. Must never know: who edits the files.
//!
//! What it remembers is in `.mingle.json` beside the files: by id the file and its text as it was last in step, so that whatever
//! differs was edited by somebody.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use calcard::{
    jscontact::JSContact,
    vcard::{VCard, VCardVersion},
};
use mingle_client::{
    Options, Raw,
    call::PulledRecord,
    keeper::{Change, DriveError, Driver, Each, Keeper, Record, Renamed, Report, Stored},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A contact that was in step.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct InStep {
    file: String,
    text: String,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Memory {
    anchor: Option<String>,
    contacts: BTreeMap<String, InStep>,
    /// What is being written, by id: it is no edit, should we be killed before we could say so.
    writing: BTreeMap<String, InStep>,
}

/// The app.
pub struct VcfFolder {
    folder: PathBuf,
    collection: String,
    memory: Memory,
    /// What was told of: the contact's text, none where it is gone.
    told: BTreeMap<String, Option<InStep>>,
}

/// A card as a record; none where this is no vCard.
#[must_use]
pub fn card(text: &str) -> Option<Value> {
    let card = VCard::parse(text).ok()?.into_jscontact::<String, String>();
    serde_json::to_value(&card.0).ok()
}

/// A record as a card; none where it is none. A card without a uid gets this one.
#[must_use]
pub fn vcf(record: &str, id: &str, version: VCardVersion) -> Option<String> {
    let mut record: Value = serde_json::from_str(record).ok()?;
    record.as_object_mut()?.entry("uid").or_insert_with(|| id.into());
    let text = record.to_string();
    let card = JSContact::<String, String>::parse(&text).ok()?.into_vcard()?;
    let mut text = String::new();
    card.write_to(&mut text, version).ok()?;
    Some(text)
}

fn version(text: &str) -> VCardVersion {
    if text.lines().any(|line| line.trim_end() == "VERSION:4.0") { VCardVersion::V4_0 } else { VCardVersion::V3_0 }
}

impl VcfFolder {
    /// The app over this folder.
    ///
    /// # Errors
    /// What it remembers cannot be read.
    pub fn open(folder: &Path, collection: &str) -> io::Result<Self> {
        let memory = match fs::read(folder.join(".mingle.json")) {
            Ok(text) => serde_json::from_slice(&text)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Memory::default(),
            Err(error) => return Err(error),
        };
        Ok(Self { folder: folder.into(), collection: collection.into(), memory, told: BTreeMap::new() })
    }

    /// Brings the folder in step.
    ///
    /// # Errors
    /// As [`Driver::run`].
    pub fn run(&mut self, options: Options) -> Result<Report, DriveError<io::Error>> {
        let collection = self.collection.clone();
        Driver::new(options, &[&collection]).run(self)
    }

    fn remember(&self) -> io::Result<()> {
        let new = self.folder.join(".mingle.new");
        fs::write(&new, serde_json::to_vec(&self.memory)?)?;
        fs::rename(new, self.folder.join(".mingle.json"))
    }

    /// The folder as it is now, by id.
    fn look(&mut self) -> io::Result<BTreeMap<String, InStep>> {
        let mut found = BTreeMap::new();
        let mut files: Vec<String> =
            fs::read_dir(&self.folder)?.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
        files.retain(|name| name.ends_with(".vcf"));
        files.sort();
        for file in files {
            let text = match fs::read_to_string(self.folder.join(&file)) {
                Ok(text) => text,
                // It went away since.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            let known = self.memory.contacts.iter().find(|(_, known)| known.file == file).map(|(id, _)| id.clone());
            let own = || card(&text)?.get("uid")?.as_str().map(str::to_owned);
            let id = known.or_else(own).unwrap_or_else(|| file.trim_end_matches(".vcf").to_owned());
            // Two files of one id: the second is known by its name.
            let id = if found.contains_key(&id) { file.trim_end_matches(".vcf").to_owned() } else { id };
            found.insert(id, InStep { file, text });
        }
        for (id, writing) in std::mem::take(&mut self.memory.writing) {
            if found.get(&id).is_some_and(|now| now.text == writing.text) {
                self.memory.contacts.insert(id, writing);
            }
        }
        Ok(found)
    }

    fn as_record(&self, id: &str, text: &str) -> io::Result<Option<Record>> {
        let Some(data) = card(text) else { return Ok(None) };
        Ok(Some(Record { collection: self.collection.clone(), id: id.into(), data: serde_json::value::to_raw_value(&data)? }))
    }

    fn lost(&self, id: &str) -> Change {
        Change::Lost { collection: self.collection.clone(), id: id.into(), again: false }
    }

    /// Whether the contact is as it was last in step (none: not there).
    fn is_in_step(&self, id: &str, file: &str) -> io::Result<bool> {
        let now = match fs::read_to_string(self.folder.join(file)) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        Ok(now.as_ref() == self.memory.contacts.get(id).map(|known| &known.text))
    }
}

/// A name for the file of a contact, whatever its id is.
fn file_name(id: &str) -> String {
    let plain: String = id.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.@".contains(c) { c } else { '_' }).collect();
    format!("{}.vcf", plain.trim_start_matches('.'))
}

impl Keeper for VcfFolder {
    type Error = io::Error;

    fn anchor(&mut self) -> io::Result<Option<String>> {
        self.told.clear();
        Ok(self.memory.anchor.clone())
    }

    fn records<'a>(&'a mut self, _: &str) -> io::Result<Each<'a, Record, io::Error>> {
        let found = self.look()?;
        self.told = found.iter().map(|(id, now)| (id.clone(), Some(now.clone()))).collect();
        let this = &*self;
        Ok(Box::new(found.into_iter().filter_map(|(id, now)| this.as_record(&id, &now.text).transpose())))
    }

    fn changes<'a>(&'a mut self) -> io::Result<Each<'a, Change, io::Error>> {
        let found = self.look()?;
        let mut all = Vec::new();
        for (id, now) in &found {
            if self.memory.contacts.get(id).is_some_and(|known| known.text == now.text) {
                continue;
            }
            self.told.insert(id.clone(), Some(now.clone()));
            // A file that is no card any more is no word on the contact's end.
            all.push(match self.as_record(id, &now.text)? {
                Some(record) => Change::Put(record),
                None => self.lost(id),
            });
        }
        for id in self.memory.contacts.keys().filter(|id| !found.contains_key(*id)) {
            self.told.insert(id.clone(), None);
            all.push(Change::Delete { collection: self.collection.clone(), id: id.clone() });
        }
        Ok(Box::new(all.into_iter().map(Ok)))
    }

    fn pushed(&mut self) -> io::Result<()> {
        for (id, told) in std::mem::take(&mut self.told) {
            match told {
                Some(now) => drop(self.memory.contacts.insert(id, now)),
                None => drop(self.memory.contacts.remove(&id)),
            }
        }
        self.remember()
    }

    fn apply(&mut self, record: &PulledRecord) -> io::Result<Stored> {
        let id = &record.id;
        let known = self.memory.contacts.get(id).cloned();
        let file = known.as_ref().map_or_else(|| file_name(id), |known| known.file.clone());
        if !self.is_in_step(id, &file)? {
            return Ok(Stored::Later);
        }
        let Some(data) = &record.data else {
            if known.is_some() {
                fs::remove_file(self.folder.join(&file))?;
                self.memory.contacts.remove(id);
            }
            return Ok(Stored::AsShown);
        };
        let version = known.map_or(VCardVersion::V3_0, |known| version(&known.text));
        let Some(text) = vcf(data.get(), id, version) else { return Ok(Stored::Refused) };
        let new = InStep { file, text };
        self.memory.writing.insert(id.clone(), new.clone());
        self.remember()?;
        let beside = self.folder.join(".mingle.vcf.new");
        fs::write(&beside, &new.text)?;
        fs::rename(beside, self.folder.join(&new.file))?;
        let kept = card(&new.text);
        self.memory.contacts.insert(id.clone(), new);
        let form: Option<Raw> = match kept {
            Some(kept) if serde_json::from_str::<Value>(data.get())? != kept => Some(serde_json::value::to_raw_value(&kept)?),
            _ => None,
        };
        Ok(Stored::As { data: form, id: None })
    }

    fn save(&mut self) -> io::Result<()> {
        self.memory.writing.clear();
        self.remember()
    }

    fn keep(&mut self, anchor: &str, _: &[Renamed]) -> io::Result<()> {
        self.memory.anchor = Some(anchor.into());
        self.remember()
    }

    fn empty(&mut self, _: &str) -> io::Result<()> {
        for known in std::mem::take(&mut self.memory.contacts).into_values() {
            fs::remove_file(self.folder.join(known.file)).or_else(|error| match error.kind() {
                io::ErrorKind::NotFound => Ok(()),
                _ => Err(error),
            })?;
        }
        self.remember()
    }
}
