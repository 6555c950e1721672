//! Owns: what the settings say of a document: its format, where its rows and their ids are, and its address. Must never know: how it is read.

use mingle_core::limits;
use reqwest::Url;

use crate::remotes::{
    Problem,
    rest::pointer::Pointer,
    settings::{Absent, Format, RemoteSettings},
};

/// What the settings say of a document.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    /// None: its type tells.
    pub(super) format: Option<Format>,
    /// Where its list stands.
    pub(super) rows: Pointer,
    /// Where a row has its id.
    pub(super) id: Pointer,
    /// The column that is the id.
    pub(super) column: String,
    /// It is one record, of this id.
    pub(super) whole: Option<String>,
    /// What becomes of what it does not show any more.
    pub(super) absent: Absent,
}

impl Shape {
    /// Reads them.
    pub(super) fn of(settings: &RemoteSettings) -> Result<Self, Problem> {
        let format = settings.format;
        let set = [("rows", settings.rows.is_some()), ("id", settings.id.is_some()), ("document", settings.document.is_some())];
        let fits = |key: &str| match format {
            None | Some(Format::Json) => true,
            Some(Format::Ndjson | Format::Csv) => key == "id",
            Some(Format::Rss | Format::Atom | Format::JsonFeed | Format::ICalendar) => false,
        };
        if let (Some((key, _)), Some(format)) = (set.iter().find(|(key, set)| *set && !fits(key)), format) {
            let what = format!("`{key}` says nothing of a document whose format is \"{}\"", format.word());
            return Err(Problem::new(what).hint("take it out"));
        }
        if settings.document.is_some() && settings.id.is_some() {
            let what = "`document` makes one record of the whole, and `id` is for the rows of a list";
            return Err(Problem::new(what).hint("take one of them out"));
        }
        if settings.document.as_ref().is_some_and(|id| !is_id(id)) {
            let what = format!(
                "`document` is the id of the record: 1 to {} bytes, without control characters",
                limits::TOLD_ID_BYTES_MAX
            );
            return Err(Problem::new(what));
        }
        let pointer = |text: String| Pointer::try_from(text).map_err(Problem::new);
        let rows = pointer(settings.rows.clone().unwrap_or_default())?;
        let column = settings.id.clone().unwrap_or_else(|| "id".into());
        let id =
            if column.starts_with('/') { column.clone() } else { format!("/{}", column.replace('~', "~0").replace('/', "~1")) };
        let by_format = if format.is_some_and(Format::is_feed) { Absent::Keep } else { Absent::Delete };
        let absent = settings.absent.unwrap_or(by_format);
        Ok(Self { format, rows, id: pointer(id)?, column, whole: settings.document.clone(), absent })
    }

    /// What of them decides how a document is read.
    pub(super) fn words(&self) -> String {
        let Self { format, rows, id, whole, .. } = self;
        let words = format!("{format:?}\u{1f}{rows}\u{1f}{id}\u{1f}{whole:?}");
        blake3::hash(words.as_bytes()).to_hex()[..16].to_owned()
    }
}

/// Whether a text may be the id of a record.
pub(super) fn is_id(text: &str) -> bool {
    !text.is_empty() && text.len() <= limits::TOLD_ID_BYTES_MAX && !text.chars().any(char::is_control)
}

/// The address of a document: `resource` is the rest of its path, and may have a query.
pub(super) fn address(base: &Url, resource: &str) -> Result<Url, Problem> {
    let (path, query) = resource.split_once('?').map_or((resource, None), |(path, query)| (path, Some(query)));
    let mut url = base.clone();
    for part in path.split('/').filter(|part| !part.is_empty()) {
        if matches!(part, "." | "..") || part.chars().any(char::is_control) {
            return Err(Problem::new(format!("the resource {resource:?} is no path below the url"))
                .hint("write the path that follows the url, such as \"feeds/news.json\""));
        }
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push(part);
        }
    }
    url.set_query(query.filter(|query| !query.is_empty()));
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_checked() {
        #[track_caller]
        fn check(keys: &str, expect: Result<Absent, &str>) {
            let settings = toml::from_str(&format!("kind = \"http\"\n{keys}")).unwrap();
            match (Shape::of(&settings), expect) {
                (Ok(shape), Ok(absent)) => assert_eq!(shape.absent, absent, "{keys}"),
                (Err(problem), Err(part)) => assert!(problem.what.contains(part), "{keys}: {problem}"),
                (got, expect) => panic!("{keys} gave {got:?}, not {expect:?}"),
            }
        }
        check("", Ok(Absent::Delete));
        check("rows = '/a/b'\nid = 'key'", Ok(Absent::Delete));
        check("format = 'rss'", Ok(Absent::Keep));
        check("format = 'json-feed'\nabsent = 'delete'", Ok(Absent::Delete));
        check("format = 'csv'\nabsent = 'keep'\nid = 'No.'", Ok(Absent::Keep));
        check("document = 'settings'\nrows = '/values'", Ok(Absent::Delete));
        check("rows = 'a'", Err("does not begin with /"));
        check("id = '/a~2'", Err("a ~ that is neither"));
        check("format = 'csv'\nrows = '/a'", Err("`rows` says nothing"));
        check("format = 'atom'\nid = '/a'", Err("`id` says nothing"));
        check("document = 'a'\nid = '/a'", Err("one record of the whole"));
        check("document = ''", Err("1 to 256 bytes"));
    }

    #[test]
    fn a_resource_is_the_rest_of_the_address() {
        #[track_caller]
        fn check(base: &str, resource: &str, expect: Option<&str>) {
            let got = address(&base.parse().unwrap(), resource);
            assert_eq!(got.as_ref().map(Url::as_str).ok(), expect, "{resource}: {got:?}");
        }
        check("https://h/a.json", "", Some("https://h/a.json"));
        check("https://h/a/", "b c.json", Some("https://h/a/b%20c.json"));
        check("https://h", "/a/b?x=1&y=2", Some("https://h/a/b?x=1&y=2"));
        check("https://h/a", "?x=1", Some("https://h/a?x=1"));
        check("https://h/a", "../b", None);
    }
}
