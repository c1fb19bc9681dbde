//! Facts about the relay, and the sentences for them: the command line prints them, the officers' pages show them.
//! Only reads, under no lock. Out of scope: layout.

pub(crate) mod agents;
pub(crate) mod changes;
pub(crate) mod event_text;
pub(crate) mod numbers;
pub(crate) mod qr_code;
pub(crate) mod receipts;
pub(crate) mod refusals;
pub(crate) mod releases;
pub(crate) mod status;
pub(crate) mod trust;

pub(crate) use event_text::event_text;
