//! Owns: `mingle sync --plan`: what runs would send and change, in a few lines. Must never know: how a plan is made.

use mingle_client::call::{self, ChangeKind, PlanAnswer, PlannedChange, PlannedRequest, RunStatus};

use crate::{
    at::At,
    exit::{Exit, Failure},
    why::shown,
    words::{count, plain},
};

/// Asks for the plan of each of these runs, and prints it.
pub fn show(at: &mut At, runs: impl Iterator<Item = call::SyncRun>) -> Result<Exit, Failure> {
    let mut exit = Exit::Done;
    for run in runs {
        let call::SyncRun { sync, mode, force, accept_deletes } = run;
        let call = call::Plan { sync: sync.clone(), mode, force, accept_deletes, limit: None };
        let answer = at.show(call, |answer| said(&sync, answer))?;
        exit = exit.and(came_out(&answer));
    }
    Ok(exit)
}

fn came_out(answer: &PlanAnswer) -> Exit {
    match answer.status {
        RunStatus::Done if answer.conflicts == 0 => Exit::Done,
        RunStatus::Done | RunStatus::DoneWithErrors => Exit::Person,
        _ => Exit::Failed,
    }
}

fn said(sync: &str, answer: &PlanAnswer) -> String {
    let number = |n: u64, what: &str| count(usize::try_from(n).unwrap_or(usize::MAX), what);
    let mut text = format!(
        "{sync}: {} to send and {} to change here; nothing is done\n",
        number(answer.requests_total, "request"),
        number(answer.changes_total, "record")
    );
    if let Some(error) = &answer.error {
        let hint = error.hint.as_ref().map_or_else(String::new, |hint| format!("; {hint}"));
        text.push_str(&format!("  it would end as {}: {}{hint}\n", answer.status, error.what));
    }
    for (n, what) in [(answer.conflicts, "conflict"), (answer.rejections, "rejection")] {
        if n > 0 {
            text.push_str(&format!("  {} would be left\n", number(n, what)));
        }
    }
    answer.changes.iter().for_each(|one| text.push_str(&changed(one)));
    text.push_str(&more(answer.changes_total, answer.changes.len(), "record"));
    answer.requests.iter().for_each(|one| text.push_str(&requested(one)));
    text.push_str(&more(answer.requests_total, answer.requests.len(), "request"));
    plain(&text)
}

fn more(total: u64, told: usize, what: &str) -> String {
    let rest = usize::try_from(total).unwrap_or(usize::MAX).saturating_sub(told);
    if rest == 0 { String::new() } else { format!("  and {}\n", count(rest, &format!("more {what}"))) }
}

fn changed(one: &PlannedChange) -> String {
    let mut text = format!("  here  {} {}\n", one.id, one.kind);
    for property in one.properties.iter().filter(|_| matches!(one.kind, ChangeKind::Created | ChangeKind::Updated)) {
        let (from, to) = (shown(property.from.as_ref()), shown(property.to.as_ref()));
        let change = if one.kind == ChangeKind::Created { to } else { format!("{from} -> {to}") };
        text.push_str(&format!("          {}: {change}\n", property.property));
    }
    text
}

fn requested(one: &PlannedRequest) -> String {
    let mut text = format!("  send  {} {}  ({})\n", one.method, one.url, one.ids.join(", "));
    for (name, value) in one.headers.iter().filter(|(name, _)| name.starts_with("if-") || name.contains("key")) {
        text.push_str(&format!("          {name}: {value}\n"));
    }
    if let Some(body) = &one.body {
        text.push_str(&format!("          {}\n", shown(Some(body))));
    }
    text
}

#[cfg(test)]
mod tests {
    use mingle_client::call::PlannedProperty;

    use super::*;
    use crate::input;

    #[test]
    fn a_plan_is_told_in_a_few_lines() {
        let raw = |text: &str| input::value(text).ok();
        let property =
            |from: Option<&str>, to: &str| PlannedProperty { property: "title".into(), from: from.and_then(raw), to: raw(to) };
        let change = |id: &str, kind, from| PlannedChange { id: id.into(), kind, properties: vec![property(from, "\"b\"")] };
        let answer = PlanAnswer {
            status: RunStatus::Done,
            requests: vec![PlannedRequest {
                method: "PATCH".into(),
                url: "http://far/things/a".into(),
                headers: [("if-match", "\"7\""), ("accept", "x")].map(|(a, b)| (a.to_owned(), b.to_owned())).into(),
                body: raw("{\"title\":\"b\"}"),
                ids: vec!["a".into()],
            }],
            requests_total: 3,
            changes: vec![change("c", ChangeKind::Created, None), change("d", ChangeKind::Updated, Some("\"a\""))],
            changes_total: 2,
            ..PlanAnswer::default()
        };
        let expect = "things: 3 requests to send and 2 records to change here; nothing is done\n  here  c created\n          title: \"b\"\n  \
                      here  d updated\n          title: \"a\" -> \"b\"\n  send  PATCH http://far/things/a  (a)\n          if-match: \"7\"\n          \
                      {\"title\":\"b\"}\n  and 2 more requests";
        assert_eq!(said("things", &answer).trim_end(), expect);
        assert_eq!(came_out(&answer), Exit::Done);
        assert_eq!(came_out(&PlanAnswer { conflicts: 1, ..answer.clone() }), Exit::Person);
        assert_eq!(came_out(&PlanAnswer { status: RunStatus::Failed, ..answer }), Exit::Failed);
    }
}
