//! ClamAV's text databases and containers.
#![no_main]

#[path = "../content.rs"]
mod content;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let paths =
        ["a.hdb", "a.mdb", "a.ndb", "a.ldb", "a.cdb", "a.idb", "a.fp", "a.ign2", "a.wdb", "a.cfg", "a.pwdb", "a.cvd", "a.cdiff"];
    drop(content::check(&paths, data));
});
