//! Owns: how far a write has come at the remotes concerned, told from the links as they are. Must never know: runs, schedules, who
//! waits.

use mingle_core::{
    ask::{Refusal, WaitState, Waited},
    mingle::alike,
    policy::Policy,
    record::Carried,
    run::Creates,
};
use rusqlite::{Connection, OptionalExtension};

use super::{
    alias, children, deferred,
    error::StoreError,
    reader::Reader,
    record::{self, Held, State},
    sync::link::{linked_to_a_remote, under_way},
    token::{About, Token},
};

/// A replica that an `up` or `both` sync of a collection serves.
#[derive(Clone, Debug, PartialEq)]
pub struct UpReplica {
    /// Its number in the store; none: it was never spoken to.
    pub replica: Option<i64>,
    /// The remote's name.
    pub remote: String,
    /// What it carries.
    pub carried: Carried,
    /// Which records without a link there it would get.
    pub creates: Creates,
}

/// How far the write of this token has come; `replicas` names the replicas concerned of a collection.
///
/// # Errors
/// `invalid` for what is no token, `stale` for one of another instance, `unsupported` where no remote is concerned.
pub fn waited(reader: &Reader<'_>, token: &str, replicas: &dyn Fn(&str) -> Vec<UpReplica>) -> Result<Waited, StoreError> {
    let token = Token::parse(token)?;
    if token.instance != reader.instance() {
        return Err(Refusal::Stale("the token belongs to another instance of the store".into(), None).into());
    }
    let mut all = Standings::default();
    let (mut concerned, mut named) = (false, Vec::new());
    for (number, seq) in records(reader, &token.about)? {
        // Thrown away since: every link had passed by then.
        let Some(held) = record::by_row(reader, number)? else {
            concerned = true;
            continue;
        };
        // What was written to a record that is another now is that one's.
        let held = if held.data.is_none() { alias::follow(reader, held)? } else { held };
        let Some(collection) = reader.definitions().numbered(held.collection) else { continue };
        let mut overruled = overruled(reader, number, seq)?;
        if held.record != number {
            overruled.extend(self::overruled(reader, held.record, seq)?);
        }
        concerned |= !overruled.is_empty();
        for replica in replicas(&collection.definition.name) {
            if let Some(standing) = standing(reader, &held, seq, &replica, &collection.definition.policy)? {
                concerned = true;
                all.at(&replica.remote, standing);
            }
        }
        for (remote, why) in overruled {
            all.at(&remote, (WaitState::Overruled, Some(why)));
        }
        named.push(collection.definition.name.clone());
    }
    if !concerned {
        named.dedup();
        let told = format!("no sync takes what was written to {} up to a remote", named.join(", "));
        return Err(Refusal::Unsupported(told).into());
    }
    Ok(all.waited())
}

