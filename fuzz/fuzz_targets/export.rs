//! Lines of an export as somebody else may have written them: whatever they say of themselves, they are judged
//! without a log and refused.
#![no_main]

use gaprelay::export::check::ExportChecker;
use gaprelay::export::{cef, syslog};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let mut checking = ExportChecker::new(None, &[], false);
    let mut lines = 0;
    for line in text.lines() {
        let _ = (cef::value(line, "cn1"), cef::value(line, "msg"), syslog::unframed(line));
        checking.line(line).unwrap();
        lines += 1;
    }
    let found = checking.finish();
    assert_eq!(found.lines, lines);
    assert_eq!(found.findings.len() as u64 + found.more, lines);
});
