//! Owns: the few texts in which DAV is asked and answers. Must never know: how it is sent, what is asked for, or why.

use mingle_core::{limits, time::Timestamp};
use mingle_text::Holds;
use roxmltree::{Document, Node, ParsingOptions};

use crate::remotes::http;

const DAV: &str = "DAV:";
const CARDS: &str = "urn:ietf:params:xml:ns:carddav";
const EVENTS: &str = "urn:ietf:params:xml:ns:caldav";
/// Of what many servers say beside the standards.
const BESIDE: &str = "http://calendarserver.org/ns/";

const HEAD: &str = "<?xml version=\"1.0\" encoding=\"utf-8\"?>";

/// What one resource is said to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// Its address, as it is written there.
    pub(super) href: String,
    /// The status of the whole, where it has one.
    pub(super) status: Option<u16>,
    /// Its revision.
    pub(super) etag: Option<String>,
    /// When it was last changed.
    pub(super) modified: Option<Timestamp>,
    /// What it holds.
    pub(super) data: Option<String>,
    /// What its members are, if it is a collection of such.
    pub(super) holds: Option<Holds>,
    /// Its name for people.
    pub(super) name: Option<String>,
    /// It says what changed since.
    pub(super) tells_changes: bool,
    /// What is another one whenever anything changed.
    pub(super) mark: Option<String>,
    /// Who we are.
    pub(super) principal: Option<String>,
    /// Where our collections are.
    pub(super) homes: Vec<String>,
}

/// An answer of several.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Answers {
    /// One for each resource.
    pub(super) told: Vec<Told>,
    /// Where the next question for what changed goes on.
    pub(super) token: Option<String>,
}

/// Why a text is no such answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unread {
    /// In words.
    pub(super) what: String,
    /// There is more of it than is read.
    pub(super) heavy: bool,
}

/// Asks who we are, where our collections are, and what this one is.
///
/// Not where who asks for what changed would go on: a server may look through all members for it, as it does for what changed.
pub(super) fn ask_what_it_is() -> String {
    propfind(
        "<d:resourcetype/><d:displayname/><d:supported-report-set/><d:current-user-principal/><a:addressbook-home-set/><c:calendar-home-set/>",
    )
}

/// Asks for what is another one whenever anything changed.
pub(super) fn ask_mark() -> String {
    propfind("<s:getctag/>")
}

/// Asks for the revisions of all members.
pub(super) fn ask_revisions() -> String {
    propfind("<d:getetag/><d:resourcetype/>")
}

fn propfind(props: &str) -> String {
    format!(
        "{HEAD}<d:propfind xmlns:d=\"{DAV}\" xmlns:a=\"{CARDS}\" xmlns:c=\"{EVENTS}\" xmlns:s=\"{BESIDE}\"><d:prop>{props}</d:prop></d:propfind>"
    )
}

/// Asks for what changed since; without a token: for all members. Where it is said what members hold: for that too.
pub(super) fn ask_changes(since: Option<&str>, shows: Option<Holds>) -> String {
    let since = escaped(since.unwrap_or_default());
    let (space, props) =
        shows.map_or_else(|| (CARDS, "<d:getetag/>".to_owned()), |holds| (Words::of(holds).space, all_of(holds)));
    format!(
        "{HEAD}<d:sync-collection xmlns:d=\"{DAV}\" xmlns:x=\"{space}\"><d:sync-token>{since}</d:sync-token><d:sync-level>1</d:sync-level>\
         <d:prop>{props}</d:prop></d:sync-collection>"
    )
}

/// Asks for what members hold.
pub(super) fn ask_members<'a>(holds: Holds, hrefs: impl Iterator<Item = &'a str>) -> String {
    let mut asked = String::new();
    for href in hrefs {
        asked.push_str("<d:href>");
        asked.push_str(&escaped(href));
        asked.push_str("</d:href>");
    }
    ask_for_texts(holds, "multiget", &asked)
}

/// Asks for what all members hold.
pub(super) fn ask_all(holds: Holds) -> String {
    ask_for_texts(holds, "query", &format!("<x:filter>{}</x:filter>", Words::of(holds).all))
}

