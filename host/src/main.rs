//! The binary: turns the library's answer into an exit code.

/// Threads hand small pieces to each other all the time; this allocator is made for that.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    hookwright::cli::main()
}
