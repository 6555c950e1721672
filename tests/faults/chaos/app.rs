//! Owns: one app of the chaos, in a process of its own: it edits by chance, says what was acknowledged, and follows everything that
//! changes. Must never know: when anything is killed, and what is found at the end.
//!
//! `chaos-app SOCKET NAME SEED`. A line of JSON on standard output for each edit that was acknowledged. It edits until a line comes on
//! standard input, and then follows until the record `the-end` comes, whose mirror is its last word.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, Write as _},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use mingle_client::{
    CallError, Name, Options, Raw, Update,
    blocking::Client,
    call::{ChangeKind, Delete, Patch, Put, Subscribe},
};
use mingle_tests::{chance::Chance, wait};
use serde_json::{Value, json};

/// The record that ends it.
const END: &str = "the-end";
/// Each edit comes so long after the one before, at most.
const PAUSE: Duration = Duration::from_millis(60);

type Mirror = BTreeMap<String, Value>;

fn main() -> anyhow::Result<()> {
    let mut words = std::env::args().skip(1);
    let mut word = || words.next().ok_or_else(|| anyhow::anyhow!("chaos-app SOCKET NAME SEED"));
    let (socket, name, seed) = (word()?, word()?, word()?.parse()?);
    let options = Options {
        socket: Some(socket.into()),
        reconnect_within: Some(Duration::from_secs(120)),
        ..Options::app(name.split('x').next().unwrap_or_default())
    };
    let over = Arc::new(AtomicBool::new(false));
    let mirror = Arc::new(Mutex::new(Mirror::new()));
    let follower = std::thread::spawn({
        let (options, mirror) = (options.clone(), Arc::clone(&mirror));
        move || follow(&options, &mirror)
    });
    std::thread::spawn({
        let over = Arc::clone(&over);
        move || {
            let _ = std::io::stdin().lock().read_line(&mut String::new());
            over.store(true, SeqCst);
        }
    });
    let mut editor = Editor { client: open(&options), chance: Chance::new(seed), name, count: 0, mirror };
    while !over.load(SeqCst) {
        editor.edit()?;
        wait::pass(editor.chance.time(PAUSE));
    }
    say(&json!({ "quiet": true }))?;
    let mirror = follower.join().map_err(|_| anyhow::anyhow!("the follower broke"))??;
    say(&json!({ "mirror": mirror }))
}

/// The daemon may be away just now.
fn open(options: &Options) -> Client {
    wait::until("a connection", || Client::open(options).ok())
}

fn say(what: &Value) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{what}")?;
    Ok(out.flush()?)
}

/// Everything that changes, until the end.
fn follow(options: &Options, mirror: &Mutex<Mirror>) -> anyhow::Result<Mirror> {
    let ask = Subscribe { collections: Some(vec!["things".into()]), data: true, ..Subscribe::default() };
    let subscription = wait::until("a subscription", || open(options).subscribe(ask.clone()).ok());
    for update in subscription {
        let Update::Changed(changed) = update? else { continue };
        let mut mirror = mirror.lock().unwrap_or_else(PoisonError::into_inner);
        if changed.fresh {
            mirror.clear();
        }
        for change in changed.changes {
            match change.kind {
                ChangeKind::Deleted | ChangeKind::Left => drop(mirror.remove(&change.id)),
                _ => {
                    let data = change.data.ok_or_else(|| anyhow::anyhow!("a change without its data"))?;
                    mirror.insert(change.id, serde_json::from_str(data.get())?);
                }
            }
        }
        if mirror.contains_key(END) {
            return Ok(mirror.clone());
        }
    }
    anyhow::bail!("the subscription ended")
}

struct Editor {
    client: Client,
    chance: Chance,
    /// With the number of this life.
    name: String,
    count: u64,
    mirror: Arc<Mutex<Mirror>>,
}

impl Editor {
    /// One edit: mostly a property of a record that others edit too, now and then a new record, seldom a delete.
    fn edit(&mut self) -> anyhow::Result<()> {
        self.count += 1;
        let value = format!("{}-{}", self.name, self.count);
        let ids: Vec<String> = self.mirror.lock().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect();
        let at = usize::try_from(self.chance.below(ids.len().max(1) as u64))?;
        let (id, property, written) = match (self.chance.below(20), ids.get(at)) {
            (0, Some(id)) => (
                id.clone(),
                None,
                self.client.delete(Delete { collection: "things".into(), id: id.clone(), ..Delete::default() }).map(|_| ()),
            ),
            (1..4, _) | (_, None) => {
                let data = raw(&json!({ "p0": value }))?;
                let put = Put { collection: "things".into(), id: Some(value.clone()), data, ..Put::default() };
                (value.clone(), Some("p0".to_owned()), self.client.put(put).map(|_| ()))
            }
            (_, Some(id)) => {
                let property = format!("p{}", self.chance.below(3));
                let patch = raw(&json!({ &property: value }))?;
                let patch = Patch { collection: "things".into(), id: id.clone(), patch, ..Patch::default() };
                (id.clone(), Some(property), self.client.patch(patch).map(|_| ()))
            }
        };
        match written {
            Ok(()) => say(&json!({ "id": id, "property": property, "value": property.is_some().then_some(value) })),
            Err(CallError::Refused(refusal)) if refusal.name() == Name::NotFound => Ok(()),
            Err(error) => Err(anyhow::anyhow!("{id}: {error}")),
        }
    }
}

fn raw(value: &Value) -> anyhow::Result<Raw> {
    Ok(serde_json::value::RawValue::from_string(value.to_string())?)
}
