//! Owns: plans, between core words and wire words. Must never know: how they are made.

use mingle_core::ask;
use mingle_proto::{Raw, call};
use serde_json::value::to_raw_value;

use super::{operate, raw, stored, word};

/// What a run would do.
pub(in crate::ipc) fn plan(plan: ask::Plan) -> call::PlanAnswer {
    call::PlanAnswer {
        mode: plan.mode.map(operate::mode_told),
        status: word(&plan.status, call::RunStatus::Unknown),
        error: plan.error.map(operate::trouble),
        conflicts: plan.conflicts,
        rejections: plan.rejections,
        requests: plan.requests.into_iter().map(request).collect(),
        requests_total: plan.requests_total,
        changes: plan.changes.into_iter().map(change).collect(),
        changes_total: plan.changes_total,
    }
}

fn request(request: ask::PlannedRequest) -> call::PlannedRequest {
    let ask::PlannedRequest { method, url, headers, body, ids } = request;
    call::PlannedRequest { method, url, headers: headers.into_iter().collect(), body: body.as_deref().and_then(as_json), ids }
}

/// JSON as it is, anything else as a JSON text.
fn as_json(body: &str) -> Option<Raw> {
    if serde_json::from_str::<serde::de::IgnoredAny>(body).is_ok() { raw(body) } else { to_raw_value(body).ok() }
}

fn change(change: ask::PlannedChange) -> call::PlannedChange {
    let property = |(property, from, to): (String, Option<String>, Option<String>)| call::PlannedProperty {
        property,
        from: from.as_deref().and_then(raw),
        to: to.as_deref().and_then(raw),
    };
    call::PlannedChange {
        id: change.id,
        kind: stored::kind(change.kind),
        properties: change.properties.into_iter().map(property).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_told_as_what_it_is() {
        let told = |body: &str| as_json(body).map(|raw| raw.get().to_owned());
        assert_eq!(told("{\"n\":1.0}").as_deref(), Some("{\"n\":1.0}"));
        assert_eq!(told("a=1&b=2").as_deref(), Some("\"a=1&b=2\""));
    }
}
