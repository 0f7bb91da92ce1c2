//! Servers that are started, waited for and ended.
use super::http;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A server may take as long to start or to end.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(50);

/// A program that runs until it is dropped.
pub(super) struct Program {
    child: Child,
    log: PathBuf,
}

impl Program {
    /// Starts it; what it says goes to `log`.
    pub(super) fn start(mut command: Command, log: &Path) -> Result<Program, String> {
        let name = command.get_program().to_string_lossy().into_owned();
        let said = |e| format!("{}: {e}", log.display());
        let out = File::create(log).map_err(said)?;
        let err = out.try_clone().map_err(said)?;
        command.stdin(Stdio::null()).stdout(out).stderr(err);
        let child = command.spawn().map_err(|e| format!("{name}: {e}"))?;
        Ok(Program { child, log: log.to_owned() })
    }

    /// Waits until it answers `path` with status 200.
    pub(super) fn wait(&mut self, address: SocketAddr, path: &str) -> Result<(), String> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if http::status(address, "GET", path) == Ok(200) {
                return Ok(());
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("it ended with {status}: {}", self.last_line()));
            }
            std::thread::sleep(LOOK);
        }
        Err(format!("it did not answer within {} s: {}", PATIENCE.as_secs(), self.last_line()))
    }

    fn last_line(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing").to_owned()
    }

    /// Bytes of its memory.
    pub(super) fn resident(&self) -> Option<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        Some(1024.0 * line.split_whitespace().next()?.parse::<f64>().ok()?)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Asked to end, a server ends its workers too; killed, it would leave them behind.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(LOOK);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Seconds of CPU time that ended children of this process have taken.
pub(super) fn seconds_of_children() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // Behind the name, which may hold anything, stand state, parent and so on; 14th and 15th are the times.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = fields.get(13)?.parse::<f64>().ok()? + fields.get(14)?.parse::<f64>().ok()?;
    // Linux counts them in hundredths of a second for programs, whatever it does itself.
    Some(ticks / 100.0)
}