fn ask_for_texts(holds: Holds, report: &str, which: &str) -> String {
    let Words { space, of, .. } = Words::of(holds);
    let props = all_of(holds);
    format!("{HEAD}<x:{of}-{report} xmlns:d=\"{DAV}\" xmlns:x=\"{space}\"><d:prop>{props}</d:prop>{which}</x:{of}-{report}>")
}

/// What is wanted of a member.
fn all_of(holds: Holds) -> String {
    format!("<d:getetag/><d:getlastmodified/><x:{}/>", Words::of(holds).data)
}

/// What is called how, where members are such.
struct Words {
    space: &'static str,
    of: &'static str,
    data: &'static str,
    /// The filter that lets everything through.
    all: &'static str,
}

impl Words {
    fn of(holds: Holds) -> Self {
        match holds {
            Holds::Cards => Self { space: CARDS, of: "addressbook", data: "address-data", all: "" },
            Holds::Events => {
                Self { space: EVENTS, of: "calendar", data: "calendar-data", all: "<x:comp-filter name=\"VCALENDAR\"/>" }
            }
        }
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Reads an answer of several.
///
/// # Errors
/// It is none, or has more nodes than are read.
pub(super) fn read(text: &str) -> Result<Answers, Unread> {
    let document = parsed(text)?;
    let root = document.root_element();
    if !is(root, DAV, "multistatus") {
        return Err(Unread { what: format!("it is <{}>, not a multistatus", root.tag_name().name()), heavy: false });
    }
    let mut answers = Answers::default();
    for node in root.children() {
        if is(node, DAV, "response") {
            told(node, &mut answers.told)?;
        } else if is(node, DAV, "sync-token") {
            answers.token = word(node);
        }
    }
    Ok(answers)
}

/// Why something was refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Refusal {
    /// What the standards call it; or else whatever is named.
    pub(super) name: Option<String>,
    /// The server's own words.
    pub(super) said: Option<String>,
}

impl Refusal {
    /// As one text.
    pub(super) fn words(self) -> Option<String> {
        match (self.name, self.said) {
            (Some(name), Some(said)) => Some(format!("{name}: {said}")),
            (name, said) => name.or(said),
        }
    }
}

/// What a refusal says of its reason.
pub(super) fn refusal(text: &str) -> Option<Refusal> {
    let document = parsed(text).ok()?;
    let root = document.root_element();
    let named: Vec<Node> = root.children().filter(|node| node.is_element() && is(root, DAV, "error")).collect();
    let said = named.iter().find(|node| node.tag_name().name() == "message").and_then(|node| word(*node));
    let standard = named.iter().find(|node| matches!(node.tag_name().namespace(), Some(DAV | CARDS | EVENTS)));
    let name = standard.or(named.first().filter(|_| said.is_none())).map(|node| node.tag_name().name().to_owned());
    Some(Refusal { name, said })
}

fn parsed(text: &str) -> Result<Document<'_>, Unread> {
    let nodes_max = limits::DAV_NODES_MAX;
    let heavy = || Unread { what: format!("it has more than {nodes_max} nodes"), heavy: true };
    // The reader takes room for as many nodes and attributes as these letters may begin, before it looks at one.
    let many = |letter: u8| text.bytes().filter(|byte| *byte == letter).count() > nodes_max as usize;
    if many(b'<') || many(b'=') {
        return Err(heavy());
    }
    let options = ParsingOptions { nodes_limit: nodes_max, ..ParsingOptions::default() };
    Document::parse_with_options(text, options).map_err(|error| match error {
        roxmltree::Error::NodesLimitReached => heavy(),
        error => Unread { what: format!("no XML: {error}"), heavy: false },
    })
}

/// One resource, or several that only have a status.
fn told(node: Node, all: &mut Vec<Told>) -> Result<(), Unread> {
    let mut one = Told { status: child(node, "status").map(status).transpose()?, ..Told::default() };
    for part in node.children().filter(|part| is(*part, DAV, "propstat")) {
        if part.children().find(|one| is(*one, DAV, "status")).map(status).transpose()?.is_some_and(|status| status / 100 != 2) {
            continue;
        }
        let Some(props) = child(part, "prop") else { continue };
        for prop in props.children().filter(Node::is_element) {
            take(prop, &mut one);
        }
    }
    let mut hrefs = node.children().filter(|one| is(*one, DAV, "href")).filter_map(word);
    let first = hrefs.next().ok_or_else(|| Unread { what: "it tells of something without an address".into(), heavy: false })?;
    for other in hrefs {
        all.push(Told { href: other, status: one.status, ..Told::default() });
    }
    all.push(Told { href: first, ..one });
    Ok(())
}

