//! Owns: putting syncs, remotes and runs into the words that people and apps read. Must never know: where the facts come from.

use std::{path::Path, time::Duration};

use mingle_core::{
    ask::{Ability, Attention, Refusal, RemoteRow, RunRow, RunState, RunWaited, SyncRow},
    engine::SyncShown,
    replica::Cursor,
    schedule::Bar,
    time::Timestamp,
};

use crate::{
    config::{Config, Repeat, SyncDefinition},
    ipc::door::Later,
    remotes::{
        self,
        settings::{Auth, RemoteSettings},
    },
    store::{StoreError, Trouble, history::Counts},
};

/// There is no such sync.
pub(super) fn no_sync(sync: &str, config: &Config) -> Refusal {
    let names: Vec<&str> = config.syncs.keys().map(String::as_str).take(20).collect();
    let hint = if names.is_empty() {
        "there are no syncs; a [sync.NAME] in config.toml makes one".into()
    } else {
        format!("the syncs are {}", names.join(", "))
    };
    Refusal::NotFound(format!("no sync {sync:?}"), Some(hint))
}

/// There is no such remote.
pub(super) fn no_remote(remote: &str, config: &Config) -> Refusal {
    let names: Vec<&str> = config.remotes.keys().map(String::as_str).take(20).collect();
    let hint = if names.is_empty() {
        "there are no remotes; a [remote.NAME] in config.toml makes one".into()
    } else {
        format!("the remotes are {}", names.join(", "))
    };
    Refusal::NotFound(format!("no remote {remote:?}"), Some(hint))
}

/// What `attention` says of the disk: what is so now, though the keeper of notices may not have come around to it yet.
pub(super) fn disk(trouble: Option<&Trouble>, now: Timestamp, attention: &mut Vec<Attention>) {
    attention.retain(|one| one.about != Trouble::ABOUT || trouble.is_some_and(|trouble| trouble.name() == one.name));
    if let Some(trouble) = trouble
        && !attention.iter().any(|one| one.about == Trouble::ABOUT)
    {
        attention.push(Attention { name: trouble.name().into(), about: Trouble::ABOUT.into(), since: now, hint: trouble.hint() });
    }
}

/// What a person should know or decide about a sync.
pub(super) fn attention(
    shown: &SyncShown,
    counts: Counts,
    configured: Option<&SyncDefinition>,
    now: Timestamp,
    attention: &mut Vec<Attention>,
) {
    let mut say = |name: &str, since: Timestamp, hint: String| {
        attention.push(Attention { name: name.into(), about: shown.sync.to_string(), since, hint });
    };
    if counts.conflicts > 0 {
        say("conflict", now, format!("{} open; `mingle conflict list` shows them", counts.conflicts));
    }
    if counts.rejections > 0 {
        say("rejection", now, format!("{} stand; `mingle rejection list` shows them", counts.rejections));
    }
    for hold in shown.holds.iter().filter(|hold| hold.bar == Bar::Person) {
        let hint = hold.hint.clone().unwrap_or_else(|| hold.needs.clone());
        // What is wrong in truth: a file that is missing wants something else than a password that is not taken.
        let cause = shown.trouble.as_ref().filter(|trouble| trouble.name == hold.name).map(|trouble| {
            let remedy = trouble.hint.as_ref().map_or(String::new(), |hint| format!(" ({hint})"));
            format!("{}{remedy}; ", trouble.what)
        });
        let hint = format!("{}{hint}", cause.unwrap_or_default());
        say(&hold.name, shown.failing_since.unwrap_or(now), hint);
    }
    // What a person has to end outlives a start: nothing holds it again until the next run meets it.
    let met = shown.trouble.as_ref().filter(|trouble| matches!(trouble.name.as_str(), "needs_login" | "epoch" | "account"));
    if let Some(trouble) = met.filter(|trouble| shown.holds.iter().all(|hold| hold.name != trouble.name)) {
        let hint = trouble.hint.as_ref().map_or(String::new(), |hint| format!("; {hint}"));
        say(&trouble.name, shown.failing_since.unwrap_or(now), format!("{}{hint}", trouble.what));
    }
    // It does not go away by itself, and a wrong password can look like it: nobody should have to wait for that to be told.
    if let Some(trouble) = shown.trouble.as_ref().filter(|trouble| trouble.name == "denied") {
        let hint = trouble.hint.as_ref().map_or(String::new(), |hint| format!(": {hint}"));
        say("denied", shown.failing_since.unwrap_or(now), format!("{}{hint}", trouble.what));
    }
    let alert_after = configured.map_or(Duration::from_secs(24 * 3600), |sync| sync.timing.alert_after);
    if let Some(since) = shown.failing_since
        && now.since(since) >= alert_after
    {
        let what = shown.trouble.as_ref().map_or("its runs fail", |trouble| trouble.what.as_str());
        say("failing", since, format!("{what}; `mingle explain {}` says more", shown.sync));
    }
}

