//! Owns: apps that keep their own copy, from outside: they push, mingle and pull through the socket, and end with what all others have.
//! Must never know: how the daemon keeps a session.

use mingle_client::{Options as AppOptions, blocking::Client, call};
use mingle_tests::{
    app::App,
    daemon::{Daemon, Home},
    wait::until,
};
use serde_json::{Value, json};

use crate::keeper::Keeper;

const CONFIG: &str = "[collection.notes]\n[collection.cards]\nmerge = { default = \"remote\", title = \"manual\" }\nidentity = [\"mail\"]\n\
    [app.reader]\ngrants = { notes = \"read\" }\n";

fn daemon() -> Daemon {
    Home::new(Some(CONFIG)).start()
}

/// Both have the same records, and have said so.
fn two(daemon: &Daemon, records: usize) -> (Keeper, Keeper) {
    let mut one = Keeper::new(daemon, "one");
    one.begin("slow");
    for n in 0..records {
        one.put(&format!("r{n}"), json!({ "a": 1, "b": 1, "n": n }));
    }
    assert_eq!(one.mingle()["changed"], records);
    assert_eq!(one.pull_and_finish(), 0);
    let mut other = Keeper::new(daemon, "other");
    other.begin("slow");
    other.mingle();
    assert_eq!(other.pull_and_finish(), records);
    other.same_as_truth();
    (one, other)
}

#[test]
fn edits_of_different_properties_end_at_both() {
    let daemon = daemon();
    let (mut one, mut other) = two(&daemon, 3);
    one.begin("fast");
    one.patch("r1", json!({ "a": 2 }));
    other.begin("fast");
    other.patch("r1", json!({ "b": 2 }));
    assert_eq!(one.mingle()["changed"], 1);
    assert_eq!(other.mingle()["changed"], 1);
    // The first has not pulled yet: what the second changed is there for it too.
    assert_eq!((one.pull_and_finish(), other.pull_and_finish()), (1, 1));
    for keeper in [&mut one, &mut other] {
        keeper.same_as_truth();
        assert_eq!(keeper.copy["r1"], json!({ "a": 2, "b": 2, "n": 1 }));
        assert_eq!(keeper.catch_up(), 0);
    }
    assert_eq!(one.app.must("conflict.list", json!({ "all": true }))["conflicts"], json!([]));
    // What others write directly is pulled, and what is pushed is there for all.
    one.app.patch("notes", "r0", &json!({ "n": 10 }));
    one.app.delete("notes", "r2");
    assert_eq!((one.catch_up(), other.catch_up()), (2, 2));
    one.same_as_truth();
    other.same_as_truth();
}

#[test]
fn one_property_edited_twice_is_a_conflict_and_the_truth_stands() {
    let daemon = daemon();
    let (mut one, mut other) = two(&daemon, 1);
    one.begin("fast");
    one.patch("r0", json!({ "a": "one" }));
    one.mingle();
    one.finish();
    other.begin("fast");
    other.patch("r0", json!({ "a": "other" }));
    let met = other.mingle();
    assert_eq!((&met["changed"], &met["conflicts"]), (&json!(0), &json!(1)));
    assert_eq!(other.pull_and_finish(), 1);
    other.same_as_truth();
    assert_eq!(other.copy["r0"]["a"], "one");
    let conflicts = one.app.must("conflict.list", json!({ "all": true }))["conflicts"].take();
    assert_eq!((&conflicts[0]["replica"], &conflicts[0]["theirs"]), (&json!("app:other"), &json!("other")), "{conflicts}");
}