fn take(prop: Node, one: &mut Told) {
    let name = prop.tag_name();
    let inner = |node: Node| node.children().filter(|one| is(*one, DAV, "href")).filter_map(word).collect::<Vec<_>>();
    match (name.namespace().unwrap_or_default(), name.name()) {
        (DAV, "getetag") => one.etag = word(prop),
        (DAV, "getlastmodified") => one.modified = word(prop).as_deref().and_then(http::moment),
        (DAV, "displayname") => one.name = word(prop),
        (DAV, "resourcetype") => {
            one.holds = prop.children().find_map(|kind| {
                if is(kind, CARDS, "addressbook") {
                    Some(Holds::Cards)
                } else {
                    is(kind, EVENTS, "calendar").then_some(Holds::Events)
                }
            });
        }
        (DAV, "supported-report-set") => one.tells_changes = prop.descendants().any(|node| is(node, DAV, "sync-collection")),
        (BESIDE, "getctag") => one.mark = word(prop),
        (DAV, "current-user-principal") => one.principal = inner(prop).pop(),
        (CARDS, "addressbook-home-set") | (EVENTS, "calendar-home-set") => one.homes.extend(inner(prop)),
        (CARDS, "address-data") | (EVENTS, "calendar-data") => one.data = Some(text_of(prop)),
        _ => {}
    }
}

fn child<'a>(node: Node<'a, 'a>, name: &str) -> Option<Node<'a, 'a>> {
    node.children().find(|one| is(*one, DAV, name))
}

fn is(node: Node, space: &str, name: &str) -> bool {
    node.is_element() && node.tag_name().name() == name && node.tag_name().namespace() == Some(space)
}

/// All text in it: what stands beside CDATA and comments too.
fn text_of(node: Node) -> String {
    node.children().filter(Node::is_text).filter_map(|one| one.text()).collect()
}

/// Its text without what stands around it; none: there is none.
fn word(node: Node) -> Option<String> {
    let text = text_of(node);
    Some(text.trim()).filter(|text| !text.is_empty()).map(str::to_owned)
}

