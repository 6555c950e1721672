//! Owns: holding what we tell people against what is there: README, the pages in `daemon/docs`, ARCHITECTURE.
//! Must never know: how any of it works.

mod commands;
mod configuration;
mod demo;
mod features;
mod pages;
mod places;
mod results;

/// No breaches, or all of them at once.
#[track_caller]
fn none(breaches: &[String]) {
    assert!(breaches.is_empty(), "\n{}", breaches.join("\n"));
}
