//! Owns: the profile that promises what the service does. Must never know: how it does it.

use std::{fmt::Write as _, path::Path};

use super::{Options, Paging, RestServer};

/// Writes the profile of such a service into the folder of a configuration.
///
/// # Panics
/// When the file cannot be written.
pub fn write_profile(options: &Options, config_dir: &Path) {
    let dir = config_dir.join("profiles");
    std::fs::create_dir_all(&dir).expect("a folder for profiles");
    std::fs::write(dir.join(format!("{}.toml", RestServer::PROFILE)), profile(options)).expect("a profile");
}

fn profile(options: &Options) -> String {
    let Options { token, tombstones, revisions, conditional, client_ids, stamps, patches, paging, page_rows, .. } = *options;
    let mut out = String::from(
        "version = 1\nabout = \"a scripted service\"\nexample = \"\"\ndenied_hint = \"is {resource} a list of {url}?\"\n[abilities]\n",
    );
    let cursor = if token { "token" } else { "none" };
    let _ = writeln!(
        out,
        "cursor = \"{cursor}\"\ntombstones = {tombstones}\nstrong_revision = {revisions}\nconditional = {conditional}\nerrands_max = 4\npage_rows = {page_rows}"
    );
    let mut row = String::from("[row]\nid = \"/id\"\ndeleted = \"/gone\"\n");
    if client_ids {
        out += "client_ids = { besides = \"-_.\", min = 1, max = 64 }\n";
    }
    if options.keys {
        out += "key_kept_s = 3600\n";
    }
    if stamps {
        out += "modified_grain_ms = 1\n";
        row += "modified = { at = \"/at\", form = \"unix_ms\" }\n";
    }
    if revisions {
        row += "revision = \"/rev\"\n";
    }
    let next = match paging {
        Paging::Cursor => "{ cursor = \"/next\" }",
        Paging::Header => "{ header = \"next-page\" }",
        Paging::Link => "{ link = \"next\" }",
        Paging::Address => "{ address = \"/next\" }",
        Paging::Number => "{ number = 1 }",
        Paging::Offset => "{ offset = 0 }",
    };
    let since = if token { "since = \"{since}\", " } else { "" };
    let _ = writeln!(
        out,
        "{row}[identify]\npath = \"/about\"\npointer = \"/service\"\nequals = \"scripted\"\nname = \"scripted\"\nhint = \"start one\"\ninstance = \"/instance\"\n\
         [list]\npath = \"/{{resource}}\"\nquery = {{ {since}rows = \"{{page_rows}}\", page = \"{{page}}\" }}\nrows = \"/rows\"\nnext = {next}\ntotal_header = \"x-total\""
    );
    if options.etags {
        out += "validates = true\n";
    }
    if token {
        out += "token = { header = \"x-token\", grows = true, refused = [400, 410] }\n";
    }
    let (method, sends) = if patches { ("PATCH", "patch") } else { ("PUT", "whole") };
    let guard = if conditional { "headers = { if-match = \"{revision}\" }\n" } else { "" };
    let key = if options.keys { "headers = { idempotency-key = \"{key}\" }\n" } else { "" };
    let _ = writeln!(
        out,
        "[get]\npath = \"/{{resource}}/{{id}}\"\nrow = \"/row\"\n\
         [create]\nmethod = \"POST\"\npath = \"/{{resource}}\"\nsends = \"whole\"\nrow = \"/row\"\n{key}\
         [update]\nmethod = \"{method}\"\npath = \"/{{resource}}/{{id}}\"\nsends = \"{sends}\"\nrow = \"/row\"\n{guard}\
         [delete]\nmethod = \"DELETE\"\npath = \"/{{resource}}/{{id}}\"\n{guard}\
         [answers]\npresent = \"/row\"\nwords = \"/words\""
    );
    if options.batches > 0 {
        let _ = writeln!(
            out,
            "[batch]\npath = \"/batch\"\nmax = {}\nrequests = \"/requests\"\nresponses = \"/responses\"",
            options.batches
        );
    }
    if client_ids {
        out += "[create_named]\nmethod = \"PUT\"\npath = \"/{resource}/{id}\"\nheaders = { if-none-match = \"*\" }\nsends = \"whole\"\nrow = \"/row\"\n";
    }
    out
}
