//! Owns: reading rows and pages out of JSON bodies, as a profile says.
//! Must never know: how a body was got.

use mingle_core::{
    record::Value,
    replica::{Packed, Row, RowState},
    time::Timestamp,
};

use super::{
    fields,
    profile::{RowShape, StampForm},
};
use crate::json::{self, Elements, JsonError};

/// Why a whole page is not usable, for a person: no content of it.
pub type Unusable = String;

/// Reads a row.
///
/// # Errors
/// When it has no usable id: then nothing can be said of it, not even that it is bad.
pub fn row(shape: &RowShape, mut value: Value) -> Result<Row, Unusable> {
    if let Some(inner) = shape.spread.as_ref().and_then(|at| at.take(&mut value))
        && let (Value::Map(inner), Value::Map(outer)) = (inner, &mut value)
    {
        outer.extend(inner);
    }
    let id = shape.id.find(&value).and_then(word).filter(|id| !id.is_empty());
    let remote_id = id.ok_or_else(|| format!("a row has no id at {}", shape.id))?;
    let deleted = shape.deleted.as_ref().and_then(|at| at.find(&value)).is_some_and(|mark| is_deleted(shape, mark));
    let revision = shape.revision.as_ref().and_then(|at| at.find(&value)).and_then(word);
    let stamp = |stamp: &Option<super::profile::Stamp>| {
        let stamp = stamp.as_ref()?;
        moment(stamp.at.find(&value)?, stamp.form)
    };
    let (modified, created) = (stamp(&shape.modified), stamp(&shape.created));
    let state = match value {
        _ if deleted => RowState::Gone,
        // It could be listed, and never be asked for, changed or deleted: where it is not listed any more, it would hold every run.
        _ if is_no_name(&remote_id) => RowState::Unreadable(NO_NAME.into()),
        Value::Map(_) => match (&shape.revision, &revision) {
            (Some(at), None) => RowState::Unreadable(format!("it has no revision at {at}")),
            _ => match fields::read(shape, value) {
                Ok(props) => RowState::Live(props),
                Err(why) => RowState::Unreadable(why),
            },
        },
        other => RowState::Unreadable(format!("it is {}, not an object", json::kind(&other))),
    };
    Ok(Row { remote_id, revision, modified, created, state })
}

/// Why a record of that id cannot be a record here.
pub const NO_NAME: &str = "its id is no name in an address";

/// Whether an address with this id would lead elsewhere, however it is escaped.
#[must_use]
pub fn is_no_name(id: &str) -> bool {
    matches!(id, "." | "..")
}

fn is_deleted(shape: &RowShape, mark: &Value) -> bool {
    match &shape.deleted_is {
        None => *mark == Value::Bool(true),
        Some(words) if words.is_empty() => !matches!(mark, Value::Null | Value::Bool(false)),
        Some(words) => word(mark).is_some_and(|mark| words.contains(&mark)),
    }
}

/// The rows of a page, and where it ends.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Listing {
    /// The rows. Of one that came twice the newer (the later one, where that cannot be told).
    pub rows: Vec<Packed>,
    /// How many came.
    pub count: usize,
    /// Stamp and id of the last one; none where it has no stamp.
    pub last: Option<(Timestamp, String)>,
    /// Each stamp is that of the row before it, or later.
    pub by_stamp: bool,
}

/// Reads the rows of a page that is there as a value.
///
/// # Errors
/// When there is no list, or a row without an id in it.
pub fn rows(shape: &RowShape, list: Value) -> Result<Listing, Unusable> {
    let mut rows = Rows::of(shape);
    let Value::List(list) = list else { return rows.listing(&list) };
    for value in list {
        rows.element(value);
    }
    rows.end()
}

/// Reads the rows of a page as they come, and keeps each packed.
pub struct Rows<'a> {
    shape: &'a RowShape,
    listing: Listing,
    unusable: Option<Unusable>,
}

impl<'a> Rows<'a> {
    /// No rows yet, of this shape.
    #[must_use]
    pub fn of(shape: &'a RowShape) -> Self {
        let listing = Listing { by_stamp: true, ..Listing::default() };
        Self { shape, listing, unusable: None }
    }

    /// Whether a row without an id was in it.
    #[must_use]
    pub const fn is_unusable(&self) -> bool {
        self.unusable.is_some()
    }

