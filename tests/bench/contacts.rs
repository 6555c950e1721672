//! Owns: S3, S4, S5: address books of real servers, beside vdirsyncer, which keeps a folder in step with one, and beside curl, which
//! fetches the same and throws it away. Must never know: how the daemon asks, reads or stores.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context, bail};
use mingle_client::{
    blocking::Client,
    call::{History, Patch, Run, Settled, SyncRun, Wait},
};
use mingle_tests::{
    chance::Chance,
    proxy::Proxy,
    servers::{Dav, Vdirsyncer},
};
use serde_json::{json, value::to_raw_value};

use crate::{
    Asked,
    place::Daemon,
    process,
    rows::Rows,
    table::{Goal, Table, median},
};

const CARDS: usize = 5_000;
/// Of those: 1 %.
const SOME: usize = CARDS / 100;
/// Runs of nothing of ours in one round: the system counts the processor's time in hundredths of a second.
const IDLE_RUNS: usize = 20;
const SEED: u64 = 35;

/// What is measured of one server.
struct At {
    name: &'static str,
    start: fn() -> Dav,
    /// What of vdirsyncer's time 50 changes made here may take: most of it is the server's.
    sent: f64,
}

const SERVERS: [At; 2] =
    [At { name: "Radicale", start: Dav::radicale, sent: 0.75 }, At { name: "Xandikos", start: Dav::xandikos, sent: 0.95 }];

/// S3, S4 and S5.
pub fn measure(program: &Path, asked: &Asked, table: &mut Table) -> anyhow::Result<()> {
    SERVERS.iter().try_for_each(|at| at.measure(program, asked, table))
}

/// Seconds of the clock and of the processor.
#[derive(Clone, Copy, Debug)]
pub struct Took {
    pub wall: f64,
    pub own: f64,
}

/// What one round of all brought.
#[derive(Default)]
struct Rounds {
    first: Three,
    idle: Three,
    told: Three,
    sent: Three,
}

#[derive(Default)]
struct Three {
    vdirsyncer: Vec<Took>,
    curl: Vec<Took>,
    ours: Vec<Took>,
}

impl At {
    fn measure(&self, program: &Path, asked: &Asked, table: &mut Table) -> anyhow::Result<()> {
        let Self { name, .. } = self;
        let (server, mut chance) = ((self.start)(), Chance::new(SEED));
        let book = book(&server, CARDS)?;
        // Installed, and the server's own caches full, before anything is measured.
        let vdirsyncer = Vdirsyncer::beside(&server, &book, false);
        vdirsyncer.sync();
        let mut rounds = Rounds::default();
        for round in 0..asked.rounds {
            self.round(program, &server, &book, &vdirsyncer, &mut chance, &mut rounds)?;
            let last = |three: &Three| json!({ "vdirsyncer": told(&three.vdirsyncer), "curl": told(&three.curl), "ours": told(&three.ours) });
            let row = |figure: &str, what: &str, three: &Three| json!({ "figure": figure, "server": name, "what": what, "round": round, "wall_and_own_s": last(three) });
            table.row(row("S3", "first", &rounds.first));
            table.row(row("S4", "nothing changed", &rounds.idle));
            table.row(row("S5", "50 changed there", &rounds.told));
            table.row(row("S5", "50 changed here", &rounds.sent));
        }
        let Rounds { first, idle, told, sent } = rounds;
        let what = |rest: &str| format!("{name}: {rest}");
        let wall: fn(&Took) -> f64 = |took| took.wall;
        let own: fn(&Took) -> f64 = |took| took.own;
        let of = |all: &[Took], part: fn(&Took) -> f64| all.iter().map(part).collect::<Vec<f64>>();
        let mut figure = |figure, text: &str, anchor: &[Took], three: &Three, part, goal| {
            table.figure(figure, &what(text), " s", &of(anchor, part), &of(&three.ours, part), Goal::AtMost(goal));
        };
        figure("S3", "5,000 contacts, first sync, over vdirsyncer", &first.vdirsyncer, &first, wall, 0.4);
        figure("S3", "the same, own processor time", &first.vdirsyncer, &first, own, 0.15);
        figure("S3", "the same, over curl (one request for all)", &first.curl, &first, wall, 2.0);
        figure("S4", "nothing changed, over curl (sync-collection)", &idle.curl, &idle, wall, 1.2);
        figure("S4", "the same, own processor time, over vdirsyncer", &idle.vdirsyncer, &idle, own, 0.02);
        figure("S5", "50 changed there, over vdirsyncer", &told.vdirsyncer, &told, wall, 0.3);
        figure("S5", "50 changed here, over vdirsyncer", &sent.vdirsyncer, &sent, wall, self.sent);
        counted(program, &server, &book, name, table)
    }

