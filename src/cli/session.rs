//! What was said to the command as a whole, and the wish to stop.
use super::failure::INTERRUPTED;
use std::path::Path;
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
    /// Set by Ctrl-C or SIGTERM.
    pub stop: Arc<AtomicBool>,
}

impl Session {
    /// From now on Ctrl-C asks the work to stop. Without the handler the command still works.
    pub(super) fn stop_by_signal(&self) {
        let stop = self.stop.clone();
        let handler = move || {
            if stop.swap(true, Ordering::SeqCst) {
                // The second time the user means it.
                std::process::exit(i32::from(INTERRUPTED));
            }
        };
        let _ = ctrlc::set_handler(handler);
    }

    /// From now on Ctrl-C removes the file `path`, which is not whole, and ends the command, also while it
    /// waits for rows.
    pub(super) fn remove_at_signal(&self, path: &Path) {
        let path = path.to_owned();
        let handler = move || {
            let _ = std::fs::remove_file(&path);
            std::process::exit(i32::from(INTERRUPTED));
        };
        let _ = ctrlc::set_handler(handler);
    }
}
