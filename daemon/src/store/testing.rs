//! Owns: what the tests of this room share: stores, short forms of writes and reads. Must never know: what they prove.

use mingle_core::{
    ask::{Changes, Found, RecordIds, Refusal, Scope, Since, Undo, Write, Writer, Written},
    time::Timestamp,
};

use super::{Class, CollectionDefinition, Ids, Options, Store, StoreError, apply, changes, define, get, prepare};

pub(super) const NOW: Timestamp = Timestamp::from_unix_ms(1_790_000_000_000);

pub(super) fn definition(name: &str) -> CollectionDefinition {
    CollectionDefinition { name: name.into(), ..CollectionDefinition::default() }
}

/// Everything is to be taken back.
pub(super) fn undo_all() -> Undo {
    Undo {
        scope: Scope::All,
        id: None,
        seq: None,
        app: None,
        sync: None,
        run: None,
        since: None,
        until: None,
        force: false,
        cursor: None,
    }
}

/// A store in memory with collections `a` and `b`.
pub(super) fn memory() -> Store {
    with_collections(Store::memory(Ids::Seeded(1)).unwrap())
}

/// A store in a file with collections `a` and `b`.
pub(super) fn file(directory: &tempfile::TempDir) -> Store {
    with_collections(Store::open(&directory.path().join("store.db"), Options::default(), NOW).unwrap().store)
}

pub(super) fn with_collections(store: Store) -> Store {
    store.write_blocking(Class::Interactive, NOW, |tx| define(tx, &[definition("a"), definition("b")])).unwrap();
    store
}

pub(super) fn writer(op: Option<&str>) -> Writer {
    Writer { app: "tester".into(), op: op.map(Into::into), instance: None }
}

pub(super) fn put(id: &str, data: &str) -> Write {
    Write::Put { collection: "a".into(), id: Some(id.into()), data: data.into(), if_seq: None, overwrite: true, merge: false }
}

pub(super) fn patch(id: &str, patch: &str) -> Write {
    Write::Patch { collection: "a".into(), id: id.into(), patch: patch.into(), if_seq: None }
}

pub(super) fn delete(id: &str) -> Write {
    Write::Delete { collection: "a".into(), id: id.into(), if_seq: None }
}

pub(super) fn write_at(store: &Store, now: Timestamp, writer: Writer, writes: Vec<Write>) -> Result<Written, Refusal> {
    let prepared = prepare(writer, writes)?;
    store.write_blocking(Class::Interactive, now, move |tx| apply(tx, &prepared)).map_err(Into::into)
}

pub(super) fn write(store: &Store, writes: Vec<Write>) -> Result<Written, Refusal> {
    write_at(store, NOW, writer(None), writes)
}

/// The seq of a single write.
pub(super) fn seq(store: &Store, one: Write) -> u64 {
    write(store, vec![one]).unwrap().writes[0].seq
}

pub(super) fn read(store: &Store, id: &str) -> Result<Found, Refusal> {
    store.read(|reader| get(reader, "a", id)).map_err(Into::into)
}

/// The data of a record, or a dash.
pub(super) fn data(store: &Store, id: &str) -> String {
    read(store, id).map_or("-".into(), |found| found.data)
}

pub(super) fn since(seq: u64) -> Since {
    Since { seq, instance: None, scope: Scope::All, limit: 1_000, bytes: 1 << 20, data: true, ids: RecordIds::default() }
}

pub(super) fn feed(store: &Store, since: &Since) -> Changes {
    store.read(|reader| changes(reader, since)).unwrap()
}

/// Any SQL, for looking behind.
pub(super) fn sql(store: &Store, sql: &'static str) -> Result<(), StoreError> {
    store.write_blocking(Class::Background, NOW, move |tx| Ok(tx.conn.execute_batch(sql)?))
}

/// One number.
pub(super) fn number(store: &Store, sql: &str) -> i64 {
    store.read(|reader| Ok(reader.query_row(sql, (), |row| row.get(0))?)).unwrap()
}
