//! `dlrm generate trace`.
use crate::cli::failure::Failure;
use crate::cli::files::Target;
use crate::cli::{Session, output};
use clap::Subcommand;
use dlrm::data::format;
use dlrm::data::rng::Rng;
use dlrm::report::terminal::table;
use dlrm::synth::trace::{self, Padding, Profile};
use std::path::{Path, PathBuf};

/// What to do with a trace of ids.
#[derive(Debug, Subcommand)]
pub(crate) enum TraceCommand {
    /// Profile a trace: unique ids, stack distances, their cumulative probabilities
    Profile {
        /// Text file of ids, separated by blanks, commas or line ends
        trace: PathBuf,
        /// Where to write the profile, in the three-line format of the reference implementation
        #[arg(long, short, value_name = "FILE")]
        output: PathBuf,
        /// Pad with new ids, for traces of few ids (--data-trace-enable-padding of the reference)
        #[arg(long)]
        padding: bool,
        /// Replace the file that -o names
        #[arg(long)]
        overwrite: bool,
    },
    /// Draw a trace from a profile
    Synthesize {
        /// Profile, as `profile` or the reference implementation writes it
        profile: PathBuf,
        /// Number of accesses
        #[arg(long, short = 'n', default_value_t = 100_000)]
        #[arg(value_parser = clap::value_parser!(u64).range(1..10_000_000_000))]
        accesses: u64,
        /// Unique ids at most (default: all of the profile)
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
        unique: Option<u64>,
        /// Seed
        #[arg(long, default_value_t = 0)]
        seed: u64,
        /// Draw no new ids once all have occurred (--data-trace-enable-padding of the reference)
        #[arg(long)]
        padding: bool,
        /// Where to write the ids, one per line
        #[arg(long, short, value_name = "FILE")]
        output: PathBuf,
        /// Replace the file that -o names
        #[arg(long)]
        overwrite: bool,
    },
    /// Compare the hit rates of traces under a least-recently-used cache, by its size
    Compare {
        /// Text files of ids
        #[arg(required = true, value_name = "TRACE")]
        traces: Vec<PathBuf>,
        /// Sizes of the cache, in ids
        #[arg(long, value_name = "N,…", value_delimiter = ',', default_value = "1,10,100,1000,10000")]
        sizes: Vec<usize>,
    },
}

/// Runs the subcommand.
pub(super) fn run(session: &Session, command: &TraceCommand) -> Result<(), Failure> {
    match command {
        TraceCommand::Profile { trace, output, padding, overwrite } => {
            let target = Target { flag: "-o", path: output, overwrite: *overwrite };
            target.check(std::slice::from_ref(trace))?;
            let profile = Profile::of(&read(trace)?, padding_of(*padding));
            target.write(session, profile.to_text().as_bytes())?;
            let (unique, distances) = (profile.unique.len() as u64, profile.distances.len() as u64);
            output::print(&format!(
                "{} unique ids, {} stack distances\n",
                format::count(unique),
                format::count(distances)
            ))
        }
        TraceCommand::Synthesize { profile, accesses, unique, seed, padding, output, overwrite } => {
            let target = Target { flag: "-o", path: output, overwrite: *overwrite };
            target.check(std::slice::from_ref(profile))?;
            let text = dlrm::data::text::read(profile)?;
            let mut profile = Profile::parse(&text, &profile.display().to_string())?;
            if let Some(most) = unique {
                profile = profile.bounded(usize::try_from(*most).unwrap_or(usize::MAX));
            }
            let ids = trace::synthesize(
                &profile,
                *accesses as usize,
                padding_of(*padding),
                &mut Rng::new(*seed, 0),
            );
            let text: String = ids.iter().map(|id| format!("{id}\n")).collect();
            target.write(session, text.as_bytes())?;
            output::print(&format!("{} accesses\n", format::count(*accesses)))
        }
        TraceCommand::Compare { traces, sizes } => compare(session, traces, sizes),
    }
}

fn padding_of(padding: bool) -> Padding {
    if padding { Padding::NewIds } else { Padding::None }
}

fn read(path: &Path) -> Result<Vec<u64>, Failure> {
    let text = dlrm::data::text::read(path)?;
    Ok(trace::parse_trace(&text, &path.display().to_string())?)
}

fn compare(session: &Session, traces: &[PathBuf], sizes: &[usize]) -> Result<(), Failure> {
    let mut rates = Vec::new();
    for path in traces {
        rates.push(trace::hit_rates(&read(path)?, sizes));
    }
    let names: Vec<String> = traces.iter().map(|path| path.display().to_string()).collect();
    if session.json {
        let of = |(name, rates): (&String, &Vec<f64>)| serde_json::json!({"trace": name, "hit_rates": rates});
        let traces: Vec<_> = names.iter().zip(&rates).map(of).collect();
        let value = serde_json::json!({"sizes": sizes, "traces": traces});
        return output::print(&format!("{value}\n"));
    }
    let header: Vec<&str> =
        std::iter::once("ids in the cache").chain(names.iter().map(String::as_str)).collect();
    let row = |(i, size): (usize, &usize)| {
        let hits = rates.iter().map(|rates| format!("{:.2} %", 100.0 * rates[i]));
        std::iter::once(format::count(*size as u64)).chain(hits).collect::<Vec<_>>()
    };
    output::print(&table(&header, &sizes.iter().enumerate().map(row).collect::<Vec<_>>()))
}
