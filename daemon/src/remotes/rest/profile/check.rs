//! Owns: whether a profile is consistent, and saying where it is not and what was meant.
//! Must never know: any service by name.

use reqwest::header::{HeaderName, HeaderValue};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{CursorWord, Means, More, Next, One, Profile, Sends};
use crate::remotes::{mistakes, nearest, rest::template::Template};

/// One thing that is wrong with a profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// The line, from 1; 0 where it is about the profile as a whole.
    pub line: usize,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub hint: Option<String>,
}

/// A contradiction: the key it is about, what is wrong, and what to do.
struct Contradiction {
    at: String,
    what: String,
    hint: Option<String>,
}

/// Everything that is wrong with this text as a profile, by its lines. What is no TOML is alone, and whether a profile contradicts itself
/// is asked once it can be read.
#[must_use]
pub fn wrongs(text: &str) -> Vec<Wrong> {
    match parsed(text) {
        Err(wrongs) => wrongs,
        Ok(profile) => profile
            .contradictions()
            .into_iter()
            .map(|Contradiction { at, what, hint }| Wrong { line: line_of_key(text, &at), what, hint })
            .collect(),
    }
}

/// The profile in a text.
///
/// # Errors
/// The first thing that is wrong.
pub(super) fn read(text: &str) -> Result<Profile, Wrong> {
    match wrongs(text).into_iter().next() {
        Some(wrong) => Err(wrong),
        None => parsed(text).map_err(|wrongs| wrongs.into_iter().next().unwrap_or_else(|| Wrong::at(text, None, ""))),
    }
}

fn parsed(text: &str) -> Result<Profile, Vec<Wrong>> {
    let table = DeTable::parse(text).map_err(|error| vec![Wrong::at(text, error.span(), error.message())])?;
    let whole = Spanned::new(table.span(), DeValue::Table(table.into_inner()));
    mistakes::read(&whole).map_err(|mistakes| {
        let mut mistakes = mistakes;
        // What is missing in the profile as a whole comes last: it may follow from what is misspelt.
        mistakes.sort_by_key(|one| (one.at == Some(whole.span()), one.at.as_ref().map(|at| at.start)));
        mistakes.into_iter().map(|one| Wrong::at(text, one.at, &one.what)).collect()
    })
}

impl Wrong {
    /// What a reader says of a place of the text.
    fn at(text: &str, at: Option<std::ops::Range<usize>>, what: &str) -> Self {
        let what = what.trim().replace('\n', ", ");
        Self { line: at.map_or(0, |at| line_of(text, at.start)), hint: meant(&what), what }
    }
}

/// What an unknown word may have been meant to be: the reader names what it knows, in backticks.
fn meant(what: &str) -> Option<String> {
    let mut words = what.split('`').skip(1).step_by(2);
    let wrong = words.next()?;
    let known: Vec<&str> = words.collect();
    match (known.is_empty(), what.starts_with("missing field")) {
        (_, true) => Some(format!("add {wrong}; `mingle profile show` prints one that has it")),
        (true, _) => None,
        (false, _) => Some(nearest("words", wrong, &known)),
    }
}

fn line_of(text: &str, byte: usize) -> usize {
    1 + text.bytes().take(byte).filter(|byte| *byte == b'\n').count()
}

/// The line of a dotted key, or of the nearest table around it.
fn line_of_key(text: &str, key: &str) -> usize {
    let Ok(table) = DeTable::parse(text) else { return 0 };
    let (mut here, mut line) = (table.get_ref(), 0);
    for part in key.split('.') {
        let Some((name, value)) = here.get_key_value(part) else { break };
        line = line_of(text, name.span().start);
        match value.get_ref() {
            DeValue::Table(inner) => here = inner,
            _ => break,
        }
    }
    line
}

impl Profile {
    fn contradictions(&self) -> Vec<Contradiction> {
        let mut out = Vec::new();
        self.check_abilities(&mut out);
        self.check_requests(&mut out);
        self.check_names(&mut out);
        self.check_headers(&mut out);
        out
    }

