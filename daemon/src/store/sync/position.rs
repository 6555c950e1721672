//! Owns: the checkpoint as a row: epoch, watermark, resume. Must never know: when it moves.

use mingle_core::{
    planted,
    replica::From as ListFrom,
    run::{Resume, Watermark},
    time::Timestamp,
};
use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};

use super::{Ground, link, reset::Under};
use crate::store::{error::StoreError, tx::Tx};

/// What `m_sync` holds of a sync.
#[derive(Clone, Debug, Default)]
pub(super) struct Position {
    pub replica: Option<i64>,
    pub epoch: Option<String>,
    pub watermark: Option<Watermark>,
    pub resume: Option<Resume>,
    pub complete: Option<String>,
    pub up_scanned: u64,
    pub filter: Option<String>,
    pub reset: Option<Under>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WatermarkRow {
    Token(String),
    Stamp(i64),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum FromRow {
    Start,
    Token(String),
    Stamp(i64),
}

#[derive(Serialize, Deserialize)]
struct ResumeRow {
    from: FromRow,
    page: Option<String>,
    rows: usize,
    done: u64,
    pass: u64,
    began: Option<i64>,
    server_time: Option<i64>,
    newest: Option<i64>,
    token: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    anew: bool,
}

pub(super) fn load(conn: &Connection, sync: &str) -> Result<Option<Position>, StoreError> {
    let row = conn
        .prepare_cached(
            "SELECT replica, epoch, watermark, resume, complete, up_scanned, filter, reset FROM m_sync WHERE name = ?1",
        )?
        .query_row([sync], |row| {
            Ok((
                row.get::<_, Option<i64>>(0)?,
                row.get::<_, Option<String>>(1)?,
                row.get::<_, Option<String>>(2)?,
                row.get::<_, Option<String>>(3)?,
                row.get::<_, Option<String>>(4)?,
                row.get::<_, i64>(5)?,
                row.get::<_, Option<String>>(6)?,
                row.get::<_, Option<String>>(7)?,
            ))
        })
        .optional()?;
    let Some((replica, epoch, watermark, resume, complete, up_scanned, filter, reset)) = row else { return Ok(None) };
    let (watermark, resume) = read(watermark.as_deref(), resume.as_deref());
    let (up_scanned, reset) = (link::unsigned(up_scanned), reset.as_deref().and_then(Under::read));
    Ok(Some(Position { replica, epoch, watermark, resume, complete, up_scanned, filter, reset }))
}

/// Reads what was saved of a checkpoint. A position that does not read is no position: everything is listed and compared, which
/// loses nothing.
#[must_use]
pub fn read(watermark: Option<&str>, resume: Option<&str>) -> (Option<Watermark>, Option<Resume>) {
    let watermark = watermark.and_then(|text| serde_json::from_str(text).ok()).map(|row| match row {
        WatermarkRow::Token(token) => Watermark::Token(token),
        WatermarkRow::Stamp(ms) => Watermark::Stamp(Timestamp::from_unix_ms(ms)),
    });
    let resume = resume.and_then(|text| serde_json::from_str(text).ok()).map(|row: ResumeRow| Resume {
        from: match row.from {
            FromRow::Start => ListFrom::Start,
            FromRow::Token(token) => ListFrom::Token(token),
            FromRow::Stamp(ms) => ListFrom::Stamp(Timestamp::from_unix_ms(ms)),
        },
        page: row.page,
        rows: row.rows,
        done: row.done,
        pass: row.pass,
        began: row.began.map(Timestamp::from_unix_ms),
        server_time: row.server_time.map(Timestamp::from_unix_ms),
        newest: row.newest.map(Timestamp::from_unix_ms),
        token: row.token,
        anew: row.anew && !planted::is("rebuild forgotten when cut off"),
    });
    (watermark, resume)
}

pub(super) fn watermark_text(watermark: &Watermark) -> Result<String, StoreError> {
    let row = match watermark {
        Watermark::Token(token) => WatermarkRow::Token(token.clone()),
        Watermark::Stamp(stamp) => WatermarkRow::Stamp(stamp.unix_ms()),
    };
    serde_json::to_string(&row).map_err(link::damaged)
}

pub(super) fn save_resume(tx: &Tx<'_>, ground: &Ground, resume: Option<&Resume>) -> Result<(), StoreError> {
    let row = |resume: &Resume| ResumeRow {
        from: match &resume.from {
            ListFrom::Start => FromRow::Start,
            ListFrom::Token(token) => FromRow::Token(token.clone()),
            ListFrom::Stamp(stamp) => FromRow::Stamp(stamp.unix_ms()),
        },
        page: resume.page.clone(),
        rows: resume.rows,
        done: resume.done,
        pass: resume.pass,
        began: resume.began.map(Timestamp::unix_ms),
        server_time: resume.server_time.map(Timestamp::unix_ms),
        newest: resume.newest.map(Timestamp::unix_ms),
        token: resume.token.clone(),
        anew: resume.anew,
    };
    let text = resume.map(|resume| serde_json::to_string(&row(resume)).map_err(link::damaged)).transpose()?;
    tx.conn().prepare_cached("UPDATE m_sync SET resume = ?2 WHERE name = ?1")?.execute(params![ground.spec.name, text])?;
    Ok(())
}
