//! Settings by which engines send something to their vendors: samples, statistics, look-ups. Such files are of no kind
//! that passes, nor such lines of any form among others; they are told apart, since somebody should know that one was
//! brought.
//! Sources: freshclam.conf(5) and clamd.conf(5) of ClamAV up to 0.99 and since; Microsoft's "Set-MpPreference"; the
//! administrators' guides of the others. Out of scope: a setting that is called otherwise.

/// Names of settings, in lower case, letters and digits alone.
const SETTINGS: &[&str] = &[
    "allowsubmission",
    "cloudblocklevel",
    "customstatsurl",
    "detectionstatscountry",
    "detectionstatshostid",
    "enablestats",
    "kasperskysecuritynetwork",
    "livegrid",
    "mapsreporting",
    "samplesubmission",
    "sendsamples",
    "spynetreporting",
    "statshostid",
    "statspedisabled",
    "statstimeout",
    "submitdetectionstats",
    "submitsamples",
    "submitsamplesconsent",
    "telemetryenabled",
    "telemetryurl",
    "uploadurl",
    "useksn",
];

/// True if the line sets one of them: `NAME VALUE`, `name: value`, `"name": value`, `NAME=VALUE`.
pub fn submits(line: &str) -> bool {
    let name: String = line
        .trim_start_matches([' ', '\t', '"', '\'', '<', '-', '{', ','])
        .chars()
        .take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect();
    SETTINGS.contains(&name.as_str())
}

/// The first such line, counted from 1.
pub fn line_that_submits(lines: &[&str]) -> Option<u64> {
    lines.iter().position(|line| submits(line)).map(|at| at as u64 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;
    use base::Reason;

    #[test]
    fn settings_however_they_are_written() {
        for text in [
            "DatabaseMirror relay\nSubmitDetectionStats /etc/clamav/clamd.conf",
            "# x\n  submit-samples: all",
            "{\n  \"telemetry_url\": \"https://vendor.example\",",
            "[cloud]\nUseKSN=yes",
        ] {
            assert_eq!(line_that_submits(&text.lines().collect::<Vec<_>>()), Some(2), "{text}");
        }
        assert_eq!(line_that_submits(&["# SubmitDetectionStats", "a list of words"]), None);
    }

    /// Among lines of a form that has no settings.
    #[test]
    fn a_line_among_others() {
        for (kind, first) in [
            (Kind::DomainList, "a.example"),
            (Kind::SuricataRules, "alert ip any any -> any any (sid:1;)"),
            (Kind::SuricataConfig, "config classification: a,b,1"),
            (Kind::ClamavHashes, "d41d8cd98f00b204e9800998ecf8427e:1:a"),
        ] {
            let flaws =
                crate::formats::flaws_of(kind, format!("{first}\nUploadURL https://vendor.example\n").as_bytes());
            let told: Vec<_> = flaws.iter().map(|flaw| (flaw.reason, flaw.line, flaw.span().is_some())).collect();
            assert_eq!(told, [(Reason::RuleSubmits, 2, true)], "{kind}");
        }
    }
}
