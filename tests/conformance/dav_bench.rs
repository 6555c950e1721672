//! Owns: the benches of address books at real servers: a law's record as a contact. Must never know: the laws.

use std::{collections::BTreeMap, sync::Arc};

use mingle_tests::servers::Dav;
use mingled::remotes::settings::{Auth, RemoteSettings};
use serde_json::{Value, json};

use crate::bench::{Bench, Other, login};

/// Settings of kind `dav` at a server.
pub fn settings(url: &str) -> RemoteSettings {
    let auth = login(Dav::ACCOUNT);
    RemoteSettings { kind: "dav".into(), url: url.into(), auth, ..RemoteSettings::default() }
}

/// An address book of Radicale.
pub fn radicale() -> Bench {
    bench(Dav::shared_radicale(), true)
}

/// An address book of Xandikos, which keeps texts as they are, lets everybody in, and does not say when a member changed.
pub fn xandikos() -> Bench {
    Bench { shows_when: false, ..bench(Dav::shared_xandikos(), false) }
}

/// An address book of sabre/dav, which keeps texts as they are, and tells no changes.
pub fn sabre() -> Bench {
    Bench { tells_changes: false, ..bench(Dav::shared_sabre(), true) }
}

fn bench(server: Arc<Dav>, asks_for_credentials: bool) -> Bench {
    struct Me(Arc<Dav>, String);
    impl Other for Me {
        fn put(&self, id: &str, record: &Value) {
            self.0.put(&self.1, &format!("{id}.vcf"), &written(id, record));
        }
        fn delete(&self, id: &str) {
            self.0.delete(&self.1, &format!("{id}.vcf"));
        }
        fn rows(&self) -> BTreeMap<String, Value> {
            let named = |(name, text): (String, String)| (name.trim_end_matches(".vcf").to_owned(), read(&text));
            self.0.texts(&self.1).into_iter().map(named).collect()
        }
    }
    let resource = server.address_book("Friends");
    Bench {
        settings: settings(&server.url),
        wrong_resource: "/me/nowhere/".into(),
        wrong_url: None,
        stranger: Auth::None,
        asks_for_credentials,
        tells_kinds_apart: true,
        tells_changes: true,
        shows_when: true,
        fit,
        shows: &["@type", "version", "uid", "updated"],
        folder: tempfile::tempdir().expect("a folder"),
        other: Box::new(Me(server, resource.clone())),
        resource,
    }
}

/// A contact with a name, a note and a nickname; whatever else a record has is its name.
fn fit(mut record: Value) -> Value {
    let whole = record.to_string();
    let props = record.as_object_mut().expect("an object");
    let (since, old) = (props.remove("since"), props.remove("old"));
    let name = props.remove("name").filter(|_| props.is_empty());
    let mut contact = json!({ "name": { "full": name.unwrap_or_else(|| whole.into()) } });
    if let Some(since) = since {
        contact["notes"] = json!({ "k1": { "note": since.to_string() } });
    }
    if let Some(old) = old {
        contact["nicknames"] = json!({ "k1": { "name": old.to_string() } });
    }
    contact
}

const LINES: [(&str, &str); 3] = [("FN", "/name/full"), ("NOTE", "/notes/k1/note"), ("NICKNAME", "/nicknames/k1/name")];

/// A contact as another app writes it.
fn written(id: &str, contact: &Value) -> String {
    let mut text = format!("BEGIN:VCARD\r\nVERSION:3.0\r\nUID:{id}\r\n");
    for (name, at) in LINES {
        if let Some(value) = contact.pointer(at).and_then(Value::as_str) {
            let value = value.replace('\\', "\\\\").replace('\n', "\\n").replace(',', "\\,").replace(';', "\\;");
            text += &format!("{name}:{value}\r\n");
        }
    }
    text + "END:VCARD\r\n"
}

/// And as it reads it.
fn read(text: &str) -> Value {
    let mut contact = json!({});
    let unfolded = text.replace("\r\n", "\n").replace("\n ", "");
    for (name, at) in LINES {
        let line = unfolded.lines().find(|line| line.split([':', ';']).next() == Some(name));
        let Some((_, value)) = line.and_then(|line| line.split_once(':')) else { continue };
        let mut plain = String::new();
        let mut letters = value.chars();
        while let Some(letter) = letters.next() {
            match (letter, letter == '\\') {
                (_, true) => match letters.next() {
                    Some('n' | 'N') => plain.push('\n'),
                    Some(other) => plain.push(other),
                    None => {}
                },
                (letter, false) => plain.push(letter),
            }
        }
        let parts: Vec<&str> = at.split('/').skip(1).collect();
        let mut place = &mut contact;
        for part in parts {
            place = &mut place[part];
        }
        *place = plain.into();
    }
    contact
}
