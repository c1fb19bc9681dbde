//! Facts about the relay, and the sentences for them: the command line prints them, the officers' pages show them.
//! Only reads, under no lock. Out of scope: layout.

pub mod agents;
pub mod changes;
pub mod event_text;
pub mod numbers;
pub mod qr_code;
pub mod receipts;
pub mod refusals;
pub mod releases;
pub mod status;
pub mod trust;

pub use event_text::event_text;
