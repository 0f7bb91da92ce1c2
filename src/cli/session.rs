//! What was said to the command as a whole, and the wish to stop.
use super::failure::INTERRUPTED;
use dlrm::data::Stop;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};

/// Files that are not whole, which go with the command that ends before its time. Of the whole process: a
/// command that runs out of memory has no session at hand.
static UNFINISHED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Removes the files that are not whole, unless they are being noted down at this moment. Takes no memory of
/// its own, but for paths that are longer than the standard library has room for on the stack.
pub(super) fn remove_unfinished_if_free() {
    // Waiting would be in vain where this very thread, noting one down, got no memory for it.
    match UNFINISHED.try_lock() {
        Ok(paths) => remove(&paths),
        Err(TryLockError::Poisoned(paths)) => remove(&paths.into_inner()),
        Err(TryLockError::WouldBlock) => {}
    }
}

fn remove(paths: &[PathBuf]) {
    for path in paths {
        // One that was put in its place is gone from here.
        let _ = std::fs::remove_file(path);
    }
}

/// What every subcommand needs.
pub(super) struct Session {
    /// Worker threads.
    pub threads: usize,
    /// Whether these were said.
    pub threads_said: bool,
    /// Instruction set.
    pub isa: dlrm::nn::Isa,
    /// Machine-readable output.
    pub json: bool,
    /// No progress on standard error.
    pub quiet: bool,
    /// Set by Ctrl-C, SIGTERM or SIGHUP.
    pub stop: Arc<AtomicBool>,
    /// Whether the first of them only asks to stop; else it ends the command.
    pub asks: Arc<AtomicBool>,
}

impl Session {
    /// Lets Ctrl-C, SIGTERM and SIGHUP end the command with the exit code for it, or ask it to stop. Without
    /// that the command still works, and ends as the system has it.
    pub(super) fn watch_signals(&self) {
        let mut wanted = vec![SIGINT, SIGTERM];
        if !ignores_hangup() {
            wanted.push(SIGHUP);
        }
        let Ok(mut signals) = Signals::new(wanted) else { return };
        let (stop, asks) = (self.stop.clone(), self.asks.clone());
        let watch = move || {
            for _ in signals.forever() {
                // The second time the user means it.
                if !asks.load(Ordering::SeqCst) || stop.swap(true, Ordering::SeqCst) {
                    remove(&UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner));
                    std::process::exit(i32::from(INTERRUPTED));
                }
            }
        };
        let _ = std::thread::Builder::new().spawn(watch);
    }

    /// From now on signals ask the work to stop, which has something to save or to clear away.
    pub(super) fn stop_by_signal(&self) {
        self.asks.store(true, Ordering::SeqCst);
    }

    /// From now on a signal that ends the command, or memory that is refused, removes the file `path`, which
    /// is not whole.
    pub(super) fn remove_at_signal(&self, path: &Path) {
        UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner).push(path.to_owned());
    }
}

/// The wish to stop, for threads that read rows.
pub(super) fn stop_at(flag: &Arc<AtomicBool>) -> Stop {
    let flag = flag.clone();
    Stop::when(move || flag.load(Ordering::SeqCst))
}

/// Whether the command was started to ignore SIGHUP, as `nohup` does: it then outlives its terminal. Where
/// the system does not tell, SIGHUP is left as it is.
fn ignores_hangup() -> bool {
    let Ok(status) = std::fs::read_to_string("/proc/self/status") else { return true };
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_none_or(|mask| mask & (1 << (SIGHUP - 1)) != 0)
}
