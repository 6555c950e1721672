//! Owns: which sections and keys there are, and their defaults. Must never know: how they agree with each other.

use std::{collections::BTreeSet, time::Duration};

use mingle_core::{
    ask::Grant,
    limits::EVERY_MIN,
    policy::{Merge, OnDelete, Policy},
    run::reset::How,
    schedule::cron::Cron,
    time::Timestamp,
};
use toml::de::{DeTable, DeValue};

use super::{
    Backoff, CollectionDefinition, Config, DesktopConfig, Direction, OnChange, Problem, RemoteSettings, Repeat, Source,
    StatusConfig, StoreConfig, SyncDefinition, Synchronous, Timing, constraints, filter, identity, order,
    problem::did_you_mean,
    references,
    section::{Inner, Places, Section},
    source, words,
};
use crate::remotes::settings::{Auth, Secret};

/// As long as the answer to a write is kept for who repeats it: until then it has to be found what the write did.
const RETENTION_MIN: Duration = Duration::from_secs(24 * 3600);

/// What the files said so far, and what is wrong with it.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub config: Config,
    pub places: Places,
    pub problems: Vec<Problem>,
    /// `remote.NAME`, `collection.NAME` and so on of sections that stand there, however wrong: that they are not there is never said.
    pub seen: BTreeSet<String>,
    /// Syncs that do not say which network they need.
    pub any_network: BTreeSet<String>,
    /// A file could not be read: what it would have brought is not known.
    pub partial: bool,
}

const SECTIONS: [&str; 8] = ["store", "status", "conditions", "desktop", "remote", "sync", "collection", "app"];
const SECTIONS_LATER: [&str; 1] = ["blob"];
const SYNC_LATER: [&str; 3] = ["freshness", "mode", "deep"];
const COLLECTION_LATER: [&str; 1] = ["scope"];
const APP_LATER: [&str; 2] = ["filter", "alerts"];

/// The quiet time after a change, and its bound: short enough for a person who waits, long enough for an app that writes in turn.
pub const ON_CHANGE: OnChange = OnChange { after: Duration::from_secs(2), at_most: Duration::from_secs(30) };
/// What a failure costs where nothing else is said.
pub const BACKOFF: Backoff = Backoff { first: Duration::from_secs(30), at_most: Duration::from_secs(5 * 3600), doubles: true };
/// No warning earlier than this: a laptop that sleeps for a night is not broken.
pub const ALERT_AFTER_MIN: Duration = Duration::from_secs(86_400);

impl Draft {
    pub(super) fn read(&mut self, source: &Source) {
        let (table, errors) = DeTable::parse_recoverable(&source.text);
        // What was guessed behind a broken line would only bring complaints about the guess.
        let broken = !errors.is_empty();
        for error in errors {
            let line = error.span().map_or(0, |span| source.line_of(span.start));
            self.problems.push(source.problem(line, error.message().lines().collect::<Vec<_>>().join(", "), ""));
        }
        if broken {
            self.partial = true;
            return;
        }
        for (key, value) in table.get_ref() {
            let (name, line) = (key.get_ref().as_ref(), source.line_of(key.span().start));
            match (name, value.get_ref()) {
                ("store" | "status" | "conditions" | "desktop", DeValue::Table(table)) => self.single(source, name, line, table),
                ("remote" | "sync" | "collection" | "app", DeValue::Table(table)) => self.named(source, name, table),
                (name, _) if SECTIONS.contains(&name) => {
                    let example = if ["store", "status", "conditions", "desktop"].contains(&name) {
                        format!("[{name}]")
                    } else {
                        format!("[{name}.NAME]")
                    };
                    self.problems.push(source.problem(line, format!("`{name}` must be a table"), format!("write {example}")));
                }
                (name, _) if SECTIONS_LATER.contains(&name) => {
                    let hint = "take it out; a later version will know it";
                    self.problems.push(source.problem(line, format!("[{name}] is not built yet"), hint));
                }
                (name, _) => {
                    self.problems.push(source.problem(line, format!("unknown section `{name}`"), did_you_mean(name, SECTIONS)));
                }
            }
        }
    }

