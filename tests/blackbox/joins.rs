//! Owns: sessions of several apps at once, from outside: an app invites others, who join, decline, are late or die; nobody is held up
//! beyond the deadline, and whoever takes part has everything at the end. Must never know: how the daemon waits.

use std::{sync::mpsc, time::Duration};

use mingle_client::{Options, keeper::Driver};
use mingle_tests::{
    app::App,
    daemon::{Daemon, Home},
    disk_copy::DiskCopy,
    wait::{LONG, Watch, until},
};
use serde_json::{Value, json};

use crate::keeper::Keeper;

const CONFIG: &str = "[collection.notes]\n[collection.cards]\n[app.reader]\ngrants = { notes = \"read\" }\n";
/// Longer than anything here takes: whoever waits for so long waits in vain.
const PATIENT: u64 = 60_000;
/// A deadline that is to be waited for.
const SHORT: u64 = 400;

fn daemon() -> Daemon {
    Home::new(Some(CONFIG)).start()
}

/// An app that asked to be alerted.
fn alerted(daemon: &Daemon, name: &str) -> App {
    let mut ears = daemon.app(name);
    ears.must("subscribe", json!({ "topics": ["invite", "session"] }));
    ears
}

fn event(ears: &mut App, topic: &str, fits: impl Fn(&Value) -> bool) -> Value {
    let heard = ears.hear(topic, |heard| heard["params"]["topic"] == topic && fits(&heard["params"]));
    heard["params"].clone()
}

/// Begins, and invites.
fn invites(keeper: &mut Keeper, join_ms: u64) -> Value {
    let begun =
        keeper.app.must("session.begin", json!({ "collections": ["notes"], "anchor": keeper.anchor, "join_ms": join_ms }));
    keeper.session = begun["session"].as_str().expect("an id").to_owned();
    begun
}

/// Takes part in the session of an invitation.
fn joins(keeper: &mut Keeper, session: &str) -> Value {
    let joined = keeper.app.must("session.join", json!({ "session": session, "anchor": keeper.anchor }));
    keeper.session = joined["session"].as_str().expect("an id").to_owned();
    joined
}

/// Makes a call elsewhere; its answer comes when it comes.
fn meanwhile(mut keeper: Keeper, method: &'static str) -> mpsc::Receiver<(Keeper, Value)> {
    let (sender, answer) = mpsc::channel();
    std::thread::spawn(move || {
        let value = keeper.call(method, json!({}));
        // Nobody may hear it any more.
        let _ = sender.send((keeper, value));
    });
    answer
}

/// Nothing comes of it as long as somebody is waited for.
fn waits<T>(answer: &mpsc::Receiver<T>) {
    assert!(answer.recv_timeout(Duration::from_millis(150)).is_err(), "it did not wait");
}

fn comes(answer: &mpsc::Receiver<(Keeper, Value)>) -> (Keeper, Value) {
    answer.recv_timeout(LONG).expect("an answer")
}

/// what each changed meets the truth before any of them pulls, so one session each is enough.
#[test]
fn those_who_join_push_together_and_then_pull_all_of_it() {
    let daemon = daemon();
    let mut ears = alerted(&daemon, "phone");
    let (mut cards, mut phone) = (Keeper::new(&daemon, "cards"), Keeper::new(&daemon, "phone"));
    let begun = invites(&mut cards, PATIENT);
    assert_eq!((&begun["state"], &begun["invited"]), (&json!("negotiating"), &json!(["phone"])), "{begun}");
    cards.refused("wrong_state", "session.push", json!({ "changes": [] }));
    cards.refused("wrong_state", "session.mingle", json!({}));
    let invitation = event(&mut ears, "invite", |_| true);
    assert_eq!((&invitation["app"], &invitation["collections"]), (&json!("cards"), &json!(["notes"])), "{invitation}");
    let session = cards.session.clone();
    assert_eq!(invitation["session"], session);
    let negotiated = meanwhile(cards, "session.join");
    waits(&negotiated);
    let joined = joins(&mut phone, &session);
    assert_eq!((&joined["state"], &joined["mode"]), (&json!("pushing"), &json!("slow")), "{joined}");
    assert_ne!(joined["session"], session);
    let (mut cards, joined) = comes(&negotiated);
    assert_eq!((&joined["state"], &joined["joined"]), (&json!("pushing"), &json!(["cards", "phone"])), "{joined}");
    cards.put("c", json!({ "of": "cards" }));
    let mingled = meanwhile(cards, "session.mingle");
    waits(&mingled);
    // It mingles only when the other has pushed too.
    phone.put("p", json!({ "of": "phone" }));
    assert_eq!(phone.mingle()["changed"], 1);
    let (mut cards, met) = comes(&mingled);
    assert_eq!(met["changed"], 1);
    assert_eq!((cards.pull_and_finish(), phone.pull_and_finish()), (1, 1));
    cards.same_as_truth();
    phone.same_as_truth();
    assert_eq!((cards.catch_up(), phone.catch_up()), (0, 0), "nothing is left");
    assert!(daemon.says(0, &["fsck"]).starts_with("good: "));
}

