//! Inspection: the kind of an artifact, and whether it may pass. Default deny: an artifact is cleared only if the kind
//! that the manifest declares is the kind that its bytes show and one that the feed may carry, and that kind's reader
//! finds nothing in it that the feed does not permit.
//!
//! Two processes share this crate, and the folders say which runs what:
//!
//! ```text
//! examiner  examiner, formats/, archive/, background   unpacks and looks inside. May read its pipe and write the other:
//!                                                      no file, no socket, no key. Decides nothing, and is not believed.
//! keeper    judge/                                     counts and hashes what it is handed, compares it with the signed
//!                                                      manifest, decides, keeps. Runs no format's reader.
//! both      kind, finding, flaw, cut, item             what passes between them: plain types
//! ```
//!
//! The way of the bytes. Each is read and hashed once, whatever looks at it; nothing is held but the pieces between two
//! threads and what a format needs whole.
//!
//! ```text
//! keeper                     examiner
//! spool ──pipe─────────────► inflate (thread) ─► ustar ─► Tee ─► beside ─► Tap ─► the format's reader, which pulls
//!                                                          │     (thread,  text, MD5  ├ lines, whole, …
//!                                                          │  if it is long)          └ Inflate ─► beside ─► Tar ─► Tap ─► …
//! hash, keep ◄──pipe: bytes────────────────────────────────┘                                           │
//! items file ◄──pipe: items, as they come────────────────── Notes ◄────────────────────────────────────┘
//! judge      ◄──pipe: each flaw, then what was found─────── Finding
//! ```

#![forbid(unsafe_code)]

pub(crate) mod archive;
pub(crate) mod background;
pub(crate) mod budget;
pub(crate) mod cut;
pub mod examiner;
pub(crate) mod finding;
pub mod flaw;
pub mod formats;
pub mod item;
pub(crate) mod judge;
pub(crate) mod kind;
pub(crate) mod notes;
pub mod source;

pub use archive::rebuild;
pub use cut::Cut;
pub use finding::{DatabaseHeader, Finding};
pub use formats::inspect;
pub use judge::Keep;
pub use judge::examination::Examination;
pub use judge::examined::{Examined, examine};
pub use judge::examiners::{Examiners, Threads};
pub use judge::judgement::{Judgement, ProvenContent};
pub use judge::policy::{Action, ContentPolicy, Demand, Demands, InspectionTerms, Opaque, OriginDemand};
pub use judge::strip::Scratch;
pub use judge::verdict::{Counts, Dropped, Stripped, Verdict, VerdictKind};
pub use kind::Kind;
