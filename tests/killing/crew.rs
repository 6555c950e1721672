//! Owns: apps that write without a pause, repeat what they heard no answer to under the same operation, and look after each lost
//! connection whether what they were told is still so. Must never know: when the daemon is killed.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    thread::JoinHandle,
    time::Duration,
};

use mingle_client::{
    CallError, Name, Options, Raw,
    blocking::Client,
    call::{Delete, Get, Patch, Put},
};
use mingle_tests::{chance::Chance, wait};
use serde_json::{Value, json};

/// Records that another user makes at the remote, and apps add to.
pub const FAR: u64 = 10;
const WRITERS: u64 = 4;
/// Records of each writer's own.
const KEYS: u64 = 8;

/// What a property must be in the end; null: the record, or the property, is not there.
pub struct Expected {
    pub id: String,
    pub property: String,
    pub value: Value,
}

/// What the crew knows in the end.
pub struct Known {
    pub acknowledged: u64,
    pub lost: Vec<String>,
    pub values: Vec<Expected>,
}

#[derive(Default)]
struct Shared {
    over: AtomicBool,
    acknowledged: AtomicU64,
    /// For each writer the number of the write whose answer it waits for; 0: none.
    calling: [AtomicU64; WRITERS as usize],
    /// For each writer the number of its last write that heard no answer.
    unanswered: [AtomicU64; WRITERS as usize],
    lost: Mutex<Vec<String>>,
}

/// The writers.
pub struct Crew {
    shared: Arc<Shared>,
    writers: Vec<JoinHandle<Vec<Expected>>>,
}

impl Crew {
    /// Starts them at this socket.
    pub fn start(socket: &Path, seed: u64) -> Self {
        let shared = Arc::new(Shared::default());
        let writers = (0..WRITERS)
            .map(|number| {
                let (shared, socket) = (Arc::clone(&shared), socket.to_path_buf());
                std::thread::spawn(move || Writer::new(number, seed, socket, shared).work())
            })
            .collect();
        Self { shared, writers }
    }

    pub fn acknowledged(&self) -> u64 {
        self.shared.acknowledged.load(SeqCst)
    }

    /// The writes that wait for an answer now, one for each writer.
    pub fn calling(&self) -> Vec<u64> {
        self.shared.calling.iter().map(|call| call.load(SeqCst)).collect()
    }

    /// Whether one of those never heard an answer.
    pub fn left_unanswered(&self, calling: &[u64]) -> bool {
        let unanswered = self.shared.unanswered.iter().map(|call| call.load(SeqCst));
        calling.iter().zip(unanswered).any(|(call, unanswered)| *call != 0 && *call == unanswered)
    }

    pub fn lost(&self) -> usize {
        self.shared.lost.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Lets each writer bring its last write to an end.
    pub fn end(self) -> Known {
        self.shared.over.store(true, SeqCst);
        let values = self.writers.into_iter().flat_map(|writer| writer.join().expect("a writer that ends well")).collect();
        let lost = self.shared.lost.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Known { acknowledged: self.shared.acknowledged.load(SeqCst), lost, values }
    }
}

/// A write that is not acknowledged yet.
#[derive(Clone)]
struct Wish {
    id: String,
    property: String,
    value: Value,
    op: String,
}

struct Writer {
    number: u64,
    chance: Chance,
    socket: PathBuf,
    shared: Arc<Shared>,
    client: Option<Client>,
    count: u64,
    /// By record and property: what was acknowledged last.
    told: BTreeMap<(String, String), Value>,
}

impl Writer {
    fn new(number: u64, seed: u64, socket: PathBuf, shared: Arc<Shared>) -> Self {
        let chance = Chance::new(seed.wrapping_mul(31).wrapping_add(number));
        Self { number, chance, socket, shared, client: None, count: 0, told: BTreeMap::new() }
    }

