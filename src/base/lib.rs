//! What every station may use: digests, time, durable writes, quoted text, locks, limits,
//! and the two families of error. Nothing in here knows a station.

pub mod aloud;
pub mod clock;
pub mod digest;
pub mod durable;
pub mod error;
pub mod ipc;
pub mod limits;
pub mod lock;
pub mod name;
pub mod operator;
pub mod quoted;
pub mod raw;
pub mod reason;
pub mod span;

pub use clock::Timestamp;
pub use digest::Digest;
pub use error::{Error, Fault, Refusal};
pub use limits::Limits;
pub use operator::Operator;
pub use quoted::quoted;
pub use reason::Reason;