    fn round(
        &self,
        program: &Path,
        server: &Dav,
        book: &str,
        vdirsyncer: &Vdirsyncer,
        chance: &mut Chance,
        rounds: &mut Rounds,
    ) -> anyhow::Result<()> {
        vdirsyncer.begin();
        rounds.first.vdirsyncer.push(in_step(vdirsyncer)?);
        if fs::read_dir(vdirsyncer.folder())?.count() != CARDS {
            bail!("vdirsyncer brought not everything");
        }
        rounds.first.curl.push(curl(server, book, &query())?.0);
        let daemon = beside(program, &server.url, book)?;
        let mut client = daemon.client("bench")?;
        rounds.first.ours.push(expect(&daemon, &mut client, (CARDS, 0))?);

        rounds.idle.vdirsyncer.push(in_step(vdirsyncer)?);
        let token = token(&curl(server, book, &changes(""))?.1)?;
        rounds.idle.curl.push(curl(server, book, &changes(&token))?.0);
        rounds.idle.ours.push(idle(&daemon, &mut client)?);

        // Whoever asks first may find the server's caches cold: in turns.
        for number in some(chance) {
            server.put(book, &name(number), &card(chance, number));
        }
        if rounds.told.ours.len().is_multiple_of(2) {
            rounds.told.vdirsyncer.push(in_step(vdirsyncer)?);
            rounds.told.ours.push(expect(&daemon, &mut client, (SOME, 0))?);
        } else {
            rounds.told.ours.push(expect(&daemon, &mut client, (SOME, 0))?);
            rounds.told.vdirsyncer.push(in_step(vdirsyncer)?);
        }

        for number in some(chance) {
            vdirsyncer.write(&name(number), &card(chance, number));
        }
        rounds.sent.vdirsyncer.push(in_step(vdirsyncer)?);
        expect(&daemon, &mut client, (SOME, 0))?;
        for number in some(chance) {
            let patch = to_raw_value(&json!({ "notes": { "k1": { "note": text(chance) } } }))?;
            let id = id(number);
            client.patch(Patch { collection: "contacts".into(), id, patch, ..Patch::default() })?;
        }
        rounds.sent.ours.push(expect(&daemon, &mut client, (0, SOME))?);
        Ok(())
    }
}

/// Beside the time of a sync of nothing: the requests that it makes, counted on their way, and the rows that it leaves in the store.
fn counted(program: &Path, server: &Dav, book: &str, name: &str, table: &mut Table) -> anyhow::Result<()> {
    let proxy = Proxy::before(&server.url);
    let daemon = beside(program, &proxy.url, book)?;
    let mut client = daemon.client("bench")?;
    expect(&daemon, &mut client, (CARDS, 0))?;
    expect(&daemon, &mut client, (0, 0))?;
    let _ = proxy.passed();
    let before = Rows::read(&daemon.store())?;
    for _ in 0..IDLE_RUNS {
        expect(&daemon, &mut client, (0, 0))?;
    }
    let requests = proxy.passed();
    let written = Rows::read(&daemon.store())?.since(&before);
    let asked = requests.iter().map(|one| one.method.as_str()).collect::<Vec<_>>();
    table.row(json!({ "figure": "S4", "server": name, "runs": IDLE_RUNS, "requests": asked, "rows_written": written }));
    let each = asked.len() as f64 / IDLE_RUNS as f64;
    let what = format!("{name}: requests of a sync of nothing, counted on their way, {IDLE_RUNS} runs");
    table.plain("S4", &what, "-", &format!("{each}"), "1", Some(asked.len() == IDLE_RUNS));
    // Each run has a row in the history: that is what a person reads.
    let rows: usize = written.iter().filter(|(table, _)| **table != *"m_run").map(|(_, count)| count).sum();
    let what = format!("{name}: rows that those wrote, without the row of each run in the history");
    table.plain("S4", &what, "-", &rows.to_string(), "0", Some(rows == 0));
    Ok(())
}

