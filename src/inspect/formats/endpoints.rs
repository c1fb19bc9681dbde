//! Lists of vendors' endpoints for the relay itself: an item for each host, path and header by which an attempt is
//! known. In scope: whether the list would make less of a label that ships with the program. It has no effect, since
//! what ships is a floor (`guard::Guard`); but who sends it means to weaken the record, or has an old list. Out of
//! scope: the form, by which it was recognised.

use std::io::{self, BufRead};

use super::whole;
use crate::flaw::FlawPart;
use crate::item::{Effect, Item};
use crate::notes::Notes;
use base::Reason;
use guard::list::{LONGEST, is_reduction, parse, shipped};

/// Reads a list.
pub fn read(source: &mut dyn BufRead, notes: &mut Notes<'_>) -> io::Result<()> {
    let Some(bytes) = whole::read(source, LONGEST, notes)? else { return Ok(()) };
    let (Ok(endpoints), Ok(floor)) = (parse(&bytes), shipped()) else {
        notes.flaw(Reason::RuleSyntax, 1, FlawPart::Whole);
        return Ok(());
    };
    for endpoint in &endpoints {
        let label = endpoint.label.as_bytes();
        let offset =
            memchr::memmem::find(&bytes, format!("\"{}\"", endpoint.label).as_bytes()).unwrap_or_default() as u64;
        let says: &[u8] = if endpoint.submission { b"attempt" } else { b"misdirected" };
        let patterns = [("host", &endpoint.hosts), ("path", &endpoint.paths), ("header", &endpoint.headers)];
        for (what, patterns) in patterns {
            for pattern in patterns {
                let key = [label, pattern.as_bytes()].join(&0);
                notes.item(Item::new(&format!("endpoint-{what}"), &key, says, offset, Effect::Detects));
            }
        }
        if is_reduction(endpoint, &floor) {
            notes.item(Item::new("endpoint-reduction", label, label, offset, Effect::Suppresses));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::inspect;
    use crate::item::RECORD;
    use crate::kind::Kind;

    #[test]
    fn a_list_that_lowers_what_ships_suppresses() {
        let effects = |label: &str, hosts: &str| {
            let text = format!(
                r#"[{{"label":"{label}","submission":true,"hosts":[{hosts}],"paths":["/new/v1"],"headers":[],
                "meaning":"It tried to send.","remedy":"Turn it off there."}}]"#
            );
            let mut effects = Vec::new();
            let mut take = |records: &[u8]| {
                effects.extend(records.chunks(RECORD).map(|record| Item::parse(record).unwrap().effect));
            };
            let found = inspect("x.json", &mut text.as_bytes(), &mut take).unwrap();
            assert!(found.kind == Ok(Kind::GaprelayEndpoints) && found.flaws.is_empty());
            effects
        };
        assert_eq!(effects("new-cloud", "\"up.new.example\""), [Effect::Detects, Effect::Detects]);
        assert_eq!(effects("virustotal", ""), [Effect::Detects, Effect::Suppresses]);
    }
}
