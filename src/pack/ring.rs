//! A first keyring from public keys, roles, origins and feeds.

use std::path::Path;

use data_encoding::BASE64;
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::pki_types::pem::PemObject as _;

use base::error::IoContext as _;
use base::quoted::quoted_os;
use base::{Error, Fault, Reason, Refusal, Timestamp, quoted};
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
    let file = std::fs::read(path).during("read", path)?;
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

/// An ML-DSA-65 public key: base64 of its bytes, or a PEM file as `openssl pkey -pubout` writes it.
fn ml_dsa_key(text: &str) -> Result<String, Error> {
    if BASE64.decode(text.as_bytes()).is_ok_and(|bytes| bytes.len() == ML_DSA_KEY) {
        return Ok(text.to_owned());
    }
    let wrong = || fault(&format!("{} is not an ML-DSA-65 public key in PEM (openssl pkey -pubout)", quoted_os(text)));
    let der = SubjectPublicKeyInfoDer::from_pem_file(text).map_err(|_| wrong())?;
    let raw = der.as_ref().strip_prefix(ML_DSA_SPKI).filter(|raw| raw.len() == ML_DSA_KEY);
    raw.map(|raw| BASE64.encode(raw)).ok_or_else(wrong)
}

/// `name=…,role=…,public=…[,publisher=…,origin=…][,feeds=a+b][,may=…][,algorithm=…][,not-before=…][,not-after=…]`.
pub(super) fn key(text: &str) -> Result<Key, Error> {
    let fields = KeyFields::parse(
        text,
        &["name", "role", "algorithm", "public", "publisher", "origin", "feeds", "may", "not-before", "not-after"],
    )?;
    let date = |field| -> Result<Option<Timestamp>, Error> {
        let parse = |text: &str| text.parse().map_err(|e: &str| fault(&format!("{field}: {e}")));
        fields.get(field).map(parse).transpose()
    };
    let known = [Algorithm::MinisignEd25519, Algorithm::MlDsa65];
    let named = |text: &str| known.into_iter().find(|algorithm| algorithm.name() == text);
    let algorithm = match fields.get("algorithm") {
        None => Algorithm::default(),
        Some(text) => named(text).ok_or_else(|| fault("algorithm is minisign-ed25519 or ml-dsa-65"))?,
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
    let fields = KeyFields::parse(text, &["role", "signers", "feeds"])?;
    let signers = fields.need("signers")?.parse().map_err(|_| fault("signers is not a number"))?;
    Ok(Threshold { feeds: fields.feeds(), role: role(fields.need("role")?)?, signers })
}

fn role(text: &str) -> Result<Role, Error> {
    match text {
        "vendor" => Ok(Role::Vendor),
        "custodian" => Ok(Role::Custodian),
        "evaluator" => Ok(Role::Evaluator),
        "officer" => Ok(Role::Officer),
        _ => Err(fault(&format!("\"{}\" is not vendor, custodian, evaluator or officer", quoted(text)))),
    }
}

fn right(text: &str) -> Result<Right, Error> {
    let known = [Right::Approve, Right::Deny, Right::Waive, Right::Repair];
    let found = known.into_iter().find(|right| right.to_string() == text);
    found.ok_or_else(|| fault(&format!("\"{}\" is not approve, deny, waive or repair", quoted(text))))
}

/// True for what may be a secret key of minisign in base64, as it stands in its file: nothing of it may be shown.
fn is_secret(text: &str) -> bool {
    text.len() > 56 && text.starts_with("RW") && !Path::new(text).exists()
}

struct KeyFields<'a>(Vec<(&'a str, &'a str)>);

impl<'a> KeyFields<'a> {
    fn parse(text: &'a str, known: &[&str]) -> Result<Self, Error> {
        let mut fields: Vec<(&str, &str)> = Vec::new();
        for part in text.split(',') {
            let (name, value) = part.split_once('=').filter(|_| !is_secret(part)).ok_or_else(|| {
                let part = if is_secret(part) { "(a secret key)".to_owned() } else { quoted(part).to_string() };
                fault(&format!("\"{part}\" is not NAME=VALUE"))
            })?;
            if !known.contains(&name) || fields.iter().any(|(other, _)| *other == name) {
                return Err(fault(&format!(
                    "\"{}\" is unknown here or stands twice; known: {}",
                    quoted(name),
                    known.join(", ")
                )));
            }
            fields.push((name, value));
        }
        Ok(Self(fields))
    }

    fn get(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(other, _)| *other == name).map(|(_, value)| *value)
    }

    fn need(&self, name: &str) -> Result<&'a str, Error> {
        self.get(name).ok_or_else(|| fault(&format!("{name}=… is missing")))
    }

    fn feeds(&self) -> Vec<String> {
        self.get("feeds").unwrap_or("*").split('+').map(str::to_owned).collect()
    }
}

pub(super) fn fault(text: &str) -> Error {
    Error::Fault(Fault::Config(text.to_owned()))
}

/// The keyring as TOML, with a line on top that says how to go on.
pub(crate) fn to_text(keyring: &Keyring) -> Result<String, Error> {
    let body =
        toml::to_string_pretty(keyring).map_err(|_| Refusal::new(Reason::KeyringMalformed, "it cannot be written"))?;
    let how = if keyring.version == 1 {
        "Put it in force with: gaprelay init --keyring FILE".to_owned()
    } else {
        format!("It follows version {}; bring it in its folder, with the root keys' signatures.", keyring.version - 1)
    };
    Ok(format!("# gaprelay keyring, version {}. {how}\n{body}", keyring.version))
}
