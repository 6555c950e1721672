//! Owns: budgets, from the core's words to the wire's. Must never know: what follows from them.

use mingle_core::{
    ask::BudgetRow,
    budget::{Allowance, Used},
};
use mingle_proto::call;

use super::{ms, time};

/// One row of `remote.budget`.
pub(in crate::ipc) fn budget(row: BudgetRow) -> call::AccountBudget {
    let BudgetRow { host, account, remotes, known, under_way, waiting } = row;
    let some = |text: String| (!text.is_empty()).then_some(text);
    let limit = |(name, one): (String, Allowance)| {
        let kept = one.reserve();
        let Allowance { limit, left, resets, window, learned } = one;
        let (resets_at, window_ms) = (resets.map(time), window.map(ms));
        call::BudgetLimit { name: some(name), limit, left, kept, resets_at, window_ms, learned_at: time(learned) }
    };
    let used = |(sync, used): (String, Used)| {
        let Used { requests, unchanged, bytes } = used;
        call::BudgetUsed { sync: some(sync), requests, unchanged, bytes }
    };
    call::AccountBudget {
        host,
        account: some(account),
        remotes,
        limits: known.allowances.into_iter().map(limit).collect(),
        quiet_until_at: known.quiet.map(|(_, until)| time(until)),
        used_since_at: known.since.map(time),
        used: known.used.into_iter().map(used).collect(),
        under_way: under_way as u64,
        waiting: waiting as u64,
    }
}
