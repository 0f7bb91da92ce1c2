//! Same seed and configuration, same bits: at any thread count, interrupted and resumed or not, for every
//! optimiser; and untouched rows stay as they are.
use dlrm::data::batch::{Batch, Feature, Layout, TableLayout};
use dlrm::data::rng::Rng;
use dlrm::data::schema::{Pooling, Task};
use dlrm::engine::checkpoint::Checkpoints;
use dlrm::engine::checkpoint_store::{CheckpointStore, InMemory};
use dlrm::engine::feed::MemoryFeed;
use dlrm::engine::observer::{Observer, Unobserved};
use dlrm::engine::train_config::{Keep, TrainConfig};
use dlrm::engine::train_state::TrainState;
use dlrm::engine::trainer::Trainer;
use dlrm::engine::{Error, Learner, Network, StepPlan};
use dlrm::models::{DlrmConfig, ModelConfig};
use dlrm::nn::{DenseOptimizer, Isa, Optimizer, Precision, TableOptimizer, TablePrecision};
use std::sync::Arc;

const ROWS: usize = 230;
const TABLE_ROWS: usize = 50;

fn layout() -> Layout {
    let feature = |(i, (weighted, pooling)): (usize, (bool, Option<Pooling>))| Feature {
        weighted,
        embedding_dim: (i == 1).then_some(3),
        pooling,
        ..Feature::new(format!("f{i}"), i.min(2))
    };
    let kinds = [(false, None), (true, None), (false, Some(Pooling::Mean)), (false, Some(Pooling::Learned))];
    Layout {
        dense: vec!["a".into(), "b".into()],
        features: kinds.into_iter().enumerate().map(feature).collect(),
        tables: (0..3).map(|i| TableLayout { name: format!("t{i}"), rows: TABLE_ROWS }).collect(),
        ..Layout::default()
    }
}

/// Random rows; the last row of every table is never named.
fn rows(seed: u64) -> Batch {
    let mut rng = Rng::new(seed, 0);
    let mut batch = Batch::new(&layout());
    for _ in 0..ROWS {
        batch.dense.extend([rng.normal() as f32, rng.normal() as f32]);
        for (f, bags) in batch.bags.iter_mut().enumerate() {
            for _ in 0..if f == 0 { 1 } else { rng.below(4) } {
                bags.ids.push((rng.uniform().powi(2) * (TABLE_ROWS - 1) as f64) as u32);
                if let Some(weights) = &mut bags.weights {
                    weights.push(rng.uniform() as f32);
                }
            }
            bags.offsets.push(bags.ids.len() as u32);
        }
        batch.labels.push(f32::from(rng.uniform() < 0.4));
    }
    batch
}

fn optimizers() -> Vec<(DenseOptimizer, TableOptimizer)> {
    let (lr, l2, eps, initial_accumulator) = (0.05, 1e-4, 1e-8, 0.0);
    let (beta1, beta2) = (0.9, 0.999);
    vec![
        (DenseOptimizer::Sgd { lr, momentum: 0.0, l2 }, TableOptimizer::Sgd { lr, l2 }),
        (
            DenseOptimizer::Sgd { lr, momentum: 0.9, l2 },
            TableOptimizer::Adagrad { lr, eps, initial_accumulator, l2 },
        ),
        (
            DenseOptimizer::Adagrad { lr, eps, initial_accumulator, l2 },
            TableOptimizer::RowwiseAdagrad { lr, eps, initial_accumulator, l2 },
        ),
        (
            DenseOptimizer::Adam { lr, beta1, beta2, eps, l2 },
            TableOptimizer::AdamLazy { lr, beta1, beta2, eps, l2 },
        ),
        (
            DenseOptimizer::Adamw { lr, beta1, beta2, eps, weight_decay: 0.01 },
            TableOptimizer::Adam { lr, beta1, beta2, eps, l2 },
        ),
    ]
}

fn config((optimizer, table_optimizer): (DenseOptimizer, TableOptimizer)) -> TrainConfig {
    TrainConfig {
        epochs: Some(4),
        batch_size: Some(32),
        optimizer,
        table_optimizer,
        clip_norm: Some(1.0),
        evaluate_every: Some(5),
        patience: Some(0),
        shard_rows: 5,
        lanes: Some(3),
        ..TrainConfig::default()
    }
}

