//! Owns: the proof that each kind of damage is named, and that a healthy store has none. Must never know: how a look is taken.

use mingle_core::ask::Write;

use super::*;
use crate::store::{
    Store,
    testing::{delete, file as file_of, memory, patch, put, seq, sql},
};

/// A store with one of everything, in good order, as writes and runs leave it. The records are `a/same`, `a/own`, `a/gone`, `a/new`
/// and `b/other`.
fn healthy(store: Store) -> Store {
    for id in ["same", "own", "gone", "new"] {
        seq(&store, put(id, r#"{"t":"one","n":1}"#));
    }
    seq(&store, patch("own", r#"{"t":"two"}"#));
    seq(&store, delete("gone"));
    let other = Write::Put {
        collection: "b".into(),
        id: Some("other".into()),
        data: "{}".into(),
        if_seq: None,
        overwrite: true,
        merge: false,
    };
    seq(&store, other);
    sql(
        &store,
        r#"INSERT INTO m_replica (replica, remote, identity) VALUES (1, 'far', 'far a'), (2, 'near', 'near b');
           INSERT INTO m_link (link, replica, record, remote_id, left_revs, base, agreed, sent, confirmed, born, seen, missing)
             SELECT 1, 1, record, 'r1', '["x"]', 0, NULL, NULL, seq, 1, 1, 0 FROM m_record WHERE id = 'same'
             UNION ALL SELECT 2, 1, record, 'r2', NULL, 1, '{"t":"one","n":1}', '[{"seq":5,"what":"update","values":"{}"}]', first, 1, 2, 0
               FROM m_record WHERE id = 'own'
             UNION ALL SELECT 3, 1, record, NULL, NULL, 0, NULL, NULL, seq, 1, 1, 0 FROM m_record WHERE id = 'gone';
           INSERT INTO m_former (replica, remote_id, link) VALUES (1, 'was', 3);
           INSERT INTO m_sync (sync, name, replica, epoch, watermark, complete, pass, up_scanned)
             VALUES (1, 'down', 1, 'e', '{"token":"7"}', 'e', 2, 3);
           INSERT INTO m_defined (sync, definition, app, generation, at) VALUES ('asked', '{"collection":"a"}', 'app', 2, 1);
           INSERT INTO m_answer (sync, name, validator, head, body, at) VALUES ('down', zeroblob(32), 'v', 'x: y', x'7b7d', 1);
           INSERT INTO m_schedule (sync, next, pinged, anew) VALUES ('down', 9, 8, NULL);
           INSERT INTO m_run (id, sync, status, result, mode, trigger, started, ended)
             VALUES ('r-1', 'down', 'done', 'new_data', 'fast', 'every', 1, 2), ('r-2', 'down', 'running', NULL, 'fast', 'every', 3, NULL);
           INSERT INTO m_conflict (id, record, link, replica, property, agreed, truth, theirs, verdict, open, seq, at)
             SELECT 'c-1', record, 2, 'far', 't', '"one"', '"two"', NULL, 'open', 1, seq, 1 FROM m_record WHERE id = 'own';
           INSERT INTO m_rejection (id, sync, replica, side, link, record, remote_id, action, what, at, tries)
             SELECT 'j-1', 'down', 1, 'up', 1, record, 'r1', 'update', 'no', 1, 1 FROM m_record WHERE id = 'same'
             UNION ALL SELECT 'j-2', 'down', 1, 'down', NULL, NULL, 'r9', 'apply', 'no', 1, 1;
           INSERT INTO m_replica (replica, remote, identity) VALUES (-1, 'app:keeper', 'app:keeper 1'), (-2, 'app:other', 'app:other 1');
           INSERT INTO m_copy (replica, app, collection, anchor, instance, scanned, pass, used, owed)
             SELECT -1, 'keeper', collection, 'a-1', 'here', 7, 2, 1, 0 FROM m_collection WHERE name = 'a'
             UNION ALL SELECT -2, 'other', collection, NULL, 'here', 0, 1, 1, 1 FROM m_collection WHERE name = 'a';
           INSERT INTO m_link (link, replica, record, remote_id, left_revs, base, agreed, sent, confirmed, born, seen, missing)
             SELECT 4, -1, record, 'k1', NULL, 3, NULL, NULL, 0, 0, 0, 0 FROM m_record WHERE id = 'new';
           INSERT INTO m_session (session, id, app, connection, state, mode, replicas)
             VALUES (1, 's-1', 'keeper', 1, 'pulling', 'fast', '[-1]'), (2, 's-2', 'other', 2, 'pushing', 'pull_truth', '[-2]');
           INSERT INTO m_push (session, replica, id, what, data) VALUES (2, -2, 'k8', 'put', '{"t":1}'), (2, -2, 'k9', 'delete', NULL);
           INSERT INTO m_take (session, replica, link, what, seq, id, form) VALUES (1, -1, 4, 'accept', 4, 'mine', '{"t":"o-n-e"}')"#,
    )
    .unwrap();
    store
}

fn report(store: &Store) -> Report {
    store.read(|reader| check(reader)).unwrap()
}

fn told(report: &Report) -> Vec<String> {
    report.findings.iter().map(|one| format!("{} {}: {}", one.rule, one.about, one.what)).collect()
}

#[test]
fn a_healthy_store_breaks_no_rule() {
    let report = report(&healthy(memory()));
    assert!(report.is_clean() && report.more.is_empty(), "{:#?}", told(&report));
    assert_eq!((report.records, report.seq), (4, 7));
}

/// Each rule, broken: the SQL that breaks it, and what is named.
const DAMAGE: &[(&str, &str)] = &[
    (
        "INSERT INTO m_alias (alias, record, seq) SELECT 1, 2, 1",
        "alias a/same: it is another record's alias, and has not left",
    ),
    (
        "UPDATE m_record SET state = 2 WHERE id = 'gone'; INSERT INTO m_alias (alias, record, seq) SELECT g.record, o.record, 1 FROM m_record g, m_record o WHERE g.id = 'gone' AND o.id = 'other'",
        "alias a/gone: the record that it is now is of another collection",
    ),
    (
        "UPDATE m_record SET state = 2, data = NULL WHERE id IN ('gone', 'new');
         INSERT INTO m_alias (alias, record, seq) SELECT g.record, n.record, 1 FROM m_record g, m_record n WHERE g.id = 'new' AND n.id = 'gone';
         INSERT INTO m_alias (alias, record, seq) SELECT g.record, n.record, 1 FROM m_record g, m_record n WHERE g.id = 'gone' AND n.id = 'same'",
        "alias a/new: the record that it is now is an alias itself",
    ),
    (
        "UPDATE m_record SET state = 2 WHERE id = 'gone'; INSERT INTO m_alias (alias, record, seq) SELECT g.record, o.record, 1 FROM m_record g, m_record o WHERE g.id = 'gone' AND o.id = 'same'",
        "alias a/gone: a remote has it, and should have the record that it is now",
    ),
    ("DROP INDEX m_record_gone", "schema index m_record_gone: it is not there"),
    ("DROP INDEX m_link_behind; CREATE INDEX m_link_behind ON m_link (replica)", "schema index m_link_behind: it has another form"),
    ("ALTER TABLE m_run ADD COLUMN more TEXT", "schema table m_run: it has another form"),
    ("UPDATE m_link SET record = 99 WHERE link = 1", "pointer m_link row 1: it points at a row of m_record that is not there"),
    ("DELETE FROM m_collection WHERE name = 'b'", "pointer m_record row 5: it points at a row of m_collection that is not there"),
    ("DELETE FROM m_store", "store m_store: the row that says which store this is is not there"),
    ("UPDATE m_store SET ledger_looked = 99", "store m_store: a horizon lies beyond the highest seq"),
    ("UPDATE m_collection SET ledger_horizon = 99 WHERE name = 'b'", "store b: the horizon of its history lies beyond the highest seq"),
    ("UPDATE m_collection SET horizon = 5 WHERE name = 'b'", "store b: it threw away up to seq 5, and the whole store up to 0"),
    ("UPDATE m_store SET stopped = 'yes'", "store m_store: the mark of a stop does not read"),
    ("DROP VIEW a", "published a: the view that apps read is not there"),
    ("UPDATE m_record SET data = NULL WHERE id = 'new'", "record a/new: it is there, and has no data"),
    ("UPDATE m_record SET data = '{' WHERE id = 'new'", "record a/new: its data is no JSON object"),
    ("UPDATE m_record SET data = '[]' WHERE id = 'new'", "record a/new: its data is no JSON object"),
    ("UPDATE m_record SET data = '{}' WHERE id = 'gone'", "record a/gone: it is deleted, and still has data"),
    ("UPDATE m_record SET state = 7 WHERE id = 'new'", "record a/new: nothing is in state 7"),
    ("UPDATE m_record SET id = '' WHERE id = 'new'", "record a/: its id is none that a record may have"),
    ("UPDATE m_record SET created = 99 WHERE id = 'new'", "seq a/new: made at 4, last made at 99, changed at 4: these must rise"),
    ("UPDATE m_record SET seq = 99 WHERE id = 'new'", "seq a/new: its seq 99 is beyond the highest ever given, 7"),
    ("UPDATE m_record SET seq = 99 WHERE id = 'new'", "seq a/new: its last change (seq 99) has no row in the ledger"),
    ("UPDATE m_record SET seq = 7 WHERE id = 'new'", "seq a/new: its seq 7 is that of another record"),
    ("UPDATE m_record SET seq = 2 WHERE id = 'own'", "seq a/own: the ledger has a change of it (seq 5) that it does not know of"),
    ("UPDATE m_ledger SET record = 99 WHERE seq = 3", "ledger m_ledger seq 3: it is about a record that is not there"),
    ("DELETE FROM m_ledger WHERE seq = 2", "ledger a/own: the row of its making (seq 2) is not there"),
    ("UPDATE m_ledger SET origin = 'me' WHERE seq = 5", "ledger a/own: who made the change of seq 5 does not read"),
    ("UPDATE m_ledger SET before = '{' WHERE seq = 5", "ledger a/own: what seq 5 changed does not read"),
    ("UPDATE m_ledger SET before = '{\"t\":1}' WHERE seq = 5", "ledger a/own: what seq 5 changed does not read"),
    ("UPDATE m_ledger SET before = NULL WHERE seq = 5", "ledger a/own: the row of seq 5 says that it was made then"),
    ("UPDATE m_ledger SET before = '{\"t\":[\"two\"]}' WHERE seq = 5", "ledger a/own: what seq 5 is said to have changed has that value"),
    ("UPDATE m_record SET data = '{\"t\":\"one\",\"n\":1}' WHERE id = 'own'", "ledger a/own: what seq 5 is said to have changed has that"),
    ("UPDATE m_link SET agreed = NULL WHERE link = 2", "link a/own at far: it has a copy of its own, and the copy is not there"),
    ("UPDATE m_link SET agreed = '7' WHERE link = 2", "link a/own at far: its agreed copy is no JSON object"),
    ("UPDATE m_link SET agreed = '{}' WHERE link = 1", "link a/same at far: it keeps an agreed copy that nothing"),
    ("UPDATE m_link SET base = 9 WHERE link = 1", "link a/same at far: nothing is called base 9"),
    ("UPDATE m_link SET left_revs = 'x' WHERE link = 1", "link a/same at far: the revisions that it has left do not read"),
    ("UPDATE m_link SET pairs = '{\"t\":[[1]]}' WHERE link = 1", "link a/same at far: what the remote writes its own way does not read"),
    ("UPDATE m_link SET pairs = '{\"t\":[[1],[1,2]]}' WHERE link = 1", "link a/same at far: what the remote writes its own way does not"),
    ("UPDATE m_link SET confirmed = 99 WHERE link = 1", "link a/same at far: it is said to have seq 99, and the record is at 1"),
    ("UPDATE m_link SET born = 3 WHERE link = 1", "link a/same at far: made in listing 3, last shown by 1"),
    ("UPDATE m_link SET record = 5 WHERE link = 3", "link far: records of several collections have a link at one place"),
    ("UPDATE m_link SET sent = '[]' WHERE link = 2", "sent a/own at far: something was sent, and it is not said what"),
    ("UPDATE m_link SET sent = '{' WHERE link = 2", "sent a/own at far: what was sent and not answered does not read"),
    ("UPDATE m_link SET sent = '[{\"seq\":99,\"what\":\"delete\"}]' WHERE link = 2", "sent a/own at far: what was sent is of a seq"),
    ("UPDATE m_link SET sent = '[{\"seq\":1,\"what\":\"eat\"}]' WHERE link = 2", "sent a/own at far: what was sent and not answered does"),
    ("UPDATE m_link SET remote_id = NULL WHERE link = 1", "remote_id a/same at far: the remote is said to have it, and its id"),
    ("UPDATE m_former SET link = 99", "pointer m_former row 1: it points at a row of m_link that is not there"),
    ("UPDATE m_former SET replica = 2", "remote_id near was: a former id of a link at another remote"),
    ("UPDATE m_former SET remote_id = 'r1'", "remote_id a/same: the id r1 is the one it has, and one that another record had once"),
    ("UPDATE m_conflict SET truth = '{'", "conflict c-1 of a/own: its value of truth is no JSON"),
    ("UPDATE m_conflict SET open = 0", "conflict c-1 of a/own: it is decided, and its verdict is \"open\""),
    ("UPDATE m_conflict SET verdict = 'luck', open = 0", "conflict c-1 of a/own: it is decided, and its verdict is \"luck\""),
    ("UPDATE m_conflict SET seq = 99", "conflict c-1 of a/own: it is of seq 99, which its record has not come to"),
    ("UPDATE m_conflict SET link = 99", "conflict c-1 of a/own: it is open, and what it freezes is not there"),
    ("UPDATE m_conflict SET link = 1", "conflict c-1 of a/own: it freezes a link of another record"),
    (
        "INSERT INTO m_conflict SELECT 2, 'c-2', record, link, replica, property, agreed, truth, theirs, verdict, open, loser_seq, seq, at
           FROM m_conflict",
        "conflict a/own: 2 conflicts are open over t at one remote",
    ),
    ("UPDATE m_rejection SET side = 'left' WHERE id = 'j-1'", "rejection j-1 of down: nothing is called side \"left\""),
    ("UPDATE m_rejection SET link = 99 WHERE id = 'j-1'", "rejection j-1 of down: it stands against a link that is not there"),
    ("UPDATE m_rejection SET record = 4 WHERE id = 'j-1'", "rejection j-1 of down: it stands against a link that is not there"),
    ("UPDATE m_rejection SET remote_id = NULL WHERE id = 'j-2'", "rejection j-2 of down: it says neither which record nor which row"),
    ("UPDATE m_rejection SET record = 99 WHERE id = 'j-2'", "rejection j-2 of down: it is about a record that is not there"),
    ("UPDATE m_sync SET watermark = 'x'", "checkpoint down: its position does not read"),
    ("UPDATE m_sync SET reset = '{}'", "checkpoint down: the reset that is under way does not read"),
    ("UPDATE m_sync SET epoch = NULL", "checkpoint down: it has a position, and it is not said in which history"),
    ("UPDATE m_defined SET definition = 'x'", "definition asked: it does not read"),
    ("UPDATE m_defined SET definition = '[]'", "definition asked: it does not read"),
    ("UPDATE m_defined SET generation = 0", "definition asked: it was defined 0 times"),
    ("INSERT INTO m_budget (account, known, at) VALUES ('x', '[1', 1)", "budget x: what is known of it does not read"),
    ("UPDATE m_answer SET name = x'00'", "answer down: an answer that is kept for it cannot be one"),
    ("UPDATE m_answer SET body = zeroblob(65537)", "answer down: an answer that is kept for it cannot be one"),
    (
        "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n LIMIT 256)
           INSERT INTO m_answer (sync, name, validator, head, body, at) SELECT 's' || n, zeroblob(32), 'v', '', x'', 1 FROM n",
        "answer all: 257 answers are kept, and there is room for 256",
    ),
    ("UPDATE m_sync SET fresh = -1", "checkpoint down: how fresh it is does not read, or is said of no place"),
    ("UPDATE m_schedule SET anew = 99", "schedule down: it began anew after a run that is yet to come"),
    ("UPDATE m_schedule SET next = -1", "schedule down: a moment of it is no time"),
    ("UPDATE m_run SET wishes = 'hover' WHERE id = 'r-1'", "run r-1: what was wished of it does not read"),
    ("UPDATE m_sync SET creates = 'some'", "checkpoint down: nothing is called creates \"some\""),
    ("UPDATE m_sync SET up_scanned = 99", "checkpoint down: it has looked at records up to seq 99, and the highest is 7"),
    ("UPDATE m_run SET bytes_up = bytes + 1, requests = 1, not_modified = 0 WHERE id = 'r-1'", "run down r-1: what it asked of its remote does not add up"),
    ("UPDATE m_run SET bytes_up = 0, requests = 1, not_modified = 2 WHERE id = 'r-1'", "run down r-1: what it asked of its remote does not add up"),
    ("INSERT INTO m_shown (name, about, at) VALUES ('overdue', 'down', -1)", "notification overdue down: it was shown at no time"),
    ("UPDATE m_run SET status = 'done' WHERE id = 'r-2'", "run down r-2: it is done, and not over"),
    ("UPDATE m_run SET status = 'lost' WHERE id = 'r-1'", "run down r-1: it is lost, and over"),
    ("UPDATE m_run SET status = 'running', ended = NULL", "run down: 2 runs of it are under way at once"),
    ("UPDATE m_copy SET scanned = 99 WHERE replica = -1", "copy keeper a: it was compared up to seq 99, and the highest is 7"),
    ("UPDATE m_copy SET scanned = -1 WHERE replica = -1", "copy keeper a: it was compared up to seq -1"),
    ("UPDATE m_copy SET owed = 7 WHERE replica = -1", "copy keeper a: it is in session 2, and owed 7"),
    ("UPDATE m_copy SET ended = 'odd' WHERE replica = -1", "copy keeper a: no session was of the mode None, with the end Some(\"odd\")"),
    ("UPDATE m_copy SET mode = 'odd' WHERE replica = -1", "copy keeper a: no session was of the mode Some(\"odd\"), with the end None"),
    ("UPDATE m_copy SET replica = 7 WHERE replica = -2", "copy other a: it lies at the place of a remote"),
    ("DELETE FROM m_copy WHERE replica = -2", "copy app:other: a place of an app that keeps no copy there"),
    ("UPDATE m_session SET state = 'asleep' WHERE session = 1", "session keeper s-1: no open session is \"asleep\""),
    ("UPDATE m_session SET state = 'finished' WHERE session = 1", "session keeper s-1: no open session is \"finished\""),
    ("UPDATE m_session SET mode = 'quick' WHERE session = 1", "session keeper s-1: no open session is \"pulling\", of the mode \"quick\""),
    ("UPDATE m_session SET replicas = 'x' WHERE session = 1", "session keeper s-1: of which collections it is does not read"),
    ("UPDATE m_session SET replicas = '[]' WHERE session = 1", "session keeper s-1: it is of no collection"),
    ("UPDATE m_session SET replicas = '[-2]' WHERE session = 1", "session keeper s-1: it is of the copy -2, which is not its app's"),
    ("UPDATE m_push SET data = '7' WHERE id = 'k8'", "session other s-2: what was pushed of k8 does not read"),
    ("UPDATE m_push SET what = 'put' WHERE id = 'k9'", "session other s-2: what was pushed of k9 does not read"),
    ("UPDATE m_push SET session = 1 WHERE id = 'k8'", "session keeper s-1: k8 waits to be mingled, and this session does not"),
    ("UPDATE m_push SET replica = -1 WHERE id = 'k8'", "session other s-2: k8 waits to be mingled, and this session does not"),
    ("UPDATE m_take SET form = '7'", "session keeper s-1: what was taken of link 4 does not read"),
    ("UPDATE m_take SET what = 'eat'", "session keeper s-1: what was taken of link 4 does not read"),
    ("UPDATE m_take SET link = 1", "session keeper s-1: link 1 waits for a commit, and this session does not show it"),
    ("UPDATE m_session SET state = 'pushing' WHERE session = 1", "session keeper s-1: link 4 waits for a commit, and this session does"),
    ("UPDATE m_op SET hash = x'00' WHERE rowid = 1", "op tester "),
    ("UPDATE m_op SET answer = 'w-1\nx' WHERE rowid = 1", "op tester "),
];

#[test]
fn each_kind_of_damage_is_named_with_its_remedy() {
    let room = tempfile::tempdir().unwrap();
    let path = room.path().join("store.db");
    healthy(file_of(&room)).close().unwrap();
    // As no writer of ours would: nothing is looked at on the way.
    let conn = Connection::open(&path).unwrap();
    conn.execute_batch("PRAGMA foreign_keys = off").unwrap();
    for (damage, expect) in DAMAGE {
        conn.execute_batch(&format!("BEGIN; {damage}")).unwrap_or_else(|why| panic!("{damage}: {why}"));
        let report = check(&conn).unwrap();
        conn.execute_batch("ROLLBACK").unwrap();
        let found = report.findings.iter().find(|one| format!("{} {}: {}", one.rule, one.about, one.what).starts_with(expect));
        let found = found.unwrap_or_else(|| panic!("{damage}\nshould say {expect}\nsaid {:#?}", told(&report)));
        assert!(!found.hint.is_empty(), "{damage}: {found:?}");
    }
    assert!(check(&conn).unwrap().is_clean());
    // Every rule but that of pages, which needs a file, has been broken.
    for (rule, _) in RULES.iter().filter(|(rule, _)| *rule != "file") {
        assert!(DAMAGE.iter().any(|(_, expect)| expect.split(' ').next() == Some(rule)), "{rule}");
    }
}

#[test]
fn many_of_one_kind_are_counted() {
    let store = memory();
    for n in 0..limits::FINDINGS_PER_RULE_MAX + 7 {
        seq(&store, put(&format!("r{n}"), "{}"));
    }
    sql(&store, "UPDATE m_record SET data = 'x'").unwrap();
    let report = report(&store);
    assert_eq!(report.findings.len() as u64, limits::FINDINGS_PER_RULE_MAX);
    assert_eq!(report.more, BTreeMap::from([("record", 7)]));
}

/// In a file: beside its writer, without one, with bytes that turned over, and where there is none.
#[test]
fn a_file_is_looked_at_beside_its_writer_and_without() {
    let room = tempfile::tempdir().unwrap();
    let path = room.path().join("store.db");
    assert_eq!(file(&path).unwrap(), None);
    let store = file_of(&room);
    for n in 0..500 {
        seq(&store, put(&format!("r{n}"), &format!("{{\"text\":\"{}\"}}", "x".repeat(200))));
    }
    let clean = file(&path).unwrap().unwrap();
    assert!(clean.is_clean() && clean.records == 500 && clean.seq == 500, "{clean:?}");
    store.close().unwrap();
    drop(store);
    assert_eq!(file(&path).unwrap(), Some(clean));
    let before = std::fs::read(&path).unwrap();
    // A page of the table in the middle of the file.
    let mut bytes = before.clone();
    let at = bytes.len() / 4_096 / 2 * 4_096;
    bytes[at..at + 64].fill(0xff);
    std::fs::write(&path, &bytes).unwrap();
    let damaged = file(&path).unwrap().unwrap();
    assert!(!damaged.is_clean() && damaged.findings.iter().all(|one| one.rule == "file"), "{damaged:?}");
    assert!(damaged.findings[0].hint.contains("mingle restore"));
    assert_eq!(std::fs::read(&path).unwrap(), bytes, "nothing was written");
    std::fs::write(&path, vec![7; 9_000]).unwrap();
    let foreign = file(&path).unwrap().unwrap();
    assert!(!foreign.is_clean(), "{foreign:?}");
}

/// The page for users has each rule, and no other.
#[test]
fn the_page_names_every_rule() {
    let page = include_str!("../../../docs/trouble.md");
    let (_, table) = page.split_once("| rule | what holds |\n|---|---|\n").expect("the table of rules");
    let told: String = table.lines().take_while(|line| line.starts_with('|')).filter_map(|line| line.split('|').nth(1)).collect();
    let told: Vec<&str> = told.split('`').skip(1).step_by(2).collect();
    let rules: Vec<&str> = RULES.iter().map(|(rule, _)| *rule).collect();
    assert_eq!(told, rules);
}
