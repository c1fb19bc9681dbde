//! The connected side.

fn main() -> std::process::ExitCode {
    pack::cli::main()
}
