//! Helpers that the tests share: a relay and its people, bundles, daemons, stock clients.

mod bundle;
mod certificate;
mod client;
mod daemon;
mod hostile;
mod place;
mod trust;
mod world;

pub(crate) use bundle::*;
pub(crate) use certificate::*;
pub(crate) use client::*;
pub(crate) use daemon::*;
pub(crate) use hostile::*;
pub(crate) use place::*;
pub(crate) use trust::*;
pub(crate) use world::*;
