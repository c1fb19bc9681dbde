//! The relay.

#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    gaprelay::cli::relay()
}
