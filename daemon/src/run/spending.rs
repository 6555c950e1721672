//! Owns: writing down what is learned of budgets, so that a restart does not forget what was spent. Must never know: what follows from it.

use mingle_core::limits;

use crate::{
    alarm::pause,
    clock,
    remotes::budget::Budgets,
    store::{Class, Store, StoreError, budgets},
};

/// Takes up what was known before this process began.
///
/// # Errors
/// What the store says.
pub fn remember(store: &Store, all: &Budgets) -> Result<(), StoreError> {
    all.remember(store.read(|reader| budgets::all(reader))?);
    Ok(())
}

/// Writes down whatever is learned, at once and then now and then.
pub async fn keep(store: &Store, all: &Budgets) {
    loop {
        all.learned().await;
        write(store, all).await;
        pause(limits::BUDGET_WRITTEN_EVERY).await;
    }
}

/// Writes down what is known now.
pub async fn write(store: &Store, all: &Budgets) {
    let known = all.known();
    let written = store.write(Class::Background, clock::now(), move |tx| budgets::write(tx, &known)).await;
    if let Err(error) = written {
        tracing::debug!(%error, "what is known of budgets was not written down");
    }
}
