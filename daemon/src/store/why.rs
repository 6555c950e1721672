//! Owns: why a record is as it is: from the ledger and the conflicts. Must never know: who asks, and whether they may.

use mingle_core::{
    ask::{LostRow, Past, Why, WhyRow},
    path,
    policy::Policy,
    record::{Props, Value},
    time::Timestamp,
};

use super::{
    alias,
    error::StoreError,
    limits,
    reader::Reader,
    record::{self, Held, State},
    write::not_there,
};
use crate::json;

/// Tells where the value of a property came from; none: of all of them, and of the record itself.
///
/// # Errors
/// `not_found` for a record that never was.
pub fn why(reader: &Reader<'_>, collection: &str, id: &str, property: Option<&str>) -> Result<Why, StoreError> {
    let defined = reader.defined(collection)?;
    let policy = &defined.definition.policy;
    let held = alias::find(reader, defined.number, id)?.ok_or_else(|| not_there(collection, id))?;
    let props = held.props()?;
    let changes = changes(reader, &held)?;
    let clashes = clashes(reader, &held, policy)?;
    let mut told = Told { bytes: limits::WHY_BYTES_MAX, more: false };
    let names: Vec<String> = match property {
        Some(property) => vec![property.to_owned()],
        None => props.iter().flat_map(Props::keys).cloned().collect(),
    };
    let mut rows = Vec::new();
    if property.is_none() {
        rows.push(whole(&held, &changes, &clashes, policy, &mut told));
    }
    for name in names {
        let now = props.as_ref().and_then(|props| props.get(&name));
        rows.push(one(&name, now, &changes, &clashes, policy, property.is_some(), &mut told));
    }
    let state = match held.state {
        State::Live => "live",
        State::Deleted => "deleted",
        State::Forgotten => "forgotten",
    };
    Ok(Why { id: held.id, seq: held.seq, state, rows, more: told.more })
}

/// How much more may be told.
struct Told {
    bytes: usize,
    more: bool,
}

impl Told {
    /// Whether there is room for one more value.
    fn takes(&mut self, value: Option<&str>) -> bool {
        let bytes = value.map_or(0, str::len) + 128;
        let fits = bytes <= self.bytes;
        self.bytes -= if fits { bytes } else { 0 };
        self.more |= !fits;
        fits
    }
}

/// One row of the ledger, with the old values.
struct Change {
    past: Past,
    /// None: the record was not there before.
    before: Option<Props>,
}

fn changes(reader: &Reader<'_>, held: &Held) -> Result<Vec<Change>, StoreError> {
    let mut statement =
        reader.prepare_cached("SELECT seq, origin, at, before FROM m_ledger WHERE record = ?1 ORDER BY seq DESC")?;
    let mut rows = statement.query([held.record])?;
    let mut changes = Vec::new();
    while let Some(row) = rows.next()? {
        let past = Past { seq: row.get(0)?, origin: row.get(1)?, at: Timestamp::from_unix_ms(row.get(2)?) };
        let before: Option<String> = row.get(3)?;
        changes.push(Change { past, before: before.as_deref().map(record::props).transpose()? });
    }
    Ok(changes)
}

struct Clash {
    /// None: the record as a whole.
    property: Option<String>,
    truth: Option<String>,
    theirs: Option<String>,
    verdict: String,
    seq: u64,
    row: LostRow,
}

fn clashes(reader: &Reader<'_>, held: &Held, policy: &Policy) -> Result<Vec<Clash>, StoreError> {
    let mut statement = reader.prepare_cached(
        "SELECT id, property, truth, theirs, verdict, open, seq, replica, at FROM m_conflict WHERE record = ?1 ORDER BY conflict DESC",
    )?;
    let mut rows = statement.query([held.record])?;
    let mut clashes = Vec::new();
    while let Some(row) = rows.next()? {
        let property: Option<String> = row.get(1)?;
        // A path counts as its first name: values are told whole.
        let first = |property: String| match policy.nested {
            true => path::names(&property).next().map(std::borrow::Cow::into_owned).unwrap_or_default(),
            false => property,
        };
        let at = Timestamp::from_unix_ms(row.get(8)?);
        clashes.push(Clash {
            property: property.map(first),
            truth: row.get(2)?,
            theirs: row.get(3)?,
            verdict: row.get(4)?,
            seq: row.get(6)?,
            row: LostRow { conflict: row.get(0)?, open: row.get(5)?, theirs: false, value: None, replica: row.get(7)?, at },
        });
    }
    Ok(clashes)
}

/// How the value came, and what lost to it. `since`: the seq of the change that gave it.
fn rule(
    since: Option<&Past>,
    property: Option<&str>,
    clashes: &[Clash],
    now: Option<&str>,
    told: &mut Told,
) -> (&'static str, Vec<LostRow>) {
    let mut rule = match since {
        None => WhyRow::UNRECORDED,
        Some(past) if past.origin.starts_with("sync:") => WhyRow::ARRIVED,
        Some(_) => WhyRow::WRITTEN,
    };
    let since = since.map_or(0, |past| past.seq);
    let mut lost = Vec::new();
    for clash in clashes.iter().filter(|clash| clash.property.as_deref() == property && clash.seq >= since) {
        let (came, theirs) = match clash.verdict.as_str() {
            "open" => (WhyRow::OPEN, true),
            "truth" => (WhyRow::KEPT, true),
            "remote" => (WhyRow::MERGED, false),
            "kept_edit" if clash.theirs.is_none() => (WhyRow::KEPT, true),
            "kept_delete" if clash.theirs.is_none() => (WhyRow::MERGED, false),
            "kept_edit" => (WhyRow::MERGED, false),
            "kept_delete" => (WhyRow::KEPT, true),
            // Decided since: what is here now won.
            _ => (rule, now == clash.truth.as_deref()),
        };
        // The newest of them is what stands; an open one is what is to be known first.
        if lost.is_empty() || came == WhyRow::OPEN {
            rule = came;
        }
        let value = if theirs { &clash.theirs } else { &clash.truth };
        if lost.len() < limits::WHY_ROWS_MAX && told.takes(value.as_deref()) {
            lost.push(LostRow { theirs, value: value.clone(), ..clash.row.clone() });
        } else {
            told.more = true;
        }
    }
    (rule, lost)
}

