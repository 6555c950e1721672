//! Owns: a service whose pages lie ready: what a sync of it takes is the daemon's own. Must never know: what is measured.

use std::{path::Path, sync::Arc};

use mingle_tests::{
    chance::Chance,
    rest_server::{self, Options},
    wire::{self, Served, response},
};
use serde_json::json;

/// Of its ids: whoever makes them anew from it knows them all.
pub const SEED: u64 = 3;
/// Rows of a page.
pub const PAGE: usize = 5_000;

/// The service. It ends with its value.
pub struct Flood {
    url: String,
    _served: Served,
}

impl Flood {
    /// So many records of some 400 bytes, with random ids.
    pub fn start(records: usize) -> Self {
        let mut chance = Chance::new(SEED);
        let mut pages = Vec::new();
        let mut first_row = String::new();
        for first in (0..records.max(1)).step_by(PAGE) {
            let last = records.min(first + PAGE);
            let rows: Vec<String> = (first..last).map(|number| row(&mut chance, number)).collect();
            if first == 0 {
                first_row = rows.first().cloned().unwrap_or_default();
            }
            let mut body = format!("{{\"rows\":[{}]", rows.join(","));
            if last < records {
                body += &format!(",\"next\":\"{}\"", pages.len() + 1);
            }
            body.push('}');
            pages.push(answer(&body));
        }
        let one_row = answer(&format!("{{\"rows\":[{first_row}],\"next\":\"0\"}}"));
        let handler = move |request: &wire::Request, line: &mut wire::Line| match request.path.first().map(String::as_str) {
            Some("about") => line.send(&answer(r#"{"service":"scripted","instance":"flood"}"#)),
            _ if request.parameter("since").is_some() => line.send(&answer(r#"{"rows":[]}"#)),
            _ if request.parameter("rows") == Some("1") => line.send(&one_row),
            _ => {
                let page = request.parameter("page").and_then(|page| page.parse::<usize>().ok()).unwrap_or(0);
                line.send(pages.get(page).map_or(&[][..], Vec::as_slice))
            }
        };
        let served = wire::serve(Arc::new(handler));
        Self { url: served.url.clone(), _served: served }
    }

    /// A sync named `things` from it, that runs when it is told to.
    pub fn configuration(&self) -> String {
        format!(
            "[remote.far]\nkind = \"rest\"\nprofile = \"{}\"\nurl = \"{}\"\n\n[sync.things]\ncollection = \"things\"\nremote = \"far\"\n\
             resource = \"things\"\ndirection = \"down\"\non_start = false\n\n[collection.notes]\nindex = [\"state\"]\n",
            rest_server::RestServer::PROFILE,
            self.url
        )
    }

    /// Its profile, into the folder of a configuration.
    pub fn write_profile(config_dir: &Path) {
        rest_server::write_profile(&Options { page_rows: PAGE, page_rows_max: PAGE, ..Options::default() }, config_dir);
    }
}

/// The next id.
pub fn id(chance: &mut Chance) -> String {
    format!("{:016x}{:016x}", chance.number(), chance.number())
}

fn row(chance: &mut Chance, number: usize) -> String {
    let id = id(chance);
    let text = "y".repeat(260);
    json!({ "id": id, "rev": number + 1, "at": 1_700_000_000_000_u64, "name": format!("record {number}"), "number": number, "text": text })
        .to_string()
}

fn answer(body: &str) -> Vec<u8> {
    response(200, &[("content-type", "application/json"), ("x-token", "1")], body)
}
