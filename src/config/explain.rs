//! Explanations of TOML faults: the parser's message, put as what is wrong with a key and what to write instead.

use base::quoted;

/// Least likeness of two words for one to be suggested for the other, from 0 to 1 (Jaro-Winkler).
const LIKE: f64 = 0.8;

/// Explains the parser's `message` about the byte `offset` of `text`. A message that is not known stays as it is,
/// escaped.
pub(crate) fn explain(text: &str, offset: usize, message: &str) -> String {
    let before = text.get(..offset).unwrap_or(text);
    let line = text.lines().nth(before.matches('\n').count()).unwrap_or_default();
    let (key, value) = line.split_once('=').unwrap_or((line, ""));
    let key = quoted(key.trim()).to_string();
    // Typographic quotes come from a word processor.
    let bare = value.split('#').next().unwrap_or_default().trim().trim_matches(['"', '\'', '“', '”', '„', '‘', '’']);
    let bare = quoted(bare).to_string();
    let words: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    match (message, words.as_slice()) {
        ("string values must be quoted, expected literal string" | "invalid float, expected `nan`", _) => {
            format!("text needs quotes, as in {}", in_quotes(&key, &bare))
        }
        ("invalid basic string, expected `\"`" | "invalid literal string, expected `'`", _) => {
            format!("the text has no closing quote, as in {key} = \"{}\"", bare.trim())
        }
        ("duplicate key", _) => format!("\"{key}\" stands twice: leave one of the two out"),
        ("key with no value, expected `=`", _) => {
            "a key and its value are written with an equals sign: KEY = VALUE".to_owned()
        }
        ("unclosed table, expected `]`", _) => "the name of a section ends with a bracket, as in [serve]".to_owned(),
        ("invalid socket address syntax", _) => {
            "an address is written with its port, as in \"127.0.0.1:8080\"".to_owned()
        }
        (_, [unknown, known @ ..]) if message.starts_with("unknown field") => {
            format!("there is no key \"{}\" here: {}", quoted(unknown), one_of("keys", unknown, known))
        }
        (_, [unknown, known @ ..]) if message.starts_with("unknown variant") => {
            format!("\"{}\" is not a value of {key}: {}", quoted(unknown), one_of("values", unknown, known))
        }
        (_, [missing]) if message.starts_with("missing field") => {
            let place = if line.starts_with('[') { format!("in {}", quoted(line.trim())) } else { "here".to_owned() };
            format!("the key \"{}\" is missing {place}: add a line {} = …", quoted(missing), quoted(missing))
        }
        _ => message
            .strip_prefix("invalid type: ")
            .and_then(|rest| wrong_type(rest, &key, &bare, line))
            .unwrap_or_else(|| quoted(message).to_string()),
    }
}

/// Explains a value of the wrong type: `FOUND, expected WANTED`.
fn wrong_type(rest: &str, key: &str, bare: &str, line: &str) -> Option<String> {
    let (found, wanted) = rest.split_once(", expected ")?;
    Some(match wanted {
        "a string" => format!("text needs quotes, as in {key} = \"{bare}\""),
        "a sequence" if found == "map" => {
            let name = quoted(line.trim().trim_matches(['[', ']'])).to_string();
            format!("there may be several of [{name}]: write [[{name}]]")
        }
        "a sequence" => format!("a list needs brackets, as in {key} = [\"{bare}\"]"),
        "a boolean" => format!("write true or false without quotes, as in {key} = true"),
        "u8" | "u16" | "u32" | "u64" | "usize" | "i64" => {
            format!("write a whole number without quotes, as in {key} = {}", bare.parse::<u64>().unwrap_or(1))
        }
        _ => return None,
    })
}

/// A key with its value in quotes; of a list, each of its values.
fn in_quotes(key: &str, bare: &str) -> String {
    match bare.strip_prefix('[') {
        None => format!("{key} = \"{bare}\""),
        Some(list) => {
            let items =
                list.trim_end_matches(']').split(',').map(|item| format!("\"{}\"", item.trim().trim_matches('"')));
            format!("{key} = [{}]", items.collect::<Vec<_>>().join(", "))
        }
    }
}

/// The likeliest of the known `words`; all of them, if none is like it.
fn one_of(words: &str, unknown: &str, known: &[&str]) -> String {
    let likeness = |word: &&&str| strsim::jaro_winkler(unknown, word);
    let best = known.iter().max_by(|one, other| likeness(one).total_cmp(&likeness(other)));
    match best.filter(|best| likeness(best) >= LIKE) {
        Some(best) => format!("did you mean \"{best}\"?"),
        None => format!("the {words} are {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use crate::Config;

    /// The commonest mistakes, with what is said of each.
    #[test]
    fn common_mistakes_are_explained() {
        let feed = |line: &str| format!("relay = \"n\"\n[[feed]]\nname = \"f\"\n{line}\n");
        let serve = |line: &str| format!("relay = \"n\"\n[serve]\n{line}\n");
        for (text, said) in [
            ("relay = north\n".to_owned(), "line 1, column 9: text needs quotes, as in relay = \"north\""),
            ("relay = no # soon\n".to_owned(), "text needs quotes, as in relay = \"no\""),
            ("relay = “north”\n".to_owned(), "text needs quotes, as in relay = \"north\""),
            ("relay = 3\n".to_owned(), "text needs quotes, as in relay = \"3\""),
            ("relay = \"north\n".to_owned(), "no closing quote, as in relay = \"north\""),
            ("relay \"n\"\n".to_owned(), "KEY = VALUE"),
            ("relay = \"n\"\nrelay = \"m\"\n".to_owned(), "line 2, column 1: \"relay\" stands twice"),
            ("relay = \"n\"\nrely = \"m\"\n".to_owned(), "there is no key \"rely\" here: did you mean \"relay\"?"),
            ("relay = \"n\"\nxyzzy = 1\n".to_owned(), "the keys are relay, classification, state, limits"),
            ("[serve]\n".to_owned(), "the key \"relay\" is missing"),
            ("relay = \"n\"\n[serve\nlisten = []\n".to_owned(), "line 2, column 7: the name of a section ends with"),
            ("relay = \"n\"\n[feed]\nname = \"f\"\n".to_owned(), "write [[feed]]"),
            (serve("listen = \"127.0.0.1:80\""), "a list needs brackets, as in listen = [\"127.0.0.1:80\"]"),
            (serve("listen = [\"127.0.0.1\"]"), "with its port, as in \"127.0.0.1:8080\""),
            (serve("grace = 10"), "line 3, column 9: text needs quotes, as in grace = \"10\""),
            (serve("grace = \"10 parsecs\""), "not a span of time such as"),
            (feed("kinds = [clamav-cvd, md5-list]"), "as in kinds = [\"clamav-cvd\", \"md5-list\"]"),
            (feed("kinds = [\"clamav\"]"), "\"clamav\" is not a value of kinds: did you mean \"clamav-"),
            (feed("kinds = []\nofficers = \"2\""), "write a whole number without quotes, as in officers = 2"),
        ] {
            let problems = Config::parse(&text).unwrap_err();
            let shown = problems.first().unwrap().to_string();
            assert!(shown.contains(said), "{text:?}: {shown}");
        }
    }

    #[test]
    fn text_of_a_config_cannot_write_to_the_terminal() {
        let problems = Config::parse("relay = \u{1b}[31m\u{202e}x\n").unwrap_err();
        assert!(problems.iter().all(|problem| problem.to_string().is_ascii()), "{problems:?}");
    }
}