/// `HTTP/1.1 404 Not Found`.
fn status(node: Node) -> Result<u16, Unread> {
    let line = text_of(node);
    let code = line.split_whitespace().nth(1).and_then(|code| code.parse().ok());
    code.ok_or_else(|| Unread { what: "it has a status that is none".into(), heavy: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn several(inner: &str) -> String {
        format!(
            "<?xml version=\"1.0\"?><multistatus xmlns=\"DAV:\" xmlns:CR=\"{CARDS}\" xmlns:C=\"{EVENTS}\">{inner}</multistatus>"
        )
    }

    fn one(inner: &str) -> Told {
        let mut answers = read(&several(&format!("<response>{inner}</response>"))).unwrap();
        assert_eq!(answers.told.len(), 1);
        answers.told.remove(0)
    }

    #[test]
    fn what_is_told_is_read_and_what_is_not_there_is_not() {
        let told = one(
            "<href> /a/b.vcf </href><propstat><prop><getetag>\"7\"</getetag><getlastmodified>Thu, 01 Jan 2026 00:00:30 GMT\
             </getlastmodified><CR:address-data>BEGIN:&amp;<![CDATA[<x>]]>\n\
             </CR:address-data></prop><status>HTTP/1.1 200 OK</status></propstat><propstat><prop><displayname>no</displayname></prop>\
             <status>HTTP/1.1 404 Not Found</status></propstat>",
        );
        let expect = Told {
            href: "/a/b.vcf".into(),
            etag: Some("\"7\"".into()),
            modified: Some(Timestamp::from_unix_ms(1_767_225_630_000)),
            data: Some("BEGIN:&<x>\n".into()),
            ..Told::default()
        };
        assert_eq!(told, expect);
        let told = one("<href>/a/</href><propstat><prop><s:getctag xmlns:s=\"http://calendarserver.org/ns/\">c7\
             </s:getctag><resourcetype><collection/><C:calendar/></resourcetype><displayname>Home\
             </displayname><supported-report-set><supported-report><report><sync-collection/></report></supported-report>\
             </supported-report-set><current-user-principal><href>/me/</href></current-user-principal><CR:addressbook-home-set>\
             <href>/x/</href><href>/y/</href></CR:addressbook-home-set></prop><status>HTTP/1.1 200 OK</status></propstat>");
        assert_eq!((told.holds, told.name.as_deref(), told.tells_changes), (Some(Holds::Events), Some("Home"), true));
        assert_eq!(told.mark.as_deref(), Some("c7"));
        assert_eq!((told.principal.as_deref(), told.homes), (Some("/me/"), vec!["/x/".to_owned(), "/y/".to_owned()]));
        let told = one("<href>/a/c.vcf</href><status>HTTP/1.1 404 Not Found</status>");
        assert_eq!(told, Told { href: "/a/c.vcf".into(), status: Some(404), ..Told::default() });
    }

    #[test]
    fn a_token_is_told_and_several_may_share_a_status() {
        let text = several(
            "<response><href>/a</href><href>/b</href><status>HTTP/1.1 404 x</status></response><sync-token>t&amp;1</sync-token>",
        );
        let answers = read(&text).unwrap();
        assert_eq!(answers.token.as_deref(), Some("t&1"));
        assert!(answers.told.len() == 2 && answers.told.iter().all(|told| told.status == Some(404)));
        assert_eq!(ask_changes(Some("t&1"), None).matches("<d:sync-token>t&amp;1</d:sync-token>").count(), 1);
    }

    #[test]
    fn what_is_no_answer_is_refused_and_said_so() {
        #[track_caller]
        fn check(text: &str, part: &str, heavy: bool) {
            let error = read(text).unwrap_err();
            assert!(error.what.contains(part) && error.heavy == heavy, "{error:?}");
        }
        check("", "no XML", false);
        check("{}", "no XML", false);
        check("<html/>", "not a multistatus", false);
        check("<multistatus/>", "not a multistatus", false);
        check(&several("<response><status>HTTP/1.1 200 OK</status></response>"), "without an address", false);
        check(&several("<response><href>/a</href><status>fine</status></response>"), "status", false);
        check("<!DOCTYPE a [<!ENTITY b \"c\">]><multistatus xmlns=\"DAV:\">&b;</multistatus>", "no XML", false);
        let many = limits::DAV_NODES_MAX as usize;
        check(&several(&"<a/>".repeat(many)), "more than", true);
        check(&several(&"<a/> ".repeat(many / 2 + 1)), "more than", true);
        check(&"<".repeat(many + 1), "more than", true);
        check(&"=".repeat(many + 1), "more than", true);
        // Neither does one that is deep take the stack.
        let deep = several(&format!("{}{}", "<a>".repeat(100_000), "</a>".repeat(100_000)));
        assert!(read(&deep).is_ok_and(|answers| answers.told.is_empty()) || read(&deep).is_err());
    }

    #[test]
    fn a_refusal_may_name_its_reason() {
        #[track_caller]
        fn check(text: &str, expect: Option<&str>) {
            assert_eq!(refusal(text).and_then(Refusal::words).as_deref(), expect, "{text}");
        }
        let error =
            |inner: &str| format!("<d:error xmlns:d=\"DAV:\" xmlns:c=\"{EVENTS}\" xmlns:s=\"http://ns\">{inner}</d:error>");
        check(&error("<d:valid-sync-token/>"), Some("valid-sync-token"));
        check(&error("<s:kind>Wrong</s:kind><s:message> no such\n</s:message>"), Some("no such"));
        check(
            &error("<s:kind>Wrong</s:kind><s:message>a task</s:message><c:supported-calendar-component/>"),
            Some("supported-calendar-component: a task"),
        );
        check(&error("<s:kind>Wrong</s:kind><s:message/>"), Some("kind"));
        check(&error(""), None);
        check("<html><message>no</message></html>", None);
        let over = refusal(&error("<s:kind>Wrong</s:kind><s:message>too old</s:message><d:valid-sync-token/>"));
        assert_eq!(over.and_then(|refusal| refusal.name).as_deref(), Some("valid-sync-token"));
    }
}
