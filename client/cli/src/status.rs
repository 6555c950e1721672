//! Owns: `mingle status`. Must never know: how a status comes about.

use std::time::Duration;

use jiff::Timestamp;
use mingle_client::call::{self, Conditions, DaemonState, Hold, StatusAnswer, SyncStatus};
use serde_json::json;

use crate::{
    at::At,
    clock,
    exit::{Exit, Failure},
    history,
    table::Table,
    tags,
    words::{bytes, count, plain, span, when},
};

/// Show the daemon, every sync, and what needs a person.
#[derive(Debug, clap::Args)]
pub struct Status {
    /// When each sync runs next, the soonest first, and what those wait for of which it cannot be said.
    #[arg(long)]
    next: bool,
    /// Only syncs with this tag.
    #[arg(long, value_name = "TAG")]
    tag: Option<String>,
}

impl Status {
    pub fn run(self, at: &mut At) -> Result<Exit, Failure> {
        at.with_any_version()?;
        let color = at.color();
        let words = if self.next { next } else { text };
        let Some(tag) = self.tag else {
            at.show(call::Status {}, |answer| paint(&words(answer, clock::now()), color))?;
            return Ok(Exit::Done);
        };
        let names = tags::tagged(at, &tag)?;
        let mut status = at.call(call::Status {})?;
        status.syncs.retain(|sync| names.contains(&sync.sync));
        if at.json {
            at.line(&json!(status).to_string())?;
        } else {
            at.text(&paint(&words(&status, clock::now()), color))?;
        }
        Ok(Exit::Done)
    }
}

fn text(status: &StatusAnswer, now: Timestamp) -> String {
    let mut text = format!("{}\n{}", daemon(status, now), conditions(&status.conditions));
    if status.syncs.is_empty() {
        text.push_str(&no_syncs(status));
    } else {
        text.push_str(&format!("\n{}", syncs(&status.syncs, now)));
    }
    if !status.attention.is_empty() {
        let mut table = Table::new(&["ATTENTION", "ABOUT", "SINCE", "WHAT TO DO"]);
        for one in &status.attention {
            table.row([one.name.clone(), one.about.clone(), when(&one.since_at, now), one.hint.clone()]);
        }
        text.push_str(&format!("\n{}", table.text()));
    }
    text
}

/// The runs to come: first those that are on, then by their time, then those that wait for something else.
fn next(status: &StatusAnswer, now: Timestamp) -> String {
    if status.syncs.is_empty() {
        return no_syncs(status);
    }
    let mut syncs: Vec<&SyncStatus> = status.syncs.iter().collect();
    // A time as text sorts as the time does.
    syncs.sort_by_key(|sync| (sync.run.is_none(), sync.next_at.is_none(), sync.next_at.as_deref(), sync.sync.as_str()));
    let mut table = Table::new(&["NEXT", "SYNC", "STATE", "WAITS FOR"]);
    for sync in syncs {
        let at = match (&sync.run, sync.next_at.as_deref()) {
            (Some(_), _) => "now".into(),
            (None, Some(at)) => when(at, now),
            (None, None) => "-".into(),
        };
        let waits = sync.hold.as_ref().filter(|_| sync.run.is_none()).map_or_else(String::new, |hold| self::hold(hold, now));
        table.row([at, sync.sync.clone(), sync.state.to_string(), waits]);
    }
    table.text()
}

fn daemon(status: &StatusAnswer, now: Timestamp) -> String {
    let up = span(Duration::from_millis(status.uptime_ms));
    // This command is connected as well, and nobody asks for that.
    let others = status.apps.iter().filter(|app| app.pid != Some(std::process::id()));
    let apps = count(others.count(), "app");
    let store = bytes(status.store.bytes.saturating_add(status.store.wal_bytes));
    let facts = plain(&format!("build {}, up {up}, store {store}, {apps} connected", status.build));
    let since = when(&status.since_at, now);
    let by = status.by.as_ref().map(|app| plain(&format!(", by {app}"))).unwrap_or_default();
    match status.state {
        DaemonState::Running => format!("mingled is running ({facts})"),
        DaemonState::Stopping => format!("mingled is stopping since {since}{by}: runs come to a safe point ({facts})"),
        DaemonState::Stopped => {
            let ends = if status.lease {
                "the stop ends with the connection that holds it"
            } else {
                "`mingle restart` accepts runs again"
            };
            format!("mingled has stopped all runs, since {since}{by} ({facts})\napps go on; {ends}")
        }
        DaemonState::Unknown => format!("mingled is in a state that this mingle does not know ({facts})"),
    }
}

