//! Owns: the history of edits as people made them, and what of it must be found at the end. Folds the history itself: it shares
//! no code with mingle. Must never know: links, runs, how anything is merged.
//!
//! An acknowledged edit is kept if it is current, or overwritten by someone who had seen it, or named in a conflict or a
//! rejection. Values are each written once, so an edit is known by its value.

use std::collections::{BTreeMap, BTreeSet};

use mingle_core::record::Props;

use crate::{
    keepers,
    words::{self, PROPERTIES},
};

/// Who edits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// An app, in the truth.
    App,
    /// An app, in its own copy.
    Keeper,
    /// A colleague, at that service.
    Colleague(usize),
}

impl Who {
    fn is_a_colleague(self) -> bool {
        matches!(self, Self::Colleague(_))
    }
}

/// One property written once.
#[derive(Clone, Debug)]
struct Edit {
    who: Who,
    key: String,
    property: String,
    value: Option<String>,
    /// The value its author had before their eyes.
    over: Option<String>,
}

/// One delete.
#[derive(Clone, Debug)]
struct End {
    who: Who,
    key: String,
    /// What its author had before their eyes.
    saw: BTreeMap<String, String>,
    /// The daemon knew of the record: that one of its own was made whose answer was lost, and is gone again, nobody can tell.
    known: bool,
}

/// What has happened.
#[derive(Debug, Default)]
pub struct History {
    edits: Vec<Edit>,
    ends: Vec<End>,
    /// Records that were made anew after a delete, by somebody who knew of it.
    revived: BTreeSet<String>,
    /// Records that were made at a service and are not made at the first.
    stay: BTreeSet<String>,
    /// What services had when they went back to a backup, and had not any more: key, property, value (none: that it was absent).
    back: BTreeSet<(String, String, Option<String>)>,
}

/// A conflict as the store tells it.
#[derive(Clone, Debug)]
pub struct Conflict {
    pub property: Option<String>,
    /// Canonical text of each side; a whole record is written out.
    pub truth: Option<String>,
    pub theirs: Option<String>,
    pub agreed: Option<String>,
    pub open: bool,
    /// An app's own base clashed, not a service's.
    pub with_app: bool,
    /// The copy of an app clashed.
    pub with_copy: bool,
}

/// A record that went with the one it referred to, as the ledger tells it.
#[derive(Clone, Debug)]
pub struct Cascade {
    pub key: String,
    /// The key of what it referred to.
    pub parent: String,
    /// What it had when it went.
    pub saw: BTreeMap<String, String>,
}

/// What is found at the end.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Records of the truth, by key; more than one of a key is a doubled record.
    pub truth: Vec<Props>,
    /// Records at each service.
    pub services: Vec<Vec<Props>>,
    pub conflicts: Vec<Conflict>,
    /// Keys of records under a rejection that stands, with its side.
    pub rejected: Vec<(String, String)>,
    /// Properties under an open conflict with a service, with the keys of their records.
    pub open_properties: Vec<(String, String)>,
    /// The same with an app's copy: its name, key, property.
    pub open_in_copies: Vec<(String, String, String)>,
    /// What apps that keep a copy have, by their names.
    pub copies: Vec<(String, Vec<Props>)>,
    /// What went with something else.
    pub cascades: Vec<Cascade>,
}

/// What the schedule was like.
#[derive(Clone, Copy, Debug, Default)]
pub struct Terms {
    /// Remote edits count; in a sync that only sends they do not.
    pub colleagues_count: bool,
    /// App edits reach the service; in a sync that only brings there are none.
    pub sends: bool,
    pub brings: bool,
    /// A service went back to a backup: colleagues' edits after it are gone there.
    pub restored: bool,
    /// Where a service has another history, its state is taken: what it had before and lacks now goes without a word, as if it had been
    /// deleted or overwritten there. What it never had is written down.
    pub discards: bool,
    /// Merge bases were forgotten (refresh, another epoch): what differs goes to the policy, and what is gone there is made anew.
    pub forgot: bool,
    /// A service that rewrites values, and lost answers or answers without the record: whether a value there is ours cannot always
    /// be told.
    pub blurred: bool,
    /// A service rewrites values: to an app that read the record before, that is a change like any other.
    pub tidies: bool,
    /// Answers are lost.
    pub loses_answers: bool,
    /// All services have the same records.
    pub mirrored: bool,
    /// An app forgot what its copy was made of, or died with something in it that it had not told of.
    pub copies_blurred: bool,
}

impl History {
    /// A record is made.
    pub fn makes(&mut self, who: Who, props: &Props) {
        let Some(key) = words::key(props) else { return };
        for property in PROPERTIES {
            if let Some(value) = words::at(props, property) {
                self.edits.push(Edit { who, key: key.clone(), property: property.into(), value: Some(value), over: None });
            }
        }
    }