    fn named(&mut self, source: &Source, section: &str, table: &DeTable<'_>) {
        for (key, value) in table {
            let (name, line) = (key.get_ref().as_ref(), source.line_of(key.span().start));
            let whole = format!("{section}.{name}");
            self.seen.insert(whole.clone());
            let DeValue::Table(inside) = value.get_ref() else {
                let what = format!("`{whole}` must be a table");
                self.problems.push(source.problem(line, what, format!("write [{section}.NAME], then one key on each line")));
                continue;
            };
            let shape = if section == "app" { words::app_name(name) } else { words::name(name) };
            // What is wrong in it is told all the same.
            let named = shape.is_ok();
            if let Err(what) = shape {
                self.problems.push(source.problem(line, format!("[{whole}]: {what}"), ""));
            }
            let earlier = self.places.shown(&whole);
            if !earlier.is_empty() {
                let what = format!("[{whole}] is there already: {earlier}");
                self.problems.push(source.problem(line, what, "a section stands in one file, as a whole"));
                continue;
            }
            self.places.put(&whole, source, key.span());
            if let (true, Some(DeValue::String(collection))) =
                (section == "sync", inside.get("collection").map(toml::Spanned::get_ref))
            {
                self.seen.insert(format!("collection.{collection}"));
            }
            let mut read = Section::new(source, whole.clone(), inside, &mut self.places, &mut self.problems);
            let (config, name) = (&mut self.config, name.to_owned());
            match section {
                "remote" => {
                    if let Some(mut settings) = read.read_as::<RemoteSettings>(value) {
                        if let Auth::OAuth2(auth) = &mut settings.auth {
                            auth.settle(&name);
                            secret(&mut read, source, auth.client_secret.as_ref());
                        }
                        secret(&mut read, source, settings.auth.secret());
                        let placed = !settings.url.is_empty() || !settings.command.is_empty() || settings.app.is_some();
                        if !placed {
                            read.complain("", format!("[{whole}] has no `url`"), "");
                        }
                        if named && placed {
                            config.remotes.insert(name, settings);
                        }
                    }
                    read.close();
                }
                "sync" => {
                    if let Some((sync, says_network)) = sync(&mut read).filter(|_| named) {
                        if !says_network {
                            self.any_network.insert(name.clone());
                        }
                        config.syncs.insert(name, sync);
                    }
                    read.finish(&SYNC_LATER);
                }
                "collection" => {
                    let collection = collection(&mut read);
                    if named {
                        config.collections.insert(name, collection);
                    }
                    read.finish(&COLLECTION_LATER);
                }
                _ => {
                    if let Some(grants) = grants(&mut read).filter(|_| named) {
                        config.apps.insert(name, grants);
                    }
                    read.finish(&APP_LATER);
                }
            }
        }
    }

    /// A section that has no name of its own.
    fn single(&mut self, source: &Source, name: &str, line: usize, table: &DeTable<'_>) {
        let earlier = self.places.shown(name);
        if !earlier.is_empty() {
            let what = format!("[{name}] is there already: {earlier}");
            return self.problems.push(source.problem(line, what, "a section stands in one file, as a whole"));
        }
        self.places.put_line(name, source, line);
        let mut read = Section::new(source, name.into(), table, &mut self.places, &mut self.problems);
        if name == "status" {
            self.config.status = status(&mut read);
            return read.finish(&[]);
        }
        if name == "conditions" {
            self.config.conditions = constraints::given(&mut read);
            return read.finish(&[]);
        }
        if name == "desktop" {
            self.config.desktop = DesktopConfig { notify: read.flag("notify").unwrap_or(true) };
            return read.finish(&[]);
        }
        let path = read.text("path");
        if path.as_ref().is_some_and(|path| !path.starts_with('/') && !path.starts_with("~/")) {
            read.complain("path", "`store.path` must start with / or ~/", "");
        }
        let levels = [("full", Synchronous::Full), ("normal", Synchronous::Normal)];
        let synchronous = read.choice("synchronous", &levels).unwrap_or_default();
        self.config.store = StoreConfig { path, synchronous };
        read.finish(&[]);
    }
}

fn status(read: &mut Section<'_>) -> StatusConfig {
    let group = read.text("group").and_then(|name| match words::group(&name) {
        Ok(number) => Some(number),
        Err(what) => {
            read.complain("group", what, "`getent group` lists them; the number of a group will do too");
            None
        }
    });
    StatusConfig { group }
}

