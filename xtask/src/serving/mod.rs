//! `dlrm serve` beside MLServer and FastAPI with ONNX Runtime: the same model, the same cores, by turns; and
//! what our server is to reach by itself.
mod cases;
mod http;
mod load;
mod model;
mod options;
mod own;
mod program;
mod sides;
mod table;
mod turns;

use crate::environment::{Environment, Scripts, machine};
use crate::run::binary;
use cases::CASES;
use load::Tools;
use model::Made;
use options::Options;
use sides::{Side, Who};
use std::fs;
use turns::Outcome;

const TOOLS: Scripts = Scripts { dir: "benches/serving/tools", size: "0.3 GB" };
const FASTAPI: Scripts = Scripts { dir: "benches/serving/fastapi", size: "0.3 GB" };
const MLSERVER: Scripts = Scripts { dir: "benches/serving/mlserver", size: "0.5 GB" };

/// The programs of Python, each in an environment of its own: they want other versions of the same packages.
struct Environments {
    tools: Environment,
    fastapi: Environment,
    mlserver: Environment,
}

impl Environments {
    fn make(options: &Options) -> Result<Environments, String> {
        let make = |scripts: Scripts, name: &str| {
            let dir = options.venv.as_ref().map(|dir| dir.join(name));
            Environment::make(scripts, &options.python, dir.as_deref())
        };
        Ok(Environments {
            tools: make(TOOLS, "tools")?,
            fastapi: make(FASTAPI, "fastapi")?,
            mlserver: make(MLSERVER, "mlserver")?,
        })
    }

    fn describe(&self) -> String {
        let of =
            |name: &str, environment: &Environment| format!("{name}: {}", environment.versions().join(", "));
        [of("FastAPI", &self.fastapi), of("MLServer", &self.mlserver), of("asked by wrk and", &self.tools)]
            .join("; ")
    }
}

/// Starts every server, asks them by turns, prints Markdown tables, and writes them where it was asked to.
pub(crate) fn run(args: &[&str]) -> Result<(), String> {
    let options = Options::parse(args)?;
    if let Some(unknown) = options.only.iter().find(|name| CASES.iter().all(|case| case.name != **name)) {
        return Err(format!("--only {unknown}: expected some of {}", CASES.map(|case| case.name).join(", ")));
    }
    let dlrm = match &options.bin {
        Some(bin) => bin.clone(),
        None => binary()?,
    };
    let environments = Environments::make(&options)?;
    let made = Made::make(&options, &dlrm, &environments.tools)?;
    let outcomes = beside(&made, &environments, &options)?;
    let targets = if options.own { own(&made, &outcomes, &options) } else { Vec::new() };
    eprint!("{}", table::all(&outcomes));
    let text = format!(
        "{}\n{}\n{}\n",
        table::targets(&targets, &outcomes),
        table::beside(&outcomes),
        described(&made, &environments, &options)
    );
    print!("{text}");
    if let Some(out) = &options.out {
        fs::write(out, &text).map_err(|e| format!("{}: {e}", out.display()))?;
    }
    options.into.as_ref().map_or(Ok(()), |page| table::put(page, &text))
}

/// All servers, asked by turns. One that does not run is left out, and said to be.
fn beside(made: &Made, environments: &Environments, options: &Options) -> Result<Vec<Outcome>, String> {
    let tools = Tools::find(&environments.tools);
    let mut sides = vec![sides::dlrm(made, &made.path("a"))?];
    let peers: [(Who, Result<Vec<Side>, String>); 2] = [
        (Who::FastApi, sides::fastapi(made, &environments.fastapi)),
        (Who::MlServer, sides::mlserver(made, &environments.mlserver)),
    ];
    for (who, peer) in peers {
        match peer.and_then(|peer| agree(&sides[0], &peer, made, environments).map(|()| peer)) {
            Ok(peer) => sides.extend(peer),
            Err(why) => eprintln!("{} is left out: {why}", who.name()),
        }
    }
    let asked = CASES
        .iter()
        .filter(|case| options.only.is_empty() || options.only.iter().any(|name| name == case.name));
    Ok(asked.map(|case| turns::take(case, &sides, &tools, made, options)).collect())
}

/// Checks that a peer in all its settings gives the scores that ours gives: it is asked about the same model.
fn agree(ours: &Side, peer: &[Side], made: &Made, environments: &Environments) -> Result<(), String> {
    for side in peer {
        let url = |side: &Side| format!("http://{}", side.http);
        let requests = made.path("requests").display().to_string();
        let flags =
            [format!("--{}", ours.who.file()), url(ours), format!("--{}", side.who.file()), url(side)];
        let args = [vec!["agree".into(), requests], flags.to_vec()].concat();
        environments.tools.run("requests.py", &args, false)?;
    }
    Ok(())
}

/// What ours is to reach alone. The rates are set by what it has answered beside the others.
fn own(made: &Made, outcomes: &[Outcome], options: &Options) -> Vec<own::Target> {
    let ours = |name: &str| {
        let outcome = outcomes.iter().find(|outcome| outcome.case.name == name)?;
        outcome.asked.iter().find(|asked| asked.who == Who::Dlrm)
    };
    let one = ours("one").and_then(|asked| asked.with(1)).map(|windows| windows.median(|s| s.p50_ms));
    let peak = ours("rank").and_then(|asked| asked.best(f64::INFINITY)).map(|w| w.median(|s| s.rate));
    let mut targets = vec![own::one_row(made, one)];
    targets.extend(own::at_rates(made, peak, options));
    targets
}

fn described(made: &Made, environments: &Environments, options: &Options) -> String {
    let share = "wrk and perf_analyzer run on the same cores";
    format!(
        "{}; {share}. {}; {}. Medians of {} windows of {} s.",
        machine(),
        made.describe(),
        environments.describe(),
        options.rounds,
        options.seconds
    )
}