fn one(
    name: &str,
    now: Option<&Value>,
    changes: &[Change],
    clashes: &[Clash],
    policy: &Policy,
    with_past: bool,
    told: &mut Told,
) -> WhyRow {
    let value = now.map(json::write_value);
    let mut was = now.cloned();
    let mut since = None;
    let mut before = Vec::new();
    for change in changes {
        let old = match &change.before {
            None if was.is_none() => continue,
            None => None,
            Some(props) => match props.get(name) {
                Some(Value::List(old)) => old.first().cloned(),
                _ => continue,
            },
        };
        if since.is_none() {
            since = Some(change.past.clone());
        } else if with_past {
            let text = was.as_ref().map(json::write_value);
            if before.len() == limits::WHY_ROWS_MAX || !told.takes(text.as_deref()) {
                told.more = true;
                break;
            }
            before.push((text, change.past.clone()));
        } else {
            break;
        }
        was = old;
    }
    let (rule, lost) = rule(since.as_ref(), Some(name), clashes, value.as_deref(), told);
    WhyRow { property: Some(name.to_owned()), value, since, rule, policy: policy.of(name).word(), lost, before }
}

/// The record as a whole: when it came, or went.
fn whole(held: &Held, changes: &[Change], clashes: &[Clash], policy: &Policy, told: &mut Told) -> WhyRow {
    let made = |change: &&Change| change.before.is_none();
    let since = if held.state == State::Live { changes.iter().find(made) } else { changes.first() };
    let since = since.map(|change| change.past.clone());
    let (rule, lost) = rule(since.as_ref(), None, clashes, None, told);
    WhyRow { property: None, value: None, since, rule, policy: policy.default.word(), lost, before: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::*;

    fn told(store: &crate::store::Store, id: &str, property: Option<&str>) -> Vec<String> {
        let why = store.read(|reader| why(reader, "a", id, property)).unwrap();
        let row = |row: &WhyRow| {
            let lost: Vec<String> = row
                .lost
                .iter()
                .map(|one| format!("{} {}", if one.theirs { "theirs" } else { "truth" }, one.value.as_deref().unwrap_or("-")))
                .collect();
            let before: Vec<String> =
                row.before.iter().map(|(value, past)| format!("{}@{}", value.as_deref().unwrap_or("-"), past.seq)).collect();
            let since = row.since.as_ref().map_or_else(|| "-".into(), |past| format!("{}@{}", past.origin, past.seq));
            let name = row.property.as_deref().unwrap_or("record");
            let (lost, before) = (lost.join(", "), before.join(", "));
            format!("{name}={} {since} {} [{lost}] [{before}]", row.value.as_deref().unwrap_or("-"), row.rule).replace('"', "'")
        };
        std::iter::once(why.state.to_owned()).chain(why.rows.iter().map(row)).collect()
    }

    #[test]
    fn the_ledger_and_the_conflicts_say_why() {
        let store = memory();
        seq(&store, put("r", r#"{"t":"one","n":1}"#));
        seq(&store, patch("r", r#"{"t":"two"}"#));
        assert_eq!(
            told(&store, "r", None),
            [
                "live",
                "record=- app:tester@1 written [] []",
                "n=1 app:tester@1 written [] []",
                "t='two' app:tester@2 written [] []"
            ]
        );
        assert_eq!(told(&store, "r", Some("t")), ["live", "t='two' app:tester@2 written [] ['one'@1]"]);
        assert_eq!(told(&store, "r", Some("x")), ["live", "x=- - unrecorded [] []"]);
        let clash = "INSERT INTO m_conflict (id, record, replica, property, agreed, truth, theirs, verdict, open, seq, at)
             SELECT 'c-' || ?1, record, 'far', 't', '1', '\"two\"', '\"three\"', 'truth', 0, seq, 1 FROM m_record";
        sql(&store, clash.replace("?1", "1").leak()).unwrap();
        assert_eq!(told(&store, "r", Some("t"))[1], "t='two' app:tester@2 kept [theirs 'three'] ['one'@1]");
        sql(&store, "UPDATE m_conflict SET verdict = 'open', open = 1").unwrap();
        assert_eq!(told(&store, "r", Some("t"))[1], "t='two' app:tester@2 open [theirs 'three'] ['one'@1]");
        sql(&store, "UPDATE m_ledger SET origin = 'sync:s' WHERE seq = 2; UPDATE m_conflict SET verdict = 'remote', open = 0")
            .unwrap();
        assert_eq!(told(&store, "r", Some("t"))[1], "t='two' sync:s@2 merged [truth 'two'] ['one'@1]");
        // A later change is not that conflict's any more.
        seq(&store, patch("r", r#"{"t":"four"}"#));
        assert_eq!(told(&store, "r", Some("t"))[1], "t='four' app:tester@3 written [] ['two'@2, 'one'@1]");
        seq(&store, delete("r"));
        assert_eq!(told(&store, "r", None), ["deleted", "record=- app:tester@4 written [] []"]);
        assert!(store.read(|reader| why(reader, "a", "never", None)).is_err());
    }
}
