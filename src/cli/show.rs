//! `dlrm show`.
use super::failure::Failure;
use super::files::Target;
use super::output;
use super::scoring_args::ShowArgs;
use super::session::Session;
use dlrm::bench::memory;
use dlrm::data::Batch;
use dlrm::data::format;
use dlrm::data::format::bytes;
use dlrm::engine::{Predictor, model_dir};
use dlrm::metrics::Metric;
use dlrm::nn::Graph;
use dlrm::report::graph_svg;
use dlrm::report::summary::encoding_text;
use dlrm::report::terminal::{calibration_text, table};

/// Runs the subcommand.
pub(super) fn run(session: &Session, args: &ShowArgs) -> Result<(), Failure> {
    let predictor = Predictor::load_within(&args.model, session.isa, memory::free())?;
    let graph = predictor.network().graph(&Batch::placeholder(&predictor.encoder().layout()));
    if let Some(path) = &args.graph {
        let target = Target { flag: "--graph", path, overwrite: args.overwrite };
        target.write(session, graph_svg(&graph).as_bytes())?;
    }
    if session.json {
        return output::print(&format!("{}\n", json(&predictor)));
    }
    let (manifest, config) = (predictor.manifest(), predictor.config());
    let (dense, tables) = predictor.network().weights().count();
    let size: u64 = manifest.files.values().map(|f| f.bytes).sum();
    let dir = model_dir::locate(&args.model);
    let mut text = format!(
        "{} in {}: checksums and golden rows agree\nwritten by dlrm {}, format {}, {} on disk\nid {}\n{} \
            parameters in tables, {} outside\n",
        config.model.kind(),
        dir.display(),
        manifest.dlrm_version,
        manifest.format_version,
        bytes(size),
        manifest.id(),
        format::count(tables as u64),
        format::count(dense as u64),
    );
    if let Some(from) = &config.train.from {
        let id = from.id.as_ref().map_or_else(String::new, |id| format!(" (id {id})"));
        text.push_str(&format!("training went on from {}{id}\n", from.model.display()));
    }
    for (part, metrics) in predictor.metrics() {
        let values: Vec<String> = Metric::ALL
            .into_iter()
            .filter_map(|m| Some(format!("{} {:.5}", m.title(), m.of(metrics)?)))
            .collect();
        text.push_str(&format!("{part}: {} rows, {}\n", format::count(metrics.rows), values.join(", ")));
    }
    text.extend(predictor.calibration().map(calibration_text));
    let golden = predictor.golden().rows.len();
    text.push_str(&format!("golden rows: {}\n", config.golden.rows.described(golden)));
    text.push_str(&format!(
        "\n{}\n{}\n{}\nconfiguration ({})\n{}",
        inputs(&predictor),
        operations(&graph),
        tensors(&predictor),
        dir.join("config.toml").display(),
        model_toml(&predictor)
    ));
    output::print(&text)
}

fn inputs(predictor: &Predictor) -> String {
    let (schema, layout) = (predictor.encoder().schema(), predictor.encoder().layout());
    let dense = schema.dense.iter().map(|c| {
        let kind = if c.age.is_some() { "age" } else { "dense" };
        vec![c.name.clone(), kind.into(), format!("{:?}", c.transform).to_lowercase(), String::new()]
    });
    let categorical = schema.categorical.iter().zip(&layout.features).map(|(column, feature)| {
        let kind = if column.multi.is_some() { "multi-valued" } else { "categorical" };
        vec![
            column.name.clone(),
            kind.into(),
            encoding_text(column),
            format::count(layout.tables[feature.table].rows as u64),
        ]
    });
    let crosses = schema.crosses.iter().map(|cross| {
        let encoding = format!("hash into {} buckets", format::count(u64::from(cross.buckets)));
        vec![cross.name(), "cross".into(), encoding, format::count(u64::from(cross.buckets) + 1)]
    });
    table(
        &["input", "kind", "encoding", "rows"],
        &dense.chain(categorical).chain(crosses).collect::<Vec<_>>(),
    )
}

/// The operations of a forward pass and what they cost per row.
fn operations(graph: &Graph) -> String {
    let adds = |x: f64| if x > 0.0 { format::count(x as u64) } else { String::new() };
    let mut rows: Vec<Vec<String>> = graph
        .nodes
        .iter()
        .map(|node| {
            vec![
                node.operation.to_owned(),
                node.parameter().unwrap_or_default(),
                format::count(node.width as u64),
                adds(node.cost.forward),
                adds(node.cost.training),
            ]
        })
        .collect();
    let cost = graph.cost();
    rows.push(vec!["total".into(), String::new(), String::new(), adds(cost.forward), adds(cost.training)]);
    table(&["operation", "parameter", "columns", "multiply-adds per row", "in training"], &rows)
}

fn tensors(predictor: &Predictor) -> String {
    let rows: Vec<Vec<String>> = predictor
        .network()
        .weights()
        .tensors()
        .into_iter()
        .map(|(name, shape, values)| vec![name, format!("{shape:?}"), format::count(values.len() as u64)])
        .collect();
    table(&["parameter", "shape", "values"], &rows)
}

/// The model and training sections of the configuration.
fn model_toml(predictor: &Predictor) -> String {
    let text = predictor.config().to_toml();
    let start = text.find("[model]").unwrap_or(0);
    text[start..].to_owned()
}

fn json(predictor: &Predictor) -> serde_json::Value {
    let tensors: Vec<_> = predictor
        .network()
        .weights()
        .tensors()
        .into_iter()
        .map(|(name, shape, _)| serde_json::json!({"name": name, "shape": shape}))
        .collect();
    serde_json::json!({
        "id": predictor.manifest().id(),
        "manifest": predictor.manifest(),
        "metrics": predictor.metrics(),
        "calibration": predictor.calibration(),
        "golden_rows": {"number": predictor.golden().rows.len(), "of": predictor.config().golden.rows},
        "config": predictor.config(),
        "layout": predictor.encoder().layout(),
        "tensors": tensors,
    })
}
