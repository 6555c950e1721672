//! Owns: `mingle budget`: what each account may ask of its service, and who used it. Must never know: what is decided from it.

use jiff::Timestamp;
use mingle_client::call::{self, AccountBudget, BudgetLimit};

use crate::{
    at::At,
    clock,
    exit::{Exit, Failure},
    table::Table,
    words::{bytes, plain, when},
};

/// Show what each account may still ask of its service, until when, and which sync used it.
///
/// Remotes at one host with one login share what the service gives to the account. The schedule leaves a tenth of it for what a person
/// asks for.
#[derive(Debug, clap::Args)]
pub struct Budget {}

impl Budget {
    pub fn run(self, at: &mut At) -> Result<Exit, Failure> {
        at.show(call::RemoteBudget {}, |answer| text(&answer.budgets, clock::now()))?;
        Ok(Exit::Done)
    }
}

/// A paragraph an account.
fn text(budgets: &[AccountBudget], now: Timestamp) -> String {
    if budgets.is_empty() {
        return "no remote has a budget: none is configured that is asked over HTTP (`mingle remote list` lists all)".into();
    }
    budgets.iter().map(|one| account(one, now)).collect::<Vec<_>>().join("\n\n")
}

fn account(one: &AccountBudget, now: Timestamp) -> String {
    let name = one.account.as_ref().map(|name| format!(" as {name}")).unwrap_or_default();
    let mut lines = vec![plain(&format!("{}{name} ({})", one.host, one.remotes.join(", ")))];
    lines.extend(one.limits.iter().map(|limit| format!("  {}", left(limit, now))));
    if one.limits.is_empty() {
        lines.push("  no limit is known".into());
    }
    lines.extend(one.quiet_until_at.as_ref().map(|until| format!("  it asked for patience; asked again {}", when(until, now))));
    if one.under_way + one.waiting > 0 {
        lines.push(format!("  {} under way, {} waiting", one.under_way, one.waiting));
    }
    if !one.used.is_empty() {
        let mut table = Table::new(&["SYNC", "REQUESTS", "UNCHANGED", "BYTES"]);
        for used in &one.used {
            let sync = used.sync.clone().unwrap_or_else(|| "-".into());
            table.row([sync, used.requests.to_string(), used.unchanged.to_string(), bytes(used.bytes)]);
        }
        let since = one.used_since_at.as_ref().map(|since| format!(" since {}", when(since, now))).unwrap_or_default();
        lines.push(format!("  used{since}:"));
        lines.extend(table.text().lines().map(|line| format!("    {line}")));
    }
    lines.join("\n")
}

/// `core: 4812/5000 left, resets in 39 min; 500 kept for people`.
fn left(limit: &BudgetLimit, now: Timestamp) -> String {
    let name = limit.name.as_ref().map(|name| format!("{}: ", plain(name))).unwrap_or_default();
    let of = limit.limit.map(|of| format!("/{of}")).unwrap_or_default();
    let resets = limit.resets_at.as_ref().map(|at| format!(", resets {}", when(at, now))).unwrap_or_default();
    let kept = if limit.kept > 0 { format!("; {} kept for people", limit.kept) } else { String::new() };
    format!("{name}{}{of} left{resets}{kept}", limit.left)
}

#[cfg(test)]
mod tests {
    use mingle_client::call::BudgetUsed;

    use super::*;

    #[test]
    fn an_account_in_words() {
        let now: Timestamp = "2026-10-05T12:00:00Z".parse().unwrap();
        let core = BudgetLimit {
            name: Some("core".into()),
            limit: Some(5000),
            left: 4812,
            kept: 500,
            resets_at: Some("2026-10-05T12:40:00Z".into()),
            learned_at: "2026-10-05T11:59:00Z".into(),
            ..BudgetLimit::default()
        };
        let github = AccountBudget {
            host: "https://api.github.com".into(),
            remotes: vec!["github".into(), "wiki".into()],
            limits: vec![core],
            used_since_at: Some("2026-10-05T11:40:00Z".into()),
            used: vec![
                BudgetUsed { sync: Some("issues".into()), requests: 180, unchanged: 61, bytes: 2048 },
                BudgetUsed { sync: None, requests: 8, unchanged: 0, bytes: 9 },
            ],
            waiting: 2,
            ..AccountBudget::default()
        };
        let other = AccountBudget {
            host: "https://x".into(),
            account: Some("me".into()),
            remotes: vec!["r".into()],
            ..AccountBudget::default()
        };
        assert_eq!(
            text(&[github, other], now),
            "https://api.github.com (github, wiki)\n  \
               core: 4812/5000 left, resets in 40 min; 500 kept for people\n  \
               0 under way, 2 waiting\n  \
               used since 20 min ago:\n    \
                 SYNC    REQUESTS  UNCHANGED  BYTES\n    \
                 issues  180       61         2 KiB\n    \
                 -       8         0          9 B\n\n\
             https://x as me (r)\n  no limit is known"
        );
        assert!(text(&[], now).starts_with("no remote has a budget"));
    }
}
