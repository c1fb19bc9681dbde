//! Rules for Suricata and Snort, and the files beside them: a file in which nothing is found has no line that a simple
//! look takes for one that runs code.
#![no_main]

#[path = "../content.rs"]
mod content;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let paths = ["a.rules", "a.config", "a.conf", "a.map"];
    let Some(found) = content::check(&paths, data) else { return };
    if data[0] % 4 != 0 || found.kind.is_err() || !found.flaws.is_empty() {
        return;
    }
    for line in String::from_utf8_lossy(&data[1..]).split('\n').map(str::trim).filter(|line| !line.starts_with('#')) {
        // A keyword stands behind a bracket or a semicolon that ends a value.
        for word in ["lua", "luajit", "luaxform", "filestore", "bypass"] {
            let options = line.split_once('(').map(|(_, options)| options).unwrap_or_default();
            let begins =
                options.trim_start().strip_prefix(word).is_some_and(|rest| rest.trim_start().starts_with([':', ';']));
            assert!(!begins, "{line}");
        }
    }
});
