//! Settings by which engines send something to their vendors: samples, statistics, look-ups. Such files are of no kind
//! that passes; they are told apart from others, since somebody should know that one was brought.
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

/// The first line, counted from 1, that sets one of them: `NAME VALUE`, `name: value`, `"name": value`, `NAME=VALUE`.
pub fn line_that_submits(lines: &[&str]) -> Option<u64> {
    let submits = |line: &&str| {
        let name: String = line
            .trim_start_matches([' ', '\t', '"', '\'', '<', '-', '{', ','])
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
            .filter(char::is_ascii_alphanumeric)
            .map(|c| c.to_ascii_lowercase())
            .collect();
        SETTINGS.contains(&name.as_str())
    };
    lines.iter().position(submits).map(|at| at as u64 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
