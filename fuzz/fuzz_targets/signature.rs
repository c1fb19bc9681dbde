//! Signature files and officers' statements: nothing panics, and what is taken is in the one form.
#![no_main]

use bundle::statement::Statement;
use bundle::SignatureFile;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if SignatureFile::parse(data).is_ok() {
        assert_eq!(data.iter().filter(|b| **b == b'\n').count(), 4);
    }
    if let Ok(statement) = Statement::parse(data) {
        assert_eq!(statement.to_string().as_bytes(), data);
    }
});
