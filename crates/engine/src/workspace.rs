//! What computing needs besides a model: memory to work in, and threads to work on. Both are arguments, so
//! that one model can be used by many callers at once and none waits for another.
use crossbeam_deque::{Injector, Steal};
use dlrm_nn::{Arena, TapeTimes, Timing};
use rayon::prelude::*;

/// Who computes. No result depends on it.
#[derive(Debug, Clone, Copy)]
pub enum Parallel<'a> {
    /// The calling thread alone.
    Single,
    /// The threads of a pool. Work that is too small to share stays on the calling thread.
    Pool(&'a rayon::ThreadPool),
}

/// Memory of forward and backward passes, one arena per worker. It grows to what the largest pass needs and
/// is then reused: fresh memory would cost a page fault for every 4 kB, in every step. A workspace belongs to
/// one caller; any model can be computed in it.
#[derive(Debug, Default)]
pub struct Workspace {
    arenas: Vec<Arena>,
    timing: Timing,
}

impl Workspace {
    /// A workspace that has no memory yet.
    pub fn new() -> Self {
        Workspace::default()
    }

    /// Takes the times of tapes' operations from now on, or no longer; those so far are handed out.
    pub fn time(&mut self, timing: Timing) -> TapeTimes {
        self.timing = timing;
        let mut total = TapeTimes::default();
        self.arenas.iter_mut().for_each(|arena| total.add(&arena.time(timing)));
        total
    }

    /// Does `work` for every task. Tasks begin in their order, each as soon as a worker is free; a single
    /// task stays on the calling thread.
    pub(crate) fn each<T: Send>(
        &mut self,
        parallel: Parallel<'_>,
        tasks: impl ExactSizeIterator<Item = T>,
        work: impl Fn(&mut Arena, T) + Sync,
    ) {
        match parallel {
            Parallel::Pool(pool) if tasks.len() > 1 => {
                let workers = pool.current_num_threads().min(tasks.len());
                let queue = Injector::new();
                tasks.for_each(|task| queue.push(task));
                let drain = |arena: &mut Arena| {
                    loop {
                        match queue.steal() {
                            Steal::Success(task) => work(arena, task),
                            Steal::Retry => std::hint::spin_loop(),
                            Steal::Empty => break,
                        }
                    }
                };
                let arenas = self.arenas(workers);
                pool.install(|| arenas.par_iter_mut().with_max_len(1).for_each(drain));
            }
            _ => {
                let arena = &mut self.arenas(1)[0];
                tasks.for_each(|task| work(arena, task));
            }
        }
    }

    /// The first `count` arenas.
    fn arenas(&mut self, count: usize) -> &mut [Arena] {
        while self.arenas.len() < count {
            let mut arena = Arena::default();
            arena.time(self.timing);
            self.arenas.push(arena);
        }
        &mut self.arenas[..count]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[test]
    fn every_task_is_done_once_whoever_works() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        for parallel in [Parallel::Single, Parallel::Pool(&pool)] {
            for count in [0, 1, 2, 100] {
                let done: Vec<AtomicU32> = (0..count).map(|_| AtomicU32::new(0)).collect();
                let mut workspace = Workspace::new();
                workspace.each(parallel, done.iter(), |_, task| {
                    task.fetch_add(1, Ordering::Relaxed);
                });
                assert!(done.iter().all(|task| task.load(Ordering::Relaxed) == 1));
                assert!(workspace.arenas.len() <= count.clamp(1, 3));
            }
        }
    }

    #[test]
    fn a_single_task_stays_on_the_calling_thread() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        let caller = std::thread::current().id();
        Workspace::new().each(Parallel::Pool(&pool), [()].into_iter(), |_, ()| {
            assert_eq!(std::thread::current().id(), caller);
        });
    }
}
