//! Owns: the tables of documents: each format, what is no document, what the kind can do. Must never know: a server, the store.

use mingle_core::replica::RowState;
use reqwest::StatusCode;

use super::*;
use crate::json;

fn shape(keys: &str) -> Shape {
    let settings: RemoteSettings = toml::from_str(&format!("kind = \"http\"\n{keys}")).expect("settings");
    Shape::of(&settings).expect("a shape")
}

fn shown(rows: &[Packed]) -> String {
    let one = |row: &Packed| {
        let row = row.open();
        match row.state {
            RowState::Live(props) => format!("{} {}", row.remote_id, json::write(&props)),
            RowState::Gone => format!("{} gone", row.remote_id),
            RowState::Unreadable(why) => format!("{} ? {why}", row.remote_id),
        }
    };
    rows.iter().map(one).collect::<Vec<_>>().join(" | ")
}

fn reply(headers: &[(&'static str, &str)], body: &[u8]) -> Reply {
    let headers =
        headers.iter().map(|(name, value)| (reqwest::header::HeaderName::from_static(name), value.parse().unwrap())).collect();
    let url = "https://h/a".parse().unwrap();
    Reply { status: StatusCode::OK, headers, body: body.to_vec(), url, large: None, shown: None }
}

/// `keys` are settings; a length is announced.
#[track_caller]
fn check(keys: &str, of: &str, body: impl AsRef<[u8]>, expect: Result<&str, &str>) {
    let body = body.as_ref();
    let length = body.len().to_string();
    let got = read::read(&shape(keys), &reply(&[("content-type", of), ("content-length", &length)], body));
    match (&got, expect) {
        (Ok(rows), Ok(expect)) => assert_eq!(shown(rows), expect),
        (Err(error), Err(part)) => {
            assert!(error.what.contains(part) && error.hint.is_some(), "{error:?}");
            assert!(error.what.starts_with("https://h/a "), "{error}");
        }
        _ => panic!("{} gave {got:?}, not {expect:?}", String::from_utf8_lossy(body)),
    }
}

const JSON: &str = "application/json; charset=utf-8";

#[test]
fn a_json_list_is_read_whole_or_not_at_all() {
    check("", JSON, r#"[{"id":"a","n":1.50},{"id":7,"o":{"x":null}}]"#, Ok(r#"a {"n":1.50} | 7 {"o":{"x":null}}"#));
    check("", JSON, "[]", Ok(""));
    check("", JSON, "\u{feff}[{\"id\":\"a\"}]", Ok("a {}"));
    check(
        "rows = '/data/items'\nid = '/key/no'",
        JSON,
        r#"{"data":{"items":[{"key":{"no":3},"n":1}]}}"#,
        Ok(r#"3 {"key":{},"n":1}"#),
    );
    check("id = 'code'", JSON, r#"[{"code":"de"}]"#, Ok("de {}"));
    check("", JSON, r#"{"error":"down"}"#, Err("an object at its beginning, where the list should be"));
    check("rows = '/items'", JSON, r#"{"error":"down"}"#, Err("nothing at /items"));
    check("rows = '/items'", JSON, r#"{"items":null}"#, Err("null at /items"));
    check("", JSON, r#"[{"id":"a"},{"#, Err("ends too early"));
    check("", JSON, "", Err("ends too early"));
    check("", JSON, r#"[{"id":"a"},{"n":1}]"#, Err("no id at /id in row 2"));
    check("", JSON, r#"[{"id":{"x":1}}]"#, Err("an object as the id of row 1"));
    check("", JSON, r#"[{"id":""}]"#, Err("1 to 256 bytes"));
    check("", JSON, r#"["a"]"#, Err("no id at /id in row 1"));
    // One that cannot be kept does not cost the others.
    check(
        "",
        JSON,
        r#"[{"id":"a","t":"\ud800"},{"id":"b"}]"#,
        Ok("a ? it cannot be read: half a character stands in a JSON text (line 1, column 22) | b {}"),
    );
}

#[test]
fn of_rows_with_one_id_that_differ_none_counts() {
    const WHY: &str = "its id stands in the document more than once, and not with the same values";
    check("", JSON, r#"[{"id":"a","n":1},{"id":"b"},{"id":"a","n":1}]"#, Ok(r#"a {"n":1} | b {}"#));
    check("", JSON, r#"[{"id":"a","n":1},{"id":"b"},{"id":"a","n":2}]"#, Ok(&format!("a ? {WHY} | b {{}}")));
    check("format = 'csv'", "text/csv", "id,n\na,1\na,2\n", Ok(&format!("a ? {WHY}")));
}

#[test]
fn a_document_may_be_one_record() {
    check("document = 'settings'", JSON, r#"{"dark":true}"#, Ok(r#"settings {"dark":true}"#));
    check("document = 's'\nrows = '/values'", JSON, r#"{"values":{"a":1}}"#, Ok(r#"s {"a":1}"#));
    check("document = 's'", JSON, "[1]", Err("is a list, and one record is an object"));
    check("document = 's'\nrows = '/values'", JSON, "{}", Err("nothing at /values"));
}

#[test]
fn a_line_may_be_a_row() {
    let of = "application/x-ndjson";
    check("", of, "{\"id\":\"a\",\"n\":1}\r\n\n{\"id\":\"b\"}", Ok(r#"a {"n":1} | b {}"#));
    check("", of, "", Ok(""));
    check("", of, "{\"id\":\"a\"}\n{\"id\":\"b\",", Err("line 2 of the document"));
    check("", of, "{\"id\":\"a\"}\n[1]", Err("no id at /id in row 2 (line 2 of the document)"));
}

#[test]
fn a_table_is_read_by_the_names_of_its_columns() {
    let of = "text/csv; header=present";
    check(
        "",
        of,
        "id,name,note\n1,\"Smith, \"\"Jo\"\"\",\"two\nlines\"\n2,,\n",
        Ok("1 {\"name\":\"Smith, \\\"Jo\\\"\",\"note\":\"two\\nlines\"} | 2 {\"name\":\"\",\"note\":\"\"}"),
    );
    check("id = 'No.'", of, "\u{feff}No.;Preis\r\n7;1,50\r\n", Ok(r#"7 {"Preis":"1,50"}"#));
    check("", "text/tab-separated-values", "id\tn\na\t1", Ok(r#"a {"n":"1"}"#));
    check("", of, "id,n\n", Ok(""));
    check("", of, "", Err("no column \"id\""));
    check("", of, "name,n\na,1\n", Err("no column \"id\""));
    check("", of, "id,n\na,1\nb\n", Err("1 values in line 3, and 2 columns"));
    check("", of, "id,n\na,\"1\nb,2\n", Err("ends inside of quotes, which begin in line 2"));
    check("", of, "id,n,n\na,1,2\n", Err("a column twice: \"n\""));
    check("", of, "id,n,\na,1,\n", Err("no name for column 3"));
    check("", of, "id,n\n,1\n", Err("1 to 256 bytes"));
    // Neither a length nor chunks: one that was cut would look whole.
    let cut = read::read(&shape("format = 'csv'"), &reply(&[], b"id\na\n")).unwrap_err();
    assert!(cut.what.contains("where its answer ends"), "{cut}");
    assert_eq!(
        read::read(&shape("format = 'csv'"), &reply(&[("transfer-encoding", "chunked")], b"id\na\n")).map(|rows| rows.len()),
        Ok(1)
    );
}

#[test]
fn what_is_no_document_is_named() {
    const PAGE: &str = "<!DOCTYPE html><html><body>Please log in</body></html>";
    check("", "text/html", PAGE, Err("a web page (HTML)"));
    check("format = 'json'", "text/html; charset=utf-8", "[]", Err("a web page (HTML)"));
    check("format = 'csv'", "text/csv", PAGE, Err("a web page (HTML)"));
    check("format = 'rss'", "application/xml", "<html><head/></html>", Err("a web page (HTML)"));
    check("", "application/json", b"\xff\xfe[\0]\0", Err("UTF-16"));
    check(
        "",
        "text/csv; charset=iso-8859-1",
        b"id,n\na,caf\xe9\n",
        Err("not UTF-8, first in line 2 (it says that it is iso-8859-1)"),
    );
    check("", "image/png", "x", Err("image/png, which is no format"));
    check("", "text/plain", "x", Err("text/plain, which is no format"));
    check("", "application/rss+xml", "<rss/>", Err("answers with application/rss+xml"));
    check("format = 'json'", "text/plain", "[]", Ok(""));
    check("", "application/vnd.x+json", "[]", Ok(""));
    let heavy = format!("[{}{{\"id\":\"a\"}}]", "{\"id\":\"b\",\"l\":[1,2,3,4,5,6,7,8,9]},".repeat(200_000));
    let error = read::read(&shape("format = 'json'"), &reply(&[], heavy.as_bytes())).unwrap_err();
    assert_eq!(error.kind, Failure::TooLarge, "{error}");
    let heavy = format!("id\n{}", (0..300_000).map(|n| format!("{n}\n")).collect::<String>());
    let error = read::read(&shape("format = 'csv'"), &reply(&[("content-length", "1")], heavy.as_bytes())).unwrap_err();
    assert_eq!(error.kind, Failure::TooLarge, "{error}");
}

const RSS: &str = r#"<?xml version="1.0" encoding="utf-8"?>
<rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:media="m:">
<channel><title>News</title><link>https://h/</link>
<item><title>One &amp; only</title><link>https://h/1</link><guid isPermaLink="false">u1</guid>
<description><![CDATA[<p>Short</p>]]></description><content:encoded>&lt;p&gt;Long&lt;/p&gt;</content:encoded>
<pubDate>Thu, 01 Jan 2026 01:00:00 +0100</pubDate><dc:creator>Jo</dc:creator><category>a</category><category>b</category>
<media:title>not ours</media:title><enclosure url="https://h/1.mp3" type="audio/mpeg" length="12"/></item>
<item><title>Two</title><link> https://h/2 </link><pubDate>yesterday</pubDate></item>
</channel></rss>"#;

const ATOM: &str = r#"<feed xmlns="http://www.w3.org/2005/Atom"><title>News</title>
<entry><id>urn:1</id><title>One</title><link rel="self" href="https://h/self"/><link href="https://h/1"/>
<link rel="enclosure" href="https://h/1.pdf" type="application/pdf"/><published>2026-01-01T00:00:00Z</published>
<updated>2026-01-02T00:00:00Z</updated><author><name>Jo</name><uri>https://jo/</uri></author><category term="a"/>
<summary>Short</summary><content type="html">&lt;b&gt;Long&lt;/b&gt;</content></entry>
<entry><id>urn:2</id><content type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml">Long <b>text</b></div></content></entry></feed>"#;

#[test]
fn feeds_are_read_in_one_vocabulary() {
    let first = r#"u1 {"attachments":[{"mime_type":"audio/mpeg","size_in_bytes":12,"url":"https://h/1.mp3"}],"authors":[{"name":"Jo"}],"content_html":"<p>Long</p>","date_published":"2026-01-01T00:00:00Z","summary":"<p>Short</p>","tags":["a","b"],"title":"One & only","url":"https://h/1"}"#;
    let second = r#"https://h/2 {"date_published":"yesterday","title":"Two","url":"https://h/2"}"#;
    check("format = 'rss'", "text/xml", RSS, Ok(&format!("{first} | {second}")));
    let first = r#"urn:1 {"attachments":[{"mime_type":"application/pdf","url":"https://h/1.pdf"}],"authors":[{"name":"Jo","url":"https://jo/"}],"content_html":"<b>Long</b>","date_modified":"2026-01-02T00:00:00Z","date_published":"2026-01-01T00:00:00Z","summary":"Short","tags":["a"],"title":"One","url":"https://h/1"}"#;
    // Whichever of the two it is said to be.
    check("format = 'rss'", "text/xml", ATOM, Ok(&format!(r#"{first} | urn:2 {{"content_text":"Long text"}}"#)));
    let rdf = r#"<rdf:RDF xmlns:rdf="r:" xmlns="http://purl.org/rss/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/"><channel/><item><link>https://h/1</link><title>One</title><dc:date>2026-01-01</dc:date></item></rdf:RDF>"#;
    check("format = 'rss'", "", rdf, Ok(r#"https://h/1 {"date_published":"2026-01-01","title":"One","url":"https://h/1"}"#));
    let json = r#"{"version":"https://jsonfeed.org/version/1.1","title":"News","items":[{"id":"1","url":"https://h/1","content_text":"x"}]}"#;
    check("format = 'json-feed'", JSON, json, Ok(r#"1 {"content_text":"x","url":"https://h/1"}"#));
    check("format = 'json-feed'", JSON, r#"{"items":[]}"#, Err("no JSON Feed"));
    check("format = 'rss'", "text/xml", &RSS[..RSS.len() - 10], Err("may be cut short"));
    check("format = 'rss'", "text/xml", "<rss version=\"2.0\"/>", Err("without a channel"));
    check("format = 'atom'", "text/xml", "<opml/>", Err("<opml>, not a feed"));
    check("format = 'rss'", "text/xml", "<!DOCTYPE rss [<!ENTITY a SYSTEM \"file:///etc/passwd\">]><rss/>", Err("document type"));
    check(
        "format = 'rss'",
        "text/xml",
        "<rss><channel><item><title>x</title></item></channel></rss>",
        Err("neither an id nor a link in entry 1"),
    );
    let heavy = format!("<rss><channel>{}</channel></rss>", "<a/>".repeat(300_000));
    let error = read::read(&shape("format = 'rss'"), &reply(&[], heavy.as_bytes())).unwrap_err();
    assert_eq!(error.kind, Failure::TooLarge, "{error}");
}

#[test]
fn a_calendar_is_one_record_for_each_uid() {
    let event = |uid: &str, rest: &str| format!("BEGIN:VEVENT\nUID:{uid}\nDTSTART:20260101T100000Z\n{rest}END:VEVENT\n");
    let calendar =
        |inside: &str| format!("BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:x\n{inside}END:VCALENDAR\n").replace('\n', "\r\n");
    let expect = |uid: &str, title: &str| {
        format!(r#"{uid} {{"@type":"Event","start":"2026-01-01T10:00:00","timeZone":"Etc/UTC","title":"{title}","uid":"{uid}"}}"#)
    };
    let two = calendar(&(event("b", "SUMMARY:Two\n") + &event("a", "SUMMARY:O\n ne\n")));
    check("", "text/calendar", &two, Ok(&format!("{} | {}", expect("a", "One"), expect("b", "Two"))));
    check("format = 'icalendar'", "text/plain", calendar("").repeat(2), Ok(""));
    // A folded UID is one.
    check("", "text/calendar", calendar(&event("a\n b", "SUMMARY:x\n")), Ok(&expect("ab", "x")));
    let rows = read::rows(
        &shape(""),
        Format::ICalendar,
        &calendar(&(event("a", "RRULE:FREQ=DAILY\n") + &event("a", "RECURRENCE-ID:20260102T100000Z\n"))),
    );
    assert_eq!(rows.map(|rows| rows.len()), Ok(1), "what repeats and its exception");
    check("", "text/calendar", &two[..two.len() - 15], Err("cut short"));
    check("", "text/calendar", two.replace("END:VEVENT", "END:VTODO"), Err("in their order"));
    let zone = "BEGIN:VTIMEZONE\nTZID:z\nEND:VTIMEZONE\n";
    check("", "text/calendar", calendar(&zone.repeat(1_001)), Err("more than 1000 time zones"));
    check("", "text/calendar", calendar("BEGIN:VEVENT\nSUMMARY:x\nEND:VEVENT\n"), Err("no UID in entry 1"));
    check("", "text/calendar", "BEGIN:VCARD\r\nEND:VCARD\r\n", Err("no calendar"));
    check("", "text/calendar", "", Err("cut short"));
    check("", "text/calendar", format!("BEGIN:VCALENDAR\r\n{}", "BEGIN:A\r\n".repeat(100)), Err("in each other"));
}

#[test]
fn a_document_is_only_read() {
    let settings = |keys: &str| toml::from_str::<RemoteSettings>(&format!("kind = 'http'\nurl = 'https://h/'\n{keys}")).unwrap();
    let seen = |keys: &str| look(&settings(keys), Path::new("/")).unwrap();
    let can = seen("").abilities;
    assert!(!can.writes && !can.deletes && !can.tells && !can.tombstones && can.cursor == Cursor::Token);
    assert!(seen("format = 'rss'").abilities.tells, "what leaves a feed is not gone");
    assert_ne!(seen("").mapping, seen("id = 'key'").mapping);
    assert_eq!(seen("").mapping, seen("absent = 'keep'").mapping, "what becomes of others changes no row");
    let wrong = |keys: &str| crate::remotes::look(&settings(keys), Path::new("/")).unwrap_err();
    assert!(wrong("profile = 'x'").what.contains("`profile` says nothing"));
    assert!(wrong("command = ['x']").what.contains("`command` says nothing"));
    let nowhere: RemoteSettings = toml::from_str("kind = 'http'").unwrap();
    assert!(look(&nowhere, Path::new("/")).unwrap_err().what.contains("needs a url"));
}

/// The planted bug is found by the table above.
#[cfg(feature = "planted")]
#[test]
fn planted_bugs_are_found() {
    mingle_core::planted::set_here(Some("a doubled id is no doubt"));
    let found = std::panic::catch_unwind(of_rows_with_one_id_that_differ_none_counts).is_err();
    mingle_core::planted::set_here(None);
    assert!(found);
}
