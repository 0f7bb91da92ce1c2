//! A virtual environment of Python with what scripts need, and the machine that all run on.
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Scripts that share a `requirements.txt`.
#[derive(Clone, Copy)]
pub(crate) struct Scripts {
    /// Where they lie.
    pub dir: &'static str,
    /// How much of a disk their environment takes.
    pub size: &'static str,
}

/// A directory with Python and what the scripts need.
pub(crate) struct Environment {
    scripts: Scripts,
    dir: PathBuf,
    keep: Keep,
}

#[derive(PartialEq)]
enum Keep {
    Always,
    UntilDropped,
}

impl Environment {
    /// Uses the environment in `dir`, making it if it is not there; without `dir`, a temporary one.
    pub(crate) fn make(scripts: Scripts, python: &str, dir: Option<&Path>) -> Result<Environment, String> {
        let (dir, keep) = match dir {
            Some(dir) => (dir.to_owned(), Keep::Always),
            None => {
                let what = Path::new(scripts.dir).file_name().unwrap_or_default().to_string_lossy();
                let name = format!("dlrm-environment-{}-{what}", std::process::id());
                (std::env::temp_dir().join(name), Keep::UntilDropped)
            }
        };
        let environment = Environment { scripts, dir, keep };
        if !environment.python().exists() {
            environment.install(python)?;
        }
        Ok(environment)
    }

    fn python(&self) -> PathBuf {
        self.program("python")
    }

    /// A program that is installed there, which may be missing.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.dir.join("bin").join(name)
    }

    /// A directory among those that its packages were installed into.
    pub(crate) fn package_dir(&self, below: &str) -> Option<PathBuf> {
        let pythons = fs::read_dir(self.dir.join("lib")).ok()?;
        let mut found = pythons.flatten().map(|python| python.path().join("site-packages").join(below));
        found.find(|dir| dir.is_dir())
    }

    fn install(&self, python: &str) -> Result<(), String> {
        eprintln!("making {} (about {})", self.dir.display(), self.scripts.size);
        let made = Command::new(python).args(["-m", "venv"]).arg(&self.dir).output();
        let made = made.map_err(|e| format!("{python}: {e}; name a Python 3"))?;
        if !made.status.success() {
            return Err(format!(
                "{python} -m venv {} failed: {}",
                self.dir.display(),
                last_line(&made.stdout, &made.stderr)
            ));
        }
        for requirement in self.requirements()? {
            let mut pip = Command::new(self.python());
            let done = pip
                .args(["-m", "pip", "install", "--quiet"])
                .args(requirement.split(' '))
                .output()
                .map_err(|e| format!("pip: {e}"))?;
            if !done.status.success() {
                eprintln!(
                    "pip install {requirement} failed, what needs it will be left out: {}",
                    last_line(&done.stdout, &done.stderr)
                );
            }
        }
        Ok(())
    }

    /// Waits for a script and returns what it printed; `shown` lets its standard error through.
    pub(crate) fn run(&self, script: &str, args: &[String], shown: bool) -> Result<String, String> {
        let mut command = Command::new(self.python());
        command.arg(Path::new(self.scripts.dir).join(script)).args(args).env("PYTHONDONTWRITEBYTECODE", "1");
        // PyTorch then puts its tables on huge pages, as we do.
        command.env("THP_MEM_ALLOC_ENABLE", "1");
        let child = command
            .stdout(Stdio::piped())
            .stderr(if shown { Stdio::inherit() } else { Stdio::piped() })
            .spawn();
        let done = child
            .and_then(std::process::Child::wait_with_output)
            .map_err(|e| format!("{}: {e}", self.python().display()))?;
        if shown && !done.status.success() {
            return Err(format!("{script} ended with {}", done.status));
        }
        if !done.status.success() {
            return Err(format!(
                "{script} ended with {}: {}",
                done.status,
                last_line(&done.stdout, &done.stderr)
            ));
        }
        Ok(String::from_utf8_lossy(&done.stdout).into_owned())
    }

    /// The processor, and the versions of what is installed.
    pub(crate) fn describe(&self) -> String {
        [vec![machine()], self.versions()].concat().join(", ")
    }

    /// The versions of what the scripts ask for.
    pub(crate) fn versions(&self) -> Vec<String> {
        let listed = Command::new(self.python()).args(["-m", "pip", "list", "--format=json"]).output();
        let listed: Value =
            listed.ok().and_then(|done| serde_json::from_slice(&done.stdout).ok()).unwrap_or_default();
        let wanted = self.requirements().unwrap_or_default();
        let mut versions = Vec::new();
        for package in listed.as_array().into_iter().flatten() {
            let (name, version) = (
                package["name"].as_str().unwrap_or_default(),
                package["version"].as_str().unwrap_or_default(),
            );
            if wanted.iter().any(|line| same_package(line, name)) {
                versions.push(format!("{name} {version}"));
            }
        }
        versions
    }

    fn requirements(&self) -> Result<Vec<String>, String> {
        let path = format!("{}/requirements.txt", self.scripts.dir);
        let text = fs::read_to_string(&path).map_err(|e| format!("{path}: {e}"))?;
        let wanted = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        Ok(wanted.map(str::to_owned).collect())
    }
}

impl Drop for Environment {
    fn drop(&mut self) {
        if self.keep == Keep::UntilDropped {
            // Left-overs in the temporary directory are the system's to clear.
            let _ = fs::remove_dir_all(&self.dir);
        }
    }
}

/// The processor.
pub(crate) fn machine() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{}, {cores} cores", processor(&info).unwrap_or("unknown processor"))
}

/// Whether a line of requirements is of the package that pip lists by this name.
fn same_package(line: &str, name: &str) -> bool {
    let required = line.split(['=', '[']).next().unwrap_or_default();
    required.to_lowercase() == name.replace('_', "-").to_lowercase()
}

fn processor(info: &str) -> Option<&str> {
    let line = info.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim())
}

/// The line in which Python says what went wrong.
fn last_line(out: &[u8], err: &[u8]) -> String {
    let text = [String::from_utf8_lossy(out), String::from_utf8_lossy(err)].concat();
    text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it printed nothing").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_and_processor() {
        assert!(same_package("fbgemm-gpu-cpu==1.9.0", "fbgemm_gpu-cpu") && same_package("numpy", "numpy"));
        assert!(same_package("ISLP==0.6.0 --no-deps", "ISLP"));
        assert!(same_package("uvicorn[standard]==0.54.0", "uvicorn"));
        assert!(!same_package("onnx==1.23.2", "onnxruntime"));
        assert_eq!(processor("processor\t: 0\nmodel name\t: Some CPU\n"), Some("Some CPU"));
    }

    #[test]
    fn a_missing_python_is_named() {
        let scripts = Scripts { dir: "no-scripts", size: "0 GB" };
        let made = Environment::make(scripts, "no-such-python", Some(Path::new("no-such-directory")));
        let message = made.err().expect("a mistake");
        assert!(message.starts_with("no-such-python: ") && message.contains("a Python 3"), "{message}");
    }

    #[test]
    fn what_went_wrong() {
        assert_eq!(
            last_line(b"{}\n", b"Traceback\n  File x\nImportError: no torch\n\n"),
            "ImportError: no torch"
        );
        assert_eq!(last_line(b"", b""), "it printed nothing");
    }
}
