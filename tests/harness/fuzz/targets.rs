//! Owns: what is fed: each reader of what others wrote, with what must hold of what it says. Must never know: where inputs come from.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::OnceLock,
};

use mingle_core::{
    ask::{Found, Query, RecordIds, Scope, Since, Write, Writer},
    mingle::{Base, Sides, Stamps, alike, mingle},
    policy::{Merge, OnDelete, Policy},
    record::{Carried, Props, Value},
    time::Timestamp,
};
use mingle_proto::{FromDaemon, METHODS, Request, frame::Frames};
use mingled::{
    config::{self, Source},
    json::{self, JsonError},
    known::BuiltIn,
    remotes::{self, rest},
    store::{Class, CollectionDefinition, Ids, Store, Token, apply, changes, define, list, prepare, sync},
};

/// One reader.
pub struct Target {
    /// Its name, and that of its folder.
    pub name: &'static str,
    /// Reads an input; panics where something does not hold.
    pub feed: fn(&[u8]),
    /// Words of its language.
    pub words: &'static [&'static str],
    /// So many times slower than the others: as many fewer inputs, and as much more time for each.
    pub slow: u32,
}

const JSON: &[&str] =
    &["{", "}", "[", "]", "null", "true", "\"", ":", ",", "\\u0000", "\\ud83e\\udd80", "{\"a\":1,\"a\":2}", "[[[[[[[["];

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "frames", feed: frames, words: &["\n", "\r\n", "\n\n", " "], slow: 1 },
    Target { name: "messages", feed: messages, words: JSON, slow: 1 },
    Target { name: "configuration", feed: configuration, words: TOML, slow: 5 },
    Target { name: "profile", feed: profile, words: TOML, slow: 10 },
    Target { name: "page", feed: page, words: JSON, slow: 1 },
    Target { name: "dav", feed: dav, words: DAV, slow: 5 },
    Target { name: "document", feed: document, words: DOCUMENT, slow: 5 },
    Target { name: "checkpoint", feed: checkpoint, words: JSON, slow: 1 },
    Target { name: "cursor", feed: cursor, words: &[".", "_", "~", "w-", "i", "t", "r", "n", "b", "-"], slow: 1 },
    Target { name: "mingle", feed: meeting, words: JSON, slow: 1 },
    Target { name: "store", feed: super::store::damaged, words: &[], slow: 1000 },
];

const DAV: &[&str] = &[
    "BEGIN:VCARD\r\n",
    "END:VCARD\r\n",
    "BEGIN:VEVENT\r\n",
    "END:VEVENT\r\n",
    "NICKNAME:a,b\r\n",
    "SUMMARY;LANGUAGE=de:a\r\n",
    "X-ODD;A=\"b\":c\r\n",
    "JSPROP;JSPTR=a/b:[1]\r\n",
    "RRULE:FREQ=YEARLY;BYDAY=-1SU\r\n",
    "\r\n ",
    ";",
    ":",
    "\\,",
    "=\r\n",
    "<response xmlns=\"DAV:\">",
    "</response>",
    "&#x0;",
];

const DOCUMENT: &[&str] = &[
    "[{\"id\":\"a\"}]",
    "{\"id\":1}\n",
    "id,a\n",
    "id;a\r\n",
    "\"\"",
    "<item><guid>a</guid></item>",
    "<entry xmlns=\"http://www.w3.org/2005/Atom\"><id>a</id></entry>",
    "<![CDATA[",
    "&#x0;",
    "{\"id\":\"a\",\"title\":\"b\"},",
    "BEGIN:VEVENT\r\nUID:a\r\nEND:VEVENT\r\n",
    "BEGIN:VTIMEZONE\r\nTZID:a\r\nEND:VTIMEZONE\r\n",
    "BEGIN:VCALENDAR\r\n",
    "END:VCALENDAR\r\n",
    "\r\n ",
];

const TOML: &[&str] = &[
    "[remote.a]\n",
    "[sync.a]\n",
    "[collection.a]\n",
    "[app.a]\n",
    "[[row]]\n",
    "= ",
    "\"\"\"",
    "'",
    "{ ",
    " }",
    "every = \"1h\"\n",
    "cron = \"0 6 * * mon-fri\"\n",
    "merge = { default = \"manual\" }\n",
    "2026-01-01T00:00:00Z",
    "0x7fffffffffffffff",
];

/// Lines are the same in whatever pieces they come, and none is longer than it may be.
fn frames(input: &[u8]) {
    const LIMIT: usize = 64;
    let read = |piece: usize| {
        let mut frames = Frames::new(LIMIT);
        let mut lines = Vec::new();
        for bytes in input.chunks(piece) {
            frames.push(bytes);
            loop {
                match frames.next() {
                    Ok(Some(line)) => {
                        assert!(line.len() <= LIMIT && !line.contains(&b'\n'), "a line over the limit");
                        lines.push(line.to_vec());
                    }
                    Ok(None) => break,
                    Err(_) => return (lines, true),
                }
            }
        }
        (lines, false)
    };
    let whole = read(input.len().max(1));
    for piece in [1, 7, 64] {
        let (lines, over) = read(piece);
        assert_eq!((&lines, over), (&whole.0, whole.1), "in pieces of {piece}");
    }
}

