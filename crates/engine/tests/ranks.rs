//! Several ranks train to the bytes of one, whatever the model, its optimisers and the sizes of batches.
use dlrm_cluster::{Communicator, Threads, Ticket};
use dlrm_data::batch::{Batch, Feature, Layout, TableLayout};
use dlrm_data::rng::Rng;
use dlrm_data::schema::{Pooling, Task};
use dlrm_engine::Learner;
use dlrm_engine::StepPlan;
use dlrm_engine::checkpoint_store::InMemory;
use dlrm_engine::feed::MemoryFeed;
use dlrm_engine::network::{Network, Values};
use dlrm_engine::observer::Unobserved;
use dlrm_engine::ranks::Ranks;
use dlrm_engine::traffic::{StepShape, Traffic, Uses};
use dlrm_engine::train_config::TrainConfig;
use dlrm_engine::train_state::TrainState;
use dlrm_engine::trainer::Trainer;
use dlrm_models::ModelConfig;
use dlrm_nn::{Builder, HeldRows, Holder, Isa, Loss, Placement, SlotSpec, StateOf, Table};
use serde_json::json;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Rows of the tables. The last has learned pooling weights, so it must not be compressed.
const TABLE_ROWS: [usize; 3] = [40, 40, 20];

/// Two dense inputs; bags of one id and of several, with weights of their own, with learned ones, by mean,
/// and two that share a table.
fn layout() -> Layout {
    let kinds = [(false, None), (true, None), (false, Some(Pooling::Mean)), (false, Some(Pooling::Learned))];
    let feature = |(i, (weighted, pooling)): (usize, (bool, Option<Pooling>))| Feature {
        weighted,
        pooling,
        ..Feature::new(format!("f{i}"), i.min(2))
    };
    Layout {
        dense: vec!["a".into(), "b".into()],
        features: kinds.into_iter().enumerate().map(feature).collect(),
        tables: (0..3).map(|i| TableLayout { name: format!("t{i}"), rows: TABLE_ROWS[i] }).collect(),
        sample_weights: true,
        ..Layout::default()
    }
}

fn rows(seed: u64, number: usize) -> Batch {
    let mut rng = Rng::new(seed, 0);
    let mut batch = Batch::new(&layout());
    for _ in 0..number {
        batch.dense.extend([rng.normal() as f32, rng.normal() as f32]);
        for (f, bags) in batch.bags.iter_mut().enumerate() {
            for _ in 0..if f == 0 { 1 } else { rng.below(4) } {
                bags.ids.push((rng.uniform().powi(2) * TABLE_ROWS[f.min(2)] as f64) as u32);
                if let Some(weights) = &mut bags.weights {
                    weights.push(rng.uniform() as f32);
                }
            }
            bags.offsets.push(bags.ids.len() as u32);
        }
        batch.labels.push(f32::from(rng.uniform() < 0.4));
        if let Some(weights) = &mut batch.weights {
            weights.push(0.5 + rng.uniform() as f32);
        }
    }
    batch
}

