//! Trains a model on a CSV file, measures it and saves it:
//! `cargo run --release --example train clicks.csv click runs/example`.
use dlrm::engine::observer::Unobserved;
use dlrm::engine::request::{InputRequest, LabelRequest};
use dlrm::engine::{Resources, RunRequest, Start};
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [file, label, out] = &args[..] else {
        return Err("give a file, its label column and a directory".into());
    };
    // What a person would say; all else is decided by `resolve`, and the model directory holds it complete.
    let request = RunRequest {
        input: InputRequest { paths: vec![file.into()], ..InputRequest::default() },
        label: LabelRequest { column: Some(label.clone()), ..LabelRequest::default() },
        model: Some("dlrm".into()),
        epochs: Some(3),
        out: Some(out.into()),
        start: Start::Overwrite,
        resources: Resources { threads: 2, ..Resources::default() },
        ..RunRequest::default()
    };
    let (run, notes) = request.resolve()?;
    notes.iter().for_each(|note| println!("note: {note}"));
    let mut outcome = run.execute(&mut Unobserved)?;
    for (part, metrics) in &outcome.metrics {
        println!("{part}: {} rows, log loss {:.4}", metrics.rows, metrics.log_loss.unwrap_or(f64::NAN));
    }
    outcome.finish()?;
    println!("saved in {out}/model");
    Ok(())
}
