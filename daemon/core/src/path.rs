//! Owns: how a property inside an object is named: names joined by `/`, with `~1` for `/` and `~0` for `~` inside a name (RFC 6901).
//! Must never know: values, policies.

use std::borrow::Cow;

/// The path of `name` inside the object at `around` (none: the record itself).
#[must_use]
pub fn join(around: Option<&str>, name: &str) -> String {
    let name: Cow<'_, str> =
        if name.contains(['~', '/']) { name.replace('~', "~0").replace('/', "~1").into() } else { name.into() };
    match around {
        Some(around) => format!("{around}/{name}"),
        None => name.into_owned(),
    }
}

/// The objects around a path, the nearest first.
pub fn parents(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(path.rsplit_once('/'), |(around, _)| around.rsplit_once('/')).map(|(around, _)| around)
}

/// The names on a path, from the record inwards, as they are written in the record.
pub fn names(path: &str) -> impl Iterator<Item = Cow<'_, str>> {
    path.split('/')
        .map(|name| if name.contains('~') { name.replace("~1", "/").replace("~0", "~").into() } else { Cow::Borrowed(name) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_back_to_its_names() {
        for on_the_way in [&["a"][..], &["a", "b"], &["a/b", "c~d"], &["", "~1", "~01/"], &["é/", "~"]] {
            let path = on_the_way.iter().fold(None, |path: Option<String>, name| Some(join(path.as_deref(), name))).unwrap();
            assert_eq!(names(&path).collect::<Vec<_>>(), on_the_way, "{path}");
        }
        assert_eq!(parents("a/b/c").collect::<Vec<_>>(), ["a/b", "a"]);
        assert_eq!(parents("a").next(), None);
    }
}