fn learner(config: &TrainConfig, threads: usize) -> Learner {
    let model = ModelConfig::Dlrm(DlrmConfig {
        embedding_dim: 5,
        bottom: vec![7],
        top: vec![9],
        ..DlrmConfig::default()
    });
    let network =
        Network::with_tables(&model, &layout(), config.table_precision, config.seed, Isa::detect()).unwrap();
    let network = network.with_precision(config.precision);
    let optimizer =
        Optimizer::new(network.weights(), config.optimizer, config.table_optimizer, config.clip_norm);
    Learner::new(network, optimizer, config.loss.unwrap_or_default(), config.sharding(), threads).unwrap()
}

fn bits(learner: &Learner) -> Vec<(String, Vec<u32>)> {
    let tensors = learner.network().weights().tensors();
    tensors
        .into_iter()
        .map(|(name, _, values)| (name, values.iter().map(|v| v.to_bits()).collect()))
        .collect()
}

/// Trains to the end; interrupted after each of the steps in `stops` and resumed from disk by a new learner.
fn train(config: &TrainConfig, threads: usize, stops: &[u64]) -> (Vec<(String, Vec<u32>)>, TrainState) {
    struct StopAt(u64, u64);
    impl Observer for StopAt {
        fn step(&mut self, state: &TrainState, _: f64) {
            self.1 = state.step;
        }
        fn should_stop(&mut self) -> bool {
            self.0 == self.1
        }
    }
    let (rows, validation) = (Arc::new(rows(1)), rows(2));
    let scratch = tempfile::tempdir().unwrap();
    let checkpoints = Checkpoints::new(scratch.path().join("checkpoints")).unwrap();
    let (plan, validation) = (StepPlan::new(config, rows.len() as u64), Some(&validation));
    let trainer = Trainer {
        config,
        plan,
        linear_rate: None,
        task: Task::Binary,
        validation,
        checkpoints: &checkpoints,
    };
    for (i, &stop) in stops.iter().enumerate() {
        let mut learner = learner(config, threads);
        let state = if i == 0 {
            TrainState::default()
        } else {
            checkpoints.resume(&mut learner).unwrap().expect("a checkpoint")
        };
        let mut feed = MemoryFeed::new(rows.clone(), layout(), plan.batch_size, config.seed);
        let stopped = trainer.run(&mut learner, &mut feed, state, &mut StopAt(stop, 0));
        assert!(matches!(stopped, Err(Error::Interrupted { checkpoint: Some(_), .. })), "{stopped:?}");
    }
    let mut learner = learner(config, threads);
    let state = if stops.is_empty() {
        TrainState::default()
    } else {
        checkpoints.resume(&mut learner).unwrap().expect("a checkpoint")
    };
    let mut feed = MemoryFeed::new(rows, layout(), plan.batch_size, config.seed);
    let state = trainer.run(&mut learner, &mut feed, state, &mut Unobserved).unwrap();
    (bits(&learner), state)
}

#[test]
fn threads_do_not_change_a_bit() {
    for pair in optimizers() {
        let config = config(pair);
        let (one, state) = train(&config, 1, &[]);
        for threads in [2, 3, 8] {
            assert_eq!(
                train(&config, threads, &[]),
                (one.clone(), state.clone()),
                "{pair:?} with {threads} threads"
            );
        }
    }
}

/// The last weights, where they are asked for; the best ones else.
#[test]
fn the_last_weights_can_be_kept() {
    let best =
        TrainConfig { table_optimizer: TableOptimizer::Sgd { lr: 2.0, l2: 0.0 }, ..config(optimizers()[0]) };
    let last = TrainConfig { keep: Keep::Last, ..best.clone() };
    let ((best, state), (kept, again)) = (train(&best, 2, &[]), train(&last, 2, &[]));
    assert!(state.best.is_some_and(|best| best.step < state.step), "the rates make the last no best one");
    assert_eq!((&state.history, state.best), (&again.history, again.best));
    assert_ne!(best, kept);
    // Those that a run of as many steps ends with that evaluates nothing better.
    let none =
        TrainConfig { evaluate_every: Some(1000), epochs: Some(1000), max_steps: Some(state.step), ..last };
    assert_eq!(train(&none, 1, &[3]).0, kept, "interrupted or not");
}