/// Models, and what they are trained with besides [`base`].
fn cases() -> Vec<(ModelConfig, TrainConfig)> {
    let dlrm = json!({"kind": "dlrm", "embedding_dim": 6, "bottom": [7], "top": [9, 5]});
    let with = |mut value: serde_json::Value, more: serde_json::Value| {
        let more = more.as_object().expect("settings").clone();
        value.as_object_mut().expect("settings").extend(more);
        value
    };
    let normed = with(dlrm.clone(), json!({"norm": "batch", "dropout": 0.2}));
    let pairs = json!({"operation": "mult", "collisions": 3, "threshold": 30});
    let concat = with(pairs.clone(), json!({"operation": "concat"}));
    let wide = json!({"kind": "wide_deep", "embedding_dim": 4, "hidden": [8]});
    let adam = json!({"kind": "adam", "lr": 0.02, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "l2": 1e-4});
    let ftrl = json!({"kind": "ftrl", "lr": 0.1, "beta": 1.0, "l1": 0.001, "l2": 0.001});
    let momentum = json!({"kind": "sgd", "lr": 0.02, "momentum": 0.9, "l2": 1e-4});
    let adagrad = json!({"kind": "adagrad", "lr": 0.05, "eps": 1e-8, "l2": 1e-5});
    let rowwise = json!({"kind": "rowwise_adagrad", "lr": 0.05, "eps": 1e-8, "l2": 0.0});
    let lazy = json!({"kind": "adam_lazy", "lr": 0.02, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8});
    let dense_adam = adam.clone();
    let adamw = json!({"kind": "adamw", "lr": 0.02, "weight_decay": 0.01});
    let cases = [
        (dlrm.clone(), json!({})),
        (dlrm.clone(), json!({"clip_norm": 0.05, "table_optimizer": adam, "l2_rows": "all"})),
        (dlrm.clone(), json!({"precision": "bf16", "table_precision": "bf16"})),
        (normed, json!({"lanes": 6, "shard_rows": 3})),
        (
            with(dlrm.clone(), json!({"quotient_remainder": pairs, "pooling": "mean"})),
            json!({"clip_norm": 0.1}),
        ),
        (with(dlrm.clone(), json!({"quotient_remainder": concat})), json!({})),
        (wide, json!({"linear_optimizer": ftrl})),
        (with(dlrm.clone(), json!({"pooling": "learned"})), json!({"optimizer": momentum})),
        (dlrm.clone(), json!({"optimizer": adagrad, "table_optimizer": adagrad})),
        (dlrm.clone(), json!({"optimizer": dense_adam, "table_optimizer": rowwise})),
        (dlrm, json!({"optimizer": adamw, "table_optimizer": lazy, "table_precision": "f16"})),
    ];
    let read = |(model, train): (serde_json::Value, serde_json::Value)| {
        let train = serde_json::from_value(with(base(), train)).expect("settings of training");
        (serde_json::from_value(model).expect("a model"), train)
    };
    cases.map(read).into()
}

fn base() -> serde_json::Value {
    json!({"epochs": 3, "batch_size": 32, "shard_rows": 5, "lanes": 8, "patience": 2, "evaluate_every": 3})
}

fn learner(case: &(ModelConfig, TrainConfig), threads: usize) -> Learner {
    placed(case, threads, Placement::default())
}

fn placed((model, config): &(ModelConfig, TrainConfig), threads: usize, placement: Placement) -> Learner {
    let of = (config.table_precision, config.seed, Isa::detect());
    let network = Network::placed(Values::Drawn, (model, &layout()), of, placement).unwrap();
    let network = network.with_precision(config.precision);
    let optimizer = config.optimizer_of(network.weights());
    Learner::new(network, optimizer, Loss::default(), config.sharding(), threads).unwrap()
}

/// How tables lie: whole, from rank to rank, or row by row where that can be.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Lie {
    Whole,
    Mixed,
    Apart,
}

/// Who holds the tables of a case.
fn holders(case: &(ModelConfig, TrainConfig), ranks: usize, lie: Lie) -> Vec<Holder> {
    let whole = learner(case, 1);
    let weights = whole.network().weights();
    let tables = weights.tables().len();
    // Tables of one feature stay together.
    let mut pairs: Vec<usize> = (0..tables).collect();
    for slot in weights.slots().all() {
        let first = slot.tables().map(|own| own.table).min().unwrap();
        slot.tables().for_each(|own| pairs[own.table] = pairs[own.table].min(first));
    }
    let is_pair = |table: usize| pairs.iter().filter(|&&first| first == pairs[table]).count() > 1;
    let holder = |table: usize| match lie {
        Lie::Apart if !is_pair(table) => Holder::ByRow,
        Lie::Mixed if !is_pair(table) && table % 2 == 1 => Holder::ByRow,
        _ => Holder::Rank((pairs[table] + 1) % ranks),
    };
    (0..tables).map(holder).collect()
}

