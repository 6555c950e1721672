//! Owns: which apps there are, from the configuration, the socket and the store together; registering one, forgetting its copies. Must
//! never know: the wire, what is in a copy.

use std::collections::{BTreeMap, BTreeSet};

use mingle_core::{
    ask::{AppRow, CopyRow, Page, Refusal, Register, Reset},
    limits::APP_PAGE_ROWS_MAX,
};

use super::House;
use crate::{
    ipc::door::{Apps, Gone, Later},
    store::sync::session,
};

impl Apps for House {
    fn apps(&self, connected: &BTreeSet<String>, after: Option<&str>, limit: usize) -> Result<Page<AppRow>, Refusal> {
        let (config, after) = (self.config(), after.unwrap_or_default());
        let keepers = self.read(|reader| session::keepers(reader, after, limit + 1))?;
        let mut names: BTreeSet<&String> = config.apps.keys().chain(connected).filter(|name| name.as_str() > after).collect();
        names.extend(&keepers);
        let mut page = Page { rows: Vec::new(), cursor: None };
        let mut size = 0;
        for name in names {
            if page.rows.len() == limit || size >= APP_PAGE_ROWS_MAX {
                page.cursor = page.rows.last().map(|row: &AppRow| row.app.clone());
                break;
            }
            let (copies, session) = self.read(|reader| Ok((session::known(reader, name)?, session::open_of(reader, name)?)))?;
            size += copies.len() + config.apps.get(name).map_or(1, BTreeMap::len);
            page.rows.push(AppRow { app: name.clone(), grants: config.grants(name), copies, session });
        }
        Ok(page)
    }

    fn register_app(&self, app: String, asked: Register, gone: Gone) -> Later<Vec<CopyRow>> {
        let house = self.clone();
        Box::pin(async move {
            if house.read(|reader| session::registers_under(reader, &app, &asked))? {
                house.clears_the_way(&app, gone).await?;
            }
            house.decide(move |tx| session::register(tx, &app, &asked)).await
        })
    }

    fn reset_app(&self, asked: Reset, gone: Gone) -> Later<Vec<String>> {
        let house = self.clone();
        Box::pin(async move {
            // Who may not have it forgotten ends nothing either.
            if house.read(|reader| session::resets_under(reader, &asked))? {
                house.clears_the_way(&asked.app, gone).await?;
            }
            let app = asked.app.clone();
            let names = house.decide(move |tx| session::reset(tx, &asked)).await?;
            if !names.is_empty() {
                tracing::info!(app, collections = names.join(" "), "a copy was forgotten");
            }
            Ok(names)
        })
    }
}
