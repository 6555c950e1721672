//! Owns: changes that go in batches under a login that runs out: refused in part, refused for everybody. Must never know: how a batch is put.

use mingle_tests::{
    rest_server::{Options, Refuses},
    servers::Oidc,
    wait::until,
};
use serde_json::json;

use super::{MINGLE, judged_as, log_in};

#[test]
fn of_a_batch_that_is_refused_in_part_the_rest_goes_once_more_with_another_token() {
    let oidc = Oidc::start(3600);
    let (server, daemon) = judged_as(&oidc, MINGLE, &["far"], Options { batches: 8, ..Options::default() });
    log_in(&daemon, "far", "alice");
    let mut app = daemon.app("tester");
    app.sync("far", "done");
    for n in 0..8 {
        app.put("far", &format!("n{n}"), &json!({ "n": n }));
    }
    let _ = server.log();
    server.change(|is| is.batch_refuses = Refuses::After(3));
    let row = app.sync("far", "done");
    assert_eq!((&row["up"], server.rows("far").len()), (&json!(8), 8), "{row}");
    let batches = server.log().iter().filter(|line| line.starts_with("POST batch")).count();
    assert_eq!((batches, oidc.asked("refresh_token 200")), (2, 1));
    let row = app.sync("far", "done");
    assert_eq!((&row["result"], server.changes()), (&json!("no_new_data"), 8), "nothing went twice: {row}");
}

#[test]
fn a_service_that_refuses_every_token_in_its_own_way_costs_one_renewal() {
    let oidc = Oidc::start(3600);
    let (server, daemon) = judged_as(&oidc, MINGLE, &["far"], Options { batches: 2, ..Options::default() });
    log_in(&daemon, "far", "alice");
    let mut app = daemon.app("tester");
    app.sync("far", "done");
    for n in 0..24 {
        app.put("far", &format!("n{n:02}"), &json!({ "n": n }));
    }
    server.change(|is| is.batch_refuses = Refuses::Everybodys);
    let run = app.run("far");
    let state = app.ended(&run);
    let row = app.row("far", &run);
    assert!(state != "done" && row["error"]["name"] == "needs_login", "{row}");
    assert_eq!((oidc.asked("refresh_token 200"), server.rows("far").len()), (1, 0), "each batch renews for itself");
    server.change(|is| is.batch_refuses = Refuses::Nobodys);
    log_in(&daemon, "far", "alice");
    until("what was refused", || (server.rows("far").len() == 24).then_some(()));
}
