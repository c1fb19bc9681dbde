//! A first keyring from public keys, roles, origins and feeds.

use std::io;
use std::path::Path;

use data_encoding::BASE64;
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::pki_types::pem::PemObject as _;

use base::error::IoContext as _;
use base::quoted::quoted_os;
use base::{Digest, Error, Fault, Reason, Refusal, Timestamp, quoted};
use bundle::key::ML_DSA_KEY;
use bundle::keyring::{Algorithm, FORMAT, Key, Keyring, Right, Role, Root, Threshold};

/// Prefix of a public ML-DSA-65 key's bytes (RFC 9881, section 4).
const ML_DSA_SPKI: &[u8] =
    &[0x30, 0x82, 0x07, 0xb2, 0x30, 0x0b, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 3, 0x12, 3, 0x82, 0x07, 0xa1, 0];

/// Makes and checks a keyring of version 1.
pub(crate) fn new(
    roots: &[String],
    root_threshold: u64,
    keys: &[String],
    thresholds: &[String],
) -> Result<Keyring, Error> {
    let keyring = Keyring {
        format: FORMAT.into(),
        version: 1,
        root: Root {
            threshold: root_threshold,
            keys: roots.iter().map(|root| public_key(root)).collect::<Result<_, _>>()?,
        },
        keys: keys.iter().map(|text| key(text)).collect::<Result<_, _>>()?,
        thresholds: thresholds.iter().map(|text| threshold(text)).collect::<Result<_, _>>()?,
        ..Keyring::default()
    };
    keyring.check()?;
    Ok(keyring)
}

/// A public key: minisign base64, or a `minisign.pub` file.
pub(super) fn public_key(text: &str) -> Result<String, Error> {
    if text.len() == 56 && text.starts_with("RW") {
        return Ok(text.to_owned());
    }
    if is_secret(text) {
        let next = "Give the public key: its file (.pub), or the second line of that file.";
        return Err(Fault::usage("a secret key was given; a keyring takes the public key", next).into());
    }
    let path = Path::new(text);
    let file = match std::fs::read(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            let next = "Give the file of the public key (.pub), or its second line: 56 characters that begin with RW.";
            let detail = format!("\"{}\" is neither a public key of minisign nor a file", quoted(text));
            return Err(Fault::usage(detail, next).into());
        }
        read => read.during("read", path)?,
    };
    let line = str::from_utf8(&file).ok().and_then(|text| text.lines().nth(1)).unwrap_or_default().trim();
    let name = quoted_os(path);
    match BASE64.decode(line.as_bytes()) {
        Ok(bytes) if bytes.len() == 42 && bytes.starts_with(b"Ed") => Ok(line.to_owned()),
        // Nothing of the file is repeated: it may be a secret.
        Ok(bytes) if bytes.starts_with(b"Ed") && bytes.len() > 42 => {
            let next = "Give the file of the public key, which minisign wrote beside it (.pub).";
            Err(Fault::usage(format!("{name} is a secret key; a keyring takes the public key"), next).into())
        }
        _ => {
            let next = "Give a file that `minisign -G -p FILE.pub` wrote, or its second line.";
            Err(Fault::usage(format!("{name} is not a public key of minisign"), next).into())
        }
    }
}

/// Next step where an ML-DSA-65 key is not one.
const ML_DSA_NEXT: &str = "Give the file that `openssl pkey -in KEY -pubout -out FILE` writes (OpenSSL 3.5 or later).";

/// An ML-DSA-65 public key: base64 of its bytes, or a PEM file as `openssl pkey -pubout` writes it.
fn ml_dsa_key(text: &str) -> Result<String, Error> {
    if BASE64.decode(text.as_bytes()).is_ok_and(|bytes| bytes.len() == ML_DSA_KEY) {
        return Ok(text.to_owned());
    }
    let path = Path::new(text);
    if !path.exists() {
        // Nothing of the text is repeated: it may be a secret.
        return Err(fault("the public key is neither a file nor an ML-DSA-65 key in base64", ML_DSA_NEXT));
    }
    let file = std::fs::read(path).during("read", path)?;
    let wrong = || fault(&format!("{} is not an ML-DSA-65 public key in PEM", quoted_os(path)), ML_DSA_NEXT);
    let der = SubjectPublicKeyInfoDer::from_pem_slice(&file).map_err(|_| wrong())?;
    let raw = der.as_ref().strip_prefix(ML_DSA_SPKI).filter(|raw| raw.len() == ML_DSA_KEY);
    raw.map(|raw| BASE64.encode(raw)).ok_or_else(wrong)
}