/// How the machine is, in one line, and what of it is not known; nothing where nothing is.
fn conditions(conditions: &Conditions) -> String {
    let Conditions { online, metered, charging, battery_low, storage_low, idle, sleeps, disk_shut } = *conditions;
    let mut facts = Vec::new();
    let mut unknown = Vec::new();
    for (known, yes, no, name) in [
        (online, "online", "offline", "network"),
        (metered, "metered", "not metered", "metered"),
        (charging, "on external power", "on battery", "power"),
        (battery_low, "battery low", "battery not low", "battery"),
        (storage_low, "storage low", "storage not low", "storage"),
        (idle, "idle", "in use", "idle"),
    ] {
        match known {
            Some(known) => facts.push(if known { yes } else { no }),
            None => unknown.push(name),
        }
    }
    facts.extend(sleeps.then_some("about to sleep"));
    facts.extend(disk_shut.then_some("the disk takes no writes"));
    let known = (!facts.is_empty()).then(|| facts.join(", "));
    let unknown = (!unknown.is_empty() && known.is_some()).then(|| format!("not known: {}", unknown.join(", ")));
    let line = [known, unknown].into_iter().flatten().collect::<Vec<_>>().join("; ");
    if line.is_empty() { line } else { format!("the machine: {line}\n") }
}

/// Without syncs the next question is where they would come from.
pub fn no_syncs(status: &StatusAnswer) -> String {
    match &status.config {
        Some(config) if config.found => plain(&format!("no sync is defined in {}\n", config.path)),
        Some(config) => {
            let looked = if config.looked.is_empty() { config.path.clone() } else { config.looked.join(", ") };
            plain(&format!(
                "no sync is defined: there is no configuration at {looked}\n`mingle profile list` shows what can be synced\n"
            ))
        }
        None => "no sync is defined\n".into(),
    }
}

fn syncs(syncs: &[SyncStatus], now: Timestamp) -> String {
    let mut table = Table::new(&["SYNC", "STATE", "NEXT", "LAST", "PENDING", "CONFLICTS", "REJECTIONS"]);
    for sync in syncs {
        let state = match &sync.run {
            Some(run) => match run.total {
                Some(total) => format!("{} ({} {}/{total})", sync.state, run.phase, run.done),
                None => format!("{} ({} {})", sync.state, run.phase, run.done),
            },
            None => sync.state.to_string(),
        };
        table.row([
            sync.sync.clone(),
            state,
            sync.next_at.as_deref().map_or_else(|| "-".into(), |at| when(at, now)),
            sync.last.as_ref().map_or_else(|| "never".into(), |last| history::short(last, now)),
            sync.pending.to_string(),
            sync.conflicts.to_string(),
            sync.rejections.to_string(),
        ]);
        if let Some(hold) = sync.hold.as_ref().filter(|_| sync.run.is_none()) {
            table.remark(&self::hold(hold, now));
        }
        if let Some(why) = sync.last.as_ref().and_then(history::why) {
            table.remark(&format!("last: {why}"));
        }
    }
    table.text()
}

/// A hold in words: `battery_not_low: 14 %, needs 20 %`.
pub fn hold(hold: &Hold, now: Timestamp) -> String {
    let mut text = hold.name.clone();
    let facts = [hold.has.clone(), if hold.needs.is_empty() { String::new() } else { format!("needs {}", hold.needs) }];
    let facts: Vec<&str> = facts.iter().map(String::as_str).filter(|fact| !fact.is_empty()).collect();
    if !facts.is_empty() {
        text.push_str(&format!(": {}", facts.join(", ")));
    }
    if let Some(until) = &hold.until_at {
        text.push_str(&format!(" ({})", when(until, now)));
    }
    if let Some(hint) = &hold.hint {
        text.push_str(&format!("; {hint}"));
    }
    text
}

/// States that want to be seen get a colour; everything else stays as it is.
fn paint(text: &str, color: bool) -> String {
    if !color {
        return text.to_owned();
    }
    let mut painted = String::new();
    for line in text.lines() {
        let heading =
            line.split_whitespace().next().is_some_and(|word| word.chars().all(|c| c.is_ascii_uppercase()) && word.len() > 1);
        let mut words = line.split_whitespace();
        let code = match (words.next(), words.next()) {
            _ if heading => "1",
            (_, Some("blocked" | "disabled")) => "33",
            (_, Some("running")) => "32",
            _ => "",
        };
        if code.is_empty() {
            painted.push_str(line);
        } else {
            painted.push_str(&format!("\x1b[{code}m{line}\x1b[0m"));
        }
        painted.push('\n');
    }
    painted
}

#[cfg(test)]
mod tests {
    use mingle_client::call::{Attention, ConfigStatus, Progress, Run, RunStatus, ScheduleState, StoreStatus};

    use super::*;

    fn now() -> Timestamp {
        "2026-01-02T12:00:00Z".parse().expect("a time")
    }

    fn base() -> StatusAnswer {
        StatusAnswer {
            since_at: "2026-01-02T10:00:00Z".into(),
            build: "0.1.0".into(),
            uptime_ms: 10_800_000,
            store: StoreStatus { bytes: 4 << 20, wal_bytes: 0 },
            ..StatusAnswer::default()
        }
    }

