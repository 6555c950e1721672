//! Owns: several values as people read them: what they have alike is left out. Must never know: what they are values of.

use serde_json::{Map, Value};

/// Values as text, one line each. Where all that are there are objects, only what is not alike in them is shown; whether anything was left out.
pub fn apart<const N: usize>(values: [Option<&str>; N]) -> ([Option<String>; N], bool) {
    let whole = || values.map(|value| value.map(|text| text.replace('\n', " ")));
    let read: Option<Vec<Option<Value>>> = values
        .iter()
        .map(|value| value.map(|text| serde_json::from_str(text).ok()).map_or(Some(None), |read| read.map(Some)))
        .collect();
    let Some(mut read) = read else { return (whole(), false) };
    let there: Vec<&mut Value> = read.iter_mut().flatten().collect();
    if there.len() < 2 || !part(there) {
        return (whole(), false);
    }
    let mut read = read.into_iter();
    (std::array::from_fn(|_| read.next().flatten().map(|value| value.to_string())), true)
}

/// Takes what is alike out of objects; whether there was any.
fn part(values: Vec<&mut Value>) -> bool {
    let mut objects: Vec<&mut Map<String, Value>> = Vec::new();
    for value in values {
        match value {
            Value::Object(object) => objects.push(object),
            _ => return false,
        }
    }
    let Some(first) = objects.first() else { return false };
    let names: Vec<String> = first.keys().cloned().collect();
    let mut parted = false;
    for name in names {
        let Some(one) = objects[0].get(&name).cloned() else { continue };
        if objects.iter().all(|object| object.get(&name) == Some(&one)) {
            objects.iter_mut().for_each(|object| drop(object.remove(&name)));
            parted = true;
        } else {
            let inner: Option<Vec<&mut Value>> = objects.iter_mut().map(|object| object.get_mut(&name)).collect();
            parted |= inner.is_some_and(part);
        }
    }
    parted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_values_have_alike_is_left_out() {
        #[track_caller]
        fn check(values: [Option<&str>; 3], expect: [Option<&str>; 3], left_out: bool) {
            let expect = expect.map(|text| text.map(str::to_owned));
            assert_eq!(apart(values), (expect, left_out));
        }
        check([Some("\"a\""), Some("1"), None], [Some("\"a\""), Some("1"), None], false);
        check([Some("{\"a\":1}"), None, None], [Some("{\"a\":1}"), None, None], false);
        check([Some("{\"a\":1}"), Some("{\"b\":1}"), None], [Some("{\"a\":1}"), Some("{\"b\":1}"), None], false);
        check([Some("{\"a\":1,\"b\":1}"), Some("{\"a\":2,\"b\":1}"), None], [Some("{\"a\":1}"), Some("{\"a\":2}"), None], true);
        check([Some("{\"a\":1}"), Some("7"), Some("{\"a\":1}")], [Some("{\"a\":1}"), Some("7"), Some("{\"a\":1}")], false);
        let deep = [
            Some("{\"m\":{\"x\":1,\"y\":1},\"n\":0}"),
            Some("{\"m\":{\"x\":2,\"y\":1},\"n\":0}"),
            Some("{\"m\":{\"y\":1},\"n\":0}"),
        ];
        check(deep, [Some("{\"m\":{\"x\":1}}"), Some("{\"m\":{\"x\":2}}"), Some("{\"m\":{}}")], true);
    }
}