/// A sync as it is defined, and how it stands.
pub(super) fn sync(shown: SyncShown, config: &Config) -> SyncRow {
    let configured = config.syncs.get(&*shown.sync);
    let timing = configured.map(|sync| &sync.timing);
    let (every, every_max, cron) = match timing.map(|timing| &timing.repeat) {
        Some(Repeat::Every { every, grows_to, .. }) => (Some(*every), *grows_to, None),
        Some(Repeat::Cron { expression, .. }) => (None, None, Some(expression.clone())),
        Some(Repeat::Never) | None => (None, None, None),
    };
    SyncRow {
        sync: shown.sync.to_string(),
        collection: shown.collection,
        remote: shown.remote.to_string(),
        resource: configured.map(|sync| sync.resource.clone()).filter(|resource| !resource.is_empty()),
        direction: shown.direction.name().into(),
        every,
        every_max,
        cron,
        on_demand: timing.is_some_and(|timing| timing.on_demand),
        initial_delay: timing.and_then(|timing| timing.initial_delay),
        after: timing.map(|timing| timing.after.clone()).unwrap_or_default(),
        priority: timing.map(|timing| timing.priority),
        tags: configured.map(|sync| sync.tags.clone()).unwrap_or_default(),
        defined: config.defined.get(&*shown.sync).cloned(),
        state: shown.state,
    }
}

/// A remote, without its secrets.
pub(super) fn remote(name: &str, settings: &RemoteSettings, config_dir: &Path) -> RemoteRow {
    let mut abilities = Vec::new();
    if let Ok(seen) = remotes::look(settings, config_dir) {
        let can = seen.abilities;
        let cursor = match can.cursor {
            Cursor::Token => "token",
            Cursor::Stamp { .. } => "stamp",
            Cursor::Page => "checkpoint",
            Cursor::None => "none: every listing is whole",
        };
        abilities = vec![
            ("cursor".into(), Ability::How(cursor.into())),
            ("tombstones".into(), Ability::Can(can.tombstones)),
            ("revisions".into(), Ability::Can(can.strong_revision)),
            ("conditional_writes".into(), Ability::Can(can.conditional)),
            ("client_ids".into(), Ability::Can(can.client_ids.is_some())),
            ("writes".into(), Ability::Can(can.writes)),
            ("deletes".into(), Ability::Can(can.writes && can.deletes)),
            ("page_rows".into(), Ability::How(can.page_rows.to_string())),
            ("writes_at_once".into(), Ability::How(can.errands_max.to_string())),
        ];
        if let Some(grain) = can.modified_grain {
            abilities.push(("stamp_grain".into(), Ability::How(format!("{} ms", grain.as_millis()))));
        }
        if let Cursor::Stamp { overlap } = can.cursor {
            abilities.push(("overlap".into(), Ability::How(format!("{} ms", overlap.as_millis()))));
        }
        for (name, how) in seen.ways {
            abilities.retain(|(known, _)| known != name);
            abilities.push((name.into(), Ability::How(how)));
        }
    }
    RemoteRow {
        remote: name.into(),
        kind: settings.kind.clone(),
        profile: settings.profile.clone(),
        url: [Some(&settings.url).filter(|url| !url.is_empty()), settings.app.as_ref(), settings.command.first()]
            .into_iter()
            .flatten()
            .next()
            .cloned()
            .unwrap_or_default(),
        login: match &settings.auth {
            Auth::None => None,
            Auth::OAuth2(_) => Some("oauth2"),
            _ => Some("secret"),
        },
        abilities,
    }
}

/// A run of the history, to those who waited for it.
pub(super) fn ended(row: &RunRow, configured: Option<&SyncDefinition>) -> RunWaited {
    let state = match row.status.as_str() {
        "done" => RunState::Done,
        "done_with_errors" => RunState::DoneWithErrors,
        "stopped" => RunState::Stopped,
        "cancelled" => RunState::Cancelled,
        "failed" => RunState::Failed,
        _ => RunState::Pending,
    };
    let why = row.error.as_ref().map(|trouble| trouble.what.clone());
    let error = row.error.as_ref().map(|trouble| trouble.name.clone());
    RunWaited { state, why, remote: configured.map(|sync| (sync.remote.clone(), error)) }
}

/// The outcome of a write, as apps are told.
pub(super) fn told<T: Send + 'static>(written: impl Future<Output = Result<T, StoreError>> + Send + 'static) -> Later<T> {
    Box::pin(async move {
        written.await.map_err(|error| {
            if !matches!(error, StoreError::Refused(_)) {
                tracing::warn!(%error, "a write failed");
            }
            Refusal::from(error)
        })
    })
}
