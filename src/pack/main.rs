//! The connected side.

#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    pack::cli::main()
}