#[test]
fn what_waits_for_a_decision_stays_as_each_has_it() {
    let daemon = daemon();
    let mut one = Keeper::of(&daemon, "one", "cards");
    one.begin("slow");
    one.put("c", json!({ "title": "x", "n": 1, "mail": "a@b" }));
    one.mingle();
    one.finish();
    one.app.patch("cards", "c", &json!({ "title": "truth" }));
    one.begin("fast");
    one.patch("c", json!({ "title": "mine" }));
    assert_eq!(one.mingle()["conflicts"], 1);
    assert_eq!(one.pull_and_finish(), 0);
    // Something else of it changes: it is shown, with the title as the app has it.
    one.app.patch("cards", "c", &json!({ "n": 2 }));
    assert_eq!(one.catch_up(), 1);
    assert_eq!(one.copy["c"], json!({ "title": "mine", "n": 2, "mail": "a@b" }));
    let open = one.app.must("conflict.list", json!({}))["conflicts"].take();
    one.app.must("conflict.resolve", json!({ "conflict": open[0]["conflict"], "keep": "truth" }));
    assert_eq!(one.catch_up(), 1);
    one.same_as_truth();
    assert_eq!(one.catch_up(), 0);
}

#[test]
fn an_edit_outlives_a_delete_on_either_side() {
    let daemon = daemon();
    let (mut one, mut other) = two(&daemon, 3);
    one.begin("fast");
    one.patch("r0", json!({ "a": 5 }));
    one.delete("r1");
    one.delete("r2");
    one.mingle();
    one.finish();
    other.begin("fast");
    other.delete("r0");
    other.patch("r1", json!({ "b": 6 }));
    let met = other.mingle();
    assert_eq!((&met["changed"], &met["conflicts"]), (&json!(1), &json!(2)), "{met}");
    assert_eq!(other.pull_and_finish(), 2);
    other.same_as_truth();
    assert_eq!(one.catch_up(), 1);
    one.same_as_truth();
    assert_eq!(one.copy.keys().collect::<Vec<_>>(), ["r0", "r1"]);
}

#[test]
fn without_its_anchor_an_app_pushes_everything_and_what_it_lacks_was_deleted() {
    let daemon = daemon();
    let (mut one, mut other) = two(&daemon, 60);
    one.anchor = Some("a-not-this".into());
    one.begin("slow");
    one.copy.remove("r7");
    one.copy.insert("new".into(), json!({ "a": 9 }));
    one.push_all();
    let met = one.mingle();
    assert_eq!((&met["changed"], &met["deleted"]), (&json!(2), &json!(1)));
    assert_eq!(one.pull_and_finish(), 0);
    assert_eq!(other.catch_up(), 2);
    other.same_as_truth();
    one.same_as_truth();
    // A copy that was emptied by some accident deletes nothing without a word.
    one.begin_as("slow", "slow");
    let refused = one.refused("guarded", "session.mingle", json!({}));
    assert!(refused["message"].as_str().is_some_and(|told| told.contains("60 of 60")), "{refused}");
    // Nor does it by an end without a word.
    one.refused("guarded", "session.finish", json!({}));
    one.call("session.cancel", json!({}));
    one.begin_as("slow", "slow");
    one.call("session.mingle", json!({ "accept_deletes": true }));
    one.copy.clear();
    one.pull_and_finish();
    one.same_as_truth();
    assert_eq!(other.catch_up(), 60);
    assert!(other.copy.is_empty());
}

#[test]
fn a_refresh_deletes_nothing_and_finds_records_by_their_identity() {
    let daemon = daemon();
    let mut one = Keeper::of(&daemon, "one", "cards");
    one.begin("slow");
    for mail in ["a@x", "b@x", "c@x"] {
        one.put(mail, json!({ "mail": mail, "n": 1 }));
    }
    one.mingle();
    one.finish();
    // Another app has one of them under an id of its own, with something that the truth lacks.
    let mut other = Keeper::of(&daemon, "other", "cards");
    other.begin_as("refresh", "refresh");
    other.put("7", json!({ "mail": "b@x", "phone": "1" }));
    assert_eq!(other.mingle()["changed"], 1);
    assert_eq!(other.pull_and_finish(), 3);
    assert_eq!(other.copy["7"], json!({ "mail": "b@x", "n": 1, "phone": "1" }));
    assert_eq!(other.app.all("cards").len(), 3);
    // It forgot what it had, and begins anew.
    other.copy.retain(|id, _| id == "7");
    other.begin_as("refresh", "refresh");
    other.push_all();
    let met = other.mingle();
    assert_eq!((&met["changed"], &met["deleted"]), (&json!(0), &json!(0)), "{met}");
    assert_eq!(other.pull_and_finish(), 2);
    assert_eq!(other.app.all("cards").len(), 3);
    assert_eq!(other.catch_up(), 0);
}