/// The records of a token, each with its seq.
fn records(conn: &Connection, about: &About) -> Result<Vec<(i64, u64)>, StoreError> {
    match about {
        About::Records(records) => Ok(records.clone()),
        About::Range(first, last) => {
            let mut statement =
                conn.prepare_cached("SELECT record, max(seq) FROM m_ledger WHERE seq BETWEEN ?1 AND ?2 GROUP BY record")?;
            let rows = statement.query_map((first, last), |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(rows.collect::<Result<_, _>>()?)
        }
    }
}

type Standing = (WaitState, Option<String>);

/// Remote by remote, the worst of all records.
#[derive(Default)]
struct Standings(Vec<(String, Standing)>);

impl Standings {
    fn at(&mut self, remote: &str, standing: Standing) {
        match self.0.iter_mut().find(|(name, _)| name == remote) {
            Some((_, known)) if weight(known.0) >= weight(standing.0) => {}
            Some((_, known)) => *known = standing,
            None => self.0.push((remote.to_owned(), standing)),
        }
    }

    fn waited(self) -> Waited {
        let worst = self.0.iter().max_by_key(|(_, (state, _))| weight(*state));
        let state = worst.map_or(WaitState::Done, |(_, (state, _))| *state);
        let why = worst.and_then(|(remote, (_, why))| why.as_ref().map(|why| format!("{remote}: {why}")));
        Waited { state, why, remotes: self.0.into_iter().map(|(remote, (state, why))| (remote, state, why)).collect() }
    }
}

fn weight(state: WaitState) -> u8 {
    match state {
        WaitState::Done => 0,
        WaitState::Pending => 1,
        WaitState::Overruled => 2,
        WaitState::Rejected => 3,
    }
}

/// The conflicts that name this write as the one that lost: the other side, and in words.
fn overruled(conn: &Connection, record: i64, seq: u64) -> Result<Vec<(String, String)>, StoreError> {
    let mut statement = conn
        .prepare_cached("SELECT replica, id, property FROM m_conflict WHERE record = ?1 AND loser_seq = ?2 ORDER BY conflict")?;
    let rows = statement.query_map((record, seq), |row| {
        let (replica, id, property): (String, String, Option<String>) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let what = property.unwrap_or_else(|| "the record".into());
        Ok((replica, format!("{what} was decided otherwise ({id})")))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

struct LinkRow {
    link: i64,
    base: i64,
    agreed: Option<String>,
    sent: bool,
    confirmed: u64,
}

/// One record at one replica; none: the replica is not concerned.
fn standing(
    conn: &Connection,
    held: &Held,
    seq: u64,
    replica: &UpReplica,
    policy: &Policy,
) -> Result<Option<Standing>, StoreError> {
    let mut statement = conn.prepare_cached(
        &format!("SELECT k.link, k.base, k.agreed, {}, k.confirmed FROM m_link k JOIN m_record r USING (record) WHERE k.replica = ?1 AND k.record = ?2", under_way()),
    )?;
    let link = match replica.replica {
        Some(number) => statement
            .query_row((number, held.record), |row| {
                Ok(LinkRow {
                    link: row.get(0)?,
                    base: row.get(1)?,
                    agreed: row.get(2)?,
                    sent: row.get(3)?,
                    confirmed: row.get(4)?,
                })
            })
            .optional()?,
        None => None,
    };
    match link {
        Some(link) => linked(conn, held, seq, &link, replica, policy).map(Some),
        None => unlinked(conn, held, replica, policy),
    }
}

fn linked(
    conn: &Connection,
    held: &Held,
    seq: u64,
    link: &LinkRow,
    replica: &UpReplica,
    policy: &Policy,
) -> Result<Standing, StoreError> {
    // What left here without being deleted is not to be sent.
    if link.confirmed >= seq || held.state == State::Forgotten {
        return Ok((WaitState::Done, None));
    }
    if let Some(standing) = rejected(conn, link.link)? {
        return Ok(standing);
    }
    if link.sent {
        return Ok((WaitState::Pending, Some("sent, and not answered yet".into())));
    }
    let truth = held.props()?;
    let agreed = link.agreed.as_deref().map(record::props).transpose()?;
    let level = match (link.base, &agreed, &truth) {
        (0, _, _) | (2, _, None) => true,
        (1, Some(agreed), Some(truth)) => alike(agreed, truth, &replica.carried, policy),
        _ => false,
    };
    if level {
        return Ok((WaitState::Done, None));
    }
    let parent = truth.as_ref().map(|truth| children::deferred(conn, &replica.remote, &policy.references, truth)).transpose()?;
    let why = match frozen(conn, link.link)? {
        Some(why) => why,
        None => kept_back(conn, held.record)?.or(parent.flatten()).unwrap_or_else(|| "not sent yet".into()),
    };
    Ok((WaitState::Pending, Some(why)))
}

/// Why a record is not sent: it is marked so.
fn kept_back(conn: &Connection, record: i64) -> Result<Option<String>, StoreError> {
    Ok(deferred::by(conn, record)?.map(|app| format!("{app} marked it not for upload; `mingle pending upload` lets it go")))
}

/// A rejection that stands against the link.
fn rejected(conn: &Connection, link: i64) -> Result<Option<Standing>, StoreError> {
    let mut statement = conn.prepare_cached("SELECT id, side, what, verdict FROM m_rejection WHERE link = ?1")?;
    let found = statement
        .query_row([link], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?, row.get::<_, Option<String>>(3)?))
        })
        .optional()?;
    Ok(found.map(|(id, side, what, verdict)| match (side.as_str(), verdict.as_deref()) {
        (_, Some("retry")) => (WaitState::Pending, Some(format!("to be tried again ({id}): {what}"))),
        ("delete" | "down", _) => (WaitState::Pending, Some(format!("held back until {id} is decided: {what}"))),
        _ => (WaitState::Rejected, Some(format!("{what} ({id})"))),
    }))
}

/// Why a link that is behind sends nothing: an open conflict.
fn frozen(conn: &Connection, link: i64) -> Result<Option<String>, StoreError> {
    let mut statement = conn.prepare_cached("SELECT id, property FROM m_conflict WHERE link = ?1 AND open = 1 LIMIT 1")?;
    let found = statement.query_row([link], |row| Ok((row.get::<_, String>(0)?, row.get::<_, Option<String>>(1)?))).optional()?;
    Ok(found.map(|(id, property)| format!("{} waits for a decision ({id})", property.unwrap_or_else(|| "the record".into()))))
}

fn unlinked(conn: &Connection, held: &Held, replica: &UpReplica, policy: &Policy) -> Result<Option<Standing>, StoreError> {
    let would = match replica.creates {
        Creates::Never => false,
        Creates::Unlinked => !linked_to_a_remote(conn, held.record)?,
        Creates::All => true,
    };
    let parent = held.props()?.map(|props| children::deferred(conn, &replica.remote, &policy.references, &props)).transpose()?;
    let why = kept_back(conn, held.record)?.or(parent.flatten()).unwrap_or_else(|| "not made there yet".into());
    Ok(would.then_some(match held.state {
        State::Live => (WaitState::Pending, Some(why)),
        // Made and deleted before it was sent: nothing is.
        State::Deleted | State::Forgotten => (WaitState::Done, None),
    }))
}

#[cfg(test)]
mod tests;
