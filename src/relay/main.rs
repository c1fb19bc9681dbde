//! The relay.

fn main() -> std::process::ExitCode {
    gaprelay::cli::relay()
}
