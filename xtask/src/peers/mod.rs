//! Training and scoring of the same synthetic workloads here and with other software, by turns.
mod ours;
mod table;
mod targets;

use crate::environment::{Environment, Scripts};
use crate::run::words;
use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;
use table::{Measured, OURS, Results, parse};

const SCRIPTS: Scripts = Scripts { dir: "benches/peers", size: "6 GB" };

/// The name of our side where its training steps multiply in bf16.
const OURS_BF16: &str = "dlrm, bf16";
/// Peers of training and what benches/peers/train.py calls them.
const TRAINERS: [(&str, &str); 6] = [
    ("PyTorch", "--embeddings torch"),
    ("PyTorch, compiled", "--embeddings torch --compile"),
    ("FBGEMM", "--embeddings fbgemm"),
    ("FBGEMM, compiled", "--embeddings fbgemm --compile"),
    ("FBGEMM, bf16", "--embeddings fbgemm --bf16"),
    ("FBGEMM, bf16, compiled", "--embeddings fbgemm --bf16 --compile"),
];
/// Peers of scoring and what benches/peers/infer.py calls them.
const SCORERS: [(&str, &str); 3] = [
    ("PyTorch", "--runtime torch"),
    ("PyTorch, compiled", "--runtime torch --compile"),
    ("ONNX Runtime", "--runtime onnxruntime"),
];

/// A side of ours: its name in the tables and what it runs.
type Own = (&'static str, fn() -> Measured);

/// Peers of training by two ranks and what benches/peers/distributed.py calls them.
const SHARING_TRAINERS: [(&str, &str); 2] =
    [("PyTorch, gloo", "--embeddings torch"), ("FBGEMM, gloo", "--embeddings fbgemm")];

/// Something that all sides do.
struct Job {
    name: &'static str,
    script: &'static str,
    args: &'static str,
    peers: &'static [(&'static str, &'static str)],
    ours: &'static [Own],
}

/// What needs an MPI, and is done where it is asked for.
const ON_RANKS: &str = "ranks-k";

const JOBS: [Job; 7] = [
    Job {
        name: "train-k",
        script: "train.py",
        args: "--workload k --batch 2048 128",
        peers: &TRAINERS,
        ours: &[
            (OURS, || ours::training(&["k", "--batch", "2048,128"])),
            (OURS_BF16, || ours::training(&["k", "--batch", "2048,128", "--precision", "bf16"])),
        ],
    },
    Job {
        name: "train-p",
        script: "train.py",
        args: "--workload p --batch 2048",
        peers: &TRAINERS,
        ours: &[
            (OURS, || ours::training(&["p"])),
            (OURS_BF16, || ours::training(&["p", "--precision", "bf16"])),
        ],
    },
    Job {
        name: "train-w",
        script: "train.py",
        args: "--workload w --batch 2048 512",
        peers: &TRAINERS,
        ours: &[
            (OURS, || ours::training(&["w", "--batch", "2048,512"])),
            (OURS_BF16, || ours::training(&["w", "--batch", "2048,512", "--precision", "bf16"])),
        ],
    },
    Job {
        name: "train-m",
        script: "train.py",
        args: "--workload m --batch 2048",
        peers: &TRAINERS,
        ours: &[
            (OURS, || ours::training(&["m", "--batch", "2048"])),
            (OURS_BF16, || ours::training(&["m", "--batch", "2048", "--precision", "bf16"])),
        ],
    },
    Job {
        name: "train-t",
        script: "train.py",
        args: "--workload t --batch 2048",
        peers: &TRAINERS,
        ours: &[
            (OURS, || ours::training(&["t", "--batch", "2048"])),
            (OURS_BF16, || ours::training(&["t", "--batch", "2048", "--precision", "bf16"])),
        ],
    },
    Job {
        name: "infer-k",
        script: "infer.py",
        args: "--workload k --batch 1 1024",
        peers: &SCORERS,
        ours: &[(OURS, ours::inference)],
    },
    Job {
        name: ON_RANKS,
        script: "distributed.py",
        args: "--workload k --batch 2048 --ranks 2",
        peers: &SHARING_TRAINERS,
        ours: &[(OURS, ours::ranks)],
    },
];

/// Flags of the command.
struct Options {
    python: String,
    venv: Option<String>,
    rounds: NonZeroUsize,
    out: Option<String>,
    jobs: Vec<&'static Job>,
    sides: Sides,
}

/// Which sides take part.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sides {
    All,
    /// Those that multiply in f32: where bf16 is slower than that, nobody uses it, and it takes most of the
    /// time.
    F32,
}

