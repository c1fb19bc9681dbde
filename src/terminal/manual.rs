//! Pages of the manual: one for each role's work, and what all of them need. They are in the program, since a closed
//! network has no browser to the internet.

use std::path::Path;

use base::{Fault, durable};
use roff::{Roff, roman};

/// One page.
pub struct Page {
    /// Topic, as `help TOPIC` takes it.
    pub topic: &'static str,
    /// Summary in a line.
    pub about: &'static str,
    /// Text, in Markdown.
    pub text: &'static str,
}

macro_rules! pages {
    ($($topic:literal $about:literal)*) => {
        &[$(Page { topic: $topic, about: $about, text: include_str!(concat!("manual/", $topic, ".md")) }),*]
    };
}

/// All of them, in the order in which `help` lists them.
pub const PAGES: &[Page] = pages! {
    "operator" "carrying media, importing them, receipts"
    "officer" "looking at releases, approving, refusing, withdrawing, denying"
    "admin" "installing, configuring and keeping a relay and its host"
    "custodian" "making and signing bundles and keyrings, on the connected side"
    "auditor" "checking logs, receipts and signatures, with other people's programs too"
    "agents" "configurations to copy for stock clients"
    "content" "kinds of content, policies, what is stripped or withheld"
    "limits" "what the relay does not do"
    "attacks" "known attacks, what stops each, and the tests that show it"
    "backup" "what to save, and how to restore it"
    "glossary" "the terms of this manual"
};

/// The page of a topic.
pub fn page(topic: &str) -> Option<&'static Page> {
    PAGES.iter().find(|page| page.topic == topic)
}

/// Writes each page into the folder `out` as `gaprelay-TOPIC.7`, a man page of section 7.
pub fn write_man_pages(out: &Path) -> Result<(), Fault> {
    for page in PAGES {
        let path = out.join(format!("gaprelay-{}.7", page.topic));
        durable::replace_output(&path, man(page).as_bytes())?;
    }
    Ok(())
}

/// A page as roff: headings, and all else as it stands, since the pages are written to be read in a terminal.
fn man(page: &Page) -> String {
    let mut roff = Roff::new();
    roff.control("TH", [format!("GAPRELAY-{}", page.topic.to_uppercase()).as_str(), "7"]);
    roff.control("SH", ["NAME"]);
    roff.text([roman(format!("gaprelay-{} - {}", page.topic, page.about))]);
    let mut is_as_it_stands = false;
    for line in page.text.lines() {
        let heading =
            line.strip_prefix("### ").or_else(|| line.strip_prefix("## ")).or_else(|| line.strip_prefix("# "));
        if is_as_it_stands != heading.is_none() {
            is_as_it_stands = heading.is_none();
            roff.control(if is_as_it_stands { "nf" } else { "fi" }, []);
        }
        match heading {
            Some(heading) if line.starts_with("###") => roff.control("SS", [heading]),
            Some(heading) => roff.control("SH", [heading]),
            None => roff.text([roman(line)]),
        };
    }
    roff.render()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_file_of_the_folder_is_a_page() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("manual");
        let mut files: Vec<String> =
            std::fs::read_dir(folder).unwrap().map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
        let mut pages: Vec<String> = PAGES.iter().map(|page| format!("{}.md", page.topic)).collect();
        files.sort();
        pages.sort();
        assert_eq!(files, pages);
    }

    #[test]
    fn a_man_page_has_every_line_of_its_page() {
        for page in PAGES {
            let roff = man(page);
            assert!(roff.contains(&format!(".TH GAPRELAY-{} 7", page.topic.to_uppercase())), "{roff}");
            let headings = page.text.lines().filter(|line| line.starts_with("## ")).count();
            assert!(roff.matches("\n.SH ").count() > headings, "{}", page.topic);
            assert!(roff.lines().count() >= page.text.lines().count(), "{}", page.topic);
        }
    }
}