/// An address book of so many contacts at a server, which has looked at all of them once: the first time it makes notes of each.
pub fn book(server: &Dav, cards: usize) -> anyhow::Result<String> {
    let (book, mut chance) = (server.address_book("Friends"), Chance::new(SEED));
    server.fill(&book, (0..cards).map(|number| (name(number), card(&mut chance, number))));
    curl(server, &book, &changes(""))?;
    Ok(book)
}

/// A daemon with a sync `contacts` of it, that runs when it is told to.
pub fn beside(program: &Path, url: &str, book: &str) -> anyhow::Result<Daemon> {
    let configuration = format!(
        "[remote.home]\nkind = \"dav\"\nurl = \"{url}\"\n\
         auth = {{ type = \"basic\", username = \"{}\", password = {{ file = \"dav.secret\" }} }}\n\n\
         [sync.contacts]\ncollection = \"contacts\"\nremote = \"home\"\nresource = \"{book}\"\ndirection = \"both\"\n\
         on_start = false\non_change = false\n",
        Dav::ACCOUNT.0
    );
    Daemon::start_with(program, &configuration, None, |config| {
        let secret = config.join("dav.secret");
        // Where it cannot be written, the sync says so.
        let _ = fs::write(&secret, Dav::ACCOUNT.1);
        let _ = fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o600));
    })
}

/// Runs the sync; it must have brought and sent so many. Seconds from the call to the answer of `wait`.
pub fn expect(daemon: &Daemon, client: &mut Client, (down, up): (usize, usize)) -> anyhow::Result<Took> {
    let (before, began) = (process::ran(daemon.pid())?, Instant::now());
    let run = client.sync_run(SyncRun { sync: "contacts".into(), ..SyncRun::default() })?.run;
    let ended = client.wait(Wait { run: Some(run.clone()), timeout_ms: Some(600_000), ..Wait::default() })?;
    let took = Took { wall: began.elapsed().as_secs_f64(), own: process::ran(daemon.pid())? - before };
    let runs = client.history(History { sync: Some("contacts".into()), ..History::default() })?.runs;
    let row: &Run = runs.iter().find(|row| row.run == run).context("the run is not in the history")?;
    // What was sent may be listed once more, in the form that the server gave it.
    if ended.state != Settled::Done || (row.down != down as u64 && up == 0) || row.up != up as u64 {
        bail!("not {down} down and {up} up: {row:?}");
    }
    Ok(took)
}

/// Some runs of nothing: the median of their times, and the processor's time of one.
pub fn idle(daemon: &Daemon, client: &mut Client) -> anyhow::Result<Took> {
    let before = process::ran(daemon.pid())?;
    let walls: Vec<f64> = (0..IDLE_RUNS).map(|_| Ok(expect(daemon, client, (0, 0))?.wall)).collect::<anyhow::Result<_>>()?;
    Ok(Took { wall: median(&walls), own: (process::ran(daemon.pid())? - before) / IDLE_RUNS as f64 })
}

fn in_step(vdirsyncer: &Vdirsyncer) -> anyhow::Result<Took> {
    Ok(ended(&mut vdirsyncer.command(&["sync"]))?.0)
}

/// Fetches an answer to a REPORT.
fn curl(server: &Dav, book: &str, (depth, body): &(&str, String)) -> anyhow::Result<(Took, String)> {
    let ((account, password), url) = (Dav::ACCOUNT, format!("{}{book}", server.url));
    let mut curl = Command::new("curl");
    curl.args(["-sS", "--fail", "-X", "REPORT", "-u", &format!("{account}:{password}"), "-H", &format!("Depth: {depth}")]);
    curl.args(["-H", "Content-Type: application/xml; charset=utf-8", "--data-binary", body, &url]);
    ended(&mut curl)
}