/// Next step where the fields of a key are wrong.
const KEY_NEXT: &str = "Write a key as in name=acme,role=custodian,public=acme.pub,publisher=acme,origin=CH. All fields: \
    `gaprelay-pack keyring new --help`.";
/// Next step where the fields of a threshold are wrong.
const THRESHOLD_NEXT: &str =
    "Write a threshold as in role=custodian,signers=1 or role=custodian,signers=2,feeds=ids+yara.";

/// `name=…,role=…,public=…[,publisher=…,origin=…][,feeds=a+b][,may=…][,algorithm=…][,not-before=…][,not-after=…]`.
pub(super) fn key(text: &str) -> Result<Key, Error> {
    let fields = KeyFields::parse(
        text,
        &["name", "role", "algorithm", "public", "publisher", "origin", "feeds", "may", "not-before", "not-after"],
        KEY_NEXT,
    )?;
    let date = |field| -> Result<Option<Timestamp>, Error> {
        let parse = |text: &str| {
            let wrong = |e: &str| fault(&format!("the field {field} has \"{}\": {e}", quoted(text)), KEY_NEXT);
            text.parse::<Timestamp>().map_err(wrong)
        };
        fields.get(field).map(parse).transpose()
    };
    let known = [Algorithm::MinisignEd25519, Algorithm::MlDsa65];
    let named = |text: &str| known.into_iter().find(|algorithm| algorithm.name() == text);
    let algorithm = match fields.get("algorithm") {
        None => Algorithm::default(),
        Some(text) => named(text).ok_or_else(|| {
            let next = "The algorithms are minisign-ed25519 and ml-dsa-65.";
            fault(&format!("there is no algorithm \"{}\"", quoted(text)), next)
        })?,
    };
    Ok(Key {
        name: fields.need("name")?.to_owned(),
        algorithm,
        public: match algorithm {
            Algorithm::MinisignEd25519 => public_key(fields.need("public")?)?,
            Algorithm::MlDsa65 => ml_dsa_key(fields.need("public")?)?,
        },
        role: role(fields.need("role")?)?,
        publisher: fields.get("publisher").map(str::to_owned),
        origin: fields.get("origin").map(str::to_owned),
        feeds: fields.feeds(),
        may: fields.get("may").map(|may| may.split('+').map(right).collect::<Result<_, _>>()).transpose()?,
        not_before: date("not-before")?,
        not_after: date("not-after")?,
    })
}

/// `role=…,signers=…[,feeds=a+b]`.
pub(super) fn threshold(text: &str) -> Result<Threshold, Error> {
    let fields = KeyFields::parse(text, &["role", "signers", "feeds"], THRESHOLD_NEXT)?;
    let number = fields.need("signers")?;
    let wrong =
        || fault(&format!("the field signers has \"{}\", which is not a number", quoted(number)), THRESHOLD_NEXT);
    let signers = number.parse().map_err(|_| wrong())?;
    Ok(Threshold { feeds: fields.feeds(), role: role(fields.need("role")?)?, signers })
}

fn role(text: &str) -> Result<Role, Error> {
    match text {
        "vendor" => Ok(Role::Vendor),
        "custodian" => Ok(Role::Custodian),
        "evaluator" => Ok(Role::Evaluator),
        "officer" => Ok(Role::Officer),
        _ => Err(fault(
            &format!("there is no role \"{}\"", quoted(text)),
            "The roles are vendor, custodian, evaluator and officer.",
        )),
    }
}

