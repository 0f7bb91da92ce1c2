//! Flags of the command.
use std::num::NonZeroUsize;
use std::path::PathBuf;

const USAGE: &str = "cargo xtask serving-peers [--quick] [--python python3] [--venv DIR] [--bin DLRM] \
[--work DIR] [--rounds 3] [--seconds 3] [--only CASE,…] [--own yes|no] [--out FILE] \
[--into docs/performance.md]";

/// What is asked for.
pub(super) struct Options {
    pub python: String,
    /// Where the environments are kept, each in a directory; without it they are temporary.
    pub venv: Option<PathBuf>,
    /// The command that is measured; without it, it is built.
    pub bin: Option<PathBuf>,
    /// Where clicks, models and requests are kept, and found again; without it they are temporary.
    pub work: Option<PathBuf>,
    pub rounds: usize,
    /// Of a window.
    pub seconds: usize,
    /// Names of cases; all if empty.
    pub only: Vec<String>,
    /// Whether what concerns our side alone is measured too.
    pub own: bool,
    /// Where the tables are written to.
    pub out: Option<PathBuf>,
    /// Where they take the place of what is between the marks.
    pub into: Option<PathBuf>,
    /// Whether this shows only that everything runs.
    pub quick: bool,
}

impl Options {
    pub(super) fn parse(args: &[&str]) -> Result<Options, String> {
        let mut options = Options {
            python: "python3".into(),
            venv: None,
            bin: None,
            work: None,
            rounds: 3,
            seconds: 3,
            only: Vec::new(),
            own: true,
            out: None,
            into: None,
            quick: args.contains(&"--quick"),
        };
        if options.quick {
            (options.rounds, options.seconds) = (1, 1);
        }
        let args: Vec<&str> = args.iter().copied().filter(|arg| *arg != "--quick").collect();
        for flag in args.chunks(2) {
            match *flag {
                ["--python", python] => options.python = python.into(),
                ["--venv", dir] => options.venv = Some(dir.into()),
                ["--bin", file] => options.bin = Some(file.into()),
                ["--work", dir] => options.work = Some(dir.into()),
                ["--rounds", n] => options.rounds = count("--rounds", n)?,
                ["--seconds", n] => options.seconds = count("--seconds", n)?,
                ["--only", names] => options.only = names.split(',').map(str::to_owned).collect(),
                ["--own", "yes"] => options.own = true,
                ["--own", "no"] => options.own = false,
                ["--out", file] => options.out = Some(file.into()),
                ["--into", file] => options.into = Some(file.into()),
                _ => return Err(format!("serving-peers: unexpected {}; expected {USAGE}", flag.join(" "))),
            }
        }
        Ok(options)
    }
}

fn count(flag: &str, text: &str) -> Result<usize, String> {
    let count: Result<NonZeroUsize, _> = text.parse();
    count.map(NonZeroUsize::get).map_err(|_| format!("{flag} {text}: expected a number from 1 on"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags() {
        let options = Options::parse(&["--rounds", "5", "--quick", "--venv", "v"]).expect("options");
        assert_eq!((options.rounds, options.seconds, options.quick), (5, 1, true));
        assert_eq!(options.venv, Some(PathBuf::from("v")));
        for (args, part) in [
            (&["--rounds", "0"][..], "expected a number"),
            (&["--own", "maybe"], "unexpected --own maybe"),
            (&["--out"], "unexpected --out"),
        ] {
            let message = Options::parse(args).err().expect("a mistake");
            assert!(message.contains(part), "{message}");
        }
    }
}
