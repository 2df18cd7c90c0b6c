//! The `pgmayday` program: arguments in, exit code out; everything else is in the library.

fn main() -> std::process::ExitCode {
    pgmayday::cli::main()
}
