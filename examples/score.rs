//! Scores rows of a saved model: `cargo run --release --example score runs/example`.
//!
//! Rows come as CSV without a header on standard input; the first line of output names their fields.
use dlrm::engine::{Parallel, Predictor, Workspace};
use dlrm::nn::Isa;
use std::error::Error;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let directory = std::env::args().nth(1).ok_or("give a run or model directory")?;
    let predictor = Predictor::load(Path::new(&directory), Isa::detect())?;
    let schema = predictor.encoder().schema();
    let names = schema.dense.iter().map(|c| &c.name).chain(schema.categorical.iter().map(|c| &c.name));
    let columns: Vec<String> = names.cloned().collect();
    println!("# {}", columns.join(","));
    let mut scorer = predictor.row_scorer(&columns)?;
    for line in std::io::stdin().lines() {
        // A malformed row is refused by itself; the others are scored all the same.
        if let Err(bad) = scorer.push(line?.split(',')) {
            eprintln!("{bad}");
        }
    }
    let mut logits = Vec::new();
    scorer.score(&mut Workspace::new(), Parallel::Single, &mut logits);
    logits.iter().for_each(|&logit| println!("{}", predictor.prediction(logit)));
    Ok(())
}