fn of_ranks<T: Send>(
    (size, lie): (usize, Lie),
    case: &(ModelConfig, TrainConfig),
    work: impl Fn(Learner) -> T + Sync,
) -> Vec<T> {
    let holders = holders(case, size, lie);
    Threads::run(size, |rank| {
        let threads = 1 + rank.rank() % 2;
        let placement = Placement { rank: rank.rank(), ranks: size, holders: holders.clone() };
        work(placed(case, threads, placement).with_ranks(Ranks::new(Box::new(rank))).unwrap())
    })
}

/// A tensor of which some rows are here: its name, its rows and the bits of each, none where another rank
/// keeps them up to date.
type Held = (String, HeldRows, usize, Vec<Option<u32>>);

/// Weights and the optimiser's state, as far as they are here.
fn held(learner: &Learner) -> Vec<Held> {
    let (weights, optimizer) = (learner.network().weights(), learner.optimizer());
    let (placement, (trained, _)) = (weights.placement(), weights.dense_len());
    let own = if optimizer.clips() { 0..trained } else { placement.dense_of(placement.rank, trained) };
    let mut all = Vec::new();
    let of_table = |name: &str| {
        let tables = weights.tables().iter();
        let is = |t: &&Table| t.name == name || (t.row_weights.is_some() && t.row_weights_name == name);
        tables.clone().find(is).map_or((1, HeldRows::ALL), |table| (table.rows, table.held))
    };
    for (name, _, values) in weights.tensors() {
        let (rows, held) = of_table(&name);
        all.push((name, held, rows, values.iter().map(|v| Some(v.to_bits())).collect()));
    }
    let arrays = optimizer.tensors(weights).into_iter().zip(optimizer.shapes(weights));
    for ((name, values), (_, _, of)) in arrays {
        let bits = values.iter().map(|v| Some(v.to_bits()));
        let (rows, held, bits) = match of {
            StateOf::All => (1, HeldRows::ALL, bits.collect()),
            StateOf::Dense(first) => {
                let mine = (first..).zip(bits).map(|(at, bits)| bits.filter(|_| own.contains(&at)));
                (values.len(), HeldRows::ALL, mine.collect())
            }
            StateOf::Table(table) => {
                let table = &weights.tables()[table];
                (table.rows, table.held, bits.collect())
            }
        };
        all.push((name, held, rows, bits));
    }
    all
}

/// What several hold between them, whole. All must agree on what each holds.
fn whole(ranks: &[&[Held]]) -> Vec<Option<u32>> {
    let mut all = Vec::new();
    for (number, (name, _, rows, _)) in ranks[0].iter().enumerate() {
        let mut by_row: Vec<Option<Vec<Option<u32>>>> = vec![None; *rows];
        for rank in ranks {
            let (_, held, _, bits) = &rank[number];
            let count = held.count(*rows);
            for (place, row) in bits.chunks(bits.len().checked_div(count).unwrap_or(1).max(1)).enumerate() {
                if row.contains(&None) {
                    continue;
                }
                let into = &mut by_row[held.row(place)];
                assert!(into.as_deref().is_none_or(|known| known == row), "{name}: ranks differ");
                *into = Some(row.to_vec());
            }
        }
        all.extend(by_row.into_iter().flat_map(|row| row.unwrap_or_else(|| panic!("nobody holds {name}"))));
    }
    all
}

/// Losses and bits after each of some steps on batches of these sizes.
fn steps(mut learner: Learner, sizes: &[usize]) -> Vec<(u64, u64, Vec<Held>)> {
    let step = |(number, &size): (usize, &usize)| {
        let batch = rows(number as u64, size);
        let rates = learner.optimizer().base_rates();
        let loss = learner.step(&batch, rates).unwrap();
        (loss.to_bits(), learner.correct().to_bits(), held(&learner))
    };
    sizes.iter().enumerate().map(step).collect()
}

