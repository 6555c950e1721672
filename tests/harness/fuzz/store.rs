//! Owns: a store's file with bytes changed, opened and used as the daemon does. Must never know: the form of the file.

use std::{fs, os::unix::fs::PermissionsExt as _, sync::OnceLock};

use mingle_core::{
    ask::{Found, Query, RecordIds, Scope, Since, Write, Writer},
    time::Timestamp,
};
use mingled::store::{
    Class, CollectionDefinition, Ids, Options, Store, apply, changes, define, list, look, prepare, purge, sync,
};

const NOW: Timestamp = Timestamp::from_unix_ms(1_790_000_000_000);

fn use_it(store: &Store) {
    let definition = CollectionDefinition { name: "a".into(), index: vec!["n".into()], ..CollectionDefinition::default() };
    let _ = store.write_blocking(Class::Interactive, NOW, move |tx| define(tx, &[definition]));
    let _ = store.write_blocking(Class::Background, NOW, sync::recover);
    let query = Query { collection: "a".into(), filter: vec![], order: vec![("n".into(), false)], limit: 100, cursor: None };
    let _ = store.read(|reader| list(reader, &query, &mut Vec::<Found>::new()));
    let since =
        Since { seq: 0, instance: None, scope: Scope::All, limit: 100, bytes: 100_000, data: true, ids: RecordIds::default() };
    let _ = store.read(|reader| changes(reader, &since));
    let data = "{\"n\":1}".to_owned();
    let put = Write::Put { collection: "a".into(), id: Some("new".into()), data, if_seq: None, overwrite: true, merge: false };
    let writer = Writer { app: "tester".into(), op: None, instance: None };
    if let Ok(prepared) = prepare(writer, vec![put]) {
        let _ = store.write_blocking(Class::Interactive, NOW, move |tx| apply(tx, &prepared));
    }
    let _ = store.write_blocking(Class::Background, NOW, purge);
}

/// The bytes of a store with some records.
fn sound() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| {
        let directory = tempfile::tempdir().expect("a folder");
        let path = directory.path().join("store.db");
        let options = Options { full_sync: false, ids: Ids::Seeded(1) };
        let store = Store::open(&path, options, NOW).expect("a store").store;
        use_it(&store);
        store.close().expect("closed");
        fs::read(path).expect("its bytes")
    })
}

/// The input says which bytes are changed and to what, four bytes each: place (of the file's length), mask. It is opened or refused; what
/// it says is an answer or an error; it ends.
pub fn damaged(input: &[u8]) {
    let mut bytes = sound().to_vec();
    for change in input.chunks_exact(4) {
        let at = usize::from(u16::from_le_bytes([change[0], change[1]])) * bytes.len() / 65_536;
        bytes[at] ^= change[2] | u8::from(change[2] == 0);
        if change[3] == 0xff {
            bytes.truncate(at);
            break;
        }
    }
    let directory = tempfile::tempdir().expect("a folder");
    let path = directory.path().join("store.db");
    fs::write(&path, &bytes).expect("a damaged store");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("its mode");
    let _ = look(&path);
    if let Ok(opened) = Store::open(&path, Options { full_sync: false, ids: Ids::Seeded(1) }, NOW) {
        // Nothing is thrown away: what was moved aside is what was there.
        if let Some(aside) = &opened.moved_aside {
            assert_eq!(fs::read(aside).expect("what was kept"), bytes, "what is kept is not what was there");
        }
        use_it(&opened.store);
        let _ = opened.store.close();
    }
}