fn right(text: &str) -> Result<Right, Error> {
    let known = [Right::Approve, Right::Deny, Right::Waive, Right::Repair];
    let found = known.into_iter().find(|right| right.to_string() == text);
    let next = "The rights of an officer are approve, deny, waive and repair, as in may=approve+deny.";
    found.ok_or_else(|| fault(&format!("there is no right \"{}\"", quoted(text)), next))
}

/// True for what may be a secret key of minisign in base64, as it stands in its file: nothing of it may be shown.
pub(super) fn is_secret(text: &str) -> bool {
    text.len() > 56 && text.starts_with("RW") && !Path::new(text).exists()
}

struct KeyFields<'a> {
    fields: Vec<(&'a str, &'a str)>,
    /// Next step where a field is wrong.
    next: &'static str,
}

impl<'a> KeyFields<'a> {
    fn parse(text: &'a str, known: &[&str], next: &'static str) -> Result<Self, Error> {
        let mut fields: Vec<(&str, &str)> = Vec::new();
        for part in text.split(',') {
            let (name, value) = part.split_once('=').filter(|_| !is_secret(part)).ok_or_else(|| {
                let part = if is_secret(part) { "(a secret key)".to_owned() } else { quoted(part).to_string() };
                fault(&format!("\"{part}\" is not of the form NAME=VALUE"), next)
            })?;
            let shown = quoted(name);
            if !known.contains(&name) {
                let detail = format!("there is no field \"{shown}\" here: the fields are {}", known.join(", "));
                return Err(fault(&detail, next));
            }
            if fields.iter().any(|(other, _)| *other == name) {
                return Err(fault(&format!("the field {shown} stands twice"), next));
            }
            fields.push((name, value));
        }
        Ok(Self { fields, next })
    }

    fn get(&self, name: &str) -> Option<&'a str> {
        self.fields.iter().find(|(other, _)| *other == name).map(|(_, value)| *value)
    }

    fn need(&self, name: &str) -> Result<&'a str, Error> {
        self.get(name).ok_or_else(|| fault(&format!("the field {name} is missing"), self.next))
    }

    fn feeds(&self) -> Vec<String> {
        self.get("feeds").unwrap_or("*").split('+').map(str::to_owned).collect()
    }
}

/// Wrong use, with the step that helps.
pub(super) fn fault(detail: &str, next: &str) -> Error {
    Error::Fault(Fault::usage(detail, next))
}

/// Reads a keyring, given as its file or the folder it lies in; gives its digest too. Fault: the file is a key or a
/// signature of minisign. Refusals: `keyring-malformed`, `key-weak`.
pub(crate) fn read(path: &Path) -> Result<(Keyring, Digest), Error> {
    let path = if path.is_dir() { path.join("keyring.toml") } else { path.to_owned() };
    let bytes = std::fs::read(&path).during("read", &path)?;
    let name = quoted_os(&path);
    if bytes.starts_with(b"untrusted comment:") {
        // Nothing of the file is repeated: it may be a secret.
        let detail = format!("{name} is a key or a signature of minisign, not a keyring");
        return Err(fault(&detail, "Give the keyring: the file keyring.toml, or the folder that it lies in."));
    }
    let keyring = Keyring::parse(&bytes)
        .map_err(|refusal| Refusal::new(refusal.reason, format!("{name}: {}", refusal.detail)))?;
    Ok((keyring, Digest::of(&bytes)))
}

/// The keyring as TOML, with a line on top that says how to go on.
pub(crate) fn to_text(keyring: &Keyring) -> Result<String, Error> {
    let body = toml::to_string_pretty(keyring)
        .map_err(|_| Refusal::new(Reason::KeyringMalformed, "the keyring cannot be written"))?;
    let how = if keyring.version == 1 {
        "Put it in force with: gaprelay init --keyring FILE".to_owned()
    } else {
        format!("It follows version {}; bring it in its folder, with the root keys' signatures.", keyring.version - 1)
    };
    Ok(format!("# gaprelay keyring, version {}. {how}\n{body}", keyring.version))
}
