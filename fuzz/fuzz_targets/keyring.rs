//! Keyrings and configs: what is taken holds no contradiction that a second look would find.
#![no_main]

use config::Config;
use bundle::Keyring;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(keyring) = Keyring::parse(data) {
        assert_eq!(keyring.check(), Ok(()));
    }
    if let Ok(text) = str::from_utf8(data) {
        if let Err(problems) = Config::parse(text) {
            assert!(!problems.is_empty() && problems.iter().all(|p| p.line > 0 && p.column > 0));
        }
    }
});
