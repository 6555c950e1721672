//! Owns: what a person at a desktop is shown. Must never know: when something wants a person.

use mingle_tests::{
    bus::{Service, SystemBus},
    daemon::{Daemon, Home},
    rest_server::{Options, RestServer},
    wait::until,
};
use serde_json::json;

/// Two syncs with a service that does not let us in.
fn config(server: &RestServer, more: &str) -> String {
    let mut config =
        format!("[remote.far]\nkind = \"rest\"\nprofile = \"{}\"\nurl = \"{}\"\n\n", RestServer::PROFILE, server.url);
    for name in ["one", "two"] {
        config += &format!(
            "[sync.{name}]\ncollection = \"{name}\"\nremote = \"far\"\nresource = \"{name}\"\ndirection = \"both\"\non_start = false\non_change = false\n\n"
        );
    }
    config + more
}

fn desktop() -> SystemBus {
    let mut bus = SystemBus::start();
    bus.play(Service::Notifications, "{}");
    bus
}

fn barred(more: &str, bus: Option<&SystemBus>) -> (RestServer, Daemon) {
    let server = RestServer::start(Options { bearer: Some("other".into()), ..Options::default() }, &["one", "two"]);
    let mut home = Home::new(Some(&config(&server, more)));
    if let Some(bus) = bus {
        home.set("DBUS_SESSION_BUS_ADDRESS", bus.address());
    }
    server.write_profile(&home.config_dir());
    (server, home.start())
}

fn attention(daemon: &Daemon, name: &str) -> bool {
    let status = daemon.app("asker").must("status", json!({}));
    status["attention"].as_array().expect("a list").iter().any(|one| one["name"] == name)
}

#[test]
fn what_wants_a_person_is_shown_once_together_and_not_again_by_a_daemon_that_was_killed() {
    let bus = desktop();
    let (server, mut daemon) = barred("", Some(&bus));
    let mut app = daemon.app("tester");
    // One login: what one of them runs into holds both.
    app.sync("one", "failed");
    let shown = until("a notification", || Some(bus.shown()).filter(|shown| !shown.is_empty()));
    assert_eq!(shown.len(), 1, "{shown:?}");
    for word in ["mingle: 2 things want you", "one needs a login", "two needs a login", "`mingle status`"] {
        assert!(shown[0].contains(word), "{word}: {shown:?}");
    }
    let written = || {
        let store = rusqlite::Connection::open(daemon.store()).ok()?;
        store.query_row("SELECT count(*) FROM m_shown", (), |row| row.get::<_, u64>(0)).ok().filter(|count| *count == 2)
    };
    until("that to be written down", written);
    daemon.kill();
    daemon.start();
    daemon.app("tester").sync("one", "failed");
    assert!(attention(&daemon, "needs_login"), "it stands again");
    // Something else is new, and is shown alone.
    daemon.write("config.toml", &config(&server, "[nonsense]\n"));
    daemon.says(2, &["reload"]);
    let shown = until("another notification", || Some(bus.shown()).filter(|shown| shown.len() > 1));
    assert_eq!(shown.len(), 2, "{shown:?}");
    assert!(shown[1].contains("config.toml: config") && !shown[1].contains("login"), "{shown:?}");
}

#[test]
fn nothing_is_shown_where_that_is_not_wanted_and_all_that_stands_once_it_is() {
    let bus = desktop();
    let (server, daemon) = barred("[desktop]\nnotify = false\n", Some(&bus));
    let mut app = daemon.app("tester");
    app.sync("one", "failed");
    assert!(attention(&daemon, "needs_login"));
    // Two looks have passed by then: the second sync fails, and what was gathered with it is not shown either.
    mingle_tests::wait::pass(mingle_core::limits::SHOWN_GATHERS * 2);
    app.sync("two", "failed");
    assert_eq!(bus.shown(), Vec::<String>::new());
    daemon.write("config.toml", &config(&server, ""));
    let said = daemon.says(0, &["reload"]);
    assert!(said.contains("desktop"), "{said}");
    app.put("one", "x", &json!({}));
    let shown = until("what stands", || Some(bus.shown()).filter(|shown| !shown.is_empty()));
    assert!(shown.len() == 1 && shown[0].contains("one needs a login") && shown[0].contains("two needs a login"), "{shown:?}");
}

#[test]
fn a_desktop_that_comes_later_is_shown_what_stands_and_without_one_all_goes_on() {
    let mut bus = SystemBus::start();
    bus.end();
    let (_server, daemon) = barred("", Some(&bus));
    let mut app = daemon.app("tester");
    app.sync("one", "failed");
    assert!(attention(&daemon, "needs_login"));
    bus.begin();
    bus.play(Service::Notifications, "{}");
    app.sync("one", "failed");
    let shown = until("what stands", || Some(bus.shown()).filter(|shown| !shown.is_empty()));
    assert!(shown[0].contains("one needs a login"), "{shown:?}");
}