    /// All of them, once the page was read to its end. `list` is what stands where they should be.
    ///
    /// # Errors
    /// When that is no list, or a row without an id was in it.
    pub fn listing(self, list: &Value) -> Result<Listing, Unusable> {
        match list {
            Value::List(_) => self.end(),
            other => Err(format!("{} stands where the rows should be", json::kind(other))),
        }
    }

    fn end(mut self) -> Result<Listing, Unusable> {
        if let Some(why) = self.unusable {
            return Err(why);
        }
        once(&mut self.listing.rows);
        Ok(self.listing)
    }

    fn add(&mut self, value: Value) -> Result<usize, Unusable> {
        let skipped = self.shape.skip.as_ref().and_then(|at| at.find(&value)).is_some_and(|there| *there != Value::Null);
        let row = row(self.shape, value)?;
        Ok(self.take(row, skipped))
    }

    fn take(&mut self, row: Row, skipped: bool) -> usize {
        let listing = &mut self.listing;
        listing.count += 1;
        listing.by_stamp &= row.modified >= listing.last.as_ref().map(|(at, _)| *at);
        let packed = (!skipped).then(|| Packed::of(&row));
        listing.last = row.modified.map(|at| (at, row.remote_id));
        let bytes = packed.as_ref().map_or(0, Packed::bytes);
        listing.rows.extend(packed);
        bytes
    }
}

impl Elements for Rows<'_> {
    fn begin(&mut self) {
        *self = Self::of(self.shape);
    }

    fn element(&mut self, value: Value) -> usize {
        if self.unusable.is_some() {
            return 0;
        }
        self.add(value).unwrap_or_else(|why| {
            self.unusable = Some(why);
            0
        })
    }

    fn unreadable(&mut self, rest: Value, why: JsonError) -> usize {
        match row(self.shape, rest) {
            Ok(row) if row.state == RowState::Gone => self.take(row, false),
            Ok(row) => self.take(Row { state: RowState::Unreadable(unreadable(&why)), ..row }, false),
            Err(why) => {
                self.unusable.get_or_insert(why);
                0
            }
        }
    }
}

/// Why a row is a rejection, for a person.
pub fn unreadable(why: &JsonError) -> String {
    format!("it cannot be read: {why}")
}

/// Leaves of rows with one id the newer, in the place of the first.
fn once(rows: &mut Vec<Packed>) {
    let id = |at: usize| rows[at].remote_id();
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by_key(|at| (id(*at), *at));
    let twice = order.chunk_by(|a, b| id(*a) == id(*b)).filter(|same| same.len() > 1);
    let twice: Vec<Vec<usize>> = twice.map(<[usize]>::to_vec).collect();
    if twice.is_empty() {
        return;
    }
    let mut stays = vec![true; rows.len()];
    for same in twice {
        let newest = same.iter().copied().reduce(|a, b| if rows[b].modified() >= rows[a].modified() { b } else { a });
        rows.swap(same[0], newest.unwrap_or(same[0]));
        same[1..].iter().for_each(|at| stays[*at] = false);
    }
    let mut stays = stays.into_iter();
    rows.retain(|_| stays.next().unwrap_or(true));
}

/// A text, or a number as it is written: what ids and revisions may be.
pub fn word(value: &Value) -> Option<String> {
    match value {
        Value::Text(text) => Some(text.clone()),
        Value::Number(number) => Some(number.text().to_owned()),
        _ => None,
    }
}

fn moment(value: &Value, form: StampForm) -> Option<Timestamp> {
    let ms = match (form, value) {
        (StampForm::UnixMs, Value::Number(number)) => number.text().parse::<i64>().ok()?,
        (StampForm::UnixS, Value::Number(number)) => number.text().parse::<i64>().ok()?.checked_mul(1000)?,
        (StampForm::Dotted, Value::Text(text)) => {
            format!("{}Z", text.replacen('.', "T", 1)).parse::<jiff::Timestamp>().ok()?.as_millisecond()
        }
        (StampForm::Rfc3339 | StampForm::Spaced, Value::Text(text)) => text.parse::<jiff::Timestamp>().ok()?.as_millisecond(),
        _ => return None,
    };
    Some(Timestamp::from_unix_ms(ms))
}

