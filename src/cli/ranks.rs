//! The ranks of an MPI job that this process is one of.
use super::failure::Failure;
use super::output;
use super::session::Session;
use dlrm::bench::{Cores, cores};
use dlrm::cluster::{PATIENCE, Watch};
use dlrm::data::format::duration;
use dlrm::engine::ranks::Ranks;
use std::time::Duration;

/// What MPI's launchers tell a process: how many ranks its job has.
const SIZES: [&str; 3] = ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MV2_COMM_WORLD_SIZE"];
/// `srun --mpi=pmix` says it in Slurm's words, which `srun` without MPI uses too: only with the rank that
/// PMIx gives.
const SIZE_OF_STEP: &str = "SLURM_STEP_NUM_TASKS";
const RANK_OF_PMIX: &str = "PMIX_RANK";

/// This process among those that share a run.
pub(super) struct Job {
    /// All of them.
    pub(super) ranks: Ranks,
    /// Those on this machine.
    neighbours: usize,
    /// Those of them that run on the same cores, which they share.
    sharing: usize,
    /// The cores of this process, where the system tells.
    cores: Option<Cores>,
}

impl Job {
    /// Worker threads of this rank where none were said, of so many that this process could have: its part of
    /// the cores that it runs on.
    pub(super) fn threads(&self, available: usize) -> usize {
        (available / self.sharing).max(1)
    }

    /// Memory of this rank where none was said, of so much that this process could have: ranks on one machine
    /// share what it has free.
    pub(super) fn memory(&self, free: u64) -> u64 {
        free / self.neighbours as u64
    }

    /// What is odd about the cores of this process, which is to have the threads that were `said`.
    pub(super) fn warning(&self, said: Option<usize>) -> Option<String> {
        let Cores { own, all, .. } = self.cores.as_ref().filter(|cores| cores.own < cores.all)?;
        let (bound, s) = (format!("this process is bound to {own} of {all} cores"), plural(*own));
        match said {
            Some(threads) if threads > *own => Some(format!(
                "{bound}, and the {threads} threads that --threads asks for take turns there: mpirun leaves \
                 processes all cores with --bind-to none; else ask for {own} thread{s}"
            )),
            None if own / self.sharing < all / self.neighbours && self.ranks.size() > 1 => Some(format!(
                "{bound}, of which each of the {} ranks on this machine could have {}: mpirun leaves them \
                 all cores with --bind-to none",
                self.neighbours,
                all / self.neighbours
            )),
            _ => None,
        }
    }
}

fn plural(number: usize) -> &'static str {
    if number == 1 { "" } else { "s" }
}

/// The job that this process was started in, if it was; the first rank tells whom it has waited for so long.
pub(super) fn job(session: &Session, patience: Option<Duration>) -> Result<Job, Failure> {
    match size() {
        1 => Ok(Job { ranks: Ranks::default(), neighbours: 1, sharing: 1, cores: cores() }),
        size => started(size, watch(session, patience)),
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
    let number = |name: &str| std::env::var(name).ok()?.parse::<usize>().ok();
    let by_slurm = || number(SIZE_OF_STEP).filter(|_| std::env::var_os(RANK_OF_PMIX).is_some());
    SIZES.iter().find_map(|name| number(name)).or_else(by_slurm).unwrap_or(1).max(1)
}

/// Tells on standard error of ranks that are waited for. It comes from another thread while this one waits,
/// and goes there at once: what `mpirun` starts has no terminal, whose bar it would have to be kept off.
fn watch(session: &Session, patience: Option<Duration>) -> Watch {
    let quiet = session.quiet;
    Watch::new(patience.unwrap_or(PATIENCE), move |late, waited| {
        if !quiet {
            output::tell(&format!("warning: {}", stall(late, waited)));
        }
    })
}

/// Whom the first rank waits for, and what to look at.
fn stall(late: &[usize], waited: Duration) -> String {
    let numbers: Vec<String> = late.iter().map(usize::to_string).collect();
    let waited = duration(waited.as_secs_f64());
    format!(
        "rank 0 has waited {waited} for rank{} {}: look whether it still reads its rows, whether its process \
         is stopped or its machine busy, and at the network",
        plural(late.len()),
        numbers.join(", ")
    )
}

#[cfg(feature = "mpi")]
fn started(_: usize, watch: Watch) -> Result<Job, Failure> {
    let cores = cores();
    let list = cores.as_ref().map_or("", |cores| &cores.list);
    let mpi = dlrm::mpi::Mpi::start(list, watch).map_err(|error| {
        Failure::resources(error.to_string(), "start the job anew; if it stays, look at MPI's own messages")
    })?;
    let (neighbours, sharing) = (mpi.neighbours(), mpi.sharing());
    Ok(Job { ranks: Ranks::new(Box::new(mpi)), neighbours, sharing, cores })
}

/// Each would take itself for the only one, and write over what the others have written.
#[cfg(not(feature = "mpi"))]
fn started(size: usize, _: Watch) -> Result<Job, Failure> {
    Err(Failure::usage(
        format!(
            "this process was started as one of {size} by MPI: expected a dlrm built with MPI, found one \
             without"
        ),
        "build it with `cargo build --release --features mpi`, or start it without mpirun",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use dlrm::cluster::Threads;

    /// The first of `size` ranks on a machine.
    fn job(size: usize, sharing: usize, [own, all]: [usize; 2]) -> Job {
        let ranks = Ranks::new(Box::new(Threads::group(size).swap_remove(0)));
        let cores = Some(Cores { list: String::new(), own, all });
        Job { ranks, neighbours: size, sharing, cores }
    }

    #[test]
    fn threads_are_the_part_of_the_cores_that_a_rank_runs_on() {
        // Bound to a core each; not bound; two on each of two sockets.
        let cases = [(job(2, 1, [1, 16]), 1), (job(4, 4, [16, 16]), 4), (job(4, 2, [8, 16]), 4)];
        for (job, threads) in cases {
            assert_eq!(job.threads(job.cores.as_ref().map_or(0, |cores| cores.own)), threads);
        }
        assert_eq!(job(8, 8, [4, 4]).threads(4), 1);
    }

    #[test]
    fn a_process_that_is_bound_to_few_cores_is_told_of() {
        let said = job(2, 1, [1, 16]).warning(Some(8)).unwrap_or_default();
        assert!(said.contains("bound to 1 of 16 cores, and the 8 threads"), "{said}");
        let said = job(2, 1, [1, 16]).warning(None).unwrap_or_default();
        assert!(said.contains("each of the 2 ranks on this machine could have 8: mpirun"), "{said}");
        for (job, said) in [
            (job(2, 1, [1, 16]), Some(1)),
            // Not bound, whatever is asked for.
            (job(2, 2, [16, 16]), Some(64)),
            (job(2, 2, [16, 16]), None),
            // Sockets, with all their cores.
            (job(4, 2, [8, 16]), None),
            // One process that nobody has asked for threads.
            (job(1, 1, [1, 16]), None),
        ] {
            assert_eq!(job.warning(said), None);
        }
    }

    #[test]
    fn ranks_that_are_waited_for_are_named() {
        let said = stall(&[3], Duration::from_secs(60));
        assert!(said.starts_with("rank 0 has waited 60 s for rank 3: look"), "{said}");
        let said = stall(&[1, 3], Duration::from_millis(2100));
        assert!(said.contains("for ranks 1, 3: look"), "{said}");
    }
}
