//! A model of one's own, trained beside the family: declared and recorded here, with nothing changed in dlrm.
//! `cargo run --release --example own_model`
use dlrm::data::schema::{Pooling, Task};
use dlrm::data::split::{Part, Split};
use dlrm::data::{dataset::Sources, rows::OpenRows};
use dlrm::engine::checkpoint_store::InMemory;
use dlrm::engine::feed::MemoryFeed;
use dlrm::engine::observer::Unobserved;
use dlrm::engine::train_config::TrainConfig;
use dlrm::engine::train_state::TrainState;
use dlrm::engine::trainer::Trainer;
use dlrm::engine::{Learner, Network, StepPlan};
use dlrm::metrics::{Metrics, Ranking, Scored};
use dlrm::models::Model;
use dlrm::nn::init::Init;
use dlrm::nn::{Activation, Bias, Builder, GroupId, Isa, Linear, Slot, Tape, Var};
use dlrm::synth::{ClickConfig, ClickRows, ClickSimulator};
use std::error::Error;
use std::sync::Arc;

/// Dense inputs, embeddings and their pairwise products in linear time, weighed: σ(w · [x, v, FM(v)] + b).
struct Mine {
    tables: GroupId,
    fields: usize,
    output: Linear,
}

impl Mine {
    fn build(b: &mut Builder<'_>) -> dlrm::nn::Result<Self> {
        let (dim, dense, fields) = (8, b.layout().dense.len(), b.layout().features.len());
        let slot = |feature| Slot { feature, dim, pooling: Pooling::Mean, compression: None };
        let slots: Vec<Slot> = (0..fields).map(slot).collect();
        let tables = b.embed("tables", &slots, Some(Init::Normal(0.05)))?;
        let output = b.linear("output", dense + fields * dim + dim, 1, Activation::Identity, Bias::Zero)?;
        Ok(Mine { tables, fields, output })
    }
}

impl Model for Mine {
    fn forward(&self, t: &mut Tape<'_>) -> Var {
        let x = t.dense(); // [S, n]
        let v = t.embed(self.tables); // [S, F·D]
        let pairs = t.fm_interaction(v, self.fields); // [S, D]
        let all = t.concat(&[x, v, pairs]); // [S, n + F·D + D]
        self.output.forward(t, all) // [S, 1]
    }
}

/// Simulated rows; anything that can be read again and again will do.
struct Simulated(ClickSimulator);

impl OpenRows for Simulated {
    fn open_rows(&self) -> dlrm::data::Result<Box<dyn dlrm::data::RowSource>> {
        let rows: ClickRows = self.0.rows(0..self.0.config().rows);
        Ok(Box::new(rows))
    }

    fn name(&self) -> String {
        "simulated clicks".into()
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let rows = Simulated(ClickSimulator::new(ClickConfig { rows: 40_000, ..ClickConfig::default() }));
    let split = Split::Random { validation: 0.1, test: 0.2, seed: 0 };
    let sources = Sources::of(&rows, &split, 2);
    let fitted = sources.fit(&ClickSimulator::schema())?;
    let (layout, data) = (fitted.encoder.layout(), sources.encode(&fitted, |_| true)?);
    let parts = data.parts.map(Arc::new);

    let mut config = TrainConfig { epochs: Some(4), ..TrainConfig::default() };
    config.resolve(Task::Binary);
    let network = Network::of_model(&layout, config.seed, Isa::detect(), Mine::build)?;
    let optimizer = config.optimizer_of(network.weights());
    let loss = config.loss.unwrap_or_default();
    let mut learner = Learner::new(network, optimizer, loss, config.sharding(), 2)?;
    let plan = StepPlan::new(&config, parts[Part::Train].len() as u64);
    let mut feed = MemoryFeed::new(parts[Part::Train].clone(), layout, plan.batch_size, config.seed);
    let (validation, kept) = (Some(&*parts[Part::Validation]), InMemory::default());
    let trainer = Trainer {
        config: &config,
        plan,
        linear_rate: None,
        task: Task::Binary,
        validation,
        checkpoints: &kept,
    };
    trainer.run(&mut learner, &mut feed, TrainState::default(), &mut Unobserved)?;

    let test = &parts[Part::Test];
    let logits = learner.logits(test)?;
    let scored = Scored::of_batch(Task::Binary, &logits, test)?;
    let metrics = Metrics::of(&scored, &Ranking::new(&scored));
    println!("{} test rows, AUC {:.4}", metrics.rows, metrics.auc.unwrap_or(f64::NAN));
    Ok(())
}
