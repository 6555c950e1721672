//! Owns: which apps there are, from the configuration, the socket and the store together; registering one, forgetting its copies. Must
//! never know: the wire, what is in a copy.

use std::collections::{BTreeMap, BTreeSet};

use mingle_core::{
    ask::{AppRow, CopyRow, Page, Refusal, Reset},
    limits::APP_PAGE_ROWS_MAX,
};

use super::{House, told};
use crate::{
    clock,
    ipc::door::{Apps, Later},
    store::{Class, sync::session},
};

impl House {
    /// Nobody is called so, or keeps a copy of that.
    fn no_copy(&self, asked: &Reset) -> Refusal {
        let of = asked.collections.as_ref().map_or(String::new(), |named| format!(" of {}", named.join(", ")));
        let told = format!("{} keeps no copy{of}", asked.app);
        let hint = match self.read(|reader| session::keepers(reader, "", 20)).unwrap_or_default() {
            names if names.is_empty() => "no app keeps one; `mingle app list` shows what is known of each".to_owned(),
            names => format!("these do: {}", names.join(", ")),
        };
        Refusal::NotFound(told, Some(hint))
    }
}

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

    fn register_app(&self, app: String, collections: Vec<String>) -> Later<Vec<CopyRow>> {
        self.decide(move |tx| session::register(tx, &app, &collections))
    }

    fn reset_app(&self, asked: Reset) -> Later<Vec<String>> {
        let house = self.clone();
        Box::pin(async move {
            // What it pushed before it went meets the truth first.
            if let Some(left) = house.read(|reader| session::left_over(reader, &asked.app))? {
                house.mingled(left, true).await?;
            }
            let mut forgotten = BTreeSet::new();
            loop {
                let one = asked.clone();
                let slice = house.0.store.write(Class::Background, clock::now(), move |tx| session::reset(tx, &one));
                let (names, more) = told(slice).await?;
                forgotten.extend(names);
                if !more {
                    break;
                }
            }
            if forgotten.is_empty() && !asked.own {
                return Err(house.no_copy(&asked));
            }
            let names: Vec<String> = forgotten.into_iter().collect();
            tracing::info!(app = asked.app, collections = names.join(" "), "a copy was forgotten");
            Ok(names)
        })
    }
}