/// Batches of many shards a lane, of fewer shards than lanes, of one row, and of shards that are not full.
const SIZES: [usize; 9] = [64, 63, 1, 2, 7, 100, 130, 260, 64];

#[test]
fn steps_of_ranks_are_those_of_one() {
    for case in cases() {
        let one = steps(learner(&case, 2), &SIZES);
        assert!(one.windows(2).all(|pair| pair[0].2 != pair[1].2), "each step moves something");
        let ways = [1, 2, 3, 4, 8]
            .into_iter()
            .flat_map(|size| [Lie::Whole, Lie::Mixed, Lie::Apart].map(|l| (size, l)));
        let ways = ways.filter(|(size, _)| *size <= case.1.sharding().lanes);
        for way in ways {
            let found = of_ranks(way, &case, |learner| steps(learner, &SIZES));
            for (step, (loss, correct, expected)) in one.iter().enumerate() {
                for (rank, found) in found.iter().enumerate() {
                    let (own_loss, own_correct, _) = &found[step];
                    let own = (own_loss, own_correct);
                    assert_eq!(own, (loss, correct), "{case:?}: rank {rank}, {way:?} after step {step}");
                }
                let ranks: Vec<&[Held]> = found.iter().map(|found| &found[step].2[..]).collect();
                assert!(whole(&ranks) == whole(&[expected]), "{case:?}: {way:?} after step {step}");
            }
        }
    }
}

/// Epochs, evaluations, early stopping and the best weights: every rank decides the same by itself.
#[test]
fn runs_of_ranks_are_those_of_one() {
    for case in cases() {
        let (training, validation) = (Arc::new(rows(1, 230)), rows(2, 90));
        let run = |mut learner: Learner| -> (TrainState, Vec<Held>) {
            let plan = StepPlan::new(&case.1, training.len() as u64);
            let trainer = Trainer {
                config: &case.1,
                plan,
                linear_rate: None,
                task: Task::Binary,
                validation: Some(&validation),
                checkpoints: &InMemory::default(),
            };
            // Each rank has the columns that it needs.
            let local = learner.network().weights().local();
            let needed = local.features_of(local.placement().rank);
            let without = (0..layout().features.len()).filter(|feature| !needed.contains(feature)).collect();
            let feed = MemoryFeed::new(training.clone(), layout(), plan.batch_size, case.1.seed);
            let mut feed = feed.without(without);
            let state = trainer.run(&mut learner, &mut feed, TrainState::default(), &mut Unobserved).unwrap();
            (state, held(&learner))
        };
        let one = run(learner(&case, 2));
        assert!(!one.0.history.is_empty());
        for way in [(2, Lie::Whole), (4, Lie::Mixed), (3, Lie::Apart), (6, Lie::Whole)] {
            let found = of_ranks(way, &case, run);
            assert!(found.iter().all(|(state, _)| *state == one.0), "{case:?}: {way:?}");
            let ranks: Vec<&[Held]> = found.iter().map(|(_, held)| &held[..]).collect();
            assert!(whole(&ranks) == whole(&[&one.1]), "{case:?}: {way:?}");
        }
    }
}

/// What diverges on one rank does so on all, and all keep their weights.
#[test]
fn ranks_diverge_together() {
    let case = &cases()[0];
    let ended = of_ranks((2, Lie::Mixed), case, |mut learner| {
        let (before, mut batch) = (held(&learner), rows(1, 64));
        // One rank has this row.
        *batch.weights.as_mut().unwrap().last_mut().unwrap() = f32::INFINITY;
        let rates = learner.optimizer().base_rates();
        let error = learner.step(&batch, rates).unwrap_err();
        assert!(held(&learner) == before, "a step that diverges changes nothing");
        error.to_string()
    });
    assert_eq!(ended[0], ended[1]);
    assert!(ended[0].contains("diverged"), "{}", ended[0]);
}

