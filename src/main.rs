//! The `dlrm` command.
#![forbid(unsafe_code)]

mod cli;

/// Where the system has no memory left, the command ends with a message.
#[global_allocator]
static ALLOCATOR: dlrm::kernels::allocator::Told =
    dlrm::kernels::allocator::Told { failed: cli::out_of_memory };

fn main() -> std::process::ExitCode {
    cli::main()
}
