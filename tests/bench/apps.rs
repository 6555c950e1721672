//! Owns: D4's crowd: what a thousand apps cost that are connected. Must never know: what a connection is made of.

use std::path::Path;

use rustix::process::{Resource, getrlimit, setrlimit};
use serde_json::json;

use crate::{
    line::Line,
    place::Daemon,
    process::{self, mb},
    table::Table,
};

const APPS: usize = 1_000;
const LISTENERS: usize = 100;

pub fn connected(program: &Path, table: &mut Table) -> anyhow::Result<()> {
    // A descriptor each, of ours.
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit)?;
    let daemon = Daemon::start(program, "[collection.notes]\n", None)?;
    let mut apps = Vec::new();
    for number in 0..APPS {
        let mut app = Line::open(&daemon.socket, Some(&format!("app{number}")))?;
        if number < LISTENERS {
            app.call("subscribe", &json!({ "collections": ["notes"], "data": true, "initial": false }))?;
        } else {
            app.call("sync.list", &json!({}))?;
        }
        apps.push(app);
    }
    // And each of them does something.
    for (number, app) in apps.iter_mut().enumerate().skip(LISTENERS) {
        let put = json!({ "collection": "notes", "id": format!("n{number}"), "data": { "text": "t".repeat(400) } });
        app.call("put", &put)?;
    }
    let share = mb(process::share_bytes(daemon.pid())?)?;
    table.row(json!({ "figure": "D4", "apps": APPS, "subscriptions": LISTENERS, "share_mb": share }));
    let what = "memory (PSS) with 1,000 connected apps, 100 subscriptions";
    table.plain("D4", what, "-", &format!("{share:.1} MB"), "<= 64 MB", Some(share <= 64.0));
    Ok(())
}
