//! The connected side.

fn main() -> std::process::ExitCode {
    gaprelay::cli::pack()
}