/// A slow or dead participant does not hold the others beyond the deadline.
#[test]
fn nobody_is_waited_for_beyond_the_deadline() {
    let daemon = daemon();
    let _ears = alerted(&daemon, "phone");
    // It does not answer.
    let mut cards = Keeper::new(&daemon, "cards");
    invites(&mut cards, SHORT);
    let session = cards.session.clone();
    let watch = Watch::start();
    let joined = cards.call("session.join", json!({}));
    assert_eq!(joined["joined"], json!(["cards"]));
    assert!(watch.elapsed() < LONG / 2);
    let mut phone = Keeper::new(&daemon, "phone");
    phone.app.refused("deadline", "session.join", json!({ "session": session }));
    cards.put("c", json!({ "n": 1 }));
    cards.mingle();
    cards.pull_and_finish();
    // It joins, and does not push: what it has is not lost, and meets the truth on its own.
    invites(&mut cards, SHORT);
    joins(&mut phone, &cards.session);
    cards.call("session.join", json!({}));
    phone.put("p", json!({ "n": 2 }));
    cards.patch("c", json!({ "n": 3 }));
    assert_eq!(cards.mingle()["changed"], 1);
    assert_eq!(cards.pull_and_finish(), 0);
    assert_eq!(phone.mingle()["changed"], 1);
    assert_eq!(phone.pull_and_finish(), 1);
    phone.same_as_truth();
    assert_eq!(cards.catch_up(), 1);
    cards.same_as_truth();
    // It joins and dies: its connection tells, and nobody waits for the deadline.
    invites(&mut cards, PATIENT);
    joins(&mut phone, &cards.session);
    cards.call("session.join", json!({}));
    phone.put("dead", json!({}));
    let mingled = meanwhile(cards, "session.mingle");
    waits(&mingled);
    drop(phone);
    let (mut cards, met) = comes(&mingled);
    assert_eq!(met["changed"], 0);
    assert_eq!(cards.pull_and_finish(), 0);
    assert_eq!(cards.app.get("notes", "dead"), None);
}

/// whoever was left behind at the deadline is waited for before the pull by who wants to; and only so long, and only while it is there.
#[test]
fn a_pull_waits_for_those_who_are_late() {
    let daemon = daemon();
    let _ears = alerted(&daemon, "phone");
    let (mut cards, mut phone) = (Keeper::new(&daemon, "cards"), Keeper::new(&daemon, "phone"));
    // Alone there is nobody to wait for.
    cards.begin("slow");
    cards.refused("wrong_state", "session.pull", json!({ "wait_ms": PATIENT }));
    cards.mingle();
    cards.refused("invalid", "session.pull", json!({ "wait_ms": PATIENT + 1 }));
    cards.call("session.pull", json!({ "wait_ms": PATIENT }));
    cards.finish();
    let late = |mut cards: Keeper, phone: &mut Keeper, id: &str| {
        invites(&mut cards, SHORT);
        joins(phone, &cards.session);
        cards.call("session.join", json!({}));
        phone.put(id, json!({ "of": "phone" }));
        // The deadline of the invitation is over.
        assert_eq!(cards.mingle()["changed"], 0);
        let short = cards.call("session.pull", json!({ "wait_ms": SHORT }));
        assert_eq!(short["records"], json!([]), "it is waited for only so long");
        let (sender, answer) = mpsc::channel();
        std::thread::spawn(move || {
            let value = cards.call("session.pull", json!({ "wait_ms": PATIENT }));
            let _ = sender.send((cards, value));
        });
        waits(&answer);
        answer
    };
    let answer = late(cards, &mut phone, "p");
    assert_eq!(phone.mingle()["changed"], 1);
    phone.pull_and_finish();
    let (mut cards, shown) = comes(&answer);
    assert_eq!(shown["records"][0]["id"], "p", "{shown}");
    assert_eq!(cards.pull_and_finish(), 1);
    cards.same_as_truth();
    // It dies, and is waited for no longer.
    let answer = late(cards, &mut phone, "dead");
    drop(phone);
    let (mut cards, shown) = comes(&answer);
    assert_eq!(shown["records"], json!([]), "{shown}");
    cards.finish();
    cards.same_as_truth();
}