#[test]
fn products_in_bf16_are_reproducible_and_near_those_in_f32() {
    for pair in optimizers() {
        let exact = TrainConfig { clip_norm: None, ..config(pair) };
        let rounded = TrainConfig { precision: Precision::Bf16, ..exact.clone() };
        let (one, state) = train(&rounded, 1, &[]);
        assert_eq!(train(&rounded, 2, &[]), (one.clone(), state.clone()), "{pair:?}");
        assert_eq!(train(&rounded, 2, &[3]), (one.clone(), state), "{pair:?} resumed");
        assert_ne!(train(&exact, 2, &[]).0, one, "{pair:?} rounds nothing");

        // One step from the same weights: scores are the same bits, gradients agree as far as bf16 does (8
        // bits).
        let (mut a, mut b, rows) = (learner(&exact, 1), learner(&rounded, 1), rows(1));
        assert_eq!(a.logits(&rows).unwrap(), b.logits(&rows).unwrap());
        let losses = [&mut a, &mut b].map(|learner| learner.forward_backward(&rows).unwrap());
        assert!((losses[0] - losses[1]).abs() < 1e-3, "{losses:?}");
        let rates = a.optimizer().base_rates();
        for learner in [&mut a, &mut b] {
            learner.step(&rows, rates).expect("a finite loss");
        }
        let (exact, rounded) = (a.gradients().dense(), b.gradients().dense());
        let largest = exact.iter().fold(0.0f32, |m, g| m.max(g.abs()));
        for (i, (a, b)) in exact.iter().zip(rounded).enumerate() {
            assert!((a - b).abs() < 0.02 * largest, "gradient {i}: {a} in f32, {b} in bf16");
        }
    }
}

#[test]
fn tables_of_16_bits_are_reproducible() {
    for pair in optimizers() {
        for table_precision in [TablePrecision::Bf16, TablePrecision::F16] {
            let config = TrainConfig { table_precision, ..config(pair) };
            let (one, state) = train(&config, 1, &[]);
            assert_eq!(train(&config, 3, &[]), (one.clone(), state.clone()), "{pair:?}");
            assert_eq!(train(&config, 2, &[3]), (one, state), "{pair:?} resumed");
        }
    }
}

#[test]
fn tables_of_16_bits_learn_what_steps_too_small_for_them_teach() {
    let sgd =
        (DenseOptimizer::Sgd { lr: 0.0, momentum: 0.0, l2: 0.0 }, TableOptimizer::Sgd { lr: 1e-3, l2: 0.0 });
    let table = |learner: &Learner| {
        let numbers =
            learner.network().weights().tables().iter().flat_map(|table| table.values.view().iter());
        numbers.collect::<Vec<f32>>()
    };
    // What f32 tables learn in these steps, each of which moves a weight by a fraction of the distance to the
    // next bf16.
    let moved = |table_precision: TablePrecision| {
        let mut learner = learner(&TrainConfig { table_precision, ..config(sgd) }, 2);
        let (start, rates, batch) = (table(&learner), learner.optimizer().base_rates(), rows(3));
        for _ in 0..800 {
            learner.step(&batch, rates).expect("a finite loss");
        }
        start.into_iter().zip(table(&learner)).map(|(a, b)| f64::from(b) - f64::from(a)).collect::<Vec<_>>()
    };
    let exact = moved(TablePrecision::F32);
    for (storage, tolerance) in [(TablePrecision::Bf16, 0.2), (TablePrecision::F16, 0.05)] {
        let along: f64 = moved(storage).iter().zip(&exact).map(|(a, b)| a * b).sum();
        let share = along / exact.iter().map(|b| b * b).sum::<f64>();
        assert!((share - 1.0).abs() < tolerance, "{storage:?} tables moved {share} times as far");
    }
}

#[test]
fn interruption_and_resume_do_not_change_a_bit() {
    for pair in optimizers() {
        let config = config(pair);
        let whole = train(&config, 2, &[]);
        // In the middle of an epoch, at its end (8 batches), at an evaluation, and twice.
        for stops in [&[3][..], &[8], &[10], &[5, 21]] {
            assert_eq!(train(&config, 2, stops), whole, "{pair:?} stopped after {stops:?}");
        }
    }
}

#[test]
fn early_stopping_restores_the_best_weights() {
    let config = TrainConfig { patience: Some(2), epochs: Some(60), ..config(optimizers()[3]) };
    let (with_disk, state) = train(&config, 2, &[]);
    let best = state.best.expect("evaluations");
    assert!(best.step < state.step, "it trained past the best");
    let (rows, validation) = (Arc::new(rows(1)), rows(2));
    let mut learner = learner(&config, 2);
    let plan = StepPlan::new(&config, rows.len() as u64);
    let trainer = Trainer {
        config: &config,
        plan,
        linear_rate: None,
        task: Task::Binary,
        validation: Some(&validation),
        checkpoints: &InMemory::default(),
    };
    trainer
        .run(
            &mut learner,
            &mut MemoryFeed::new(rows, layout(), 32, 0),
            TrainState::default(),
            &mut Unobserved,
        )
        .unwrap();
    assert_eq!(bits(&learner), with_disk, "in memory as from disk");
    let found = dlrm::engine::trainer::score(&mut learner, &validation, Task::Binary).unwrap();
    assert_eq!(found.log_loss, Some(best.value));
}

