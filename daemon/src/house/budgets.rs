//! Owns: whose budget is whose: accounts with the remotes of the configuration that share them. Must never know: the wire, what is decided from it.

use mingle_core::ask::{BudgetRow, LoggedIn, LoginBegun, LoginPlace, Refusal};

use super::House;
use crate::{
    clock,
    ipc::door::{Accounts, Later},
    remotes::budget::{self, Shown},
};

impl Accounts for House {
    /// Also an account that nothing is known of yet.
    fn budgets(&self) -> Result<Vec<BudgetRow>, Refusal> {
        let shown = self.0.means.http.budgets.shown(clock::now());
        let mut rows: Vec<(Vec<String>, BudgetRow)> = Vec::new();
        for (name, settings) in &self.config().remotes {
            // A program has no address, and nobody's budget.
            let (Some(key), Some(host)) = (budget::key(settings), budget::host(settings)) else { continue };
            let account = self.0.means.logins.account(&settings.auth);
            if let Some((_, row)) = rows.iter_mut().find(|(keys, _)| keys.contains(&key)) {
                row.remotes.push(name.clone());
                continue;
            }
            let row = BudgetRow { host, account, remotes: vec![name.clone()], ..BudgetRow::default() };
            rows.push(match shown.iter().find(|one| one.keys.contains(&key)) {
                Some(Shown { keys, known, flying, waiting }) => {
                    let waiting = waiting.interactive + waiting.background;
                    (keys.clone(), BudgetRow { known: known.clone(), under_way: *flying, waiting, ..row })
                }
                None => (vec![key], row),
            });
        }
        let mut rows: Vec<BudgetRow> = rows.into_iter().map(|(_, row)| row).collect();
        rows.sort_by(|a, b| (&a.host, &a.account, &a.remotes).cmp(&(&b.host, &b.account, &b.remotes)));
        Ok(rows)
    }

    fn login(&self, remote: String, secret: String) -> Later<LoginPlace> {
        self.logged_in(remote, secret)
    }

    fn login_begin(&self, remote: String, at_another: bool, is_same: bool) -> Later<LoginBegun> {
        self.login_begun(remote, at_another, is_same)
    }

    fn login_end(&self, login: String) -> Later<LoggedIn> {
        self.login_ended(login)
    }

    fn logout(&self, remote: String) -> Later<LoginPlace> {
        self.logged_out(remote)
    }
}
