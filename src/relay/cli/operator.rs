//! The operator of an import: who it is, and that nobody takes the name for an officer's.

use base::{Fault, Operator, quoted};
use bundle::Keyring;
use bundle::keyring::Role;

/// Operator of an import: the person behind `sudo`, else the user; under another name if one is given.
pub(super) fn operator(given: Option<&str>) -> Result<Operator, Fault> {
    let behind_sudo = || std::env::var("SUDO_UID").ok()?.parse().ok();
    let uid = match rustix::process::getuid().as_raw() {
        0 => behind_sudo().unwrap_or(0),
        uid => uid,
    };
    let user = uzers::get_user_by_uid(uid).map_or(format!("uid {uid}"), |u| u.name().to_string_lossy().into_owned());
    let name = given.unwrap_or(&user);
    let is_shown = |c: char| !c.is_control() && !bundle::paths::is_invisible(c);
    if name.trim().is_empty() || name.len() > 100 || !name.chars().all(is_shown) {
        let wrong = if name.trim().is_empty() {
            "the name of the operator is empty".to_owned()
        } else if name.len() <= 100 {
            "the name of the operator has a control character or an invisible one".to_owned()
        } else {
            format!("the name of the operator is too long: {} bytes, and at most 100 are allowed", name.len())
        };
        return Err(Fault::usage(
            wrong,
            "Give a name of 1 to 100 bytes that can be seen: gaprelay import PATH --operator NAME",
        ));
    }
    Ok(Operator::new(name, &user))
}

/// Checks that the operator's name is not one that people would take for an officer's.
pub(super) fn check_name(name: &str, keyring: &Keyring) -> Result<(), Fault> {
    let mut officers = keyring.keys.iter().filter(|key| key.role == Role::Officer);
    officers.find(|officer| Operator::resembles(name, &officer.name)).map_or(Ok(()), |officer| {
        let wrong = format!(
            "the operator's name {} looks like that of the officer {}, and is another",
            quoted(name),
            officer.name
        );
        let next = "Give the name of the person who imports, as it is: gaprelay import PATH --operator NAME. An officer who imports gives their name as the keyring has it; another officer then decides.";
        Err(Fault::usage(wrong, next))
    })
}