    fn work(mut self) -> Vec<Expected> {
        while !self.shared.over.load(SeqCst) {
            let wish = self.wish();
            let mut unsure = false;
            loop {
                if self.client.is_none() {
                    self.connect();
                    self.look(unsure.then_some(&wish));
                    if self.client.is_none() {
                        continue;
                    }
                }
                let place = usize::try_from(self.number).expect("a small number");
                self.shared.calling[place].store(self.count, SeqCst);
                let written = self.write(&wish);
                self.shared.calling[place].store(0, SeqCst);
                match written {
                    Ok(true) => {
                        self.told.insert((wish.id.clone(), wish.property.clone()), wish.value.clone());
                        self.shared.acknowledged.fetch_add(1, SeqCst);
                        break;
                    }
                    // What it would change is not there yet.
                    Ok(false) => break,
                    Err(()) => {
                        unsure = true;
                        self.client = None;
                        self.shared.unanswered[place].store(self.count, SeqCst);
                    }
                }
            }
        }
        self.told.into_iter().map(|((id, property), value)| Expected { id, property, value }).collect()
    }

    /// The next write: mostly whole records of its own, at times a delete, or a property on a record of the remote's.
    fn wish(&mut self) -> Wish {
        self.count += 1;
        let own = format!("w{}-{}", self.number, self.chance.below(KEYS));
        let (id, property, value) = match self.chance.below(10) {
            0 => (own, "n".to_owned(), Value::Null),
            1 | 2 => (format!("far-{}", self.chance.below(FAR)), format!("w{}", self.number), json!(self.count)),
            _ => (own, "n".to_owned(), json!(self.count)),
        };
        Wish { id, property, value, op: format!("op-{}", self.count) }
    }

    /// Whether it was acknowledged; not: there is nothing to write to. An error: no answer came.
    fn write(&mut self, wish: &Wish) -> Result<bool, ()> {
        let Some(client) = &mut self.client else { return Err(()) };
        let raw = |value: &Value| -> Raw { serde_json::from_str(&value.to_string()).expect("JSON") };
        let (collection, id, op) = ("things".to_owned(), wish.id.clone(), Some(wish.op.clone()));
        let answer = if wish.value.is_null() {
            client.delete(Delete { collection, id, op, ..Delete::default() }).map(|_| ())
        } else if wish.property == "n" {
            let data = raw(&json!({ "n": wish.value, "text": "x".repeat(100) }));
            client.put(Put { collection, id: Some(id), data, op, overwrite: true, ..Put::default() }).map(|_| ())
        } else {
            let patch = raw(&json!({ &wish.property: wish.value }));
            client.patch(Patch { collection, id, patch, op, ..Patch::default() }).map(|_| ())
        };
        match answer {
            Ok(()) => Ok(true),
            Err(error) if error.outcome_unknown().is_some() => Err(()),
            Err(CallError::Refused(refusal)) if refusal.name() == Name::NotFound => Ok(false),
            Err(error) => {
                // Anything else is no way to treat an app: said, and not tried for ever.
                self.complain(format!("w{}: {} {}: {error}", self.number, wish.id, wish.op));
                Ok(false)
            }
        }
    }

    fn complain(&self, what: String) {
        self.shared.lost.lock().unwrap_or_else(PoisonError::into_inner).push(what);
    }

    fn connect(&mut self) {
        let options = Options { socket: Some(self.socket.clone()), ..Options::app(format!("w{}", self.number)) };
        self.client = Some(wait::until("a connection", || Client::open(&options).ok()));
    }

    /// Whether everything that was acknowledged is there; what is in doubt may be there instead.
    fn look(&mut self, doubt: Option<&Wish>) {
        let Some(client) = &mut self.client else { return };
        let mut wrong = Vec::new();
        for ((id, property), value) in &self.told {
            let got = client
                .call_within(Get { collection: "things".into(), id: id.clone(), ..Get::default() }, Duration::from_secs(30));
            let there = match got {
                Ok(record) => serde_json::from_str::<Value>(record.data.get()).expect("JSON")[property].clone(),
                Err(CallError::Refused(refusal)) if refusal.name() == Name::NotFound => Value::Null,
                // Killed again: the next connection looks once more.
                Err(_) => {
                    self.client = None;
                    break;
                }
            };
            let meant = doubt.is_some_and(|wish| wish.id == *id && wish.property == *property && wish.value == there);
            if there != *value && !meant {
                wrong.push(format!("w{}: {id} {property} is {there} after a kill, acknowledged was {value}", self.number));
            }
        }
        for what in wrong {
            self.complain(what);
        }
    }
}
