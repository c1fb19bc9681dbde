//! Items of the inbox: what officers and witnesses submit, as it lies there until the keeper judges it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::state::State;
use crate::state::reserve::is_full;
use base::{Digest, Fault, Timestamp, durable};
use sandbox::report::SelfTest;
use serve::journal::LONGEST_LINE;

/// Statement or directive, as it was submitted.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubmittedStatement {
    /// Time of submission.
    pub at: Timestamp,
    /// Bytes of the statement, which need not be text.
    pub text: Vec<u8>,
    /// Bytes of the signature file.
    pub signature: Vec<u8>,
}

/// Item of the inbox.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum InboxItem {
    /// A statement or a directive.
    Statement(SubmittedStatement),
    /// A log head with cosignatures of witnesses.
    Cosigned(CosignedNote),
    /// Result of the self-test that the review pages ran before they began.
    Proof(Box<SelfTest>),
}

/// Log head with cosignatures of witnesses, as it was submitted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CosignedNote {
    /// Time of submission.
    pub at: Timestamp,
    /// The signed note.
    pub cosigned: String,
}

/// Puts a cosigned head into the inbox, durably; `settle` judges it.
pub fn hand_in_cosigned(state: &State, cosigned: CosignedNote) -> Result<(), Fault> {
    store(state, &InboxItem::Cosigned(cosigned)).map(drop)
}

/// Puts a statement into the inbox, durably, where `settle` judges it; gives the path of the item.
pub fn hand_in(state: &State, statement: &SubmittedStatement) -> Result<PathBuf, Fault> {
    store(state, &InboxItem::Statement(statement.clone()))
}

/// True for the name of an item; the slot and the record beside it lie in the same folder.
pub(super) fn is_item(name: &str) -> bool {
    std::path::Path::new(name).extension().is_some_and(|end| end == "json")
}

/// Writes an item under its digest, so that the same item twice is one file, whenever it was submitted.
fn store(state: &State, item: &InboxItem) -> Result<PathBuf, Fault> {
    store_as(state, "", item)
}

/// Beginning of the names of items that came from the pages.
const OF_PAGES: &str = "pages-";

/// Writes an item that came from the pages, under a name that says so.
pub(super) fn store_of_pages(state: &State, item: &InboxItem) -> Result<(), Fault> {
    store_as(state, OF_PAGES, item).map(drop)
}

/// True for the name of an item that came from the pages.
pub(super) fn is_of_pages(name: &str) -> bool {
    name.starts_with(OF_PAGES)
}

fn store_as(state: &State, begin: &str, item: &InboxItem) -> Result<PathBuf, Fault> {
    let bytes =
        serde_json::to_vec(item).map_err(|_| Fault::Internal("an item of the inbox cannot be turned into JSON"))?;
    let name = match item {
        // With the length, so that no other split of the same bytes has the same name.
        InboxItem::Statement(SubmittedStatement { text, signature, .. }) => {
            Digest::of(&[&text.len().to_be_bytes(), text.as_slice(), signature].concat())
        }
        InboxItem::Cosigned(cosigned) => Digest::of(cosigned.cosigned.as_bytes()),
        InboxItem::Proof(_) => Digest::of(&bytes),
    };
    let path = state.inbox().join(format!("{begin}{name}.json"));
    let stored = match durable::replace(&path, &bytes) {
        Err(fault) if is_full(&fault) => {
            state.give_up_reserve();
            durable::replace(&path, &bytes)
        }
        stored => stored,
    };
    stored.map(|()| path)
}

/// Reads a line of the slot. One that the pages would not have written is judged as a statement, and refused;
/// its beginning is enough for that, and a line that is longer than an entry may be must not stop the keeper.
pub(super) fn read_line(line: &[u8], now: Timestamp) -> InboxItem {
    match serde_json::from_slice(line) {
        Ok(InboxItem::Statement(statement)) => InboxItem::Statement(statement),
        Ok(InboxItem::Cosigned(cosigned)) => InboxItem::Cosigned(cosigned),
        Ok(proof) if line.len() <= LONGEST_LINE => proof,
        _ => {
            let text = line.iter().copied().take(LONGEST_LINE).collect();
            InboxItem::Statement(SubmittedStatement { at: now, text, signature: Vec::new() })
        }
    }
}
