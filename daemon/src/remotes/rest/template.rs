//! Owns: texts with `{name}` in them: filled, or left out where a name has no value. No language of its own.
//! Must never know: where a filled text goes, so it escapes nothing.

use serde::Deserialize;

/// A text with `{name}` in it. `{{` and `}}` stand for the braces themselves.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Template(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Name(String),
}

impl TryFrom<String> for Template {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text.chars().peekable();
        while let Some(one) = rest.next() {
            match (one, rest.peek()) {
                ('{', Some('{')) | ('}', Some('}')) => {
                    rest.next();
                    plain.push(one);
                }
                ('{', _) => {
                    let mut closed = false;
                    let name: String = rest.by_ref().inspect(|one| closed = *one == '}').take_while(|one| *one != '}').collect();
                    if !closed || name.is_empty() || !name.chars().all(|one| one.is_ascii_lowercase() || one == '_') {
                        return Err(format!("{text:?} has {{{name}}}, which is no name; a brace itself is {{{{"));
                    }
                    parts.push(Part::Text(std::mem::take(&mut plain)));
                    parts.push(Part::Name(name));
                }
                ('}', _) => return Err(format!("{text:?} has a }} that closes nothing; a brace itself is }}}}")),
                _ => plain.push(one),
            }
        }
        parts.push(Part::Text(plain));
        parts.retain(|part| *part != Part::Text(String::new()));
        Ok(Self(parts))
    }
}

impl Template {
    /// The names in it.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            Part::Name(name) => Some(name.as_str()),
            Part::Text(_) => None,
        })
    }

    /// Whether it is nothing at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this name is in it.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.names().any(|known| known == name)
    }

    /// The text with values in place of names; none where one of them has no value.
    #[must_use]
    pub fn fill(&self, values: &[(&str, &str)]) -> Option<String> {
        let mut out = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Name(name) => out.push_str(values.iter().find(|(known, _)| known == name)?.1),
            }
        }
        Some(out)
    }

    /// The segments of a path: `{resource}` may be several, `{id}` is one whatever it holds. A slash at the end is an empty last one.
    pub fn parts_of_path(&self, resource: &str, id: Option<&str>) -> Vec<String> {
        let mut segments = vec![String::new()];
        let mut add = |piece: &str, begins: bool| match segments.last_mut() {
            Some(last) if !begins => last.push_str(piece),
            _ => segments.push(piece.to_owned()),
        };
        let split = |text: &str, add: &mut dyn FnMut(&str, bool)| {
            text.split('/').enumerate().for_each(|(at, piece)| add(piece, at > 0));
        };
        for part in &self.0 {
            match part {
                Part::Text(text) => split(text, &mut add),
                Part::Name(name) if name == "resource" => split(resource, &mut add),
                Part::Name(_) => add(id.unwrap_or_default(), false),
            }
        }
        // A path begins with a slash, and nothing stands before it.
        if segments.len() > 1 && segments[0].is_empty() {
            segments.remove(0);
        }
        segments
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_filled_or_left_out() {
        let check = |text: &str, expect: Result<Option<&str>, ()>| {
            let filled = Template::try_from(text.to_owned()).map(|one| one.fill(&[("id", "a{b}"), ("page_rows", "9")]));
            assert_eq!(filled.as_ref().map(Option::as_deref).map_err(|_| ()), expect, "{text}");
        };
        check("", Ok(Some("")));
        check("plain", Ok(Some("plain")));
        check("\"{id}\"", Ok(Some("\"a{b}\"")));
        check("{id}{page_rows}", Ok(Some("a{b}9")));
        check("{{id}}", Ok(Some("{id}")));
        check("{since}", Ok(None));
        let path = |text: &str| Template::try_from(text.to_owned()).unwrap().parts_of_path("a/b", Some("../x?"));
        assert_eq!(path("/"), [""]);
        assert_eq!(path("/{resource}/records/{id}"), ["a", "b", "records", "../x?"]);
        assert_eq!(path("{resource}"), ["a", "b"]);
        assert_eq!(path("/x-{id}.json"), ["x-../x?.json"]);
        for wrong in ["{", "}", "{}", "{a b}", "{id", "x}y", "{Id}", "{if x}"] {
            check(wrong, Err(()));
        }
    }
}