/// The definition, and whether it says which network it needs.
fn sync(read: &mut Section<'_>) -> Option<(SyncDefinition, bool)> {
    let collection = read.needed("collection", "name the collection whose records it keeps: collection = \"issues\"");
    if let Some(Err(what)) = collection.as_deref().map(words::name) {
        read.complain("collection", what, "");
    }
    let remote = read.needed("remote", "name a [remote.NAME] of this configuration");
    let resource = read.text("resource").unwrap_or_default();
    let directions = [("down", Direction::Down), ("up", Direction::Up), ("both", Direction::Both)];
    let direction = match read.needed("direction", "down, up or both") {
        Some(word) => read.chosen("direction", &word, &directions),
        None => None,
    };
    let remove_after_upload = read.flag("remove_after_upload").unwrap_or(false);
    if remove_after_upload && direction.is_some_and(|direction| direction != Direction::Up) {
        read.complain(
            "remove_after_upload",
            "`remove_after_upload` is for a sync that only sends: what it brings would be removed with the next edit",
            "direction = \"up\", or take it out",
        );
    }
    let reset = read.choice("reset", &How::ALL.map(|how| (how.word(), how))).unwrap_or_default();
    if reset == How::Discard && direction == Some(Direction::Up) {
        read.complain(
            "reset",
            "`reset = \"discard\"` is for a sync that brings: what is not sent would go, and nothing would come in its place",
            "direction = \"both\" or \"down\", or another reset: recover, recover_or_discard or manual",
        );
    }
    let (home, mirror) = (read.flag("home").unwrap_or(false), read.flag("mirror").unwrap_or(false));
    if home && direction.is_some_and(|direction| !direction.is_up()) {
        let what = "`home` is for a sync that sends: new records are made at its remote";
        read.complain("home", what, "direction = \"both\" or \"up\", or take it out");
    }
    let filter = filter::read(read);
    if !filter.tests.is_empty() && direction == Some(Direction::Up) {
        read.complain(
            "filter",
            "`filter` is for a sync that brings: this one only sends",
            "direction = \"both\" or \"down\", or take it out",
        );
    }
    let tags = order::tags(read);
    let (timing, says_network) = timing(read, (direction != Some(Direction::Up), direction.is_some_and(Direction::is_up)));
    let (collection, remote, direction) = (collection?, remote?, direction?);
    let sync = SyncDefinition {
        collection,
        remote,
        resource,
        direction,
        home,
        mirror,
        remove_after_upload,
        reset,
        filter,
        tags,
        timing,
    };
    Some((sync, says_network))
}

fn timing(read: &mut Section<'_>, (down, up): (bool, bool)) -> (Timing, bool) {
    let (needs, says_network) = constraints::read(read);
    let repeat = repeat(read);
    let timezone = timezone(read, matches!(repeat, Repeat::Cron { .. }) || needs.window.is_some());
    let on_start = read.flag("on_start").unwrap_or(false);
    let example = "on_change = { after = \"2s\", at_most = \"30s\" }, or false";
    let on_change = match read.inner("on_change", example) {
        Inner::Table(table) => Some(read.within("on_change", table, |inside| {
            let on_change = OnChange {
                after: inside.duration("after").unwrap_or(ON_CHANGE.after),
                at_most: inside.duration("at_most").unwrap_or(ON_CHANGE.at_most),
            };
            if on_change.after > on_change.at_most {
                inside.complain("after", "`after` is longer than `at_most`", example);
            }
            on_change
        })),
        Inner::Absent if up => Some(ON_CHANGE),
        _ => None,
    };
    let example = "backoff = { first = \"30s\", at_most = \"5h\", growth = \"exponential\" }";
    let backoff = match read.inner("backoff", example) {
        Inner::Table(table) => read.within("backoff", table, |inside| {
            let backoff = Backoff {
                first: inside.duration("first").unwrap_or(BACKOFF.first),
                at_most: inside.duration("at_most").unwrap_or(BACKOFF.at_most),
                doubles: inside.choice("growth", &[("exponential", true), ("linear", false)]).unwrap_or(true),
            };
            if backoff.first > backoff.at_most {
                inside.complain("first", "`first` is longer than `at_most`", example);
            }
            backoff
        }),
        Inner::False => {
            read.complain("backoff", "a failing sync cannot go without backoff", example);
            BACKOFF
        }
        Inner::Absent | Inner::Wrong => BACKOFF,
    };
    let usual = match &repeat {
        Repeat::Every { every, grows_to, .. } => grows_to.unwrap_or(*every).saturating_mul(3).max(ALERT_AFTER_MIN),
        Repeat::Cron { .. } | Repeat::Never => ALERT_AFTER_MIN,
    };
    let on_demand = order::demand(read, down);
    let initial_delay = order::initial_delay(read, on_start || on_demand || repeat != Repeat::Never);
    let timing = Timing {
        repeat,
        timezone,
        needs,
        initial_delay,
        after: order::after(read),
        priority: order::priority(read),
        on_start,
        on_demand,
        on_change,
        deadline: read.duration("deadline"),
        stall: read.duration("stall"),
        backoff,
        alert_after: read.duration("alert_after").unwrap_or(usual),
    };
    (timing, says_network)
}

/// `used`: something goes by it.
fn timezone(read: &mut Section<'_>, used: bool) -> Option<String> {
    let zone = read.text("timezone")?;
    if !used {
        let what = format!("`timezone` ({zone}) is for `cron` and `window`, of which neither is there");
        read.complain("timezone", what, "take it out");
    } else if jiff::tz::TimeZone::get(&zone).is_err() {
        read.complain("timezone", format!("no time zone is called `{zone}`"), "a name like Europe/Berlin, or UTC");
    }
    Some(zone)
}