    fn check_abilities(&self, out: &mut Vec<Contradiction>) {
        let table = &self.abilities;
        let lists_since = self.list.query.values().any(|one| one.has("since"));
        let guards = |one: &Option<One>| one.as_ref().is_some_and(|one| one.headers.values().any(|one| one.has("revision")));
        let (guarded, half_guarded) =
            (guards(&self.update) && guards(&self.delete), guards(&self.update) || guards(&self.delete));
        let mut hold = |holds: bool, at: &str, what: &str, hint: &str| complain(out, holds, at, what, hint);
        hold(
            table.cursor != CursorWord::Token || (self.list.token.is_some() && lists_since),
            "abilities.cursor",
            "a cursor \"token\" needs list.token and {since} in list.query",
            "say where the token comes from: list.token = { header = \"...\" }",
        );
        hold(
            table.cursor != CursorWord::Stamp || (self.row.modified.is_some() && lists_since),
            "abilities.cursor",
            "a cursor \"stamp\" needs row.modified and {since} in list.query",
            "say where the stamp is, and which parameter takes one",
        );
        hold(
            table.cursor != CursorWord::None || !lists_since,
            "abilities.cursor",
            "a cursor \"none\" has no use for {since}",
            "cursor = \"stamp\" or \"token\", or leave out that parameter",
        );
        hold(
            !table.tombstones || self.row.deleted.is_some(),
            "abilities.tombstones",
            "tombstones need row.deleted",
            "say what is true in a tombstone: row.deleted = \"/...\"",
        );
        hold(
            !table.strong_revision || self.row.revision.is_some(),
            "abilities.strong_revision",
            "strong_revision needs row.revision",
            "say where the revision is: row.revision = \"/...\"",
        );
        hold(
            !table.conditional || table.strong_revision,
            "abilities.conditional",
            "conditional needs strong_revision",
            "a write can only be refused by a revision that is another after each change",
        );
        hold(
            !table.conditional || guarded,
            "abilities.conditional",
            "conditional needs {revision} in a header of update and of delete",
            "update.headers = { if-match = \"{revision}\" }, and the same for delete",
        );
        let looked_up = self.get.revision.is_some() || (self.row.revision.is_some() && !table.strong_revision);
        hold(
            table.conditional || looked_up || !half_guarded,
            "abilities.conditional",
            "a header with {revision} is for conditional services",
            "conditional = true where the service refuses a stale revision; else leave the header out",
        );
        hold(
            table.conditional || !looked_up || guarded || !half_guarded,
            "update.headers",
            "{revision} stands in a header of update or of delete, and not of the other",
            "what one of them needs, the other does too",
        );
        hold(
            table.modified_grain_ms.is_some() == self.row.modified.is_some(),
            "abilities.modified_grain_ms",
            "modified_grain_ms and row.modified belong together",
            "the grain says how fine the stamps are: 1000 for whole seconds",
        );
        hold(
            table.client_ids.is_some() == self.create_named.is_some(),
            "abilities.client_ids",
            "client_ids and create_named belong together",
            "the one says which ids the service takes, the other how it is asked",
        );
        let keyed = self.create.as_ref().is_some_and(|one| one.headers.values().any(|one| one.has("key")));
        hold(
            table.key_kept_s.is_some() == keyed,
            "abilities.key_kept_s",
            "key_kept_s and {key} in a header of create belong together",
            "create.headers = { idempotency-key = \"{key}\" }, and for how long the service keeps a key: key_kept_s = 86400",
        );
        hold(
            table.key_kept_s != Some(0),
            "abilities.key_kept_s",
            "key_kept_s = 0 promises nothing",
            "how long the service keeps a key, in seconds",
        );
        hold(table.errands_max > 0, "abilities.errands_max", "errands_max begins at 1", "1 sends one change after the other");
        hold(table.page_rows > 0, "abilities.page_rows", "page_rows begins at 1", "take what the service gives at most");
        hold(
            table.client_ids.as_ref().is_none_or(|ids| ids.min > 0 && ids.min <= ids.max),
            "abilities.client_ids",
            "client_ids has min > max or min = 0",
            "they are the fewest and the most characters of an id",
        );
    }

