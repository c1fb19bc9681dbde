//! Every reason code, what it means and what to do next: one table for the refusals, the log,
//! `gaprelay explain` and `schemas/reasons.json`. A code never changes its meaning.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! reasons {
    ($($name:ident $code:literal $meaning:literal $next:literal)*) => {
        /// Why something was refused, withheld or reported; a stable kebab-case code.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        pub enum Reason { $(#[doc = $meaning] #[serde(rename = $code)] $name),* }

        impl Reason {
            /// Every code there is, in the order of the way of the data.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The stable code.
            pub fn code(self) -> &'static str {
                match self { $(Self::$name => $code),* }
            }

            /// Meaning, in a sentence.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$name => $meaning),* }
            }

            /// Next step, in a sentence.
            pub fn next(self) -> &'static str {
                match self { $(Self::$name => $next),* }
            }
        }
    };
}

reasons! {
    // the medium
    NoBundle "no-bundle" "No bundle was found under the path." "Check that the medium is mounted there and holds a folder with manifest.json, its .minisig files and payload.tar.gz."
    MediumEntryLimit "medium-entry-limit" "The medium holds more files and folders than the limit." "Give the bundle's own folder as PATH, or raise limits.medium_entries."
    MediumWritable "medium-writable" "The medium is mounted so that it could be written to." "Mount it with -o ro,nodev,nosuid,noexec and import again; only if the site accepts it, give the reason as media.writable in config.toml."
    MediumNotRegular "medium-not-regular" "A file of the bundle is a link, a FIFO, a device or a folder." "Do not use this medium; ask the sender for a fresh copy."
    MediumMountedOver "medium-mounted-over" "Something else is mounted below the medium, in the place of a file or folder of the bundle." "Unmount it (`findmnt -R` on the medium's folder shows it), or mount the medium alone in a folder of its own; then import again."
    MediumChanged "medium-changed" "The medium gave other bytes or another length than it first said." "The medium is failing or hostile: keep it aside, and use a fresh copy on another one."
    MediumUnreadable "medium-unreadable" "The medium could not be read to the end." "Put it in again, or copy the bundle to another medium; then import again. If permission was denied: mount it so that the reader's user may read it (vfat: -o umask=022)."
    // the signature files
    SignatureMissing "signature-missing" "The bundle has no signature file." "Ask the sender for manifest.json.minisig; nothing unsigned is ever taken."
    SignatureTooMany "signature-too-many" "There are more signature files than the limit." "Remove what does not belong to the bundle, or raise limits.signatures."
    SignatureMalformed "signature-malformed" "A signature file is not four plain lines in minisign's form." "The detail names the cause. Use the file as minisign wrote it, byte for byte; if there is none, ask the sender to sign again."
    SignatureLegacy "signature-legacy" "A signature uses the legacy algorithm without prehashing." "Ask the sender to sign without -l."
    SignatureUnknownKey "signature-unknown-key" "No signature is by a key of the keyring." "Compare the key id with `gaprelay keyring show`; a new signer needs a new keyring."
    SignatureInvalid "signature-invalid" "A signature does not match the bytes or its trusted comment." "The signed file was changed after signing, or the signature is of another file. Of a bundle: keep the medium, tell an officer, and ask for a fresh copy. Of a statement: sign exactly the file that gaprelay printed."
    SignatureForeignStatement "signature-foreign-statement" "A signature was made for another kind of statement, feed or version." "Ask the sender to sign with the trusted comment that gaprelay-pack prints."
    SignatureThreshold "signature-threshold" "Fewer distinct keys signed than the keyring asks for this feed." "Ask for the missing signatures; each is one more file beside the manifest."
    SignatureAlgorithm "signature-algorithm" "The feed asks for a signature by another algorithm as well, and there is none by a key of the keyring." "Ask the sender for it: one more file beside the manifest, manifest.json.NAME.mldsa65."
    KeyRevoked "key-revoked" "A signature is by a revoked key." "Do not use what this key signed; tell an officer."
    KeyExpired "key-expired" "A signature is by a key whose validity has ended." "Ask for a signature by a key that is valid now."
    KeyNotYetValid "key-not-yet-valid" "A signature is by a key whose validity has not begun." "Check the clock of this machine. If the clock is right, try again when the key is valid."
    KeyDenied "key-denied" "A signature is by a key that this relay's officers denied." "Do not use what this key signed; tell an officer. Only a new keyring can lift the denial."
    OriginDenied "origin-denied" "A signature is by a key of an origin that this relay's officers denied." "Do not use this bundle; tell an officer. Only a new keyring can lift the denial."
    FeedDenied "feed-denied" "This relay's officers denied the feed." "Do not use this bundle; tell an officer. Only a new keyring can lift the denial."
    // the keyring
    KeyringMalformed "keyring-malformed" "The keyring cannot be read, or contradicts itself." "Have it made anew with `gaprelay-pack keyring`, and checked with `gaprelay-pack keyring check` before it is signed."
    KeyWeak "key-weak" "A public key of the keyring is weak (of small order, or no valid point): anyone could forge its signatures." "Remove that key, and do not trust its supplier."
    KeyringTooLarge "keyring-too-large" "The keyring is longer than 1 MiB." "Have keys that were revoked long ago kept in `revoked` alone."
    KeyringThreshold "keyring-threshold" "Too few root keys have signed the keyring: it needs as many as the keyring in force asks for, and as many as the new keyring itself asks for." "Have the missing root keys sign it; `gaprelay-pack keyring check` says which are missing. If keyrings between are missing, bring all of them."
    KeyringRollback "keyring-rollback" "The keyring is older than the one in force." "Nothing needs to be done, unless the keyring was meant as a new one: then ask for the next version."
    KeyringEquivocation "keyring-equivocation" "Another keyring of this version is in force, and both are signed by root keys." "Stop importing, keep the medium and tell the holders of the root keys: a root key was stolen, or its holder signed two keyrings of one version."
    KeyringGap "keyring-gap" "The keyring is not the very next one after that in force." "Bring all keyrings since the one in force, each in a folder of its own; they are taken in one import."
    KeyringForgets "keyring-forgets" "The keyring leaves out something that the keyring in force has, and that every later keyring must keep: a revocation, an epoch or a lifted denial." "Have it drafted anew from the keyring in force: gaprelay-pack keyring draft."
    // the manifest
    ManifestTooLarge "manifest-too-large" "The manifest is longer than the limit." "Split the bundle into feeds, or raise limits.manifest."
    ManifestSyntax "manifest-syntax" "The manifest is not JSON in UTF-8 of the documented form." "Make the bundle with gaprelay-pack; see schemas/manifest.md."
    ManifestDuplicateKey "manifest-duplicate-key" "The manifest holds one key twice." "Make the bundle with gaprelay-pack; two readers could take different values."
    ManifestUnknownField "manifest-unknown-field" "The manifest holds a field this version does not know." "Check that the sender and the relay use the same format version."
    ManifestFormat "manifest-format" "The manifest is of another format version." "Update the relay or the packer, so that both speak gaprelay-bundle/1."
    ManifestValue "manifest-value" "A value in the manifest is outside its range or form." "Make the bundle with gaprelay-pack; see schemas/manifest.md."
    ManifestDates "manifest-dates" "The manifest's dates contradict each other." "Ask the sender for a bundle that expires after it was issued."
    ArtifactsUnsorted "artifacts-unsorted" "The artifacts are not sorted by path." "Make the bundle with gaprelay-pack."
    ArtifactDuplicate "artifact-duplicate" "One path stands twice in the manifest." "Make the bundle with gaprelay-pack."
    // the paths
    PathEscapes "path-escapes" "A path is absolute or has an empty, `.` or `..` part." "Do not use this bundle; tell an officer if it was signed."
    PathCharacter "path-character" "A path has a backslash, a colon, a control or an invisible character." "Ask the sender to rename the file."
    PathTooLong "path-too-long" "A path is longer than the limit, or does not fit a ustar header." "Ask the sender for shorter names, or raise limits.path."
    PathTooDeep "path-too-deep" "A path has more folders than the limit." "Ask the sender for a flatter tree, or raise limits.depth."
    PathCollision "path-collision" "Two paths are one for an agent that folds case or normalises Unicode." "Ask the sender to rename one of them."
    PathFileAndFolder "path-file-and-folder" "One path is both a file and a folder." "Ask the sender to rename one of them."
    PathReserved "path-reserved" "A path begins with `-/`, which belongs to the relay, or ends in `.cld`, which would keep clients of a private mirror from newer files." "Ask the sender to leave that file out."
    // feed, version, dates
    FeedUnknown "feed-unknown" "The config has no such feed." "Add a [[feed]] to config.toml if this content is wanted here."
    PublisherMismatch "publisher-mismatch" "The manifest's publisher is not that of its signing keys." "Ask the sender to name the publisher that the keyring holds for the key."
    OriginMismatch "origin-mismatch" "The manifest's origin is not that of its signing keys." "Ask the sender to name the origin that the keyring holds for the key."
    VersionRollback "version-rollback" "The version is older than what this relay has already accepted." "Use the newest bundle; going back needs old content under a new, higher version."
    VersionVoid "version-void" "The version was accepted before, and a keyring made it void." "Ask the sender for the same content under a version that was never used."
    VersionJump "version-jump" "The version runs further ahead than the feed's limit: it would use up the numbers between." "Ask the sender whether that version is meant. If it is, an officer waives the limit: gaprelay directive waive. If not, a key of the sender was stolen: ask the holders of the root keys for a new keyring."
    VersionEquivocation "version-equivocation" "This version was accepted before with another manifest: one version, two contents." "Stop, keep both media, and tell an officer: a signer made two contents for one version."
    BundleExpired "bundle-expired" "The bundle's expiry lies in the past." "Use a newer bundle; if there is none, check the clock."
    BundleFuture "bundle-future" "The bundle is dated in the future." "Check the clock of this machine; else ask the sender about theirs."
    BundleStale "bundle-stale" "The bundle was issued longer ago than the feed allows." "Use a newer bundle, or change refuse_after of the feed."
    // the payload
    PayloadMissing "payload-missing" "The bundle has no payload.tar.gz." "Copy the whole bundle folder to the medium again."
    PayloadTooLarge "payload-too-large" "The payload is larger than the limit." "Split the bundle, or raise limits.payload."
    PayloadSize "payload-size" "The payload is shorter or longer than the manifest says." "The copy is incomplete or wrong: copy the bundle to the medium again."
    PayloadDigest "payload-digest" "The payload's digest is not the signed one." "The copy is damaged or was changed: copy the bundle again; if it happens twice, tell an officer."
    GzipMalformed "gzip-malformed" "The payload is not one plain gzip member." "Make the bundle with gaprelay-pack."
    GzipExtra "gzip-extra" "The gzip header carries a name, a comment, a date or extra fields." "Make the payload with gaprelay-pack, or gzip -n."
    GzipTrailing "gzip-trailing" "Bytes or a second member follow the gzip member." "Make the bundle with gaprelay-pack; something was hidden there."
    GzipChecksum "gzip-checksum" "The gzip trailer's checksum or size is wrong." "Make the bundle anew."
    ArtifactCountLimit "artifact-count-limit" "There are more artifacts than the limit." "Split the bundle, or raise limits.artifacts."
    ArtifactTooLarge "artifact-too-large" "An artifact is larger than the limit." "Ask the sender for less, or raise limits.artifact."
    UnpackedTooLarge "unpacked-too-large" "The artifacts together are larger than the limit." "Split the bundle, or raise limits.unpacked."
    RatioLimit "ratio-limit" "The payload unpacks to more than the limit allows for its size." "Check the content with the sender; raise limits.ratio only if it is honest."
    EntryType "entry-type" "The archive holds a link, a device, a FIFO, a folder or another special entry." "Make the bundle with gaprelay-pack; only regular files travel."
    EntryExtension "entry-extension" "The archive uses PAX, GNU or sparse extensions." "Make the bundle with gaprelay-pack, or tar --format=ustar."
    EntryChecksum "entry-checksum" "An archive header's checksum is wrong." "Make the bundle anew."
    EntryNotCanonical "entry-not-canonical" "An archive header is not in the one form allowed: zero owner and time, mode 0644, nothing spare." "Make the bundle with gaprelay-pack."
    EntryUnlisted "entry-unlisted" "The archive holds a file the manifest does not list." "Make the bundle with gaprelay-pack."
    EntryMissing "entry-missing" "The archive lacks a file the manifest lists." "Make the bundle with gaprelay-pack."
    EntryOrder "entry-order" "The archive's files are not in the manifest's order, or one stands twice." "Make the bundle with gaprelay-pack."
    EntrySize "entry-size" "A file in the archive has another size than the manifest says." "Make the bundle anew."
    EntryDigest "entry-digest" "A file in the archive has another digest than the manifest says." "Make the bundle anew; if it was signed so, ask the sender how."
    ArchiveTruncated "archive-truncated" "The archive ends before its end mark." "Make the bundle anew."
    ArchiveHidden "archive-hidden" "Bytes other than zero stand in padding or after the archive's end mark." "Make the bundle with gaprelay-pack; something was hidden there."
    BlobMissing "blob-missing" "A thin bundle leaves out artifacts that this relay does not hold." "Bring the full bundle, or the base it was made against, first."
    // verdicts on single artifacts
    KindNotAllowed "kind-not-allowed" "The feed may not carry this kind." "Add the kind to the feed in config.toml if it is wanted."
    KindMismatch "kind-mismatch" "The bytes are not of the kind that the manifest declares." "Ask the sender to declare the kind that gaprelay-pack recognises."
    KindUnknown "kind-unknown" "Neither the bytes nor the ending of the file's name show a kind of content that this relay knows." "Only known kinds pass. `gaprelay kinds` lists them with what a file of each looks like; ask the sender what this file is."
    KindExecutable "kind-executable" "The bytes are a program." "Programs never pass; ask the sender why one was included."
    KindScript "kind-script" "The bytes are a script." "Scripts never pass; ask the sender why one was included."
    KindArchive "kind-archive" "The bytes are an archive or a compressed file." "Ask the sender to include the files themselves."
    KindDocument "kind-document" "The bytes are a document, a web page or a picture." "Documents never pass; ask the sender to leave the file out. A web page in the place of a list or rule set is often the error page of a proxy: the sender must fetch the file again."
    KindCompiled "kind-compiled" "The bytes are compiled rules or bytecode, which run in an engine." "Ask the sender for the source form."
    TextControl "text-control" "A text has control, bidirectional or invisible characters." "Ask the sender to remove them."
    TextEncoding "text-encoding" "A text is not UTF-8." "Ask the sender for UTF-8."
    OriginRefused "origin-refused" "A rule of this site refuses content from this origin or publisher." "See which rule and why: gaprelay policy explain FEED. Ask for the content from a publisher that may bring it."
    OriginNotInert "origin-not-inert" "From this origin or publisher the site takes only inert patterns: lists, digests and sequences of bytes, which an engine only compares." "See which rule and why: gaprelay policy explain FEED. Ask for the content from a publisher that may bring it."
    OriginNotAgreed "origin-not-agreed" "From this origin or publisher the site takes only files that an evaluator or a second publisher has signed too, byte for byte." "Ask an evaluator to sign the bundle, or bring the second publisher's bundle with the same files first; then ask for this one under a new version."
    ContentEmpty "content-empty" "The artifact has no bytes." "Ask the sender to leave it out."
    // what the content does
    RuleSyntax "rule-syntax" "A rule, a signature or an indicator is not in the strict form that this relay reads: an engine could read it differently." "Ask the sender to correct that line; gaprelay-pack check names it before it is signed."
    RuleTooLong "rule-too-long" "A rule, or a file of rules that is read as a whole, is longer, more deeply nested or has more rules than this relay reads." "Ask the sender to split the rule or the file; an increment of a vendor cannot be split, so take the vendor's whole database instead."
    RuleKeyword "rule-keyword" "A rule has a keyword that this relay does not know, so what it does in an engine is not known either." "Look the keyword up in the engine's manual; if it only looks at traffic, permit rule-keyword in the feed's policy."
    RuleRunsCode "rule-runs-code" "A rule runs code in the engine (lua, luajit, luaxform, so)." "Code never passes; ask the sender for the feed without such rules."
    RuleUsesFiles "rule-uses-files" "A rule has the engine read or write files (dataset with a file, datarep, filemd5, filestore, iprep, tag, tls_store; YARA's include)." "Ask for the feed without it; only if the site accepts it, permit rule-uses-files in the feed's policy."
    RuleActsOnTraffic "rule-acts-on-traffic" "A rule stops or changes traffic (drop, reject, replace)." "For an engine that is to do so, permit rule-acts-on-traffic in the feed's policy; else ask for alerts."
    RuleWeakensDetection "rule-weakens-detection" "A rule keeps other rules, or the record, from seeing traffic or files (pass, config, bypass; a global YARA rule)." "Ask the sender why; only if the site accepts it, permit rule-weakens-detection in the feed's policy."
    RuleDuplicate "rule-duplicate" "Two rules of a file have one sid, name or id: an engine keeps one of them, or refuses the file." "Ask the sender which one is meant."
    RuleModule "rule-module" "A YARA rule imports a module that does more than look at the file, or an indicator is of a type, a pattern or an extension that this relay does not know." "Ask for the content without it; only if the site accepts it, permit rule-module in the feed's policy."
    RuleBytecode "rule-bytecode" "A ClamAV database holds bytecode: programs that the engine runs." "Serve it only if the site accepts programs from this vendor: permit rule-bytecode in a policy of its own, for a feed of its own."
    ArchiveForm "archive-form" "An archive of content, or a database container, is not in the one form allowed: two programs could read it differently." "The detail names the cause. If the archive is damaged or cut short, or is a vendor's own, fetch or copy it again. Else ask the sender to make it again with GNU tar --format=ustar and gzip, or zip -X."
    ArchiveMember "archive-member" "An archive of content holds a file of no kind that may stand in one." "Ask the sender to leave the file out."
    RuleCostly "rule-costly" "A regular expression can take an engine exponential time: a repetition inside a repetition, such as (a+)+." "Ask the sender to rewrite it; only if the site accepts it, permit rule-costly in the feed's policy."
    RuleSubmits "rule-submits" "The content tells an engine to send samples, statistics or look-ups to somebody, or names the address for that." "Nothing may be sent; ask the sender for the content without it."
    RuleCarriesFile "rule-carries-file" "An indicator carries the bytes of a file: a sample, an attachment, a key to one." "Samples never pass; ask the sender for the indicators alone."
    InspectionLimit "inspection-limit" "Reading the artifact took longer than allowed, or the artifact has more rules, signatures or indicators than allowed." "Ask the sender to split the file; if its content is made to be slow to read, ask the sender why."
    BundleTimeLimit "bundle-time-limit" "Looking into the bundle's files took longer in all than the bundle is given." "Ask the sender why the content is slow to read, or for less in one bundle; raise limits.inspection only if the content is honest."
    // statements
    StatementMalformed "statement-malformed" "The statement is not of the documented form." "Print it again with `gaprelay approve FEED/VERSION`, `gaprelay directive` or `gaprelay repair`, and sign exactly that file."
    StatementUnknownRelease "statement-unknown-release" "The statement is about a release this relay does not hold." "Check feed and version with `gaprelay releases`."
    StatementDigest "statement-digest" "The statement is about another manifest or other verdicts than those of the release." "Look at the release again with `gaprelay show`, and sign the statement printed now."
    StatementChanges "statement-changes" "The release would now change other things for agents than when the statement was printed: something else was published since." "Look at the release again with `gaprelay show --diff`, and sign the statement printed now."
    StatementSigner "statement-signer" "The signature is not by the officer whom the statement names, or that key may not decide on this feed." "Check the officer's name and key with `gaprelay keyring show`."
    StatementOwnImport "statement-own-import" "The officer imported this release." "Another officer must approve it; refusing and withdrawing are open to the importer too."
    StatementRepeated "statement-repeated" "This officer's statement was taken before." "Nothing to do; another officer may still be needed."
    StatementClosed "statement-closed" "The release was refused or withdrawn, which is final, or agents have a newer one." "Nothing is to be done about a release that agents have a newer one of; content that was refused or withdrawn can come again under a new version."
    StatementPublished "statement-published" "The statement refuses a release that was approved already." "To take it back from agents, sign a withdrawal, which takes as many officers as an approval: gaprelay approve FEED/VERSION --decision withdraw."
    StatementTicket "statement-ticket" "The release goes back to older content without a valid downgrade ticket, or has such a ticket and does not go back." "Look with `gaprelay show --diff`. If going back is meant: gaprelay approve FEED/VERSION --decision downgrade --incident NUMBER --until TIME."
    StatementRight "statement-right" "The officer's key does not have the right to sign this." "Compare the rights with `gaprelay keyring show`; another officer may have them."
    StatementForeign "statement-foreign" "The signed text is for another relay." "Hand it in at the relay whose log it names, or print it again here."
    StatementExpired "statement-expired" "The time in which the signed text could be handed in is over." "Print it again, and sign exactly that file; --valid-for gives more time."
    StatementClock "statement-clock" "A time in the signed text does not agree with this relay's clock." "Set the clock; then print the text again, and hand it in within a day."
    SelfTestForeign "self-test-foreign" "The officers' pages handed in a self-test of other processes than their own." "Only a process that was taken over writes this: stop the pages, run `gaprelay selftest` on the relay, and find out who could reach them."
    StatementListing "statement-listing" "No release here is left that the directive could withdraw." "Check the key's id with `gaprelay keyring show`, and what its releases are with `gaprelay releases`."
    InboxFlood "inbox-flood" "The officers' pages handed in more that does not count than is recorded in an hour, a day or all time: what is beyond that is counted, and not recorded." "Look at the entries before with `gaprelay log show`. A process that was taken over does this, or a reader with a script: stop the pages, run `gaprelay selftest` on the relay, and find out who could reach them. What an officer signed counts all the same."
    RepairNotNeeded "repair-not-needed" "The trust state is not damaged: there is nothing to repair." "Nothing needs to be done. If something else is wrong: gaprelay fsck."
    RepairOfficers "repair-officers" "Fewer than two officers have signed the repair." "Have another officer print and sign a statement of their own, and give both signatures: gaprelay repair --signature ONE --signature OTHER."
    RepairKeyring "repair-keyring" "The keyring is not the one that the log names as in force." "Give the file of that version, from the ceremony or from a medium that brought it: gaprelay repair --keyring FILE."
    // witnesses
    CosignatureMalformed "cosignature-malformed" "The text that was handed in is not a signed note." "Hand in what `gaprelay log witness sign` printed, or the request with the witness's answer behind it."
    CosignatureForeign "cosignature-foreign" "The note is not signed by this relay's import log." "Hand it in at the relay whose name is on its first line."
    CosignatureForked "cosignature-forked" "A head that this log's key signed is not of this log's history." "Stop importing: the log was restored from an old copy, or its key was stolen. Keep the note, and compare the log with the head that the witness keeps."
    CosignatureUnknown "cosignature-unknown" "No witness of the config's policy has signed the head." "Compare the witness's key with witness.policy in config.toml."
    CosignatureRepeated "cosignature-repeated" "This cosignature was handed in before." "Nothing needs to be done."
    CosignatureFuture "cosignature-future" "A witness dates its cosignature later than this relay's clock allows." "Set the clock of the witness's machine, or of this relay, right; then have the witness sign a new head."
    WitnessUnknownLog "witness-unknown-log" "The witness does not know this log." "Take the log's key from its officers, and add it: gaprelay log witness know DIR --log-key VKEY."
    WitnessUnsigned "witness-unsigned" "The head is not signed by the log's key as the witness knows it." "Do not add another key before the relay's officers have told you why the key changed."
    WitnessConflict "witness-conflict" "The request does not begin at the head that the witness signed last." "Make a request at the relay from that head on: gaprelay log witness request --old SIZE. If the relay says that its log is shorter, the log was cut, or restored from an old copy."
    WitnessForked "witness-forked" "The head has as many entries as the head signed last, but the entries differ." "The log was forked. Keep the witness's folder: it holds both heads, signed, which proves it; tell whoever supervises the relay."
    WitnessInconsistent "witness-inconsistent" "The log did not grow from the head that the witness signed last." "The log was rewritten, or the request damaged: ask for a fresh one; if that is refused too, keep the witness's folder and tell whoever supervises the relay."
    // publication
    TufRefused "tuf-refused" "The TUF repository would be refused by stock clients, so it stays as it was." "See which file and why; have whoever signs it offline sign a new one (gaprelay-pack tuf), and bring it in a bundle."
    PathClash "path-clash" "The name of the file belongs to another feed of the channel, which brought it first, or a file that it goes with." "Put the feeds into two channels, or have one publisher rename the file. A name is free again once its owner is refused, denied, or removed by gc."
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl Reason {
    /// The reason with this code.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| reason.code() == code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_kebab_case_and_single() {
        let mut codes: Vec<_> = Reason::ALL.iter().map(|r| r.code()).collect();
        assert!(codes.iter().all(|c| c.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')));
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), Reason::ALL.len());
        assert_eq!(Reason::from_code("version-rollback"), Some(Reason::VersionRollback));
    }
}
