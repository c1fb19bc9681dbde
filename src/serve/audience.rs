//! For whom something is there.

use std::sync::Arc;

/// Agents by the names in their certificates, or everybody.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Audience(Option<Arc<[String]>>);

impl Audience {
    /// Agents of these names; everybody, if there are none.
    pub fn of(names: &[String]) -> Self {
        Self((!names.is_empty()).then(|| names.into()))
    }

    /// Both together.
    #[must_use]
    pub fn with(&self, other: &Self) -> Self {
        let both = |(ours, theirs): (&Arc<[String]>, &Arc<[String]>)| ours.iter().chain(&**theirs).cloned().collect();
        Self(self.0.as_ref().zip(other.0.as_ref()).map(both))
    }

    /// True if it is there for everybody.
    pub fn is_everybody(&self) -> bool {
        self.0.is_none()
    }

    /// True if it is there for an agent with this name in its certificate.
    pub fn has(&self, certificate: Option<&str>) -> bool {
        self.0.as_ref().is_none_or(|names| certificate.is_some_and(|name| names.iter().any(|it| it == name)))
    }
}