    fn check_requests(&self, out: &mut Vec<Contradiction>) {
        let list = &self.list;
        let asks = |name: &str| list.query.values().any(|one| one.has(name));
        let by_stamp = matches!(list.next, Some(Next::Stamp(_) | Next::StampAndId));
        let counts = by_stamp || matches!(list.next, Some(Next::Number(_) | Next::Offset(_)));
        let mut hold = |holds: bool, at: &str, what: &str, hint: &str| complain(out, holds, at, what, hint);
        let makes = self.create.is_some() || self.create_named.is_some();
        hold(
            self.update.is_some() || !(makes || self.delete.is_some()),
            "update",
            "create and delete are for a service that takes updates too: all of them or none",
            "none of them makes a profile that only reads",
        );
        hold(
            self.update.is_none() || makes,
            "update",
            "update needs create (or create_named) beside it: all of them or none",
            "none of them makes a profile that only reads",
        );
        hold(
            self.update.as_ref().is_none_or(|one| one.sends != Sends::Nothing),
            "update.sends",
            "update sends nothing",
            "sends = \"whole\" or \"patch\"",
        );
        hold(!self.types.take.is_empty(), "types.take", "types.take is empty", "name the types of answers, or leave it out");
        hold(
            !by_stamp || self.abilities.cursor == CursorWord::Stamp,
            "list.next",
            "pages by stamp need abilities.cursor = \"stamp\"",
            "the parameter that takes a stamp is what pages go on with",
        );
        let needed = match &list.next {
            Some(Next::Cursor(_) | Next::Number(_) | Next::Offset(_) | Next::Stamp(_)) => Some("page"),
            Some(Next::StampAndId) => Some("after"),
            _ => None,
        };
        if let Some(name) = needed {
            hold(
                asks(name),
                "list.next",
                &format!("list.next needs {{{name}}} in list.query"),
                "say which parameter takes it; else every page is the first one",
            );
        }
        hold(
            !list.exclusive || self.abilities.cursor == CursorWord::Stamp,
            "list.exclusive",
            "list.exclusive is for a cursor \"stamp\"",
            "leave it out",
        );
        hold(
            list.more.is_none() || counts,
            "list.more",
            "list.more is for pages that are counted, or found by stamp",
            "where the answer says where its next page is, the last one says nothing",
        );
        hold(
            !matches!(list.more, Some(More::FullPage)) || asks("page_rows"),
            "list.more",
            "list.more = \"full_page\" needs {page_rows} in list.query",
            "what a full page is has to be said in the request",
        );
        if let Some(named) = &self.create_named {
            hold(
                named.id.is_some() || named.path.has("id"),
                "create_named",
                "create_named does not say the id",
                "put {id} into its path, or create_named.id = \"/id\" for one in the body",
            );
        }
        for (at, one) in self.ones() {
            let only =
                |has: bool, key: &str, of: &str| (has && at != of, format!("{at}.{key}"), format!("{at}.{key} is for {of}"));
            for (wrong, key, what) in [
                only(one.id.is_some(), "id", "create_named"),
                only(one.rows.is_some(), "rows", "get"),
                only(one.revision.is_some(), "revision", "get"),
                only(one.made.is_some(), "made", "create"),
                only(!one.later.is_empty() && at != "create_named", "later", "create"),
            ] {
                hold(!wrong, &key, &what, "leave it out");
            }
            hold(
                one.rows.is_none() || one.row.is_none(),
                &format!("{at}.rows"),
                &format!("{at} has both row and rows"),
                "row is for an answer that shows one record, rows for one that lists it",
            );
        }
        hold(
            self.update.is_some() || self.ones().all(|(_, one)| one.later.is_empty()),
            "create.later",
            "what is sent later needs an update to be sent with",
            "say how records are changed, or leave it out",
        );
        if let Some(batch) = &self.batch {
            hold(batch.max > 1, "batch.max", "batch.max begins at 2", "how many changes the service takes in one request");
            hold(
                self.update.is_some(),
                "batch",
                "a batch is for a service that takes changes",
                "say how records are made and changed, or leave it out",
            );
            hold(
                batch.max_at.is_none() || self.identify.is_some(),
                "batch.max_at",
                "batch.max_at looks into the answer of identify",
                "say how the service is identified, or leave it out",
            );
        }
        for meaning in &self.meaning {
            hold(
                meaning.at.is_none() || meaning.header.is_none(),
                "meaning",
                "a meaning looks into the body (at) or at a header, not at both",
                "write two of them",
            );
            hold(
                meaning.wait_s.is_none() || meaning.means == Means::Throttled,
                "meaning",
                "wait_s is for a meaning of throttled",
                "leave it out",
            );
            hold(
                (meaning.is.is_empty() && meaning.begins.is_empty()) || meaning.at.is_some() || meaning.header.is_some(),
                "meaning",
                "a meaning with `is` or `begins` needs `at` or `header`",
                "say where those words stand",
            );
            hold(!meaning.status.is_empty(), "meaning", "a meaning needs a status", "status = [400]");
        }
    }