#[test]
fn who_declines_is_not_waited_for_and_who_cannot_take_part_is_not_asked() {
    let daemon = daemon();
    let mut cards = Keeper::new(&daemon, "cards");
    // Nobody asked to be alerted: it goes on at once.
    assert_eq!(invites(&mut cards, PATIENT)["state"], "pushing");
    cards.refused("wrong_state", "session.join", json!({}));
    cards.finish();
    let _reader = alerted(&daemon, "reader");
    assert_eq!(invites(&mut cards, PATIENT)["state"], "pushing", "it may not write");
    cards.finish();
    let mut ears = alerted(&daemon, "phone");
    let mut other = daemon.app("other");
    invites(&mut cards, PATIENT);
    let session = event(&mut ears, "invite", |_| true)["session"].clone();
    let mut phone = daemon.app("phone");
    other.refused("not_found", "session.join", json!({ "session": session }));
    phone.refused("invalid", "session.join", json!({ "session": session, "collections": ["cards"] }));
    phone.refused("not_found", "session.join", json!({ "session": "s-nobody" }));
    let negotiated = meanwhile(cards, "session.join");
    let declined = phone.must("session.join", json!({ "session": session, "decline": true }));
    assert_eq!(declined["state"], "cancelled");
    let (mut cards, joined) = comes(&negotiated);
    assert_eq!(joined["joined"], json!(["cards"]));
    phone.refused("deadline", "session.join", json!({ "session": session }));
    cards.put("c", json!({}));
    cards.mingle();
    cards.pull_and_finish();
    // One that has a session of its own is not asked, and what makes no sense has its name.
    phone.must("session.begin", json!({ "collections": ["notes"] }));
    assert_eq!(invites(&mut cards, PATIENT)["state"], "pushing");
    cards.finish();
    for wrong in [0, 60_001] {
        cards.app.refused("invalid", "session.begin", json!({ "collections": ["notes"], "join_ms": wrong }));
    }
    App::raw(&daemon.socket()).expect("a connection").refused("denied", "subscribe", json!({ "topics": ["invite"] }));
}

/// Two drivers: one run of each is enough.
#[test]
fn the_driver_invites_and_joins() {
    let daemon = daemon();
    let mut ears = alerted(&daemon, "phone");
    let at = |name: &str| Options { socket: Some(daemon.socket()), reconnect_within: Some(LONG), ..Options::app(name) };
    let files = ["cards", "phone"].map(|name| daemon.dir().join(name));
    let mut phone = DiskCopy::open(&files[1], "notes");
    phone.put("p", &json!({ "of": "phone" }));
    let invites = Driver { join_ms: Some(PATIENT), ..Driver::new(at("cards"), &["notes"]) };
    let first = std::thread::spawn(move || {
        let mut cards = DiskCopy::open(&files[0], "notes");
        cards.put("c", &json!({ "of": "cards" }));
        (invites.run(&mut cards).expect("in step"), cards.all().len())
    });
    let session = event(&mut ears, "invite", |_| true)["session"].as_str().map(str::to_owned);
    let joins = Driver { invitation: session.clone(), ..Driver::new(at("phone"), &["notes"]) };
    assert_eq!((joins.run(&mut phone).expect("in step").stored, phone.all().len()), (1, 2));
    let (report, len) = first.join().expect("it ran");
    assert_eq!((report.sessions, report.stored, len), (1, 1, 2), "{report:?}");
    // An invitation that is over is none: it goes on alone.
    assert_eq!(joins.run(&mut phone).expect("in step").sessions, 1);
}

/// Ends while it waits: finish and cancel are allowed there too, and those who were invited go on without it.
#[test]
fn who_invited_may_end_while_it_waits() {
    let daemon = daemon();
    let _ears = alerted(&daemon, "phone");
    let (mut cards, mut phone) = (Keeper::new(&daemon, "cards"), Keeper::new(&daemon, "phone"));
    for end in ["session.cancel", "session.finish"] {
        invites(&mut cards, PATIENT);
        joins(&mut phone, &cards.session);
        phone.put("p", json!({ "by": end }));
        cards.call(end, json!({}));
        assert_eq!(phone.mingle()["changed"], 1, "{end}");
        phone.pull_and_finish();
    }
    phone.same_as_truth();
}

#[test]
fn observers_hear_of_sessions_that_begin_and_end() {
    let daemon = daemon();
    let mut ears = daemon.app("observer");
    ears.must("subscribe", json!({ "topics": ["session"] }));
    let mut reader = daemon.app("reader");
    reader.must("subscribe", json!({ "topics": ["session"] }));
    let mut cards = Keeper::new(&daemon, "cards");
    cards.begin("slow");
    let session = cards.session.clone();
    let of = |state: &'static str| {
        let session = session.clone();
        move |event: &Value| event["session"] == session && event["state"] == state
    };
    let begun = event(&mut ears, "session", of("pushing"));
    assert_eq!((&begun["app"], &begun["mode"], &begun["collections"]), (&json!("cards"), &json!("slow"), &json!(["notes"])));
    cards.mingle();
    event(&mut ears, "session", of("pulling"));
    cards.finish();
    event(&mut ears, "session", of("finished"));
    event(&mut reader, "session", of("finished"));
    // One that ends with its connection, and one of a collection that not everybody may see.
    let mut other = Keeper::of(&daemon, "other", "cards");
    other.begin("slow");
    let hidden = other.session.clone();
    drop(other);
    event(&mut ears, "session", |event| event["session"] == hidden && event["state"] == "cancelled");
    until("the session is gone", || {
        let mut again = daemon.app("other");
        again.ask("session.begin", &json!({ "collections": ["cards"] })).expect("an answer").ok()
    });
    cards.begin("fast");
    let next = cards.session.clone();
    let heard = event(&mut reader, "session", |event| event["session"] != session);
    assert_eq!(heard["session"], next, "it heard of nothing else: {heard}");
}