/// Runs a program to its end: what it took, and what it said.
fn ended(command: &mut Command) -> anyhow::Result<(Took, String)> {
    let (before, began) = (process::ran_below()?, Instant::now());
    let out = command.stdin(Stdio::null()).output().with_context(|| format!("{command:?} does not start"))?;
    let took = Took { wall: began.elapsed().as_secs_f64(), own: process::ran_below()? - before };
    if !out.status.success() {
        bail!("{command:?}: {}", String::from_utf8_lossy(&out.stderr));
    }
    Ok((took, String::from_utf8_lossy(&out.stdout).into_owned()))
}

fn query() -> (&'static str, String) {
    let space = "urn:ietf:params:xml:ns:carddav";
    let body = format!(
        "<c:addressbook-query xmlns=\"DAV:\" xmlns:c=\"{space}\"><prop><getetag/><c:address-data/></prop><c:filter/></c:addressbook-query>"
    );
    ("1", body)
}

fn changes(token: &str) -> (&'static str, String) {
    let body = format!(
        "<sync-collection xmlns=\"DAV:\"><sync-token>{token}</sync-token><sync-level>1</sync-level><prop><getetag/></prop></sync-collection>"
    );
    ("0", body)
}

fn token(told: &str) -> anyhow::Result<String> {
    let after = told.rsplit_once("sync-token>").and_then(|(before, _)| before.rsplit_once("sync-token>")).map(|(_, token)| token);
    Ok(after.and_then(|token| token.split('<').next()).with_context(|| format!("no token in {told:.200}"))?.to_owned())
}

fn told(all: &[Took]) -> serde_json::Value {
    all.last().map_or(serde_json::Value::Null, |took| json!([took.wall, took.own]))
}

fn id(number: usize) -> String {
    format!("card-{number:06}")
}

fn name(number: usize) -> String {
    format!("{}.vcf", id(number))
}

/// Some of the cards, each once.
fn some(chance: &mut Chance) -> Vec<usize> {
    let mut numbers = std::collections::BTreeSet::new();
    while numbers.len() < SOME {
        numbers.insert(usize::try_from(chance.below(CARDS as u64)).unwrap_or_default());
    }
    numbers.into_iter().collect()
}

/// A contact of some 400 bytes.
fn card(chance: &mut Chance, number: usize) -> String {
    const FIRST: [&str; 8] = ["Ada", "Grace", "Jürgen", "María", "Noël", "Oksana", "Yuki", "Zoë"];
    const LAST: [&str; 8] = ["Abt", "Brandão", "Castle", "Dvořák", "Eide", "Fontaine", "Grün", "Hopper"];
    let mut pick = |all: [&'static str; 8]| all[usize::try_from(chance.below(8)).unwrap_or_default()];
    let (first, last) = (pick(FIRST), pick(LAST));
    let (phone, house) = (chance.below(10_000_000), 1 + chance.below(200));
    let note = text(chance);
    format!(
        "BEGIN:VCARD\r\nVERSION:3.0\r\nUID:{}\r\nFN:{first} {last}\r\nN:{last};{first};;;\r\nORG:Example {};Sales\r\n\
         EMAIL;TYPE=WORK:person{number}@example.com\r\nTEL;TYPE=CELL:+49 151 {phone:07}\r\n\
         ADR;TYPE=HOME:;;{house} Long Street;Springfield;;{number:05};Nowhere\r\nNOTE:{note}\r\nEND:VCARD\r\n",
        id(number),
        number % 97,
    )
}

/// Some words that were not there before.
fn text(chance: &mut Chance) -> String {
    const WORDS: [&str; 8] = ["met", "at", "the", "harbour", "on", "a", "rainy", "Tuesday"];
    let words: Vec<&str> = (0..18).map(|_| WORDS[usize::try_from(chance.below(8)).unwrap_or_default()]).collect();
    format!("{} {:016x}", words.join(" "), chance.number())
}
