//! What there is to tell, as facts and in words: the command line prints it, the officers' pages show
//! it. Only reads, under no lock. Out of scope: how it looks.

pub mod agents;
pub mod changes;
pub mod picture;
pub mod receipts;
pub mod refusals;
pub mod releases;
pub mod status;
pub mod trust;
pub mod words;

pub use words::words;
