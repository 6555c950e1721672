//! Owns: the user at the service: edits what they have seen, and knows what they wrote over; where a write cannot be refused for what
//! moved, they only make records. Must never know: the daemon.

use std::{collections::BTreeMap, sync::Arc};

use mingle_tests::{
    chance::Chance,
    rest_server::RestServer,
    servers::{Kinto, PocketBase},
    wire::{self, Answer},
};
use serde_json::{Map, Value, json};

use super::history::{History, Who};

type Record = Map<String, Value>;

/// A service.
pub enum Far {
    /// Our own, in this process.
    Scripted(RestServer),
    /// A real one, and the collection.
    Kinto(Arc<Kinto>, String),
    /// A real one that refuses no write for what moved, and has ids of its own form; and the collection.
    PocketBase(Arc<PocketBase>, String),
}

impl Far {
    /// Where the daemon finds it, without what stands between.
    pub fn url(&self) -> &str {
        match self {
            Self::Scripted(server) => &server.url,
            Self::Kinto(kinto, _) => &kinto.url,
            Self::PocketBase(base, _) => &base.url,
        }
    }

    /// Records as they are to be compared with those of the other side: by their ids, where both have the same. PocketBase shows each field
    /// that it has, with null where there is nothing, and to us null is nothing (`null_is_a_value`).
    pub fn compared(&self, records: &BTreeMap<String, Value>) -> BTreeMap<String, Value> {
        match self {
            Self::Scripted(_) | Self::Kinto(..) => records.clone(),
            Self::PocketBase(..) => {
                let mut records = records.clone();
                for record in records.values_mut().filter_map(Value::as_object_mut) {
                    record.retain(|_, value| !value.is_null());
                }
                crate::net::by_content(&records)
            }
        }
    }

    /// Every record.
    pub fn all(&self) -> BTreeMap<String, Value> {
        match self {
            Self::Scripted(server) => server.rows("things"),
            Self::Kinto(kinto, collection) => kinto.list(collection),
            Self::PocketBase(base, collection) => base.list(collection),
        }
    }

    fn ask(&self, method: &str, id: &str, guard: Option<(&str, &str)>, body: Option<&Record>) -> Answer {
        let headers: Vec<_> = guard.into_iter().collect();
        match self {
            Self::Scripted(server) => {
                let body = body.map(|body| Value::Object(body.clone()).to_string());
                wire::ask(method, &format!("{}/things/{id}", server.url), &headers, body.as_deref()).expect("an answer")
            }
            Self::Kinto(kinto, collection) => {
                let body = body.map(|body| json!({ "data": body }).to_string());
                kinto.ask(method, &format!("{collection}/records/{id}"), &headers, body.as_deref())
            }
            Self::PocketBase(base, collection) => {
                let body = body.map(|body| Value::Object(body.clone()));
                base.ask(method, &format!("collections/{collection}/records{id}"), body.as_ref())
            }
        }
    }

    /// A record with its revision.
    fn read(&self, id: &str) -> Option<(Record, String)> {
        let answer = self.ask("GET", id, None, None);
        let body: Value = serde_json::from_str(&answer.body).ok().filter(|_| answer.status == 200)?;
        let (at, revision) = match self {
            Self::Scripted(_) => ("row", body["row"]["rev"].to_string()),
            Self::PocketBase(..) => return None,
            Self::Kinto(..) => ("data", answer.headers.iter().find(|(name, _)| name == "etag")?.1.clone()),
        };
        let mut record = body[at].as_object()?.clone();
        for own in ["id", "rev", "at", "last_modified"] {
            record.remove(own);
        }
        Some((record, revision))
    }

    /// One edit by chance, written down with what its author saw.
    pub fn edit(&self, chance: &mut Chance, count: u64, history: &mut History) {
        let value = format!("far-{count}");
        if matches!(self, Self::PocketBase(..)) {
            let id = format!("far{count:0>12}");
            let record = [("id".to_owned(), json!(id)), ("p0".to_owned(), json!(value))].into_iter().collect();
            if self.ask("POST", "", None, Some(&record)).status == 200 {
                history.wrote(Who::Far, &id, "p0", &value, None);
            }
            return;
        }
        let ids: Vec<String> = self.all().into_keys().collect();
        if ids.is_empty() || chance.below(6) == 0 {
            let record: Record = [("p0".to_owned(), json!(value))].into_iter().collect();
            let answer = self.ask("PUT", &value, Some(("if-none-match", "*")), Some(&record));
            if answer.status == 201 {
                history.wrote(Who::Far, &value, "p0", &value, None);
            }
            return;
        }
        let id = &ids[usize::try_from(chance.below(ids.len() as u64)).unwrap_or(0)];
        // Somebody else may have moved it since the list.
        let Some((mut record, revision)) = self.read(id) else { return };
        if chance.below(20) == 0 {
            if matches!(self.ask("DELETE", id, Some(("if-match", &revision)), None).status, 200 | 204) {
                history.deleted(Who::Far, id, &record);
            }
            return;
        }
        let property = format!("p{}", chance.below(3));
        let before = record.insert(property.clone(), json!(value));
        let done = self.ask("PUT", id, Some(("if-match", &revision)), Some(&record));
        if matches!(done.status, 200 | 204) {
            history.wrote(Who::Far, id, &property, &value, before.as_ref().and_then(Value::as_str));
        }
    }
}