    /// Templates with a name that has no meaning where it stands.
    fn check_names(&self, out: &mut Vec<Contradiction>) {
        let mut check = |at: &str, template: &Template, known: &[&str]| {
            for name in template.names().filter(|name| !known.contains(name)) {
                let what = format!("{at} has {{{name}}}; there are: {}", known.join(", "));
                complain(out, false, at, &what, &nearest("names", name, known));
            }
        };
        for (at, template, known) in self.paths() {
            check(&at, template, known);
        }
        for (name, template) in &self.headers {
            check(&format!("headers.{name}"), template, &["url", "origin"]);
        }
        if let Some(hint) = &self.denied_hint {
            check("denied_hint", hint, &["url", "resource"]);
        }
        for (name, template) in &self.list.query {
            check(&format!("list.query.{name}"), template, &["since", "page_rows", "page", "after"]);
        }
        for (at, one) in self.ones() {
            let known: &[&str] = if at == "create" { &["key"] } else { &["revision"] };
            for (name, template) in &one.headers {
                check(&format!("{at}.headers.{name}"), template, known);
            }
            for (name, template) in &one.query {
                check(&format!("{at}.query.{name}"), template, &["resource", "id"]);
            }
        }
    }

    fn check_headers(&self, out: &mut Vec<Contradiction>) {
        let mut named: Vec<(String, &String)> = Vec::new();
        if let Some(Next::Header(name)) = &self.list.next {
            named.push(("list.next".into(), name));
        }
        if let Some(More::Header(name)) = &self.list.more {
            named.push(("list.more".into(), name));
        }
        named.extend(self.list.token.iter().map(|token| ("list.token".into(), &token.header)));
        named.extend(self.list.total_header.iter().map(|name| ("list.total_header".into(), name)));
        named.extend(self.meaning.iter().filter_map(|one| Some(("meaning".into(), one.header.as_ref()?))));
        named.extend(self.limits.remaining.iter().map(|name| ("limits.remaining".into(), name)));
        named.extend(self.limits.reset.iter().map(|reset| ("limits.reset".into(), &reset.header)));
        named.extend(self.get.revision.iter().map(|one| ("get.revision".into(), &one.header)));
        named.extend(self.headers.keys().map(|name| ("headers".into(), name)));
        named.extend(self.ones().flat_map(|(at, one)| one.headers.keys().map(move |name| (format!("{at}.headers"), name))));
        for (at, name) in named {
            let good = HeaderName::from_bytes(name.as_bytes()).is_ok();
            complain(out, good, &at, &format!("{name:?} is no name of a header"), "it has letters, digits and -");
        }
        let good = HeaderValue::from_str(&self.types.send).is_ok();
        complain(out, good, "types.send", "types.send is no type", "such as application/json");
    }
}

fn complain(out: &mut Vec<Contradiction>, holds: bool, at: &str, what: &str, hint: &str) {
    if !holds {
        out.push(Contradiction { at: at.to_owned(), what: what.to_owned(), hint: Some(hint.to_owned()) });
    }
}
