//! Owns: how `where` is written. Must never know: how it is evaluated.

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{MapAccess, Visitor},
    ser::SerializeMap,
};

use crate::{Raw, words::choice};

choice! {
    /// How a test compares a property with its value.
    pub enum Operator {
        /// Equal; a missing property equals null.
        Eq = "eq",
        /// Not equal.
        Ne = "ne",
        /// Less.
        Lt = "lt",
        /// Less or equal.
        Lte = "lte",
        /// Greater.
        Gt = "gt",
        /// Greater or equal.
        Gte = "gte",
        /// One of a list.
        In = "in",
        /// The property is a list that has the value.
        Has = "has",
    }
}

/// One test of a `where`.
#[derive(Clone, Debug)]
pub struct Test {
    /// Of the record.
    pub property: String,
    /// How it is compared.
    pub operator: Operator,
    /// With what.
    pub value: Raw,
}

/// `{"state": "open", "n": {"gt": 3, "lt": 9}}`: tests that must all hold. An object as the value holds operators; any other value
/// stands for `eq`. A name that comes twice is two tests.
#[derive(Clone, Debug, Default)]
pub struct Where(pub Vec<Test>);

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Where {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Where".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let operators = <Operator as schemars::JsonSchema>::json_schema(generator);
        schemars::json_schema!({
            "type": "object",
            "description": "Tests that must all hold: by property a value (equal), or an object of operators and values.",
            "additionalProperties": {
                "anyOf": [{ "type": "object", "propertyNames": operators }, { "not": { "type": "object" } }]
            }
        })
    }
}

impl<'de> Deserialize<'de> for Where {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Properties;
        impl<'de> Visitor<'de> for Properties {
            type Value = Where;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of properties and tests")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Where, A::Error> {
                let mut tests = Vec::new();
                while let Some((property, value)) = map.next_entry::<String, Raw>()? {
                    if value.get().starts_with('{') {
                        let operators: Operators = serde_json::from_str(value.get()).map_err(|why| {
                            serde::de::Error::custom(format!("{property}: {}", crate::message::without_place(&why)))
                        })?;
                        tests.extend(operators.0.into_iter().map(|(operator, value)| Test {
                            property: property.clone(),
                            operator,
                            value,
                        }));
                    } else {
                        tests.push(Test { property, operator: Operator::Eq, value });
                    }
                }
                Ok(Where(tests))
            }
        }
        from.deserialize_map(Properties)
    }
}

/// What is meant of each of several collections: by name its tests; `None`, on the wire null: all records of it.
#[derive(Clone, Debug, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct Filters(pub BTreeMap<String, Option<Where>>);

impl Filters {
    /// Whether nothing is said of any collection.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'de> Deserialize<'de> for Filters {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Collections;
        impl<'de> Visitor<'de> for Collections {
            type Value = Filters;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of collections and filters")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Filters, A::Error> {
                let mut filters = BTreeMap::new();
                while let Some((collection, filter)) = map.next_entry::<String, Raw>()? {
                    let wrong = |what: &str| serde::de::Error::custom(format!("the filter of {collection}: {what}"));
                    let read: Option<Where> =
                        serde_json::from_str(filter.get()).map_err(|why| wrong(&crate::message::without_place(&why)))?;
                    if filters.insert(collection.clone(), read).is_some() {
                        return Err(wrong("it is given twice"));
                    }
                }
                Ok(Filters(filters))
            }
        }
        from.deserialize_map(Collections)
    }
}

/// The operators of one property, as they come: a map type would lose a repeated one.
struct Operators(Vec<(Operator, Raw)>);

impl<'de> Deserialize<'de> for Operators {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Operators;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of operators and values")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Operators, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Operators(pairs))
            }
        }
        from.deserialize_map(Pairs)
    }
}

impl Serialize for Where {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        let mut rest = self.0.as_slice();
        while let Some(first) = rest.first() {
            // Neighbours with one name share an object; strangers to each other stay two members, which are two tests as well.
            let len = rest.iter().take_while(|test| test.property == first.property).count();
            let (run, behind) = rest.split_at(len);
            rest = behind;
            match run {
                [Test { operator: Operator::Eq, value, .. }] if !value.get().starts_with('{') => {
                    map.serialize_entry(&first.property, value)?;
                }
                _ => map.serialize_entry(&first.property, &Run(run))?,
            }
        }
        map.end()
    }
}

struct Run<'a>(&'a [Test]);

impl Serialize for Run<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(self.0.iter().map(|test| (test.operator, &test.value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `property operator value` for each test, and the same text when written again.
    #[track_caller]
    fn check(text: &str, expect: &[&str]) {
        let read: Where = serde_json::from_str(text).expect("a where");
        let got: Vec<String> =
            read.0.iter().map(|one| format!("{} {} {}", one.property, one.operator, one.value.get())).collect();
        assert_eq!(got, expect, "{text}");
        assert_eq!(serde_json::to_string(&read).expect("written"), text);
    }

    #[test]
    fn a_where_is_a_list_of_tests() {
        check("{}", &[]);
        check(r#"{"state":"open","n":{"gt":3,"lt":9.50}}"#, &["state eq \"open\"", "n gt 3", "n lt 9.50"]);
        check(r#"{"a":null,"b":{"in":[1,2]},"c":{"has":"x"}}"#, &["a eq null", "b in [1,2]", "c has \"x\""]);
        check(r#"{"a":{"eq":{"b":1}}}"#, &["a eq {\"b\":1}"]);
        check(r#"{"n":{"gt":1,"gt":2}}"#, &["n gt 1", "n gt 2"]);
    }

    #[test]
    fn what_is_wrong_with_a_filter_names_its_collection() {
        let read: Filters = serde_json::from_str(r#"{"a":{"n":{"gt":1}},"b":null}"#).expect("filters");
        assert_eq!(serde_json::to_string(&read).expect("written"), r#"{"a":{"n":{"gt":1}},"b":null}"#);
        for (text, what) in [
            (r#"{"a":{"n":{"above":1}}}"#, "the filter of a: n: unknown"),
            (r#"{"a":true}"#, "the filter of a: "),
            (r#"{"a":null,"a":{"n":1}}"#, "the filter of a: it is given twice"),
            ("[]", "an object of collections and filters"),
        ] {
            let why = serde_json::from_str::<Filters>(text).expect_err(text).to_string();
            assert!(why.contains(what), "{text}: {why}");
        }
    }

    #[test]
    fn an_unknown_operator_is_refused_by_name() {
        let read = serde_json::from_str::<Where>(r#"{"n":{"above":3}}"#);
        let why = read.expect_err("no such operator").to_string();
        assert!(why.contains("n: ") && why.contains("above") && why.contains("gte"), "{why}");
        assert!(serde_json::from_str::<Where>("[]").is_err());
    }
}