    /// Every part is in the text, in this order.
    #[track_caller]
    fn check(status: &StatusAnswer, parts: &[&str]) {
        let text = text(status, now());
        let mut rest = text.as_str();
        for part in parts {
            let at = rest.find(part).unwrap_or_else(|| panic!("{part:?} is not in its place in\n{text}"));
            rest = &rest[at + part.len()..];
        }
    }

    #[test]
    fn the_daemon() {
        check(&base(), &["mingled is running (build 0.1.0, up 3 h, store 4.0 MiB, 0 apps connected)", "no sync is defined"]);
        let leased = StatusAnswer { state: DaemonState::Stopped, lease: true, by: Some("backup".into()), ..base() };
        check(&leased, &["by backup", "ends with the connection"]);
        let stopped = StatusAnswer { state: DaemonState::Stopped, by: Some("mingle".into()), ..base() };
        check(&stopped, &["stopped all runs, since 2 h ago, by mingle", "`mingle restart`"]);
        let config = ConfigStatus { path: "/c".into(), found: false, looked: vec!["/c/config.toml".into()] };
        check(&StatusAnswer { config: Some(config), ..base() }, &["no configuration at /c/config.toml", "mingle profile list"]);
    }

    #[test]
    fn syncs_and_attention() {
        let hold = Hold {
            name: "battery_not_low".into(),
            has: "14 %".into(),
            needs: "20 %".into(),
            hint: Some("plug it in".into()),
            ..Hold::default()
        };
        let last = Run { status: RunStatus::Done, ended_at: Some("2026-01-02T11:55:00Z".into()), up: 1, ..Run::default() };
        let blocked = SyncStatus {
            sync: "issues".into(),
            state: ScheduleState::Blocked,
            hold: Some(hold.clone()),
            next_at: Some("2026-01-02T12:03:00Z".into()),
            last: Some(last),
            pending: 1,
            conflicts: 2,
            rejections: 3,
            ..SyncStatus::default()
        };
        let progress = Progress { run: "r-1".into(), phase: "down".into(), done: 3, total: Some(10) };
        let running = SyncStatus {
            sync: "home".into(),
            state: ScheduleState::Running,
            hold: Some(hold),
            run: Some(progress),
            ..SyncStatus::default()
        };
        let attention = Attention {
            name: "conflict".into(),
            about: "issues".into(),
            since_at: "2026-01-02T11:00:00Z".into(),
            hint: "`mingle conflict list` shows it".into(),
        };
        let status = StatusAnswer { syncs: vec![blocked, running], attention: vec![attention], ..base() };
        check(
            &status,
            &[
                "SYNC",
                "issues  blocked",
                "in 3 min  done 5 min ago, 1 up  1        2          3\n",
                "  battery_not_low: 14 %, needs 20 %; plug it in\n",
                "home    running (down 3/10)  -         never",
                "\n\nATTENTION",
                "conflict   issues  60 min ago  `mingle conflict list` shows it",
            ],
        );
        assert_eq!(text(&status, now()).matches("battery_not_low").count(), 1, "what runs is not held");
    }

    #[test]
    fn the_next_runs_come_in_their_order() {
        let sync = |name: &str, next: Option<&str>| SyncStatus {
            sync: name.into(),
            next_at: next.map(str::to_owned),
            ..SyncStatus::default()
        };
        let held = Hold { name: "after".into(), has: "b goes first, and runs".into(), ..Hold::default() };
        let status = StatusAnswer {
            syncs: vec![
                SyncStatus { hold: Some(held), state: ScheduleState::Blocked, ..sync("a", None) },
                SyncStatus { run: Some(Progress::default()), state: ScheduleState::Running, ..sync("b", None) },
                sync("c", Some("2026-01-02T13:00:00.000Z")),
                sync("d", Some("2026-01-02T12:03:00.000Z")),
            ],
            ..base()
        };
        let text = next(&status, now());
        let rows: Vec<Vec<&str>> =
            text.lines().map(|line| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect()).collect();
        assert_eq!(
            rows,
            [
                vec!["NEXT", "SYNC", "STATE", "WAITS FOR"],
                vec!["now", "b", "running"],
                vec!["in 3 min", "d", "waiting"],
                vec!["in 60 min", "c", "waiting"],
                vec!["-", "a", "blocked", "after: b goes first, and runs"],
            ]
        );
        assert!(next(&base(), now()).contains("no sync is defined"));
    }

    #[test]
    fn color_is_only_where_it_is_wanted() {
        let text = "SYNC  STATE\nissues  blocked\nhome  waiting\n";
        assert_eq!(paint(text, false), text);
        assert_eq!(paint(text, true), "\x1b[1mSYNC  STATE\x1b[0m\n\x1b[33missues  blocked\x1b[0m\nhome  waiting\n");
    }
}
