//! `dlrm models`.
use super::failure::Failure;
use super::output;
use super::session::Session;
use dlrm::models::ModelConfig;
use dlrm::report::terminal::table;

/// Runs the subcommand.
pub(super) fn run(session: &Session) -> Result<(), Failure> {
    if session.json {
        return output::print(&format!("{}\n", serde_json::json!(ModelConfig::ABOUT)));
    }
    let rows: Vec<Vec<String>> = ModelConfig::ABOUT
        .iter()
        .map(|a| [a.kind, a.title, a.idea, a.order, a.unit, a.paper].map(str::to_owned).to_vec())
        .collect();
    output::print(&format!(
        "{}\nTrain one with --model KIND, or several side by side with `dlrm compare`.\n",
        table(&["kind", "model", "what it computes", "order", "unit", "paper"], &rows)
    ))
}
