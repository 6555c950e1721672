//! Owns: the entries of feeds, whichever way they are written, in the words of JSON Feed. Must never know: how a feed was got.

use mingle_core::{
    limits,
    record::{Number, Props, Value},
    replica::{Packed, RowState},
};
use roxmltree::{Document, Node, ParsingOptions};

use super::read::{Gathered, Wrong, list};
use crate::{json, remotes::rest::pointer::Pointer};

const ATOM: &str = "http://www.w3.org/2005/Atom";
const CONTENT: &str = "http://purl.org/rss/1.0/modules/content/";
const DUBLIN: &str = "http://purl.org/dc/elements/1.1/";

/// The entries of an RSS or an Atom feed: publishers change from one to the other under the same address.
pub(super) fn read(text: &str) -> Result<Vec<Packed>, Wrong> {
    // The reader takes room for as many nodes and attributes as these letters may begin, before it looks at one.
    let many = |letter: u8| text.bytes().filter(|byte| *byte == letter).count() > limits::FEED_NODES_MAX as usize;
    if many(b'<') || many(b'=') {
        return Err(Wrong::heavy());
    }
    let options = ParsingOptions { allow_dtd: false, nodes_limit: limits::FEED_NODES_MAX, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text, options).map_err(|error| match error {
        roxmltree::Error::NodesLimitReached => Wrong::heavy(),
        roxmltree::Error::DtdDetected => Wrong::new("has a document type, which no feed needs and may hide others' files"),
        error => Wrong::new(format!("is no XML that can be read (line {}): it may be cut short", error.pos().row)),
    })?;
    let root = document.root_element();
    let entries: Vec<Node<'_, '_>> = match root.tag_name().name() {
        "feed" => children(root, "entry").collect(),
        "rss" => {
            let channel = child(root, "channel").ok_or_else(|| Wrong::new("is an RSS feed without a channel"))?;
            children(channel, "item").collect()
        }
        "RDF" => children(root, "item").collect(),
        other => return Err(Wrong::new(format!("is an XML document with <{}>, not a feed", crate::remotes::http::words(other)))),
    };
    let mut gathered = Gathered::default();
    for (number, entry) in entries.into_iter().enumerate() {
        let is_atom = entry.tag_name().namespace() == Some(ATOM);
        let (id, props) = if is_atom { atom(entry) } else { rss(entry) };
        let id = id.ok_or_else(|| Wrong::new(format!("has neither an id nor a link in entry {}", number + 1)))?;
        gathered.take(id, RowState::Live(props))?;
    }
    Ok(gathered.end())
}

/// The items of a JSON Feed, as they are.
pub(super) fn read_json(text: &str) -> Result<Vec<Packed>, Wrong> {
    let pointer = |text: &str| Pointer::try_from(text.to_owned()).map_err(Wrong::new);
    let whole = json::parse_within(text, limits::ANSWER_VALUES_BYTES_MAX)?.0;
    match pointer("/version")?.find(&whole) {
        Some(Value::Text(version)) if version.contains("jsonfeed.org/version/") => {}
        _ => return Err(Wrong::new("is no JSON Feed: it names no version of one")),
    }
    drop(whole);
    list(&pointer("/items")?, &pointer("/id")?, text)
}

fn children<'a, 'i: 'a>(node: Node<'a, 'i>, name: &'a str) -> impl Iterator<Item = Node<'a, 'i>> {
    node.children().filter(move |child| child.is_element() && child.tag_name().name() == name)
}

fn child<'a, 'i: 'a>(node: Node<'a, 'i>, name: &'a str) -> Option<Node<'a, 'i>> {
    children(node, name).next()
}