#[test]
fn one_side_takes_the_place_of_the_other() {
    let daemon = daemon();
    let (mut one, mut other) = two(&daemon, 4);
    // The truth takes the place of the copy; until that is done, nothing else is to be had.
    one.begin_as("pull_truth", "pull_truth");
    one.refused("wrong_state", "session.push", json!({ "changes": [] }));
    one.mingle();
    let shown = one.shown();
    assert_eq!(shown.len(), 4);
    one.copy.clear();
    one.take(&shown[0]);
    one.call("session.commit", json!({}));
    one.call("session.cancel", json!({}));
    one.anchor = None;
    one.begin_as("fast", "pull_truth");
    one.mingle();
    assert_eq!(one.pull_and_finish(), 4);
    one.same_as_truth();
    assert_eq!(one.catch_up(), 0);
    // The copy takes the place of the truth, also of what others wrote.
    other.app.patch("notes", "r0", &json!({ "a": "written" }));
    other.app.put("notes", "written", &json!({}));
    other.begin_as("push_truth", "push_truth");
    other.copy.remove("r3");
    other.push_all();
    let met = other.mingle();
    assert_eq!((&met["changed"], &met["deleted"], &met["conflicts"]), (&json!(3), &json!(2), &json!(0)), "{met}");
    assert_eq!(other.pull_and_finish(), 0);
    other.same_as_truth();
    one.catch_up();
    one.same_as_truth();
}

#[test]
fn an_app_keeps_records_in_a_form_and_under_ids_of_its_own() {
    let daemon = daemon();
    let mut writer = daemon.app("writer");
    writer.put("notes", "n", &json!({ "phone": "0123", "x": 1 }));
    writer.put("notes", "unwanted", &json!({ "x": 1 }));
    let mut one = Keeper::new(&daemon, "one");
    one.begin("slow");
    one.mingle();
    let shown = one.shown();
    let accepted =
        json!({ "collection": "notes", "id": "n", "seq": shown[0]["seq"], "new_id": "17", "data": { "phone": "01 23", "x": 1 } });
    one.call("session.accept", json!({ "records": [accepted] }));
    one.call("session.refuse", json!({ "records": [{ "collection": "notes", "id": "unwanted", "seq": shown[1]["seq"] }] }));
    one.finish();
    one.copy.insert("17".into(), json!({ "phone": "01 23", "x": 1 }));
    // Neither comes again, and its form is no edit: not when it is pushed, and not when something else of it is.
    assert_eq!(one.catch_up(), 0);
    one.begin("fast");
    one.push_all();
    assert_eq!(one.mingle()["changed"], 0);
    one.finish();
    one.begin("fast");
    one.patch("17", json!({ "x": 2 }));
    assert_eq!(one.mingle()["changed"], 1);
    one.finish();
    assert_eq!(writer.get("notes", "n").expect("there"), json!({ "phone": "0123", "x": 2 }));
    one.begin("fast");
    one.patch("17", json!({ "phone": "99" }));
    let met = one.mingle();
    assert_eq!((&met["changed"], &met["conflicts"]), (&json!(1), &json!(0)));
    one.finish();
    assert_eq!(writer.get("notes", "n").expect("there")["phone"], "99");
    // What was refused comes when it changes, and with a slow session.
    writer.patch("notes", "unwanted", &json!({ "x": 2 }));
    one.begin("fast");
    one.mingle();
    let shown = one.shown();
    assert_eq!((shown.len(), &shown[0]["id"]), (1, &json!("unwanted")));
    one.call("session.refuse", json!({ "records": [{ "collection": "notes", "id": "unwanted", "seq": shown[0]["seq"] }] }));
    one.finish();
    one.begin_as("slow", "slow");
    one.push_all();
    one.mingle();
    assert_eq!(one.pull_and_finish(), 1);
    // It loses one: while it pushes it is shown in this session, else in the next.
    one.begin("fast");
    one.call("session.lost", json!({ "collection": "notes", "id": "17", "again": true }));
    one.mingle();
    assert_eq!(one.pull_and_finish(), 1);
    one.begin("fast");
    one.mingle();
    one.call("session.lost", json!({ "collection": "notes", "id": "17", "again": true }));
    one.finish();
    assert_eq!(one.catch_up(), 1);
    assert_eq!(writer.all("notes").len(), 2);
}