impl Sides {
    fn has(self, name: &str) -> bool {
        self == Sides::All || !name.contains("bf16")
    }
}

impl Options {
    fn parse(args: &[&str]) -> Result<Options, String> {
        let rounds = NonZeroUsize::MIN.saturating_add(2);
        let jobs = JOBS.iter().filter(|job| job.name != ON_RANKS).collect();
        let mut options =
            Options { python: "python3".into(), venv: None, rounds, out: None, jobs, sides: Sides::All };
        for flag in args.chunks(2) {
            match *flag {
                ["--python", python] => options.python = python.into(),
                ["--venv", dir] => options.venv = Some(dir.into()),
                ["--out", file] => options.out = Some(file.into()),
                ["--rounds", n] => {
                    options.rounds =
                        n.parse().map_err(|_| format!("--rounds {n}: expected a number from 1 on"))?
                }
                ["--jobs", names] => options.jobs = names.split(',').map(job).collect::<Result<_, _>>()?,
                ["--precision", "f32"] => options.sides = Sides::F32,
                _ => return Err(format!("peers: unexpected {}; expected {USAGE}", flag.join(" "))),
            }
        }
        Ok(options)
    }
}

const USAGE: &str =
    "[--python python3] [--venv DIR] [--rounds 3] [--jobs train-k,train-p,train-w,train-m,train-t,infer-k]
  [--jobs ranks-k] [--precision f32] [--out FILE]";

fn job(name: &str) -> Result<&'static Job, String> {
    let known = || JOBS.map(|j| j.name).join(", ");
    JOBS.iter().find(|j| j.name == name).ok_or_else(|| format!("--jobs {name}: expected some of {}", known()))
}

/// Runs every side in turn, round after round, prints Markdown tables and writes them to a file if asked.
pub(crate) fn run(args: &[&str]) -> Result<(), String> {
    let options = Options::parse(args)?;
    if let Some(out) = &options.out {
        // An hour of measuring should not end at a path that cannot be written.
        fs::write(out, "").map_err(|e| format!("{out}: {e}"))?;
    }
    ours::build()?;
    let environment = Environment::make(SCRIPTS, &options.python, options.venv.as_deref().map(Path::new))?;
    let mut results = Results::default();
    for round in 1..=options.rounds.get() {
        for job in &options.jobs {
            eprintln!("round {round} of {}, {}", options.rounds, job.name);
            turn(job, options.sides, &environment, &mut results);
        }
    }
    let text = format!(
        "{}{results}\n{}; medians of {} rounds, two threads.\n",
        targets::text(&results),
        environment.describe(),
        options.rounds
    );
    print!("{text}");
    options.out.map_or(Ok(()), |out| fs::write(&out, text).map_err(|e| format!("{out}: {e}")))
}

/// One run of each side; a side that fails is left out from then on.
fn turn(job: &Job, sides: Sides, environment: &Environment, results: &mut Results) {
    let mut side = |name: &str, run: &dyn Fn() -> Measured| {
        if !sides.has(name) || results.left_out(job.name, name) {
            return;
        }
        match run() {
            Ok(samples) => samples.into_iter().for_each(|sample| results.add(name, sample)),
            Err(message) => {
                eprintln!("{name}, {}: {message}", job.name);
                results.leave_out(job.name, name, message);
            }
        }
    };
    for (name, ours) in job.ours {
        side(name, ours);
    }
    for (name, args) in job.peers {
        side(name, &|| {
            let args = [words(job.args), words(args)].concat();
            let printed = environment.run(job.script, &args, false)?;
            parse(&printed).ok_or_else(|| format!("{} printed no measurement", job.script))
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags() {
        let options =
            Options::parse(&["--rounds", "5", "--jobs", "infer-k,train-k", "--venv", "v"]).expect("options");
        assert_eq!(
            (options.rounds.get(), options.venv.as_deref(), options.python.as_str()),
            (5, Some("v"), "python3")
        );
        assert_eq!(options.jobs.iter().map(|j| j.name).collect::<Vec<_>>(), ["infer-k", "train-k"]);
        for (args, part) in [
            (&["--rounds", "0"][..], "expected a number"),
            (&["--jobs", "train-x"], "expected some of train-k, train-p, "),
            (&["--out"], "unexpected --out"),
        ] {
            let message = Options::parse(args).err().expect("a mistake");
            assert!(message.contains(part), "{message}");
        }
    }
}