/// A moment as the service writes it.
#[must_use]
pub fn written(at: Timestamp, form: StampForm) -> String {
    // A moment that no calendar holds is as good as the beginning: more is read, nothing is missed.
    let calendar = || jiff::Timestamp::from_millisecond(at.unix_ms()).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    match form {
        StampForm::UnixMs => at.unix_ms().to_string(),
        StampForm::UnixS => at.unix_ms().div_euclid(1000).to_string(),
        StampForm::Rfc3339 => calendar().to_string(),
        StampForm::Dotted => calendar().strftime("%Y-%m-%d.%H:%M:%S").to_string(),
        StampForm::Spaced => calendar().strftime("%Y-%m-%d %H:%M:%S%.3fZ").to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: &str = r#"
        id = "/id"
        revision = "/meta/rev"
        modified = { at = "/meta/at", form = "rfc3339" }
        deleted = "/gone"
        besides = ["schema"]
    "#;

    #[track_caller]
    fn check(list: &str, expect: &str) {
        let shape: RowShape = toml::from_str(SHAPE).unwrap();
        let shown = match rows(&shape, json::parse(list).unwrap()) {
            Err(why) => format!("! {why}"),
            Ok(Listing { rows, .. }) => {
                let show = |row: &Packed| {
                    let row = row.open();
                    let state = match &row.state {
                        RowState::Live(props) => json::write(props),
                        RowState::Gone => "gone".into(),
                        RowState::Unreadable(why) => format!("? {why}"),
                    };
                    let at = row.modified.map_or(String::new(), |at| format!("@{}", at.unix_ms()));
                    format!("{}{at}:{} {state}", row.remote_id, row.revision.as_deref().unwrap_or("-"))
                };
                rows.iter().map(show).collect::<Vec<_>>().join(" | ")
            }
        };
        assert_eq!(shown, expect, "{list}");
    }

    #[test]
    fn rows_are_read_as_the_profile_says() {
        check("[]", "");
        check("{}", "! an object stands where the rows should be");
        check("null", "! null stands where the rows should be");
        check(
            r#"[{"id":"a","meta":{"rev":"r","at":"1970-01-01T01:00:01.5+01:00","by":"x"},"schema":1,"n":1.50}]"#,
            r#"a@1500:r {"meta":{"by":"x"},"n":1.50}"#,
        );
        check(r#"[{"id":9007199254740993,"meta":{"rev":2}}]"#, r#"9007199254740993:2 {"meta":{}}"#);
        check(r#"[{"id":"a","gone":true,"meta":{"rev":3}}]"#, "a:3 gone");
        check(r#"[{"id":"a","gone":false,"meta":{"rev":3}}]"#, r#"a:3 {"meta":{}}"#);
        check(r#"[{"id":"..","meta":{"rev":3}}]"#, "..:3 ? its id is no name in an address");
        check(r#"[{"id":"..","gone":true,"meta":{"rev":3}}]"#, "..:3 gone");
        check(r#"[{"id":"../a","meta":{"rev":3}}]"#, r#"../a:3 {"meta":{}}"#);
        check(r#"[{"id":"a"}]"#, "a:- ? it has no revision at /meta/rev");
        check(r#"[{"n":1}]"#, "! a row has no id at /id");
        check(r#"[{"id":null}]"#, "! a row has no id at /id");
        check(r#"[{"id":""}]"#, "! a row has no id at /id");
        check("[[]]", "! a row has no id at /id");
    }

    #[test]
    fn of_a_row_that_comes_twice_the_newer_counts() {
        let row = |rev: u8, at: &str| format!(r#"{{"id":"a","meta":{{"rev":{rev},"at":"{at}"}}}}"#);
        let (old, new) = (row(1, "1970-01-01T00:00:01Z"), row(2, "1970-01-01T00:00:02Z"));
        let expect = r#"a@2000:2 {"meta":{}}"#;
        check(&format!("[{old},{new}]"), expect);
        check(&format!("[{new},{old}]"), expect);
        let other = r#"{"id":"b","meta":{"rev":1}}"#;
        check(&format!("[{other},{old},{other},{new},{old}]"), &format!(r#"b:1 {{"meta":{{}}}} | {expect}"#));
    }

    #[test]
    fn what_is_the_services_own_is_never_sent() {
        let shape: RowShape = toml::from_str(SHAPE).unwrap();
        let props = json::parse_object(r#"{"id":"x","n":1,"gone":true,"schema":2,"meta":{"rev":1,"by":"y"}}"#).unwrap();
        let props = props.into_iter().map(|(name, value)| (name, Some(value))).collect();
        assert_eq!(json::write_value(&fields::sent(&shape, &props, false)), r#"{"meta":{"by":"y"},"n":1}"#);
    }
}
