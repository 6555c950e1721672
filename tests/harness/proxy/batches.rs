//! Owns: what a request with several changes in it asked for, one by one. Must never know: what is done with that.

use serde_json::Value;

use super::Passed;

/// The changes in a batch (`{"requests": [..]}`, answered with `{"responses": [..]}`); none: it is no batch.
pub fn unpacked(target: &str, request: &[u8], answer: Option<&[u8]>) -> Option<Vec<Passed>> {
    if !target.ends_with("/batch") {
        return None;
    }
    let requests = body(request)?["requests"].as_array()?.clone();
    let responses = answer.and_then(body).map(|body| body["responses"].clone()).unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let passed = requests.iter().enumerate().map(|(at, request)| Passed {
        method: text(&request["method"]),
        target: text(&request["path"]),
        status: responses[at]["status"].as_u64().and_then(|status| u16::try_from(status).ok()),
    });
    Some(passed.collect())
}

fn body(message: &[u8]) -> Option<Value> {
    let head = message.windows(4).position(|four| four == b"\r\n\r\n")?;
    serde_json::from_slice(&message[head + 4..]).ok()
}