#[test]
fn untouched_rows_stay_as_they_are() {
    for (dense, tables) in optimizers() {
        let exact = matches!(tables, TableOptimizer::Adam { .. });
        let config = config((dense, tables));
        let mut learner = learner(&config, 2);
        let (before, batch) = (bits(&learner), rows(3));
        let rates = learner.optimizer().base_rates();
        learner.step(&batch, rates).unwrap();
        let layout = layout();
        for table in learner.network().weights().tables() {
            let own = layout.tables.iter().position(|t| table.name.ends_with(&t.name)).unwrap();
            let used = |row: usize| {
                let features = layout.features.iter().zip(&batch.bags).filter(|(f, _)| f.table == own);
                features.into_iter().any(|(_, bags)| bags.ids.contains(&(row as u32)))
            };
            let old = &before.iter().find(|(name, _)| *name == table.name).unwrap().1;
            let mut untouched = 0;
            for (row, values) in table.values.view().f32().chunks(table.dim).enumerate() {
                let same = values.iter().zip(&old[row * table.dim..]).all(|(v, &o)| v.to_bits() == o);
                if !used(row) {
                    // Exact Adam with L2 moves every row, as dense Adam in PyTorch does.
                    assert!(same || exact, "{}: row {row} moved", table.name);
                    untouched += 1;
                }
            }
            assert!(untouched > 0, "a row that no id names");
        }
    }
}

#[test]
fn a_row_scores_the_same_alone_and_in_a_batch() {
    let mut learner = learner(&config(optimizers()[0]), 2);
    let all = rows(4);
    let together = learner.logits(&all).unwrap();
    for (row, &expected) in together.iter().enumerate() {
        let mut one = Batch::new(&layout());
        one.push_row_of(&all, row);
        assert_eq!(learner.logits(&one).unwrap()[0].to_bits(), expected.to_bits(), "row {row}");
    }
}

#[test]
fn a_step_counts_what_the_weights_before_it_get_right() {
    let mut learner = learner(&config(optimizers()[0]), 2);
    let batch = rows(4);
    let rates = learner.optimizer().base_rates();
    for _ in 0..3 {
        let right = learner
            .logits(&batch)
            .unwrap()
            .iter()
            .zip(&batch.labels)
            .filter(|&(&logit, &label)| (logit > 0.0) == (label == 1.0))
            .count();
        learner.step(&batch, rates).unwrap();
        assert_eq!(learner.correct(), right as f64);
    }
}

#[test]
fn the_end_of_training_is_saved_and_no_step_is_evaluated_twice() {
    // 230 rows in batches of 32: 8 steps an epoch, so that every fourth step is also an epoch's last.
    let config = TrainConfig {
        evaluate_every: Some(4),
        checkpoint_every: Some(8),
        epochs: Some(2),
        ..config(optimizers()[1])
    };
    let (rows, validation) = (Arc::new(rows(1)), rows(2));
    let scratch = tempfile::tempdir().unwrap();
    let checkpoints = Checkpoints::new(scratch.path().join("checkpoints")).unwrap();
    let plan = StepPlan::new(&config, rows.len() as u64);
    let trainer = Trainer {
        config: &config,
        plan,
        linear_rate: None,
        task: Task::Binary,
        validation: Some(&validation),
        checkpoints: &checkpoints,
    };
    let mut feed = MemoryFeed::new(rows.clone(), layout(), plan.batch_size, config.seed);
    let mut first = learner(&config, 1);
    let state = trainer.run(&mut first, &mut feed, TrainState::default(), &mut Unobserved).unwrap();
    let points: Vec<(u64, f64)> = state.history.iter().map(|p| (p.step, p.epoch)).collect();
    assert_eq!(points, [(4, 0.5), (8, 1.0), (12, 1.5), (16, 2.0)]);
    assert!(state.history.iter().all(|p| p.train_loss > 0.0));
    assert!(state.history.iter().all(|p| p.train_accuracy.is_some_and(|share| share > 0.0 && share < 1.0)));
    let mut again = learner(&config, 1);
    let saved = checkpoints.resume(&mut again).unwrap().expect("a checkpoint");
    assert_eq!(saved, state);
    let resumed = trainer.run(&mut again, &mut feed, saved, &mut Unobserved).unwrap();
    assert_eq!(
        (resumed, bits(&again)),
        (state, bits(&first)),
        "nothing is left to do but to restore the best weights"
    );
}