    /// A record that was made at a service is not to come to the first.
    pub fn stays_away(&mut self, props: &Props) {
        self.stay.extend(words::key(props));
    }

    /// A record is made again by somebody who knows that it was deleted.
    pub fn revives(&mut self, who: Who, props: &Props) {
        if let Some(key) = words::key(props) {
            self.revived.insert(key);
        }
        self.makes(who, props);
    }

    /// A property is written over `before`.
    pub fn edits(&mut self, who: Who, before: &Props, property: &str, value: Option<&str>) {
        let Some(key) = words::key(before) else { return };
        let over = words::at(before, property);
        self.edits.push(Edit { who, key, property: property.into(), value: value.map(words::tidy), over });
    }

    /// A record is deleted by somebody who sees `before`.
    pub fn ends(&mut self, who: Who, before: &Props, known: bool) {
        let Some(key) = words::key(before) else { return };
        let saw = PROPERTIES.iter().filter_map(|name| Some(((*name).to_owned(), words::at(before, name)?))).collect();
        self.ends.push(End { who, key, saw, known });
    }

    /// A service went back to a backup.
    pub fn goes_back(&mut self, before: &[Props], after: &[Props]) {
        let by_key = |records: &[Props]| -> BTreeMap<String, Props> {
            records.iter().filter_map(|props| Some((words::key(props)?, props.clone()))).collect()
        };
        let after = by_key(after);
        for (key, before) in by_key(before) {
            for property in PROPERTIES {
                let had = words::at(&before, property);
                if after.get(&key).is_none_or(|now| words::at(now, property) != had) {
                    self.back.insert((key.clone(), property.to_owned(), had));
                }
            }
        }
    }

    /// What apps did to these records was taken back.
    pub fn takes_back(&mut self, keys: &[&str]) {
        self.edits.retain(|edit| edit.who != Who::App || !keys.contains(&edit.key.as_str()));
        self.ends.retain(|end| end.who != Who::App || !keys.contains(&end.key.as_str()));
    }

    /// Whether `later` was written by somebody who had seen `earlier`, directly or through what they overwrote.
    fn descends(&self, later: &str, earlier: &str) -> bool {
        let mut at = later.to_owned();
        for _ in 0..1_000 {
            let Some(edit) = self.edits.iter().find(|edit| edit.value.as_deref() == Some(&at)) else { return false };
            match &edit.over {
                Some(over) if over == earlier => return true,
                Some(over) => at = over.clone(),
                None => return false,
            }
        }
        false
    }

    /// Everything that is wrong, in words; empty: all is well.
    pub fn check(&self, found: &Found, terms: Terms) -> Vec<String> {
        let mut wrong = Vec::new();
        self.doubles(found, terms, &mut wrong);
        if terms.mirrored {
            for at in 0..found.services.len() {
                // What stays away from the first is none of its records.
                let here = |props: &&Props| at > 0 || words::key(props).is_none_or(|key| !self.stay.contains(&key));
                let truth = found.truth.iter().filter(here).cloned().collect();
                let one = Found { truth, services: vec![found.services[at].clone()], ..found.clone() };
                let from = wrong.len();
                self.converged(&one, terms, &mut wrong);
                wrong[from..].iter_mut().for_each(|line| line.push_str(&format!(" (service {at})")));
            }
        } else {
            self.converged(found, terms, &mut wrong);
        }
        for (name, copy) in &found.copies {
            wrong.extend(keepers::wrong(name, copy, &found.truth, &found.open_in_copies));
        }
        self.lost(found, terms, &mut wrong);
        self.resurrected(found, terms, &mut wrong);
        if !(terms.forgot || terms.blurred) {
            self.false_conflicts(found, terms, &mut wrong);
        }
        wrong
    }

    /// What must not be even on the way: a record that an app deleted is back, or one of the truth is there twice.
    pub fn check_meanwhile(&self, found: &Found, terms: Terms) -> Vec<String> {
        let mut wrong = Vec::new();
        let truth = Found { truth: found.truth.clone(), rejected: found.rejected.clone(), ..Found::default() };
        self.doubles(&truth, terms, &mut wrong);
        let apps = Self { ends: self.ends.iter().filter(|end| end.who == Who::App).cloned().collect(), ..Self::default() };
        let apps = Self { revived: self.revived.clone(), ..apps };
        apps.resurrected(found, terms, &mut wrong);
        wrong
    }