/// An app that died before it heard of a commit goes on by the id that it was shown; one that heard goes by its own. Both mean the record.
#[test]
fn a_record_is_found_under_each_id_that_it_had_in_the_app() {
    let daemon = daemon();
    let mut writer = daemon.app("writer");
    writer.put("notes", "n", &json!({ "x": 1 }));
    let mut one = Keeper::new(&daemon, "one");
    one.begin("slow");
    one.mingle();
    let shown = one.shown();
    one.call(
        "session.accept",
        json!({ "records": [{ "collection": "notes", "id": "n", "seq": shown[0]["seq"], "new_id": "17" }] }),
    );
    one.call("session.commit", json!({}));
    one.call("session.cancel", json!({}));
    for (id, x) in [("n", 2), ("17", 3), ("n", 4)] {
        one.anchor = None;
        one.begin("slow");
        one.put(id, json!({ "x": x }));
        assert_eq!(one.mingle()["changed"], 1, "{id}");
        assert_eq!(one.pull_and_finish(), 0, "{id}");
        assert_eq!(writer.all("notes").len(), 1, "{id}");
        assert_eq!(writer.get("notes", "n").expect("there")["x"], x);
    }
    assert!(daemon.says(0, &["fsck"]).starts_with("good: "));
}

#[test]
fn a_session_ends_with_its_connection_and_goes_back_to_the_last_commit() {
    let mut daemon = daemon();
    let (mut one, mut other) = two(&daemon, 4);
    for n in 0..4 {
        other.app.patch("notes", &format!("r{n}"), &json!({ "a": 7 }));
    }
    // While it pushes: nothing of it was there.
    one.begin("fast");
    one.patch("r0", json!({ "b": 7 }));
    one.app = daemon.app("one");
    until("the session is gone", || one.app.ask("session.begin", &json!({ "collections": ["notes"] })).expect("an answer").ok());
    assert_eq!(other.app.get("notes", "r0").expect("there")["b"], 1);
    one.app = daemon.app("one");
    // While it pulls: what was pushed stays, and what was not committed is shown again.
    until("the session is gone", || {
        let params = json!({ "collections": ["notes"], "anchor": one.anchor });
        let begun = one.app.ask("session.begin", &params).expect("an answer").ok()?;
        one.session = begun["session"].as_str().expect("an id").to_owned();
        (begun["mode"] == "fast").then_some(())
    });
    one.patch("r0", json!({ "b": 7 }));
    one.mingle();
    let shown = one.shown();
    assert_eq!(shown.len(), 4);
    one.take(&shown[0]);
    let closed = one.call("session.commit", json!({}));
    one.anchor = closed["anchor"].as_str().map(str::to_owned);
    one.take(&shown[1]);
    daemon.kill();
    daemon.start();
    (one.app, other.app) = (daemon.app("one"), daemon.app("other"));
    assert_eq!(other.app.get("notes", "r0").expect("there")["b"], 7);
    assert_eq!(one.catch_up(), 3);
    one.same_as_truth();
    // A cancel does the same, in so many words; and one that mingled has done so.
    one.begin("fast");
    one.patch("r1", json!({ "b": 8 }));
    one.call("session.cancel", json!({}));
    assert_eq!(other.app.get("notes", "r1").expect("there")["b"], 1);
    one.begin("fast");
    one.patch("r1", json!({ "b": 8 }));
    one.mingle();
    one.call("session.cancel", json!({}));
    assert_eq!(other.app.get("notes", "r1").expect("there")["b"], 8);
    // To finish while it pushes is to mingle, and to pull nothing.
    one.begin("fast");
    one.patch("r2", json!({ "b": 9 }));
    one.finish();
    assert_eq!(other.app.get("notes", "r2").expect("there")["b"], 9);
    assert!(daemon.says(0, &["fsck"]).starts_with("good: "));
}

