//! Owns: what only PocketBase does, and what its profile must make of it.
//! Must never know: the engine.

use std::{sync::Arc, time::Duration};

use mingle_core::replica::{Answer, Asked, Failure, From};
use mingle_tests::servers::PocketBase;
use mingled::remotes::settings::{Auth, Secret};
use serde_json::json;

use crate::{
    bench::{self, Bench, all, held, props, taken},
    benches,
};

fn on_pocketbase<F: Future<Output = ()>>(law: fn(Bench, Arc<PocketBase>) -> F) {
    let server = PocketBase::shared();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(law(benches::pocketbase(), server));
}

#[test]
fn a_token_that_ran_out_never_looks_like_a_collection_that_was_emptied() {
    on_pocketbase(|mut bench, server| async move {
        // Open to everybody who is somebody: who is not gets an empty list and 404, with 200 and no word of a login.
        let path = format!("collections/{}", bench.resource);
        let rule = "@request.auth.id != ''";
        // Its cache of collections may not know yet of one that was made beside others.
        mingle_tests::wait::until("the collection to be opened", || {
            let opened = server.ask("PATCH", &path, Some(&json!({ "listRule": rule, "viewRule": rule })));
            (opened.status == 200).then_some(())
        });
        bench.put("a", r#"{"name":"rust"}"#);
        let id = bench.id("a");
        bench.settings.auth = Auth::Bearer { token: Secret::Plain("ran.out.long-ago".into()) };
        let remote = bench.open().await;
        // Nor may that cache know yet that it was opened.
        let shown = async { while remote.list(&From::Start, None, 10).await.is_err() {} };
        tokio::time::timeout(Duration::from_secs(30), shown).await.expect("the collection to be open");
        assert_eq!(all(remote.as_ref(), &From::Start, 10).await.0, [], "that is what it says");
        assert_eq!(remote.greet().await.expect_err("a refusal").kind, Failure::NeedsLogin);
        assert_eq!(remote.get(&id).await.expect_err("a refusal").kind, Failure::NeedsLogin);
    });
}

#[test]
fn a_collection_made_anew_is_another_history() {
    on_pocketbase(|bench, server| async move {
        let first = bench.open().await.greet().await.expect("a greeting");
        assert_eq!(server.ask("DELETE", &format!("collections/{}", bench.resource), None).status, 204);
        let again = server.ask("POST", "collections", Some(&json!({ "name": bench.resource, "type": "base" })));
        assert_eq!(again.status, 200, "{}", again.body);
        let second = bench.open().await.greet().await.expect("a greeting");
        assert_ne!(first.instance, second.instance);
    });
}

#[test]
fn typed_fields_come_back_in_their_own_form() {
    on_pocketbase(|mut bench, server| async move {
        bench.resource = server.collection(&json!([
            { "name": "title", "type": "text", "required": true },
            { "name": "count", "type": "number", "max": 10 },
            { "name": "done", "type": "bool" },
            { "name": "tags", "type": "select", "maxSelect": 3, "values": ["a", "b", "c"] },
        ]));
        let remote = bench.open().await;
        let row = taken(bench::create(remote.as_ref(), None, r#"{"title":"one"}"#).await);
        assert_eq!(held(&row), &props(r#"{"title":"one","count":0,"done":false,"tags":[]}"#));
        let after = taken(bench::update(remote.as_ref(), &row, r#"{"title":"two","count":3,"tags":["a"]}"#).await);
        assert_eq!(held(&after), &props(r#"{"title":"two","count":3,"done":false,"tags":["a"]}"#));
        for wrong in [r#"{"title":"three","count":11}"#, r#"{"count":1}"#] {
            let answer = bench::create(remote.as_ref(), None, wrong).await;
            assert!(matches!(&answer, Answer::Refused(words) if words.contains("Failed to create record")), "{answer:?}");
        }
        assert_eq!(remote.get(&row.remote_id).await, Ok(Asked::There(after)));
    });
}