    fn doubles(&self, found: &Found, terms: Terms, wrong: &mut Vec<String>) {
        let count = |records: &[Props]| {
            let mut counts = BTreeMap::<String, usize>::new();
            for key in records.iter().filter_map(words::key) {
                *counts.entry(key).or_default() += 1;
            }
            counts
        };
        for (at, records) in found.services.iter().enumerate() {
            for (key, times) in count(records) {
                // A backup brings back what was deleted, beside what an app made anew since: a person is told of the two.
                let told = terms.restored && found.rejected.iter().any(|(of, side)| *of == key && side == "down");
                // What stands twice in the truth, as is told, is twice at each of the others.
                let told = told || (terms.mirrored && found.rejected.iter().any(|(of, side)| *of == key && side == "create"));
                if times > 1 && !told {
                    wrong.push(format!("doubled: {key} is {times} times at service {at}"));
                }
                if !terms.mirrored && found.services[..at].iter().any(|before| count(before).contains_key(&key)) {
                    wrong.push(format!("doubled: {key} is at service {at}, and at one before it"));
                }
            }
        }
        for (key, times) in count(&found.truth) {
            // A create whose outcome cannot be told stands beside the row that it may have made, and says so.
            let told = found.rejected.iter().any(|(of, side)| *of == key && side == "create");
            if times > 1 && !told {
                wrong.push(format!("doubled: {key} is {times} times in the truth"));
            }
        }
    }

    fn lost(&self, found: &Found, terms: Terms, wrong: &mut Vec<String>) {
        for edit in &self.edits {
            if edit.who.is_a_colleague() && !terms.colleagues_count {
                continue;
            }
            if terms.restored && edit.who.is_a_colleague() {
                continue;
            }
            let Edit { key, property, value, .. } = edit;
            // It was sent, and is gone there.
            if terms.discards && self.back.contains(&(key.clone(), property.clone(), value.clone())) {
                continue;
            }
            let now: Vec<&Props> = found.truth.iter().filter(|props| words::key(props).as_ref() == Some(key)).collect();
            let current = now.iter().any(|props| words::at(props, property) == *value);
            if current {
                continue;
            }
            let overwritten = self.edits.iter().any(|by| {
                by.key == *key && by.property == *property && by.over == *value && !(value.is_none() && by.value.is_none())
            });
            let deleted = self.ends.iter().any(|end| end.key == *key && end.saw.get(property) == value.as_ref());
            let deleted =
                deleted || self.taken_along(found).any(|gone| gone.key == *key && gone.saw.get(property) == value.as_ref());
            let named = found.conflicts.iter().any(|conflict| names(conflict, key, property, value.as_deref()));
            let rejected = found.rejected.iter().any(|(of, side)| of == key && side != "up");
            if !(overwritten || deleted || named || rejected) {
                let now: Vec<String> = now.iter().map(|props| crate::trace::props(props)).collect();
                wrong.push(format!("lost: {:?} wrote {key}.{property}={value:?}, the truth has {now:?}", edit.who));
            }
        }
    }

    /// Records that went with what they referred to, where somebody deleted that, or it went in the same way.
    fn taken_along<'a>(&'a self, found: &'a Found) -> impl Iterator<Item = &'a Cascade> {
        found.cascades.iter().filter(|gone| {
            let (mut parent, mut met) = (&gone.parent, BTreeSet::new());
            loop {
                if self.ends.iter().any(|end| end.key == *parent) {
                    return true;
                }
                match found.cascades.iter().find(|other| other.key == *parent && met.insert(&other.key)) {
                    Some(other) => parent = &other.parent,
                    None => return false,
                }
            }
        })
    }

    fn resurrected(&self, found: &Found, terms: Terms, wrong: &mut Vec<String>) {
        // Who went with another is as gone as that one.
        let along = self.taken_along(found).filter(|_| !terms.forgot).map(|gone| End {
            who: Who::App,
            key: gone.key.clone(),
            saw: BTreeMap::new(),
            known: true,
        });
        for end in self.ends.iter().cloned().chain(along) {
            // A backup brings back what it holds.
            if terms.restored || (end.who.is_a_colleague() && (!terms.colleagues_count || terms.forgot)) {
                continue;
            }
            if self.revived.contains(&end.key) || !end.known {
                continue;
            }
            let lives = found.truth.iter().any(|props| words::key(props).as_ref() == Some(&end.key));
            let named = found.conflicts.iter().any(|conflict| names(conflict, &end.key, "", None));
            let rejected = found.rejected.iter().any(|(of, _)| *of == end.key);
            if lives && !named && !rejected {
                wrong.push(format!("resurrected: {:?} deleted {}, and it is there", end.who, end.key));
            }
        }
    }

