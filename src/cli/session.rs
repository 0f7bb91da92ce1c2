//! What was said to the command as a whole, and the wish to stop.
use super::failure::INTERRUPTED;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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
        std::thread::spawn(move || {
            for _ in signals.forever() {
                // The second time the user means it.
                if !asks.load(Ordering::SeqCst) || stop.swap(true, Ordering::SeqCst) {
                    std::process::exit(i32::from(INTERRUPTED));
                }
            }
        });
    }

    /// From now on signals ask the work to stop, which has something to save or to clear away.
    pub(super) fn stop_by_signal(&self) {
        self.asks.store(true, Ordering::SeqCst);
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
