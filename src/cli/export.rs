//! `dlrm export`: a trained model as a file for other runtimes.
use super::failure::Failure;
use super::files::Target;
use super::output;
use super::scoring_args::ExportArgs;
use super::session::Session;
use dlrm::bench::memory;
use dlrm::data::format::bytes;
use dlrm::engine::{Predictor, model_dir};
use dlrm::onnx::{Export, Options, Placement, Port};
use dlrm::report::terminal::table;
use std::path::{Path, PathBuf};

/// Runs the subcommand.
pub(super) fn run(session: &Session, args: &ExportArgs) -> Result<(), Failure> {
    let check = |path: &Path, read: &[PathBuf]| {
        Target { flag: "--onnx", path, overwrite: args.overwrite }.check(read)
    };
    check(&args.onnx, &[])?;
    let predictor = Predictor::load_within(&args.model, session.isa, memory::free())?;
    let placement = if args.external_data { Placement::Beside } else { Placement::Inside };
    let export = Export::new(&predictor, &args.onnx, Options { bags: args.onnx_ids, placement })?;
    let files = export.files();
    let dir = model_dir::locate(&args.model);
    let read: Vec<PathBuf> = predictor.manifest().files.keys().map(|name| dir.join(name)).collect();
    files.iter().try_for_each(|(path, _)| check(path, &read))?;
    export.save(&mut |aside| session.remove_at_signal(aside))?;
    if session.json {
        return output::print(&format!("{}\n", json(&export)));
    }
    let mut text = String::new();
    for (path, size) in &files {
        text.push_str(&format!("{}: {}\n", path.display(), bytes(*size as u64)));
    }
    text.push_str(&format!("\n{}", ports(&export)));
    output::print(&text)
}

fn ports(export: &Export<'_>) -> String {
    let row = |kind: &str, port: &Port| {
        let element_type = port.element_type.to_string();
        vec![kind.to_owned(), port.name.clone(), element_type, port.shape_text(), port.about.clone()]
    };
    let inputs = export.inputs().iter().map(|port| row("input", port));
    let outputs = export.outputs().iter().map(|port| row("output", port));
    table(&["", "name", "type", "shape", "what"], &inputs.chain(outputs).collect::<Vec<_>>())
}

fn json(export: &Export<'_>) -> serde_json::Value {
    let file = |(path, bytes): &(PathBuf, usize)| serde_json::json!({"path": path, "bytes": bytes});
    serde_json::json!({
        "files": export.files().iter().map(file).collect::<Vec<_>>(),
        "inputs": export.inputs(),
        "outputs": export.outputs(),
    })
}