    /// Nobody clashes with what they had seen: that is a conflict with ourselves.
    fn false_conflicts(&self, found: &Found, terms: Terms, wrong: &mut Vec<String>) {
        for conflict in &found.conflicts {
            let (Some(property), Some(truth), Some(theirs)) = (&conflict.property, &conflict.truth, &conflict.theirs) else {
                continue;
            };
            // To another service too.
            if (conflict.with_app || conflict.with_copy || terms.mirrored) && terms.tidies {
                continue;
            }
            // An app may build on what we do not know it to have taken.
            if conflict.with_copy && terms.copies_blurred {
                continue;
            }
            // A record that was deleted here, and lives on by what a service had, has values again that its copy had left: that is a change.
            let back = |whole: &Conflict| {
                let has = |side: &Option<String>| side.as_ref().is_some_and(|text| text.contains(&format!("\"{truth}")));
                whole.property.is_none() && (has(&whole.truth) || has(&whole.theirs))
            };
            if conflict.with_copy && found.conflicts.iter().any(back) {
                continue;
            }
            // Where answers are lost, a colleague may have built on what we do not know to have arrived.
            if self.descends(truth, theirs) || (!terms.loses_answers && self.descends(theirs, truth)) {
                wrong.push(format!(
                    "a conflict with ourselves: {property}, {truth} against {theirs}, agreed {:?}",
                    conflict.agreed
                ));
            }
        }
    }
}

/// Whether a conflict names this value, or (none) this record as a whole.
fn names(conflict: &Conflict, key: &str, property: &str, value: Option<&str>) -> bool {
    let sides = [&conflict.truth, &conflict.theirs, &conflict.agreed];
    match &conflict.property {
        Some(of) => of == property && sides[..2].iter().any(|side| side.as_deref() == value),
        None => {
            let key = format!("\"k\":\"{key}\"");
            let of_it = sides.iter().any(|side| side.as_ref().is_some_and(|text| text.contains(&key)));
            let holds = |value: &str| {
                let written = [format!("\"{value}\""), format!("\"{value} \"")];
                sides[..2].iter().flat_map(|side| side.iter()).any(|text| written.iter().any(|value| text.contains(value)))
            };
            of_it && value.is_none_or(holds)
        }
    }
}

impl History {
    /// The truth equals each service, outside open conflicts and rejections.
    fn converged(&self, found: &Found, terms: Terms, wrong: &mut Vec<String>) {
        let by_key = |records: &[Props]| -> BTreeMap<String, Props> {
            records.iter().filter_map(|props| Some((words::key(props)?, props.clone()))).collect()
        };
        let truth = by_key(&found.truth);
        let excused = |key: &str| found.rejected.iter().any(|(of, _)| of == key);
        // With two services each has its own records: together they are the truth.
        let mut everywhere = BTreeMap::new();
        for (at, records) in found.services.iter().enumerate() {
            everywhere.extend(by_key(records).into_iter().map(|(key, props)| (key, (at, props))));
        }
        // What a service that only brings deleted while its merge bases were forgotten stays; and so does what an app brings back of it that
        // does not know it is deleted: what was at one remote is made at no other (schedule 98983).
        let stays = terms.forgot || terms.copies_blurred && !terms.mirrored;
        if terms.sends && !(stays && found.services.len() > 1) {
            for key in truth.keys().filter(|key| !everywhere.contains_key(*key) && !excused(key)) {
                wrong.push(format!("diverged: {key} is in the truth and at no service"));
            }
        }
        for (key, (at, theirs)) in &everywhere {
            // To a second service nothing is sent.
            let sends = terms.sends && *at == 0;
            let Some(ours) = truth.get(key) else {
                // What went here with its parent stays where nothing is sent.
                let along = !sends && self.taken_along(found).any(|gone| gone.key == *key);
                if terms.brings && !excused(key) && !along {
                    wrong.push(format!("diverged: {key} is at a service and not in the truth"));
                }
                continue;
            };
            if excused(key) {
                continue;
            }
            let names: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
            for name in names {
                let frozen = found.open_properties.iter().any(|(of, property)| of == key && property == name);
                let (here, there) = (words::at(ours, name), words::at(theirs, name));
                // A property of the service's own never comes with a sync that only sends.
                let own = !terms.brings && here.is_none();
                // Without a base absence clears nothing, and a sync that only brings does not put it back there.
                let told = |conflict: &Conflict| conflict.property.as_ref() == Some(name) && conflict.truth == here;
                let kept = terms.forgot && !sends && (there.is_none() || found.conflicts.iter().any(told));
                if here != there && !frozen && !own && !kept {
                    wrong.push(format!("diverged: {key}.{name} is {here:?} in the truth and {there:?} at the service"));
                }
            }
        }
    }
}
