//! Owns: who shares a budget, and in which order requests of one go. Must never know: a service.

use std::sync::atomic::{AtomicI64, Ordering};

use futures_util::FutureExt as _;
use mingle_core::budget::{Allowance, Told};

use super::*;

fn settings(url: &str, auth: &str) -> RemoteSettings {
    toml::from_str(&format!("kind = \"rest\"\nurl = \"{url}\"\n{auth}")).unwrap()
}

#[test]
fn who_shares_a_budget() {
    #[track_caller]
    fn check(one: (&str, &str), other: (&str, &str), shared: bool) {
        let key = |(url, auth): (&str, &str)| key(&settings(url, auth)).unwrap();
        assert_eq!(key(one) == key(other), shared, "{one:?} and {other:?}");
    }
    const TOKEN: &str = "auth = { type = \"bearer\", token = { file = \"github\" } }";
    const ME: &str = "auth = { type = \"basic\", username = \"me\", password = { file = \"a\" } }";
    // However many repositories.
    check(("https://api.github.com/repos/a/b", TOKEN), ("https://api.github.com/repos/c/d", TOKEN), true);
    check(("https://api.github.com/repos/a/b", TOKEN), ("https://api.github.com:443/", TOKEN), true);
    check(("https://api.github.com/", TOKEN), ("https://github.example.org/", TOKEN), false);
    check(("http://localhost:1/", TOKEN), ("http://localhost:2/", TOKEN), false);
    check(("https://x/", TOKEN), ("https://x/", ""), false);
    check(("https://x/", ""), ("https://x/y", ""), true);
    check(("https://x/", TOKEN), ("https://x/", "auth = { type = \"bearer\", token = { file = \"other\" } }"), false);
    // Who has a name is known by it.
    check(("https://x/", ME), ("https://x/", "auth = { type = \"basic\", username = \"me\", password = { env = \"B\" } }"), true);
    check(
        ("https://x/", ME),
        ("https://x/", "auth = { type = \"basic\", username = \"you\", password = { file = \"a\" } }"),
        false,
    );
}

#[test]
fn a_secret_that_proves_the_same_is_the_same_account() {
    let budgets = Budgets::default();
    let url = Url::parse("https://x/").unwrap();
    let auth =
        |file: &str| settings("https://x/", &format!("auth = {{ type = \"bearer\", token = {{ file = \"{file}\" }} }}")).auth;
    let now = Timestamp::from_unix_ms(1);
    let one = budgets.account(&url, &auth("a"), b"Bearer sesame", now);
    assert!(Arc::ptr_eq(&one, &budgets.account(&url, &auth("a"), b"Bearer sesame", now)));
    assert!(Arc::ptr_eq(&one, &budgets.account(&url, &auth("b"), b"Bearer sesame", now)));
    assert!(!Arc::ptr_eq(&one, &budgets.account(&url, &auth("c"), b"Bearer other", now)));
    assert!(!Arc::ptr_eq(&one, &budgets.account(&Url::parse("https://y/").unwrap(), &auth("a"), b"Bearer sesame", now)));
    let shown: Vec<usize> = budgets.shown(now).iter().map(|one| one.keys.len()).collect();
    assert_eq!((shown.iter().sum::<usize>(), shown.len()), (4, 3));
    assert!(!format!("{budgets:?} {:?}", budgets.known()).contains("sesame"));
}

/// The name of an account says where its secret is; of one that stands in the configuration it could be guessed.
#[test]
fn nothing_of_a_secret_is_written_down() {
    let budgets = Budgets::default();
    let url = Url::parse("https://x/").unwrap();
    for (token, written) in [("{ plain = \"sesame\" }", 0), ("{ file = \"a\" }", 1)] {
        let auth = settings("https://x/", &format!("auth = {{ type = \"bearer\", token = {token} }}")).auth;
        let _ = budgets.account(&url, &auth, token.as_bytes(), Timestamp::from_unix_ms(1));
        assert_eq!(budgets.known().len(), written, "{token}");
    }
    assert_eq!(budgets.shown(Timestamp::from_unix_ms(1)).len(), 2, "both are known while it runs");
}

#[test]
fn logins_that_held_one_secret_are_two_accounts_once_one_holds_another() {
    let budgets = Budgets::default();
    let url = Url::parse("https://x/").unwrap();
    let account = |file: &str, proof: &str| {
        let auth = settings("https://x/", &format!("auth = {{ type = \"bearer\", token = {{ file = \"{file}\" }} }}")).auth;
        budgets.account(&url, &auth, proof.as_bytes(), Timestamp::from_unix_ms(1))
    };
    let (a, b) = (account("a", "one"), account("b", "one"));
    assert!(Arc::ptr_eq(&a, &b));
    let other = account("a", "two");
    assert!(!Arc::ptr_eq(&other, &b), "it spends from its own");
    assert!(Arc::ptr_eq(&account("b", "one"), &b) && Arc::ptr_eq(&account("a", "two"), &other));
    assert!(Arc::ptr_eq(&account("b", "two"), &other), "and here they are one again");
    // A token that is renewed is the same account, as long as it is one login's.
    let c = account("c", "three");
    assert!(Arc::ptr_eq(&account("c", "four"), &c));
}

