//! Owns: the OpenRPC document that `rpc.discover` answers, as it is committed, and how it is made from the types. Must never know: who
//! serves it.

use std::sync::LazyLock;

use serde_json::Value;

use crate::Raw;

/// The document as it is committed, laid out for people.
pub const TEXT: &str = include_str!("../openrpc.json");

/// The document, on one line.
#[must_use]
pub fn document() -> Raw {
    static LINE: LazyLock<Raw> = LazyLock::new(|| {
        let read: Value = serde_json::from_str(TEXT).unwrap_or_default();
        serde_json::value::to_raw_value(&read).unwrap_or_default()
    });
    LINE.clone()
}

/// The document as the types have it now. A test holds [`TEXT`] against it, and lets it only grow.
///
/// What the daemon sends unasked has no place in OpenRPC: it stands in `x-notifications`, in the form of methods.
#[cfg(feature = "schema")]
#[must_use]
pub fn made() -> Value {
    use schemars::{JsonSchema as _, generate::SchemaSettings};
    use serde_json::json;

    use crate::{
        METHODS, PROTOCOL,
        error::{Details, Name},
        event::{Changed, Event, Work, WorkStop},
    };

    let mut settings = SchemaSettings::draft07();
    settings.definitions_path = "/components/schemas".into();
    let mut generator = settings.into_generator();
    let methods: Vec<Value> = METHODS
        .iter()
        .map(|method| {
            let (params, result) = (method.schemas)(&mut generator);
            json!({
                "name": method.name,
                "summary": method.about,
                "description": params.get("description"),
                "paramStructure": "by-name",
                "params": by_name(params.as_value()),
                "result": { "name": "result", "schema": result },
                "x-right": format!("{:?}", method.right).to_lowercase(),
            })
        })
        .collect();
    let notifications = [
        json!({ "name": Changed::METHOD, "params": by_name(Changed::json_schema(&mut generator).as_value()) }),
        json!({ "name": Event::METHOD, "schema": Event::json_schema(&mut generator) }),
        json!({ "name": Work::METHOD, "params": by_name(Work::json_schema(&mut generator).as_value()) }),
        json!({ "name": WorkStop::METHOD, "params": by_name(WorkStop::json_schema(&mut generator).as_value()) }),
    ];
    let errors: Vec<Value> = Name::ALL.iter().map(|name| json!({ "name": name.word(), "code": name.code() })).collect();
    let data = generator.subschema_for::<Details>();
    let schemas = generator.take_definitions(true);
    json!({
        "openrpc": "1.3.2",
        "info": {
            "title": "mingle",
            "version": PROTOCOL.to_string(),
            "description": "JSON-RPC 2.0, one message a line, over a Unix socket. PROTOCOL.md says the same for people.",
        },
        "methods": methods,
        "components": { "schemas": schemas },
        "x-notifications": notifications,
        "x-errors": { "names": errors, "data": data },
    })
}

/// The members of an object as parameters by name.
#[cfg(feature = "schema")]
fn by_name(schema: &Value) -> Vec<Value> {
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let members = schema["properties"].as_object().into_iter().flatten();
    members
        .map(
            |(name, schema)| serde_json::json!({ "name": name, "required": required.contains(&name.as_str()), "schema": schema }),
        )
        .collect()
}
