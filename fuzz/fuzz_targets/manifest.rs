//! Manifests: what is taken can be written and read again as the same, and its paths are safe.
#![no_main]

use base::Limits;
use bundle::Manifest;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let limits = Limits::default();
    let Ok(manifest) = Manifest::parse(data, &limits) else { return };
    let again = serde_json_of(&manifest);
    assert_eq!(Manifest::parse(again.as_bytes(), &limits).as_ref(), Ok(&manifest));
    for artifact in &manifest.artifacts {
        assert!(!artifact.path.starts_with('/') && !artifact.path.split('/').any(|part| part == ".."));
        assert!(bundle::payload::ustar::header(&artifact.path, artifact.size).is_some());
    }
});

fn serde_json_of(manifest: &Manifest) -> String {
    terminal::json(manifest)
}