/// A message that is read is one that can be written, and read again as the same.
fn messages(input: &[u8]) {
    let named = |name: &str| METHODS.iter().find(|method| method.name == name);
    if let Ok(request) = Request::read(input)
        && let (Some(params), Some(method)) = (request.params, named(&request.method))
        && let Ok(written) = (method.params)(params)
    {
        let again = (method.params)(&written).unwrap_or_else(|why| panic!("{written} is not read again: {why}"));
        assert_eq!(again.get(), written.get(), "{}", request.method);
    }
    if let Ok(FromDaemon::Answer { result, .. }) = FromDaemon::read(input) {
        for method in METHODS {
            if let Ok(written) = (method.answer)(result) {
                let again = (method.answer)(&written).unwrap_or_else(|why| panic!("{written} is not read again: {why}"));
                assert_eq!(again.get(), written.get(), "{}", method.name);
            }
        }
    }
}

/// A configuration is good, or every problem of it has words and a line that is there.
fn configuration(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let known = BuiltIn { config_dir: "/nonexistent".into() };
    let lines = text.lines().count() + 1;
    let source = Source::new("config.toml".into(), "/nonexistent".into(), true, text.to_owned());
    if let Err(problems) = config::parse(&[source], &known) {
        assert!(!problems.is_empty(), "refused without a reason");
        for problem in problems {
            assert!(!problem.what.is_empty() && problem.line <= lines, "{problem:?}");
        }
    }
}

/// A profile is good, or says what is wrong; a good one reads any body.
fn profile(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    match rest::Tried::read("tried", text) {
        Err(problem) => assert!(!problem.what.is_empty()),
        Ok(profile) => {
            for body in ["{\"data\":[{\"id\":\"a\",\"last_modified\":7}]}", "[]", "[{\"id\":1}]"] {
                let _ = profile.records_in(body);
            }
        }
    }
}

/// The body of an answer, as each built-in profile would read it, and one that uses what they leave out.
fn page(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    if let Ok(value) = json::parse(text) {
        let written = json::write_value(&value);
        let again = json::parse(&written).unwrap_or_else(|why| panic!("{written} is not read again: {why}"));
        assert_eq!(json::write_value(&again), written);
    }
    for profile in profiles() {
        let _ = profile.records_in(text);
    }
    for way in [&[][..], &["data".to_owned()]] {
        let (mut together, mut singly) = (Elements::default(), Elements::default());
        let rest = json::parse_elements(text, 1 << 30, way, &mut together);
        let same = json::parse_elements_singly(text, 1 << 30, way, &mut singly);
        if let Ok((rest, _)) = rest {
            let (same, _) = same.unwrap_or_else(|why| panic!("{text} is not read one by one: {why}"));
            assert_eq!((together.0, rest), (singly.0, same), "{text}");
        }
    }
}

/// What a list of a body had.
#[derive(Default)]
struct Elements(Vec<Result<Value, JsonError>>);

impl json::Elements for Elements {
    fn begin(&mut self) {
        self.0.clear();
    }

    fn element(&mut self, value: Value) -> usize {
        self.0.push(Ok(value));
        1
    }

    fn unreadable(&mut self, _: Value, why: JsonError) -> usize {
        self.0.push(Err(why));
        1
    }
}

fn profiles() -> &'static [rest::Tried] {
    static PROFILES: OnceLock<Vec<rest::Tried>> = OnceLock::new();
    PROFILES.get_or_init(|| {
        let nowhere = Path::new("/nonexistent");
        let read = |name: &str| rest::Tried::read(name, &rest::catalog::text(name, nowhere).ok()?).ok();
        rest::catalog::profiles(nowhere).iter().filter_map(|one| read(&one.name)).collect()
    })
}

/// What a server of contacts or events may send: an edit of it loses nothing.
fn dav(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    remotes::dav::tried(text).unwrap_or_else(|why| panic!("{why}\n{text}"));
}

/// What a published document may say: each of its rows has an id of its own.
fn document(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    remotes::document::tried(text).unwrap_or_else(|why| panic!("{why}\n{text}"));
}

/// What was saved of a checkpoint: a text that does not read is no position.
fn checkpoint(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let (watermark, resume) = text.split_once('\n').unwrap_or((text, ""));
    let (_, resume) = sync::read_checkpoint(Some(watermark), Some(resume));
    if let Some(resume) = resume {
        let _ = resume.further(3);
    }
}

/// A store with some records, and for each order of a list what its cursors begin with.
struct Listed {
    store: Store,
    orders: Vec<(Query, String)>,
}

