//! Owns: the laws: what a remote must do if its abilities promise it. Each says whether it had a say: one that finds no promise passes.
//! Must never know: which service it is.

use std::{collections::BTreeSet, time::Duration};

use mingle_core::{
    record::Props,
    replica::{Action, Answer, Asked, Cursor, Failure, From, Page, Precondition, Row, RowState},
};
use mingle_tests::{servers::free_port, wire};

use mingled::remotes::wrap;

use crate::bench::{Bench, Say, all, carry, delete, guard, held, now, props, stale, taken, there, update};

/// The coarsest stamps that a service here writes.
const GRAIN_MAX: Duration = Duration::from_secs(1);

const RECORD: &str = r#"{"name":"rust","since":2015}"#;
const OTHERS: &str = r#"{"name":"rust","since":2012}"#;

fn ids(rows: &[Row]) -> BTreeSet<&str> {
    rows.iter().map(|row| row.remote_id.as_str()).collect()
}

pub async fn greets_alike_twice(bench: Bench) -> Say {
    let first = bench.open().await.greet().await.unwrap_or_else(|error| panic!("{error}"));
    bench.put("a", RECORD);
    let second = bench.open().await.greet().await.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(first.instance, second.instance, "a record makes no new history");
    Say::Had
}

pub async fn lists_every_page(bench: Bench) -> Say {
    let names = ["a", "b", "c", "d", "e", "f", "g"];
    for name in names {
        bench.put(name, &format!(r#"{{"name":"{name}"}}"#));
    }
    let all_ids: Vec<String> = names.iter().map(|name| bench.id(name)).collect();
    let remote = bench.open().await;
    for page_rows in [1, 3, 7, 100] {
        let (rows, pages) = all(remote.as_ref(), &From::Start, page_rows).await;
        assert_eq!(ids(&rows).len(), 7, "{page_rows} rows a page");
        for (name, id) in names.iter().zip(&all_ids) {
            let row = rows.iter().find(|row| row.remote_id == *id).unwrap_or_else(|| panic!("{name} is not listed"));
            bench.holds(row, &format!(r#"{{"name":"{name}"}}"#));
        }
        assert!(pages.iter().all(|page| page.rows.len() <= page_rows));
        assert!(pages.iter().all(|page| page.total.is_none_or(|total| total == 7)));
    }
    Say::Had
}

pub async fn lists_nothing_where_nothing_is(bench: Bench) -> Say {
    let remote = bench.open().await;
    let (rows, _) = all(remote.as_ref(), &From::Start, 10).await;
    assert_eq!(rows, []);
    Say::Had
}

async fn token(remote: &dyn mingled::remotes::Remote) -> Option<From> {
    let (_, pages) = all(remote, &From::Start, 2).await;
    match remote.abilities().cursor {
        Cursor::Token => Some(From::Token(pages[0].token.clone().expect("a token"))),
        _ => {
            assert!(pages.iter().all(|page| page.token.is_none()), "a token that means nothing");
            None
        }
    }
}

pub async fn goes_on_from_a_token(bench: Bench) -> Say {
    for id in ["a", "b", "c"] {
        bench.put(id, RECORD);
    }
    let remote = bench.open().await;
    let Some(from) = token(remote.as_ref()).await else { return Say::Nothing };
    let (rows, pages) = all(remote.as_ref(), &from, 2).await;
    assert_eq!(rows, [], "nothing changed");
    assert_eq!(Some(&from), pages[0].token.clone().map(From::Token).as_ref(), "nothing changed, so the token stays");
    bench.put("b", OTHERS);
    bench.put("d", RECORD);
    bench.other.delete("c");
    if !bench.tells_changes {
        // All that it can tell is that something did: then it is listed whole.
        let error = remote.list(&from, None, 1).await.expect_err("something changed");
        assert_eq!(error.kind, Failure::CheckpointRefused);
        return Say::Had;
    }
    let (rows, pages) = all(remote.as_ref(), &from, 1).await;
    let found = |name: &str| rows.iter().find(|row| row.remote_id == bench.id(name));
    assert_eq!(found("a"), None, "a did not change");
    bench.holds(found("b").expect("b changed"), OTHERS);
    bench.holds(found("d").expect("d is new"), RECORD);
    assert_eq!(found("c").map(|row| row.state.clone()), remote.abilities().tombstones.then_some(RowState::Gone));
    let from = From::Token(pages[0].token.clone().expect("a token"));
    let (rows, _) = all(remote.as_ref(), &from, 2).await;
    assert_eq!(rows, [], "the first page's token covers what its listing showed");
    Say::Had
}

pub async fn goes_on_from_a_stamp(bench: Bench) -> Say {
    for name in ["a", "b", "c"] {
        bench.put(name, RECORD);
    }
    let remote = bench.open().await;
    let Cursor::Stamp { overlap } = remote.abilities().cursor else { return Say::Nothing };
    let (rows, _) = all(remote.as_ref(), &From::Start, 2).await;
    let newest = rows.iter().filter_map(|row| row.modified).max().expect("stamps");
    bench.put("b", OTHERS);
    bench.put("d", RECORD);
    for page_rows in [1, 2, 100] {
        for from in [newest, newest.minus(overlap)] {
            let (rows, _) = all(remote.as_ref(), &From::Stamp(from), page_rows).await;
            let last = |name: &str| rows.iter().rfind(|row| row.remote_id == bench.id(name));
            bench.holds(last("b").expect("b changed"), OTHERS);
            bench.holds(last("d").expect("d is new"), RECORD);
            assert!(
                rows.iter().any(|row| row.modified == Some(newest))
                    || from != newest
                    || last("c").is_none_or(|row| row.modified > Some(newest)),
                "the stamp itself is in it"
            );
            assert!(rows.iter().all(|row| row.modified.is_some_and(|at| at.plus(GRAIN_MAX) >= from)), "nothing older comes");
        }
    }
    Say::Had
}

pub async fn misses_nothing_that_moves_while_it_pages(bench: Bench) -> Say {
    let names = ["a", "b", "c", "d", "e", "f"];
    for name in names {
        bench.put(name, RECORD);
    }
    let remote = bench.open().await;
    let mut page = remote.list(&From::Start, None, 2).await.unwrap_or_else(|error| panic!("{error}"));
    let mut seen: BTreeSet<String> = page.rows.iter().map(|row| row.remote_id().to_owned()).collect();
    for moved in &names[..3] {
        let Some(next) = &page.next else { break };
        bench.put(moved, OTHERS);
        page = remote.list(&From::Start, Some(next), 2).await.unwrap_or_else(|error| panic!("{error}"));
        seen.extend(page.rows.iter().map(|row| row.remote_id().to_owned()));
    }
    while let Some(next) = &page.next {
        page = remote.list(&From::Start, Some(next), 2).await.unwrap_or_else(|error| panic!("{error}"));
        seen.extend(page.rows.iter().map(|row| row.remote_id().to_owned()));
    }
    assert_eq!(seen, names.iter().map(|name| bench.id(name)).collect());
    Say::Had
}

pub async fn refuses_a_token_that_it_never_gave(bench: Bench) -> Say {
    bench.put("a", RECORD);
    let remote = bench.open().await;
    let Some(From::Token(good)) = token(remote.as_ref()).await else { return Say::Nothing };
    // One from the future is one of another history.
    for bad in ["nonsense".to_owned(), good.replace(|one: char| one.is_ascii_digit(), "9")] {
        let error = remote.list(&From::Token(bad.clone()), None, 10).await.expect_err("a refusal");
        assert_eq!(error.kind, Failure::CheckpointRefused, "{bad}: {error}");
    }
    Say::Had
}

pub async fn gets_by_id(bench: Bench) -> Say {
    let remote = bench.open().await;
    assert_eq!(remote.get("a").await, Ok(Asked::Gone), "never there");
    bench.put("a", RECORD);
    bench.holds(&bench.there(remote.as_ref(), "a").await, RECORD);
    let gone = bench.id("a");
    bench.other.delete("a");
    assert_eq!(remote.get(&gone).await, Ok(Asked::Gone), "deleted");
    bench.put("a", OTHERS);
    bench.holds(&bench.there(remote.as_ref(), "a").await, OTHERS);
    for id in [".", "..", "../things", "a/b", "a?b=c", "a#b", "%61", "ä ö"] {
        let asked = remote.get(id).await;
        let there = matches!(&asked, Ok(Asked::There(row)) if !matches!(row.state, RowState::Unreadable(_)));
        assert!(!there, "{id} is no record, and no way out: {asked:?}");
        if !remote.abilities().deletes {
            continue;
        }
        let action = Action::Delete { remote_id: id.into(), unless_moved: Precondition::Revision("1".into()) };
        let answer = remote.send(&action).await;
        assert!(!matches!(answer, Answer::Taken(_)), "{id} is nothing to delete: {answer:?}");
        let refused = matches!(&answer, Answer::Refused(words) if words.contains("no name in an address"));
        assert_eq!(refused, [".", ".."].contains(&id), "a segment of dots never leaves: {id}: {answer:?}");
    }
    Say::Had
}

pub async fn creates_under_our_id_once(bench: Bench) -> Say {
    let remote = bench.open().await;
    if remote.abilities().client_ids.is_none() {
        let answer = bench.create(remote.as_ref(), Some("a"), RECORD).await;
        assert!(matches!(answer, Answer::Unsent(_)), "{answer:?}");
        bench.has(&[]);
        return Say::Nothing;
    }
    let id = bench.id("a");
    let row = taken(bench.create(remote.as_ref(), Some(&id), RECORD).await);
    assert_eq!(row.remote_id, id);
    bench.holds(&row, RECORD);
    bench.has(&[("a", RECORD)]);
    let present = stale(bench.create(remote.as_ref(), Some(&id), OTHERS).await);
    bench.holds(&present, RECORD);
    bench.has(&[("a", RECORD)]);
    bench.other.delete("a");
    bench.holds(&taken(bench.create(remote.as_ref(), Some(&id), OTHERS).await), OTHERS);
    bench.has(&[("a", OTHERS)]);
    Say::Had
}

pub async fn takes_every_id_it_promises_to_take(bench: Bench) -> Say {
    let remote = bench.open().await;
    let Some(rules) = remote.abilities().client_ids.clone() else { return Say::Nothing };
    let besides: String = rules.besides.chars().flat_map(|one| ['x', one]).collect();
    let fitted = |text: &str| {
        let text = if rules.lower_case { text.to_lowercase() } else { text.to_owned() };
        let text: String = text.chars().filter(|one| one.is_ascii_alphanumeric() || rules.besides.contains(*one)).collect();
        format!("{text:x<width$}", width = rules.min).chars().take(rules.max).collect::<String>()
    };
    let made = [
        fitted("0193d1e4-7a55-7c3e-8f1a-0242ac120002"),
        fitted(&format!("Zz9{besides}")),
        "a".repeat(rules.min),
        fitted(&"b".repeat(rules.max)),
    ];
    let made: BTreeSet<String> = made.into_iter().collect();
    for id in made {
        assert!(rules.takes(&id), "{id}");
        assert_eq!(taken(bench.create(remote.as_ref(), Some(&id), RECORD).await).remote_id, id);
        bench.holds(&there(remote.as_ref(), &id).await, RECORD);
    }
    Say::Had
}

pub async fn makes_what_is_asked_twice_under_a_key_once(bench: Bench) -> Say {
    let remote = bench.open().await;
    if remote.abilities().key_kept.is_none() {
        return Say::Nothing;
    }
    let action = |key: &str| Action::Create { remote_id: None, whole: props(&bench.fits(RECORD)), key: Some(key.into()) };
    let first = taken(carry(remote.as_ref(), &action("one")).await);
    assert_eq!(taken(carry(remote.as_ref(), &action("one")).await).remote_id, first.remote_id);
    bench.has(&[(&first.remote_id, RECORD)]);
    let other = taken(carry(remote.as_ref(), &action("two")).await);
    bench.has(&[(&first.remote_id, RECORD), (&other.remote_id, RECORD)]);
    Say::Had
}

/// A create that is taken, an update that is taken, one of what moved and a delete, in one go and in this order.
pub async fn settles_each_of_several_changes_by_itself(bench: Bench) -> Say {
    for name in ["a", "b", "c"] {
        bench.put(name, RECORD);
    }
    let remote = bench.open().await;
    let mut rows = Vec::new();
    for name in ["a", "b", "c"] {
        rows.push(bench.there(remote.as_ref(), name).await);
    }
    bench.put("b", OTHERS);
    let create = Action::Create { remote_id: None, whole: props(&bench.fits(RECORD)), key: None };
    let change = |row: &Row, text: &str| bench.change(remote.as_ref(), row, text);
    let mut actions = vec![create, change(&rows[0], OTHERS), change(&rows[1], r#"{"name":"lost"}"#)];
    if remote.abilities().deletes {
        let unless_moved = guard(remote.abilities(), &rows[2]);
        actions.push(Action::Delete { remote_id: rows[2].remote_id.clone(), unless_moved });
    }
    let answers = wrap::carry(remote.as_ref(), &actions).await;
    assert_eq!(answers.len(), actions.len());
    let mut answers = answers.into_iter();
    let made = taken(answers.next().expect("an answer"));
    bench.holds(&made, RECORD);
    bench.holds(&taken(answers.next().expect("an answer")), OTHERS);
    bench.holds(&stale(answers.next().expect("an answer")), OTHERS);
    let kept = match answers.next() {
        Some(answer) => {
            assert!(matches!(answer, Answer::Taken(_)), "{answer:?}");
            None
        }
        None => Some(("c", RECORD)),
    };
    let there: Vec<_> = [(made.remote_id.as_str(), RECORD), ("a", OTHERS), ("b", OTHERS)].into_iter().chain(kept).collect();
    bench.has(&there);
    Say::Had
}

pub async fn creates_under_its_own_id(bench: Bench) -> Say {
    let remote = bench.open().await;
    let first = taken(bench.create(remote.as_ref(), None, RECORD).await);
    let second = taken(bench.create(remote.as_ref(), None, RECORD).await);
    assert_ne!(first.remote_id, second.remote_id);
    bench.holds(&first, RECORD);
    bench.has(&[(&first.remote_id, RECORD), (&second.remote_id, RECORD)]);
    let (rows, _) = all(remote.as_ref(), &From::Start, 10).await;
    assert_eq!(ids(&rows), ids(&[first, second]));
    Say::Had
}

pub async fn updates_what_did_not_move(bench: Bench) -> Say {
    bench.put("a", RECORD);
    let remote = bench.open().await;
    let row = bench.there(remote.as_ref(), "a").await;
    let after = taken(bench.update(remote.as_ref(), &row, OTHERS).await);
    bench.holds(&after, OTHERS);
    bench.has(&[("a", OTHERS)]);
    assert_eq!(bench.there(remote.as_ref(), "a").await, after, "what the answer shows is what is there");
    bench.holds(&taken(bench.update(remote.as_ref(), &after, RECORD).await), RECORD);
    Say::Had
}

pub async fn clears_what_an_update_clears(bench: Bench) -> Say {
    bench.put("a", r#"{"name":"rust","old":1}"#);
    let remote = bench.open().await;
    let row = bench.there(remote.as_ref(), "a").await;
    bench.holds(&taken(bench.update(remote.as_ref(), &row, r#"{"name":"rust"}"#).await), r#"{"name":"rust"}"#);
    bench.holds(&bench.there(remote.as_ref(), "a").await, r#"{"name":"rust"}"#);
    Say::Had
}

pub async fn refuses_an_update_of_what_moved(bench: Bench) -> Say {
    bench.put("a", RECORD);
    let remote = bench.open().await;
    let row = bench.there(remote.as_ref(), "a").await;
    bench.put("a", OTHERS);
    let present = stale(bench.update(remote.as_ref(), &row, r#"{"name":"lost"}"#).await);
    bench.holds(&present, OTHERS);
    bench.has(&[("a", OTHERS)]);
    bench.holds(&taken(bench.update(remote.as_ref(), &present, RECORD).await), RECORD);
    Say::Had
}

pub async fn updates_nothing_that_is_gone(bench: Bench) -> Say {
    bench.put("a", RECORD);
    let remote = bench.open().await;
    let row = bench.there(remote.as_ref(), "a").await;
    bench.other.delete("a");
    assert_eq!(bench.update(remote.as_ref(), &row, OTHERS).await, Answer::Gone);
    bench.has(&[]);
    Say::Had
}

pub async fn deletes_what_did_not_move(bench: Bench) -> Say {
    bench.put("a", RECORD);
    let remote = bench.open().await;
    let row = bench.there(remote.as_ref(), "a").await;
    if !remote.abilities().deletes {
        let answer = delete(remote.as_ref(), &row).await;
        assert!(matches!(&answer, Answer::Refused(words) if words.contains("no way to delete")), "{answer:?}");
        bench.has(&[("a", RECORD)]);
        return Say::Nothing;
    }
    assert_eq!(delete(remote.as_ref(), &row).await, Answer::Taken(None));
    bench.has(&[]);
    assert_eq!(remote.get(&row.remote_id).await, Ok(Asked::Gone));
    Say::Had
}

pub async fn refuses_a_delete_of_what_moved(bench: Bench) -> Say {
    bench.put("a", RECORD);
    let remote = bench.open().await;
    let row = bench.there(remote.as_ref(), "a").await;
    bench.put("a", OTHERS);
    bench.holds(&stale(delete(remote.as_ref(), &row).await), OTHERS);
    bench.has(&[("a", OTHERS)]);
    Say::Had
}

pub async fn deletes_nothing_that_is_gone(bench: Bench) -> Say {
    bench.put("a", RECORD);
    let remote = bench.open().await;
    let row = bench.there(remote.as_ref(), "a").await;
    bench.other.delete("a");
    assert_eq!(delete(remote.as_ref(), &row).await, Answer::Gone);
    Say::Had
}

pub async fn shows_a_new_revision_for_each_change(bench: Bench) -> Say {
    let remote = bench.open().await;
    let mut seen = BTreeSet::new();
    for round in 0..5 {
        for id in ["a", "b"] {
            bench.put(id, &format!(r#"{{"round":{round}}}"#));
            let row = bench.there(remote.as_ref(), id).await;
            // A look may show one that listings do not have.
            assert!(row.revision.is_some() || !remote.abilities().strong_revision);
            assert!(row.revision.is_none_or(|revision| seen.insert((id, revision))), "a revision twice");
        }
    }
    if seen.is_empty() { Say::Nothing } else { Say::Had }
}

pub async fn shows_when_it_was_changed(bench: Bench) -> Say {
    bench.put("a", RECORD);
    let remote = bench.open().await;
    let row = bench.there(remote.as_ref(), "a").await;
    assert_eq!(row.modified.is_some(), bench.shows_when && remote.abilities().modified_grain.is_some());
    let Some(modified) = row.modified else { return Say::Nothing };
    let off = now().since(modified).max(modified.since(now()));
    assert!(off.as_secs() < 300, "{modified:?} is not about now");
    Say::Had
}

pub async fn keeps_values(bench: Bench) -> Say {
    let record = r#"{"text":"Ä \"quoted\" \\ line\nnext\t😀","empty":"","no":false,"list":[1,"two",[3],{"four":4}],"map":{"in":{"in":{}}},"~/":"odd","n":-12.5}"#;
    let remote = bench.open().await;
    let row = taken(bench.create(remote.as_ref(), None, record).await);
    bench.holds(&row, record);
    bench.has(&[(&row.remote_id, record)]);
    let after = taken(bench.update(remote.as_ref(), &row, &record.replace("two", "2")).await);
    bench.holds(&after, &record.replace("two", "2"));
    Say::Had
}

pub async fn keeps_what_is_its_own_to_itself(bench: Bench) -> Say {
    bench.put("a", RECORD);
    let remote = bench.open().await;
    let row = bench.there(remote.as_ref(), "a").await;
    let carried = &remote.abilities().carried;
    let own = ["id", "rev", "at", "gone", "last_modified", "deleted", "updated", "created", "collectionId"];
    let own: Vec<&str> = own.into_iter().filter(|name| !carried.has(name)).collect();
    assert!(own.contains(&"id") && own.iter().all(|name| !held(&row).contains_key(*name)), "{own:?}");
    let mut whole: Props = held(&row).clone();
    whole.retain(|name, _| bench.shows.contains(&name.as_str()));
    whole.extend(props(&bench.fits(OTHERS)));
    whole.extend(own.iter().map(|name| ((*name).to_owned(), mingle_core::record::Value::Bool(true))));
    let after = taken(update(remote.as_ref(), &row, &mingled::json::write(&whole)).await);
    assert_eq!(after.remote_id, row.remote_id);
    bench.holds(&after, OTHERS);
    bench.has(&[("a", OTHERS)]);
    Say::Had
}

pub async fn says_that_a_resource_is_not_there(bench: Bench) -> Say {
    let remote = bench.open_wrong().await;
    let error = remote.greet().await.expect_err("a refusal");
    assert_eq!(error.kind, Failure::Denied, "{error}");
    assert!(
        error
            .hint
            .as_deref()
            .is_some_and(|hint| hint.contains("resource") || hint.contains("url") || hint.contains(&bench.wrong_resource)),
        "{error:?}"
    );
    let listed = remote.list(&From::Start, None, 10).await.map(|page: Page| page.rows.len());
    assert_eq!(listed.map_err(|error| error.kind), Err(Failure::Denied));
    let answer = bench.create(remote.as_ref(), None, RECORD).await;
    assert!(!matches!(answer, Answer::Taken(_) | Answer::Gone | Answer::Stale(_)), "{answer:?}");
    Say::Had
}

pub async fn says_that_credentials_are_missing(bench: Bench) -> Say {
    if !bench.asks_for_credentials {
        return Say::Nothing;
    }
    let mut settings = bench.settings.clone();
    settings.auth = bench.stranger.clone();
    let remote = bench.open_as(&settings, &bench.resource).await;
    for error in [
        remote.greet().await.expect_err("a refusal"),
        remote.list(&From::Start, None, 10).await.expect_err("a refusal"),
        remote.get("a").await.expect_err("a refusal"),
    ] {
        assert_eq!(error.kind, Failure::NeedsLogin, "{error}");
    }
    match bench.create(remote.as_ref(), None, RECORD).await {
        Answer::Unsent(error) => assert_eq!(error.kind, Failure::NeedsLogin, "{error}"),
        other => panic!("{other:?}"),
    }
    Say::Had
}

pub async fn says_that_it_is_another_kind_of_server(bench: Bench) -> Say {
    if !bench.tells_kinds_apart {
        return Say::Nothing;
    }
    let others = ["{\"hello\":\"world\"}", "{\"project_name\":\"other\",\"service\":\"other\"}", "[]", "<html>"];
    for (status, said) in others.into_iter().map(|said| (200, said)).chain([(404, "{}")]) {
        let answer = wire::response(status, &[("content-type", "application/json")], said);
        let other = wire::serve(std::sync::Arc::new(move |_, line| line.send(&answer)));
        let mut wrong = bench.settings.clone();
        wrong.url.clone_from(&other.url);
        let error = bench.open_as(&wrong, &bench.resource).await.greet().await.expect_err("a refusal");
        assert_eq!(error.kind, Failure::Nonsense, "{said}: {error}");
        assert!(error.what.contains(&other.url) && error.what.contains("is not a") && error.hint.is_some(), "{said}: {error:?}");
    }
    Say::Had
}

pub async fn says_that_it_is_offline(bench: Bench) -> Say {
    let mut settings = bench.settings.clone();
    settings.url = format!("http://127.0.0.1:{}", free_port());
    let remote = bench.open_as(&settings, &bench.resource).await;
    let error = remote.greet().await.expect_err("nobody there");
    assert_eq!(error.kind, Failure::Offline, "{error}");
    match bench.create(remote.as_ref(), None, RECORD).await {
        Answer::Unsent(error) => assert_eq!(error.kind, Failure::Offline, "{error}"),
        other => panic!("{other:?}"),
    }
    Say::Had
}