#[test]
fn accounts_are_bounded() {
    let budgets = Budgets::default();
    for n in 0..=limits::ACCOUNTS_MAX {
        let url = Url::parse(&format!("https://x{n}/")).unwrap();
        let _ = budgets.account(&url, &Auth::None, b"", Timestamp::from_unix_ms(i64::try_from(n).unwrap()));
    }
    let known = budgets.known();
    let first = key(&settings("https://x0/", "")).unwrap();
    assert_eq!((known.len(), known.iter().any(|(key, _)| *key == first)), (limits::ACCOUNTS_MAX, false));
}

/// A clock that is set, and purses of one account.
struct Stage {
    ms: Arc<AtomicI64>,
    account: Arc<Account>,
    url: Url,
}

impl Stage {
    fn new(known: Known) -> Self {
        let budgets = Budgets::default();
        let url = Url::parse("https://x/").unwrap();
        budgets.remember(vec![(key_of(&url, &Auth::None), known)]);
        let account = budgets.account(&url, &Auth::None, b"", Timestamp::default());
        Self { ms: Arc::default(), account, url }
    }

    fn purse(&self, class: Class) -> Purse {
        let ms = Arc::clone(&self.ms);
        let now: Clock = Arc::new(move || Timestamp::from_unix_ms(ms.load(Ordering::Relaxed)));
        Purse::new(Arc::clone(&self.account), By { sync: "s".into(), class, ..By::default() }, now, None)
    }
}

fn allowance(left: u64, limit: u64, resets: i64) -> Known {
    let one = Allowance {
        limit: Some(limit),
        left,
        resets: Some(Timestamp::from_unix_ms(resets)),
        window: None,
        learned: Timestamp::default(),
    };
    Known { allowances: [(String::new(), one)].into(), lately: vec![String::new()], ..Known::default() }
}

#[tokio::test]
async fn a_request_of_a_person_goes_before_those_that_wait() {
    let stage = Stage::new(allowance(3, 5, 60_000));
    let (person, schedule) = (stage.purse(Class::Interactive), stage.purse(Class::Background));
    let mut under_way: Vec<Permit> = Vec::new();
    for _ in 0..3 {
        under_way.push(schedule.permit(&stage.url).await.unwrap());
    }
    let mut first = Box::pin(schedule.permit(&stage.url));
    let mut later = Box::pin(person.permit(&stage.url));
    assert!(first.as_mut().now_or_never().is_none() && later.as_mut().now_or_never().is_none());
    assert_eq!(stage.account.state().waiting, Waiting { interactive: 1, background: 1 });
    // One comes back, and says that there is one left but for those that are under way.
    let back = under_way.pop().unwrap();
    let ticket = { back }.ticket.take().unwrap();
    let told =
        [Told { name: String::new(), limit: Some(5), left: 3, resets: Some(Timestamp::from_unix_ms(60_000)), window: None }];
    stage.account.state().budget.answered(ticket, Timestamp::default(), &Answer { told: &told, ..Answer::default() });
    stage.account.moved.notify_waiters();
    assert!(first.as_mut().now_or_never().is_none(), "it stands back");
    let permit = later.await.unwrap();
    assert!(first.as_mut().now_or_never().is_none());
    // Who waits no more leaves no trace; nor does a request that is dropped.
    drop(first);
    assert_eq!(stage.account.state().waiting, Waiting::default());
    drop((permit, under_way));
    assert_eq!(stage.account.state().budget.flying(), 0);
}

#[tokio::test]
async fn a_long_wait_is_refused_and_a_short_one_is_waited_for() {
    let stage = Stage::new(allowance(1, 10, 60_000));
    let (person, schedule) = (stage.purse(Class::Interactive), stage.purse(Class::Background));
    let refused = schedule.permit(&stage.url).await.err().unwrap();
    let until = Timestamp::from_unix_ms(60_000);
    assert_eq!((refused.error.kind, refused.sent), (Failure::Budget(until), false));
    assert_eq!(refused.error.what, "https://x has 1 of 10 requests left for us, and they are kept for what a person asks for");
    drop(person.permit(&stage.url).await.unwrap());
    let refused = person.permit(&stage.url).await.err().unwrap();
    assert_eq!(refused.error.kind, Failure::Throttled(Some(until)));
    assert_eq!(refused.error.what, "https://x has none of 10 requests left for us");
    // In a moment there are more: nobody is sent away, and what moves is looked at.
    stage.ms.store(59_000, Ordering::Relaxed);
    let mut waits = Box::pin(person.permit(&stage.url));
    assert!(waits.as_mut().now_or_never().is_none());
    stage.ms.store(60_000, Ordering::Relaxed);
    stage.account.moved.notify_waiters();
    assert!(waits.await.is_ok());
}