#[test]
fn wrong_calls_have_names_and_change_nothing() {
    let daemon = daemon();
    let (mut one, mut other) = two(&daemon, 1);
    one.refused("not_found", "session.push", json!({ "changes": [] }));
    one.app.refused("not_found", "session.begin", json!({ "collections": ["nots"] }));
    one.app.refused("invalid", "session.begin", json!({ "collections": [] }));
    one.app.refused("invalid", "session.begin", json!({ "collections": ["notes", "notes"] }));
    one.app.refused("invalid", "session.begin", json!({ "collections": ["notes"], "mode": "quick" }));
    daemon.app("reader").refused("denied", "session.begin", json!({ "collections": ["notes"] }));
    App::raw(&daemon.socket()).expect("a connection").refused("denied", "session.begin", json!({ "collections": ["notes"] }));
    one.begin("fast");
    daemon.app("one").refused("wrong_state", "session.begin", json!({ "collections": ["notes"] }));
    other.session = one.session.clone();
    other.refused("not_found", "session.mingle", json!({}));
    let hint = one.refused("wrong_state", "session.pull", json!({}))["data"]["hint"].clone();
    assert!(hint.as_str().is_some_and(|hint| hint.contains("session.mingle")), "{hint}");
    one.refused("wrong_state", "session.commit", json!({}));
    one.refused("wrong_state", "session.accept", json!({ "records": [] }));
    one.refused("wrong_state", "session.refuse", json!({ "records": [{ "collection": "notes", "id": "r0", "seq": 1 }] }));
    let push = |change: Value| json!({ "changes": [change] });
    one.refused("not_found", "session.push", push(json!({ "patch": { "collection": "notes", "id": "nobody", "patch": {} } })));
    one.refused("not_found", "session.push", push(json!({ "delete": { "collection": "notes", "id": "nobody" } })));
    one.refused("invalid", "session.push", push(json!({ "put": { "collection": "notes", "id": "", "data": {} } })));
    one.refused("invalid", "session.push", push(json!({ "put": { "collection": "notes", "id": "x", "data": [] } })));
    one.refused("invalid", "session.push", push(json!({ "put": { "collection": "cards", "id": "x", "data": {} } })));
    one.refused("not_found", "session.lost", json!({ "collection": "notes", "id": "nobody" }));
    // All of a push or nothing.
    let both = json!({ "changes": [{ "put": { "collection": "notes", "id": "half", "data": {} } },
        { "delete": { "collection": "notes", "id": "nobody" } }] });
    one.refused("not_found", "session.push", both);
    one.app.put("notes", "w", &json!({ "x": 1 }));
    one.app.put("notes", "v", &json!({ "x": 1 }));
    let met = one.mingle();
    assert_eq!(met["changed"], 0, "{met}");
    one.refused("wrong_state", "session.push", push(json!({ "put": { "collection": "notes", "id": "x", "data": {} } })));
    one.refused("wrong_state", "session.mingle", json!({}));
    one.refused("invalid", "session.pull", json!({ "cursor": "nonsense" }));
    let shown = one.shown();
    let accept = |seq: Value, id: &str, new_id: Option<&str>| {
        let mut record = json!({ "collection": "notes", "id": id, "seq": seq });
        if let Some(new_id) = new_id {
            record["new_id"] = json!(new_id);
        }
        json!({ "records": [record] })
    };
    let seq = shown[0]["seq"].clone();
    one.refused("stale", "session.accept", accept(json!(999_999), "w", None));
    one.refused("not_found", "session.accept", accept(seq.clone(), "nobody", None));
    one.refused("invalid", "session.accept", accept(seq.clone(), "w", Some("r0")));
    one.call("session.accept", accept(seq, "w", Some("same")));
    one.refused("invalid", "session.accept", accept(shown[1]["seq"].clone(), "v", Some("same")));
    one.finish();
    one.refused("not_found", "session.finish", json!({}));
    one.refused("not_found", "session.cancel", json!({}));
    assert_eq!(one.app.all("notes").len(), 3);
}

