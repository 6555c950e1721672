//! Owns: what only Kinto does, and what its profile must make of it.
//! Must never know: the engine.

use mingle_core::replica::{Failure, From};
use mingle_tests::servers::Kinto;
use mingled::remotes::settings::Auth;

use crate::{
    bench::{self, Bench, all, plain, there},
    benches,
};

fn on_kinto<F: Future<Output = ()>>(law: fn(Bench, std::sync::Arc<Kinto>) -> F) {
    let kinto = Kinto::shared();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(law(benches::kinto(), kinto));
}

#[test]
fn a_collection_made_anew_is_another_history() {
    on_kinto(|bench, kinto| async move {
        let first = bench.open().await.greet().await.expect("a greeting");
        assert!(!first.instance.is_empty());
        let _ = kinto.ask("DELETE", &bench.resource, &[], None);
        kinto.make(&bench.resource);
        let second = bench.open().await.greet().await.expect("a greeting");
        assert_ne!(first.instance, second.instance);
    });
}

#[test]
fn who_may_read_the_records_alone_is_greeted() {
    on_kinto(|mut bench, kinto| async move {
        bench.other.put("a", &plain("{}"));
        // The records can be opened to others while the collection itself stays closed: by a group, or one by one.
        let open = r#"{"permissions":{"read":["system.Authenticated"]}}"#;
        let answer = kinto.ask("PATCH", &format!("{}/records/a", bench.resource), &[], Some(open));
        assert_eq!(answer.status, 200, "{}", answer.body);
        bench.settings.auth = bench::login(("somebody", "else"));
        let remote = bench.open().await;
        let greeting = remote.greet().await.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(greeting.instance, "", "the collection is not ours to read");
        assert_eq!(all(remote.as_ref(), &From::Start, 10).await.0.len(), 1);
    });
}

#[test]
fn a_record_that_changes_while_we_page_is_not_missed() {
    on_kinto(|bench, _| async move {
        for id in ["a", "b", "c", "d"] {
            bench.other.put(id, &plain(r#"{"n":1}"#));
        }
        let remote = bench.open().await;
        let first = remote.list(&From::Start, None, 2).await.expect("a page");
        bench.other.put("a", &plain(r#"{"n":2}"#));
        bench.other.delete("d");
        let mut next = first.next.clone();
        while let Some(page) = next {
            next = remote.list(&From::Start, Some(&page), 2).await.expect("a page").next;
        }
        let from = From::Token(first.token.expect("a token"));
        let (rows, _) = all(remote.as_ref(), &from, 10).await;
        let mut ids: Vec<&str> = rows.iter().map(|row| row.remote_id.as_str()).collect();
        ids.sort_unstable();
        assert_eq!(ids, ["a", "d"], "the first page's token has all that changed since");
        let row = there(remote.as_ref(), "a").await;
        assert_eq!(rows.iter().find(|row| row.remote_id == "a"), Some(&row));
    });
}

#[test]
fn whom_it_takes_us_for_is_told_where_it_denies() {
    on_kinto(|mut bench, kinto| async move {
        let right = bench.settings.auth.clone();
        bench.settings.auth = bench::login((Kinto::ACCOUNT.0, "not the password"));
        let error = bench.open().await.greet().await.expect_err("another account");
        assert_eq!(error.kind, Failure::Denied, "{error}");
        let hint = error.hint.expect("a hint");
        assert!(hint.contains("basicauth:") && hint.contains("password is wrong"), "{hint}");
        // A login of a sort that it does not know makes us nobody.
        bench.settings.auth = right;
        let Auth::Basic { password, .. } = bench.settings.auth.clone() else { panic!("a login by password") };
        bench.settings.auth = Auth::Bearer { token: password };
        let error = bench.open().await.greet().await.expect_err("nobody");
        assert_eq!(error.kind, Failure::NeedsLogin, "{error}");
        drop(kinto);
    });
}
