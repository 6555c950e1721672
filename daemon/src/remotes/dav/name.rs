//! Owns: which address is that of a member of a collection, and what its last segment is: its name. Must never know: what a member holds;
//! which id a name gives.

use reqwest::Url;

/// The segments of an address, decoded, without empty ones; none: one of them is no text.
pub(super) fn segments(url: &Url) -> Option<Vec<String>> {
    let parts = url.path().split('/').filter(|part| !part.is_empty());
    parts.map(decoded).collect()
}

/// The segment of a member of this collection, decoded; none: it is no member of it.
pub(super) fn member(collection: &[String], url: &Url) -> Option<String> {
    let mut segments = segments(url)?;
    let last = segments.pop()?;
    (segments == collection && !url.path().ends_with('/')).then_some(last)
}

fn decoded(part: &str) -> Option<String> {
    let (mut bytes, mut rest) = (Vec::with_capacity(part.len()), part.as_bytes());
    while let Some((byte, after)) = rest.split_first() {
        let digits = after.get(..2).filter(|two| *byte == b'%' && two.iter().all(u8::is_ascii_hexdigit));
        let value = digits.and_then(|two| u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok());
        bytes.push(value.unwrap_or(*byte));
        rest = if value.is_some() { &after[2..] } else { after };
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_lies_right_below_its_collection_however_it_is_written() {
        #[track_caller]
        fn check(path: &str, expect: Option<&str>) {
            let url = Url::parse("http://localhost/").unwrap().join(path).unwrap();
            let collection = ["me@home".to_owned(), "book é".to_owned()];
            assert_eq!(member(&collection, &url).as_deref(), expect, "{path}");
        }
        check("/me@home/book%20%C3%A9/a.vcf", Some("a.vcf"));
        check("/me%40home/book%20é/a%2Fb.vcf", Some("a/b.vcf"));
        check("/me%40home//book%20%c3%a9/%61", Some("a"));
        check("/me@home/book%20%C3%A9/", None);
        check("/me@home/book%20%C3%A9/inner/", None);
        check("/me@home/book%20%C3%A9/inner/a.vcf", None);
        check("/me@home/book%20%C3%A9/%FF.vcf", None);
        check("/you/book/a.vcf", None);
    }

    #[test]
    fn what_is_escaped_is_read_and_nothing_else() {
        #[track_caller]
        fn check(part: &str, expect: Option<&str>) {
            assert_eq!(decoded(part).as_deref(), expect, "{part}");
        }
        check("a%41", Some("aA"));
        check("%", Some("%"));
        check("%4", Some("%4"));
        check("%+1", Some("%+1"));
        check("é%C3%A9é", Some("ééé"));
        check("%é", Some("%é"));
        check("%FF", None);
    }
}
