//! Owns: the words in which an account's budget is told. Must never know: what follows from it.

use crate::budget::Known;

/// What one account may ask of a service, and who used it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BudgetRow {
    /// Where the service is: scheme, host and port.
    pub host: String,
    /// The account's name; empty where the login has none.
    pub account: String,
    /// The remotes that share it, by name.
    pub remotes: Vec<String>,
    /// What is known of it.
    pub known: Known,
    /// Requests under way.
    pub under_way: usize,
    /// Requests that wait for their turn.
    pub waiting: usize,
}