fn listed() -> Listed {
    let store = Store::memory(Ids::Seeded(1)).expect("a store");
    let definition = CollectionDefinition { name: "a".into(), index: vec!["n".into()], ..CollectionDefinition::default() };
    store.write_blocking(Class::Interactive, Timestamp::default(), move |tx| define(tx, &[definition])).expect("a collection");
    let put = |n: u32| Write::Put {
        collection: "a".into(),
        id: Some(format!("r{n}")),
        data: format!("{{\"n\":{n}}}"),
        if_seq: None,
        overwrite: true,
        merge: false,
    };
    let writer = Writer { app: "tester".into(), op: None, instance: None };
    let written = prepare(writer, (0..4).map(put).collect()).expect("writes");
    store.write_blocking(Class::Interactive, Timestamp::default(), move |tx| apply(tx, &written)).expect("some records");
    let orders = [vec![], vec![("n".to_owned(), true)], vec![("n".to_owned(), false), ("x".to_owned(), true)]];
    let begun = orders.map(|order| {
        let query = Query { collection: "a".into(), filter: vec![], order, limit: 2, cursor: None };
        let cursor = store.read(|reader| list(reader, &query, &mut Vec::<Found>::new())).expect("a page");
        let cursor = cursor.expect("a second page");
        let begin = cursor.split('.').take(2).collect::<Vec<_>>().join(".");
        (query, begin)
    });
    Listed { store, orders: begun.into() }
}

/// Cursors, tokens and positions that somebody made up: refused, or a page of what is there.
fn cursor(input: &[u8]) {
    static LISTED: OnceLock<Listed> = OnceLock::new();
    let Listed { store, orders } = LISTED.get_or_init(listed);
    let Ok(text) = std::str::from_utf8(input) else { return };
    if let Ok(token) = Token::parse(text) {
        assert_eq!(Token::parse(&token.text()).as_ref(), Ok(&token), "{text}");
    }
    for (query, begin) in orders {
        // As it is, and as one that gets past the question which it must belong to.
        for cursor in [text.to_owned(), format!("{begin}.{text}")] {
            let query = Query { cursor: Some(cursor), ..query.clone() };
            let page = store.read(|reader| {
                let mut records = Vec::<Found>::new();
                list(reader, &query, &mut records)?;
                Ok(records)
            });
            if let Ok(records) = page {
                assert!(records.len() <= query.limit, "{text}");
            }
        }
    }
    let seq = text.bytes().fold(0u64, |seq, byte| seq.wrapping_mul(31).wrapping_add(u64::from(byte)));
    let since = Since {
        seq,
        instance: Some(text.to_owned()),
        scope: Scope::All,
        limit: 10,
        bytes: 1000,
        data: true,
        ids: RecordIds::default(),
    };
    let _ = store.read(|reader| changes(reader, &since));
}

/// A meeting of three records: the first line says by which rule, the others are agreed, truth and theirs (`-`: none).
fn meeting(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let mut lines = text.split('\n');
    let rule = lines.next().unwrap_or_default();
    let mut record = || -> Option<Props> { json::parse_object(lines.next()?).ok() };
    let (agreed, truth, theirs) = (record(), record(), record());
    let byte = |at: usize| rule.as_bytes().get(at).copied().unwrap_or(0);
    const RULES: [Merge; 8] =
        [Merge::Truth, Merge::Remote, Merge::Newest, Merge::Union, Merge::Max, Merge::Min, Merge::Text, Merge::Manual];
    let policy = Policy {
        default: RULES[usize::from(byte(0)) % RULES.len()],
        properties: BTreeMap::from([("t".to_owned(), Merge::Text), ("u".to_owned(), Merge::Union)]),
        nested: byte(1) % 2 == 1,
        delete: if byte(2) % 2 == 1 { OnDelete::KeepDelete } else { OnDelete::KeepEdit },
        null_is_a_value: byte(3) % 2 == 1,
        ..Policy::default()
    };
    let meet = |base: Base<'_>, truth: Option<&Props>, theirs: Option<&Props>| {
        let (carried, frozen, stamps) = (&Carried::All, &BTreeSet::new(), &Stamps::default());
        mingle(&Sides { base, truth, theirs, carried, frozen, policy: &policy, stamps })
    };
    let base = match (byte(4) % 3, &agreed) {
        (0, _) => Base::Unknown,
        (_, Some(agreed)) => Base::Known(agreed),
        (_, None) => Base::Gone,
    };
    let met = meet(base, truth.as_ref(), theirs.as_ref());
    assert_eq!(met, meet(base, truth.as_ref(), theirs.as_ref()), "the same each time");
    let Some(theirs) = &theirs else { return };
    // After the meeting theirs is agreed: meeting again changes nothing.
    let again = meet(Base::Known(theirs), met.truth.as_ref(), Some(theirs));
    assert_eq!((&again.truth, again.clashes.len()), (&met.truth, 0), "meeting again changes something");
    if let Some(truth) = &truth
        && alike(truth, theirs, &Carried::All, &policy)
    {
        assert_eq!((met.truth.as_ref(), met.clashes.len()), (Some(truth), 0), "agreement does not stand");
    }
    // Nothing is invented: a plain value is that of one of the sides.
    for (name, value) in met.truth.iter().flatten() {
        if matches!(value, Value::Bool(_) | Value::Null | Value::Number(_)) {
            let of = |side: Option<&Props>| side.and_then(|side| side.get(name)) == Some(value);
            assert!(of(truth.as_ref()) || of(Some(theirs)), "{name} was invented");
        }
    }
}