/// The text in an element; none: nothing but space.
fn content(node: Node<'_, '_>) -> Option<String> {
    let text: String = node.descendants().filter(Node::is_text).filter_map(|part| part.text()).collect();
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// The text of the first such element of this namespace; none: of no namespace.
fn said(node: Node<'_, '_>, space: Option<&str>, name: &str) -> Option<String> {
    children(node, name).find(|one| one.tag_name().namespace() == space).and_then(content)
}

fn put(props: &mut Props, name: &str, value: Option<String>) {
    if let Some(value) = value {
        props.insert(name.to_owned(), Value::Text(value));
    }
}

fn put_list(props: &mut Props, name: &str, list: Vec<Value>) {
    if !list.is_empty() {
        props.insert(name.to_owned(), Value::List(list));
    }
}

fn named(pairs: [(&str, Option<String>); 2]) -> Option<Value> {
    let mut props = Props::new();
    for (name, value) in pairs {
        put(&mut props, name, value);
    }
    (!props.is_empty()).then_some(Value::Map(props))
}

fn attachment(url: Option<&str>, media: Option<&str>, bytes: Option<&str>) -> Option<Value> {
    let mut props = Props::from([("url".to_owned(), Value::Text(url?.trim().to_owned()))]);
    put(&mut props, "mime_type", media.map(str::to_owned));
    if let Some(Ok(bytes)) = bytes.map(|bytes| bytes.trim().parse::<u64>()) {
        props.insert("size_in_bytes".into(), Value::Number(Number::as_written(bytes.to_string())));
    }
    Some(Value::Map(props))
}

/// An entry of RSS.
fn rss(item: Node<'_, '_>) -> (Option<String>, Props) {
    // RSS 1.0 has a namespace of its own; what others add has another than the item's.
    let own = item.tag_name().namespace();
    let mut props = Props::new();
    let link = said(item, own, "link");
    let id = said(item, own, "guid").or_else(|| link.clone());
    put(&mut props, "url", link);
    put(&mut props, "title", said(item, own, "title"));
    put(&mut props, "summary", said(item, own, "description"));
    put(&mut props, "content_html", said(item, Some(CONTENT), "encoded"));
    let published = said(item, own, "pubDate").map(|text| moment(&text)).or_else(|| said(item, Some(DUBLIN), "date"));
    put(&mut props, "date_published", published);
    let author = said(item, own, "author").or_else(|| said(item, Some(DUBLIN), "creator"));
    put_list(&mut props, "authors", named([("name", author), ("url", None)]).into_iter().collect());
    let own_only = |one: &Node<'_, '_>| one.tag_name().namespace() == own;
    put_list(&mut props, "tags", children(item, "category").filter(own_only).filter_map(content).map(Value::Text).collect());
    let enclosed = children(item, "enclosure").filter(own_only);
    let enclosed = enclosed.filter_map(|one| attachment(one.attribute("url"), one.attribute("type"), one.attribute("length")));
    put_list(&mut props, "attachments", enclosed.collect());
    (id, props)
}

/// An entry of Atom.
fn atom(entry: Node<'_, '_>) -> (Option<String>, Props) {
    let own = Some(ATOM);
    let mut props = Props::new();
    let links: Vec<_> = children(entry, "link").filter(|one| one.tag_name().namespace() == own).collect();
    let of = |relation: &str| {
        links.iter().filter(move |one| one.attribute("rel").unwrap_or("alternate") == relation).copied().collect::<Vec<_>>()
    };
    let link = of("alternate").first().and_then(|one| one.attribute("href")).map(|href| href.trim().to_owned());
    let id = said(entry, own, "id").or_else(|| link.clone());
    put(&mut props, "url", link);
    put(&mut props, "title", said(entry, own, "title"));
    put(&mut props, "summary", said(entry, own, "summary"));
    if let Some(one) = children(entry, "content").find(|one| one.tag_name().namespace() == own) {
        match one.attribute("type").unwrap_or("text") {
            // Markup that is part of this very document is left out.
            "text" | "xhtml" => put(&mut props, "content_text", content(one)),
            _ => put(&mut props, "content_html", content(one)),
        }
    }
    put(&mut props, "date_published", said(entry, own, "published"));
    put(&mut props, "date_modified", said(entry, own, "updated"));
    let authors =
        children(entry, "author").filter_map(|one| named([("name", said(one, own, "name")), ("url", said(one, own, "uri"))]));
    put_list(&mut props, "authors", authors.collect());
    let tags = children(entry, "category").filter_map(|one| one.attribute("term")).map(|term| Value::Text(term.to_owned()));
    put_list(&mut props, "tags", tags.collect());
    let enclosed = of("enclosure").into_iter();
    let enclosed = enclosed.filter_map(|one| attachment(one.attribute("href"), one.attribute("type"), one.attribute("length")));
    put_list(&mut props, "attachments", enclosed.collect());
    (id, props)
}

/// A moment as RSS writes it, in the form of the others; what is none stays as it is.
fn moment(text: &str) -> String {
    let read = jiff::fmt::rfc2822::DateTimeParser::new().relaxed_weekday(true).parse_timestamp(text);
    read.map_or_else(|_| text.to_owned(), |at| at.to_string())
}
