//! `kinds`: the kinds of content, and what a file of each looks like.

use serde::Serialize;

use base::{Error, Fault, quoted};
use inspect::formats::{ContentFormat, FORMATS};

use crate::{Ended, say, say_json};

/// One kind as JSON.
#[derive(Serialize)]
struct KindJson {
    kind: &'static str,
    meaning: &'static str,
    files: Vec<&'static str>,
    looks_like: &'static str,
    engine: &'static str,
    part: &'static str,
}

/// Lists every kind, or describes one, for the program `program`. Fault: there is no kind of this name.
pub(crate) fn show(name: Option<&str>, json: bool, program: &str) -> Result<Ended, Error> {
    let formats: Vec<&ContentFormat> =
        FORMATS.iter().filter(|format| name.is_none_or(|name| name == format.kind.name())).collect();
    if json && !formats.is_empty() {
        say_json(&formats.iter().map(|format| as_json(format)).collect::<Vec<_>>());
        return Ok(Ended::Well);
    }
    match (name, formats.as_slice()) {
        (Some(_), [format]) => say(describe(format)),
        (Some(name), _) => {
            let next = format!("Check the spelling: `{program} kinds` lists all kinds.");
            return Err(Fault::usage(format!("there is no kind of content \"{}\"", quoted(name)), next).into());
        }
        (None, all) => {
            for format in all {
                say(format_args!("{:<19} {} · for {}", format.kind.name(), format.names, format.engine));
                say(format_args!("    {}", format.looks));
            }
        }
    }
    Ok(Ended::Well)
}

fn describe(format: &ContentFormat) -> String {
    format!(
        "{0}\n  {1}\n  files:            {2}\n  looks like:       {3}\n  loaded by:        {4}\n  findings name:    the {5}\n  in the config:    kinds = [\"{0}\"]",
        format.kind.name(),
        format.kind.meaning(),
        format.names,
        format.looks,
        format.engine,
        format.unit.word(),
    )
}

fn as_json(format: &ContentFormat) -> KindJson {
    KindJson {
        kind: format.kind.name(),
        meaning: format.kind.meaning(),
        files: format.names.split(' ').collect(),
        looks_like: format.looks,
        engine: format.engine,
        part: format.unit.word(),
    }
}
