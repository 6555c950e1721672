//! Owns: the accounts at services of the daemon that the tests of the socket speak with. Must never know: a service.

use std::{future::ready, time::Duration};

use mingle_core::{
    ask::{BudgetRow, LoggedIn, LoginBegun, LoginPlace, Refusal},
    budget::{Allowance, Known, Used},
    time::Timestamp,
};

use super::Model;
use crate::ipc::door::{Accounts, Later};

impl Accounts for Model {
    fn budgets(&self) -> Result<Vec<BudgetRow>, Refusal> {
        let at = Timestamp::from_unix_ms(0);
        let core = Allowance { limit: Some(60), left: 6, resets: Some(at), window: None, learned: at };
        let known = Known {
            allowances: [("core".to_owned(), core)].into(),
            used: [(String::new(), Used { requests: 54, unchanged: 50, bytes: 9 })].into(),
            since: Some(at),
            ..Known::default()
        };
        Ok(vec![BudgetRow { host: "https://x".into(), remotes: vec!["github".into()], known, ..BudgetRow::default() }])
    }
    fn login(&self, remote: String, _: String) -> Later<LoginPlace> {
        Box::pin(ready(Ok(LoginPlace { remote, place: "the keyring, as a/b".into(), done: true, left: None })))
    }
    fn login_begin(&self, remote: String, at_another: bool, _: bool) -> Later<LoginBegun> {
        let (login, url, within) = ("l-1".into(), "https://x/device".into(), Duration::from_secs(900));
        Box::pin(ready(Ok(LoginBegun { remote, login, url, code: at_another.then(|| "WDJB-MJHT".into()), within })))
    }
    fn login_end(&self, _: String) -> Later<LoggedIn> {
        let (remote, place) = ("github".into(), "the file github.json".into());
        let account = Some("me at https://x".into());
        Box::pin(ready(Ok(LoggedIn { remote, place, account, lacks: Vec::new(), renews: true, over: None })))
    }
    fn logout(&self, remote: String) -> Later<LoginPlace> {
        Box::pin(ready(Ok(LoginPlace { remote, place: "the keyring, as a/b".into(), done: true, left: None })))
    }
}
