//! Owns: several requests in one, and requests that are answered once however often they come. Must never know: what a request does.

use serde_json::{Map, Value, json};

use super::{State, told};
use crate::wire::Request;

/// Whose login the items of a batch are refused for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refuses {
    /// Nobody's.
    Nobodys,
    /// Everybody's.
    Everybodys,
    /// That of the next batch, behind so many items of it: it runs out in the midst.
    After(usize),
    /// This one, behind so many items of a batch.
    This(usize, String),
}

impl Refuses {
    fn is(&self, at: usize, login: &str) -> bool {
        match self {
            Self::Nobodys | Self::After(_) => false,
            Self::Everybodys => true,
            Self::This(after, one) => at >= *after && one == login,
        }
    }
}

impl State {
    /// Each by itself, in the order they came. Too many are refused, and none of them is done.
    pub(super) fn batch(&mut self, request: &Request) -> Vec<u8> {
        let body: Value = serde_json::from_str(&request.body).unwrap_or_default();
        let Some(items) = body["requests"].as_array() else { return told(400, &json!({ "words": "no requests" })) };
        if items.len() > self.options.batches {
            return told(400, &json!({ "words": format!("more than {}", self.options.batches) }));
        }
        let login = request.header("authorization").unwrap_or_default();
        if let Refuses::After(items) = self.options.batch_refuses {
            self.options.batch_refuses = Refuses::This(items, login.to_owned());
        }
        let answers: Vec<Value> = items
            .iter()
            .enumerate()
            .map(|(at, item)| {
                let one = of_item(item, request);
                let is_refused = self.options.batch_refuses.is(at, login);
                let answer = if is_refused { told(401, &json!({ "words": "who are you?" })) } else { self.answer(&one) };
                let (status, headers, body) = read(&answer);
                json!({ "status": status, "headers": headers, "body": body })
            })
            .collect();
        told(200, &json!({ "responses": answers }))
    }

    /// What a create is answered: the same again under the same key.
    pub(super) fn once(&mut self, request: &Request, make: impl FnOnce(&mut Self) -> Vec<u8>) -> Vec<u8> {
        let key = request.header("idempotency-key").filter(|_| self.options.keys).map(str::to_owned);
        if let Some((body, answer)) = key.as_ref().and_then(|key| self.answered.get(key)) {
            let same = *body == request.body;
            return if same { answer.clone() } else { told(422, &json!({ "words": "another request under the same key" })) };
        }
        let answer = make(self);
        if let Some(key) = key {
            self.answered.insert(key, (request.body.clone(), answer.clone()));
        }
        answer
    }
}

fn of_item(item: &Value, around: &Request) -> Request {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let path = text(&item["path"]);
    let path = path.split('?').next().unwrap_or_default();
    let named = |(name, value): (&String, &Value)| (name.to_lowercase(), text(value));
    let own: Vec<(String, String)> = item["headers"].as_object().into_iter().flatten().map(named).collect();
    Request {
        method: text(&item["method"]),
        path: path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect(),
        query: Vec::new(),
        headers: around.headers.iter().cloned().chain(own).collect(),
        body: item.get("body").map(Value::to_string).unwrap_or_default(),
    }
}

/// An answer's status, its headers, and what it says.
fn read(answer: &[u8]) -> (u16, Map<String, Value>, Value) {
    let text = String::from_utf8_lossy(answer);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).unwrap_or(500);
    let headers = lines.filter_map(|line| line.split_once(": ")).map(|(name, value)| (name.to_owned(), value.into())).collect();
    (status, headers, serde_json::from_str(body).unwrap_or_default())
}
