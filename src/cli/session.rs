//! What was said to the command as a whole, and the wish to stop.
use super::failure::INTERRUPTED;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What every subcommand needs.
pub(super) struct Session {
    /// Worker threads.
    pub threads: usize,
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
    /// Files that are not whole, which go with the command that a signal ends.
    pub unfinished: Arc<Mutex<Vec<PathBuf>>>,
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
        let (stop, asks, unfinished) = (self.stop.clone(), self.asks.clone(), self.unfinished.clone());
        std::thread::spawn(move || {
            for _ in signals.forever() {
                // The second time the user means it.
                if !asks.load(Ordering::SeqCst) || stop.swap(true, Ordering::SeqCst) {
                    for path in unfinished.lock().unwrap_or_else(PoisonError::into_inner).iter() {
                        let _ = std::fs::remove_file(path);
                    }
                    std::process::exit(i32::from(INTERRUPTED));
                }
            }
        });
    }

    /// From now on signals ask the work to stop, which has something to save or to clear away.
    pub(super) fn stop_by_signal(&self) {
        self.asks.store(true, Ordering::SeqCst);
    }

    /// From now on a signal that ends the command removes the file `path`, which is not whole.
    pub(super) fn remove_at_signal(&self, path: &Path) {
        self.unfinished.lock().unwrap_or_else(PoisonError::into_inner).push(path.to_owned());
    }
}

/// Whether the command was started to ignore SIGHUP, as `nohup` does: it then outlives its terminal. Where
/// the system does not tell, SIGHUP is left as it is.
fn ignores_hangup() -> bool {
    let Ok(status) = std::fs::read_to_string("/proc/self/status") else { return true };
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_none_or(|mask| mask & (1 << (SIGHUP - 1)) != 0)
}