fn repeat(read: &mut Section<'_>) -> Repeat {
    let (every, flex) = (order::every(read), read.duration("flex"));
    let cron = read.text("cron");
    if every.is_some() && cron.is_some() {
        read.complain("cron", "`every` and `cron` together say two different things", "keep one of them");
    }
    if let (Some(flex), None) = (flex, every) {
        read.complain(
            "flex",
            format!("`flex` ({}) is a part of `every`, which is not there", words::shown(flex)),
            "add every = \"...\"",
        );
    }
    match (every, cron) {
        (Some((every, grows_to)), _) => {
            if every < EVERY_MIN {
                read.complain("every", format!("`every` is shorter than {}", words::shown(EVERY_MIN)), "");
            }
            if flex.is_some_and(|flex| flex > every) {
                read.complain("flex", "`flex` is longer than `every`", "it is the last part of the interval");
            }
            Repeat::Every { every, flex: flex.unwrap_or(every).min(every), grows_to }
        }
        (None, Some(expression)) => {
            let example = "minute hour day month weekday: \"0 6 * * mon-fri\"";
            match Cron::parse(&expression, jiff::tz::TimeZone::UTC) {
                Err(error) => {
                    let what = format!("`{expression}` is no cron expression: {}", first_small(&error));
                    read.complain("cron", what, example);
                }
                Ok(cron) if cron.next_after(Timestamp::from_unix_ms(0)).is_none() => {
                    read.complain("cron", format!("`{expression}` never rings: there is no such day"), example);
                }
                Ok(_) => {}
            }
            Repeat::Cron { expression }
        }
        (None, None) => Repeat::Never,
    }
}

/// Other people's sentences begin with a capital and end with a full stop; ours stand inside others.
fn first_small(sentence: &str) -> String {
    let mut letters = sentence.trim_end_matches('.').chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

fn collection(read: &mut Section<'_>) -> CollectionDefinition {
    let mut policy = Policy {
        nested: read.flag("nested").unwrap_or(false),
        null_is_a_value: read.flag("null_is_a_value").unwrap_or(false),
        identity: identity::read(read),
        references: references::read(read),
        ..Policy::default()
    };
    let deletes = [("keep_edit", OnDelete::KeepEdit), ("keep_delete", OnDelete::KeepDelete)];
    policy.delete = read.choice("delete", &deletes).unwrap_or_default();
    if let Inner::Table(table) = read.inner("merge", "merge = { default = \"remote\", labels = \"union\" }") {
        let mut inside = read.nested("merge", table);
        let merges = Merge::ALL.map(|merge| (merge.word(), merge));
        for (property, word) in inside.pairs() {
            match inside.chosen(&property, &word, &merges) {
                Some(merge) if property == "default" => policy.default = merge,
                Some(merge) => {
                    policy.properties.insert(property, merge);
                }
                None => {}
            }
        }
        inside.close();
    }
    let retention = read.duration("retention");
    if retention.is_some_and(|kept| kept < RETENTION_MIN) {
        let hint = "write a day or longer: retention = \"1d\"";
        read.complain("retention", "`retention` is shorter than a day", hint);
    }
    CollectionDefinition { policy, index: read.list("index"), columns: read.list("columns"), retention }
}

fn grants(read: &mut Section<'_>) -> Option<std::collections::BTreeMap<String, Grant>> {
    let example = "grants = { issues = \"read\" }";
    let table = match read.inner("grants", example) {
        Inner::Table(table) => table,
        Inner::Absent | Inner::False => {
            read.complain("", "the section has no `grants`", example);
            return None;
        }
        Inner::Wrong => return None,
    };
    let mut inside = read.nested("grants", table);
    let mut grants = std::collections::BTreeMap::new();
    for (collection, word) in inside.pairs() {
        if word == "review" {
            inside.complain(&collection, "`review` is not built yet", "read, write or none");
        } else if let Some(right) =
            inside.chosen(&collection, &word, &[("read", Grant::Read), ("write", Grant::Write), ("none", Grant::None)])
        {
            grants.insert(collection, right);
        }
    }
    inside.close();
    Some(grants)
}

/// What holds a secret must be closed to others: the file it stands in, or this one.
fn secret(read: &mut Section<'_>, source: &Source, secret: Option<&Secret>) {
    match secret {
        Some(Secret::File(file)) => {
            if let Some((what, hint)) = source::secret_file(&source.directory.join(file)) {
                read.complain("auth", what, hint);
            }
        }
        Some(Secret::Plain(_)) if !source.private => {
            let hint = format!("chmod 600 {}, or keep the secret elsewhere: {{ file = \"NAME\" }}", source.path.display());
            read.complain("auth", "a secret stands in a file that others can read", hint);
        }
        _ => {}
    }
}