#[test]
fn more_ranks_than_lanes_are_refused() {
    let refused = Threads::run(9, |rank| {
        let placement = Placement { rank: rank.rank(), ranks: 9, holders: Vec::new() };
        let learner = placed(&cases()[0], 1, placement);
        learner.with_ranks(Ranks::new(Box::new(rank))).map(drop).unwrap_err().to_string()
    });
    assert!(refused.iter().all(|error| error == "train.lanes: expected one for each of 9 ranks, found 8"));
}

/// Counts what is sent to other ranks.
struct Counted {
    inner: Threads,
    bytes: Arc<AtomicU64>,
}

impl Communicator for Counted {
    fn rank(&self) -> usize {
        self.inner.rank()
    }
    fn size(&self) -> usize {
        self.inner.size()
    }
    fn start(&mut self, parts: Vec<Vec<u8>>) -> Ticket {
        let others = parts.iter().enumerate().filter(|(rank, _)| *rank != self.rank());
        self.bytes.fetch_add(others.map(|(_, part)| part.len() as u64).sum(), Ordering::Relaxed);
        self.inner.start(parts)
    }
    fn finish(&mut self, ticket: Ticket) -> Vec<Vec<u8>> {
        self.inner.finish(ticket)
    }
    fn abort(&mut self, code: i32) -> ! {
        self.inner.abort(code)
    }
}

/// The formula knows every byte that a step sends.
#[test]
fn bytes_that_are_sent_are_those_of_the_formula() {
    let layout = layout();
    for case in cases() {
        let mut model = Builder::new(&layout);
        case.0.build(&mut model).unwrap();
        let (precision, clips) = (case.1.table_precision, case.1.clip_norm.is_some());
        // With clipping, rows that lie apart send squares for each that a batch touches.
        let ways: &[Lie] = if clips { &[Lie::Whole] } else { &[Lie::Whole, Lie::Mixed, Lie::Apart] };
        for (size, &lie) in [2, 3, 4].into_iter().flat_map(|size| ways.iter().map(move |lie| (size, lie))) {
            let holders = holders(&case, size, lie);
            let counted = Threads::run(size, |rank| {
                let (bytes, own) = (Arc::new(AtomicU64::new(0)), rank.rank());
                let placement = Placement { rank: own, ranks: size, holders: holders.clone() };
                let counted = Counted { inner: rank, bytes: bytes.clone() };
                let mut learner =
                    placed(&case, 1, placement).with_ranks(Ranks::new(Box::new(counted))).unwrap();
                let step = |(number, &size): (usize, &usize)| {
                    let rates = learner.optimizer().base_rates();
                    learner.step(&rows(number as u64, size), rates).unwrap();
                    bytes.swap(0, Ordering::Relaxed)
                };
                SIZES.iter().enumerate().map(step).collect::<Vec<u64>>()
            });
            for (number, &batch_size) in SIZES.iter().enumerate() {
                let batch = rows(number as u64, batch_size);
                let placement = Placement { rank: 0, ranks: size, holders: holders.clone() };
                let sharding = case.1.sharding();
                let shape = StepShape {
                    model: &model,
                    precision,
                    placement: &placement,
                    sharding,
                    rows: batch_size,
                    clips,
                };
                let uses = |slot: &SlotSpec, rank: usize, rows: Range<usize>| {
                    let bags = &batch.bags[slot.feature];
                    let held =
                        |b: usize| bags.row(b).iter().filter(|&&id| id as usize % size == rank).count();
                    Uses {
                        ids: rows.clone().map(held).sum::<usize>() as u64,
                        bags: rows.filter(|&b| held(b) > 0).count() as u64,
                    }
                };
                let expected: Vec<u64> = shape.traffic(&uses).iter().map(Traffic::bytes).collect();
                let found: Vec<u64> = counted.iter().map(|steps| steps[number]).collect();
                assert_eq!(found, expected, "{case:?}, {size} ranks, {lie:?}, {batch_size} rows");
            }
        }
    }
}