#[test]
fn who_may_not_write_any_more_is_denied_and_its_session_ends_with_its_connection() {
    let daemon = daemon();
    let (mut one, mut other) = two(&daemon, 2);
    one.begin("fast");
    one.patch("r0", json!({ "a": 7 }));
    let configure = |grant: &str| {
        daemon.configure(&format!("{CONFIG}[app.one]\ngrants = {{ notes = \"{grant}\" }}\n"));
        daemon.says(0, &["reload"]);
    };
    configure("read");
    let record = json!({ "collection": "notes", "id": "r0", "seq": 1 });
    until("it may only read", || {
        one.app.ask("put", &json!({ "collection": "notes", "id": "x", "data": {} })).expect("answered").err()
    });
    for (method, params) in [
        ("session.push", json!({ "changes": [] })),
        ("session.lost", json!({ "collection": "notes", "id": "r0" })),
        ("session.mingle", json!({})),
        ("session.pull", json!({})),
        ("session.accept", json!({ "records": [record] })),
        ("session.refuse", json!({ "records": [record] })),
        ("session.commit", json!({})),
        ("session.finish", json!({})),
        ("session.cancel", json!({})),
    ] {
        one.refused("denied", method, params);
    }
    configure("write");
    one.app = daemon.app("one");
    until("the session is gone", || {
        let params = json!({ "collections": ["notes"], "anchor": one.anchor });
        let begun = one.app.ask("session.begin", &params).expect("an answer").ok()?;
        one.session = begun["session"].as_str().expect("an id").to_owned();
        (begun["mode"] == "fast").then_some(())
    });
    assert_eq!(other.app.get("notes", "r0").expect("there")["a"], 1, "nothing of it was there");
    one.mingle();
    one.copy.insert("r0".into(), json!({ "a": 1, "b": 1, "n": 0 }));
    assert_eq!(one.pull_and_finish(), 0);
    one.same_as_truth();
}

/// In the Rust client a wrong order does not compile; this is the right one.
#[test]
fn the_typed_client_goes_through_a_session() {
    let daemon = daemon();
    daemon.app("writer").put("notes", "w", &json!({ "x": 1 }));
    let mut options = AppOptions::app("typed");
    options.socket = Some(daemon.socket());
    let mut client = Client::open(&options).expect("connected");
    let begin = |anchor| call::SessionBegin { collections: vec!["notes".into()], anchor, ..call::SessionBegin::default() };
    let mut session = client.session(begin(None)).expect("begun");
    assert_eq!(session.mode(), call::SessionMode::Slow);
    let data = serde_json::value::to_raw_value(&json!({ "x": 2 })).expect("JSON");
    let put = call::PushPut { collection: "notes".into(), id: "mine".into(), data };
    session.push(vec![call::Push::Put(put)]).expect("pushed");
    let (mut session, mingled) = session.mingle(false).map_err(|not| not.error).expect("mingled");
    assert_eq!(mingled.changed, 1);
    let page = session.pull(None, None).expect("pulled");
    assert_eq!(page.records.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(), ["w"]);
    session.accept(&page.records[0], None, None).expect("taken");
    assert_eq!(session.commit().expect("committed").taken, 1);
    let anchor = session.finish().expect("finished").anchor;
    let session = client.session(begin(Some(anchor))).expect("begun");
    assert_eq!(session.mode(), call::SessionMode::Fast);
    session.cancel().expect("cancelled");
}
