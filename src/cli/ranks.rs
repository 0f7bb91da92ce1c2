//! The ranks of an MPI job that this process is one of.
use super::failure::Failure;
use dlrm::engine::ranks::Ranks;

/// What MPI's launchers tell a process: how many ranks its job has.
const SIZES: [&str; 3] = ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MV2_COMM_WORLD_SIZE"];

/// This process among those that share a run.
pub(super) struct Job {
    /// All of them.
    pub(super) ranks: Ranks,
    /// Those on this machine, which share its cores.
    pub(super) neighbours: usize,
}

/// The job that this process was started in, if it was.
pub(super) fn job() -> Result<Job, Failure> {
    match size() {
        1 => Ok(Job { ranks: Ranks::default(), neighbours: 1 }),
        size => started(size),
    }
}

/// Refuses to be one of several where each would do all of `command` in the same directory.
pub(super) fn check_alone(command: &str) -> Result<(), Failure> {
    match size() {
        1 => Ok(()),
        size => Err(Failure::usage(
            format!("dlrm {command}: expected one process, found one of {size} that MPI has started"),
            "run it without mpirun",
        )),
    }
}

/// Ranks of the job, as its launcher says.
fn size() -> usize {
    let said = SIZES.iter().find_map(|name| std::env::var(name).ok()?.parse::<usize>().ok());
    said.unwrap_or(1).max(1)
}

#[cfg(feature = "mpi")]
fn started(_: usize) -> Result<Job, Failure> {
    let mpi = dlrm::mpi::Mpi::start().map_err(|error| {
        Failure::resources(error.to_string(), "start the job anew; if it stays, look at MPI's own messages")
    })?;
    let neighbours = mpi.neighbours();
    Ok(Job { ranks: Ranks::new(Box::new(mpi)), neighbours })
}

/// Each would take itself for the only one, and write over what the others have written.
#[cfg(not(feature = "mpi"))]
fn started(size: usize) -> Result<Job, Failure> {
    Err(Failure::usage(
        format!(
            "this process was started as one of {size} by MPI: expected a dlrm built with MPI, found one \
             without"
        ),
        "build it with `cargo build --release --features mpi`, or start it without mpirun",
    ))
}
