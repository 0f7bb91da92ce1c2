use super::design::{Design, Slopes};
use super::minimise::{Problem, TOLERANCE};
use super::{FACTOR, FIRST_C, Regression, STRENGTHS, write};
use crate::learner::{self, Learner};
use crate::network::Network;
use crate::observer::Unobserved;
use crate::train_config::TrainConfig;
use crate::train_state::Ending;
use dlrm_data::Batch;
use dlrm_data::batch::{Feature, Layout, TableLayout};
use dlrm_data::rng::Rng;
use dlrm_data::schema::{Pooling, Task};
use dlrm_models::{LrConfig, ModelConfig};
use dlrm_nn::{Isa, Loss};

fn layout() -> Layout {
    let feature =
        |name: &str, table, weighted, pooling| Feature { weighted, pooling, ..Feature::new(name, table) };
    Layout {
        dense: vec!["x".into(), "y".into()],
        features: vec![
            feature("one", 0, false, None),
            feature("mean", 1, false, Some(Pooling::Mean)),
            feature("weighted", 1, true, None),
        ],
        tables: vec![TableLayout { name: "a".into(), rows: 5 }, TableLayout { name: "b".into(), rows: 7 }],
        sample_weights: true,
        ..Layout::default()
    }
}

/// Rows whose labels follow a known effect of the inputs, weights among them zero.
fn rows(seed: u64, n: usize, task: Task) -> Batch {
    let mut rng = Rng::new(seed, 0);
    let mut rows = Batch::new(&layout());
    for _ in 0..n {
        let x = [rng.normal(), 2.0 * rng.normal()];
        rows.dense.extend(x.map(|x| x as f32));
        let id = rng.below(5);
        for (feature, bags) in rows.bags.iter_mut().enumerate() {
            let ids = if feature == 0 { 1 } else { 1 + rng.below(3) };
            for _ in 0..ids {
                bags.ids.push(if feature == 0 { id } else { rng.below(7) } as u32);
                bags.weights.iter_mut().for_each(|weights| weights.push(rng.normal() as f32));
            }
            bags.offsets.push(bags.ids.len() as u32);
        }
        let z = 0.8 * x[0] - 0.3 * x[1] + id as f64 / 2.0 - 1.0;
        rows.labels.push(match task {
            Task::Binary => f32::from(rng.normal() < z),
            Task::Rating => (z + 0.5 * rng.normal()) as f32,
        });
        rows.weights.iter_mut().for_each(|weights| weights.push(rng.below(3) as f32));
    }
    rows
}

fn learner(threads: usize) -> Learner {
    learner_of(&layout(), threads)
}

fn learner_of(layout: &Layout, threads: usize) -> Learner {
    let network = Network::new(&ModelConfig::Lr(LrConfig {}), layout, 0, Isa::detect()).unwrap();
    let config = TrainConfig::default();
    let optimizer = config.optimizer_of(network.weights());
    Learner::new(network, optimizer, Loss::default(), config.sharding(), threads).unwrap()
}

#[test]
fn its_matrix_is_what_the_model_computes() {
    let (rows, layout, pool) = (rows(1, 50, Task::Binary), layout(), learner::pool(1).unwrap());
    let design = Design::new(&[&rows], &layout, Slopes::Many, &pool);
    let mut rng = Rng::new(9, 9);
    let weights: Vec<f64> = (0..design.columns).map(|_| rng.normal()).collect();
    let mut margins = vec![0.0; rows.len()];
    design.margins(&weights, &mut margins);
    let mut learner = learner(1);
    write(&weights, &layout, learner.network_mut().weights_mut()).unwrap();
    for (logit, margin) in learner.logits(&rows).unwrap().into_iter().zip(margins) {
        assert!((f64::from(logit) - margin).abs() < 1e-4 * (1.0 + margin.abs()), "{logit} {margin}");
    }
}

/// Solves A x = b by elimination with pivots.
fn solved(mut a: Vec<Vec<f64>>, mut b: Vec<f64>) -> Vec<f64> {
    let n = b.len();
    for k in 0..n {
        let pivot = (k..n).max_by(|&i, &j| a[i][k].abs().total_cmp(&a[j][k].abs())).unwrap();
        a.swap(k, pivot);
        b.swap(k, pivot);
        for i in k + 1..n {
            let factor = a[i][k] / a[k][k];
            let upper = a[k].clone();
            a[i].iter_mut().zip(&upper).skip(k).for_each(|(a, upper)| *a -= factor * upper);
            b[i] -= factor * b[k];
        }
    }
    for k in (0..n).rev() {
        b[k] = (b[k] - (k + 1..n).map(|j| a[k][j] * b[j]).sum::<f64>()) / a[k][k];
    }
    b
}

#[test]
fn rows_in_two_blocks_are_those_of_one() {
    let (all, layout, pool) = (rows(4, 130, Task::Binary), layout(), learner::pool(2).unwrap());
    let mut blocks = [Batch::new(&layout), Batch::new(&layout)];
    (0..all.len()).for_each(|b| blocks[usize::from(b >= 93)].push_row_of(&all, b));
    let whole = Design::new(&[&all], &layout, Slopes::Many, &pool);
    let halves = Design::new(&blocks.each_ref(), &layout, Slopes::Many, &pool);
    let mut rng = Rng::new(9, 9);
    let weights: Vec<f64> = (0..whole.columns).map(|_| rng.normal()).collect();
    let of_rows: Vec<f64> = (0..all.len()).map(|_| rng.normal()).collect();
    let mut margins = [vec![0.0; all.len()], vec![0.0; all.len()]];
    whole.margins(&weights, &mut margins[0]);
    halves.margins(&weights, &mut margins[1]);
    assert_eq!(margins[0], margins[1]);
    for [a, b] in [
        [whole.transposed(&of_rows), halves.transposed(&of_rows)],
        [whole.diagonal(&of_rows), halves.diagonal(&of_rows)],
    ] {
        assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-12 * (1.0 + a.abs())), "{a:?} {b:?}");
    }
}

/// Newton's method with the whole second derivative: slow, and nothing of it is shared with L-BFGS.
fn by_newton(design: &Design<'_>, rows: &Batch, task: Task, l2: f64) -> Vec<f64> {
    let (p, n) = (design.columns, rows.len());
    // The matrix, column by column.
    let columns: Vec<Vec<f64>> = (0..p)
        .map(|j| {
            let (mut unit, mut column) = (vec![0.0; p], vec![0.0; n]);
            unit[j] = 1.0;
            design.margins(&unit, &mut column);
            column
        })
        .collect();
    let weights: Vec<f64> = rows.weights.as_ref().unwrap().iter().map(|&w| f64::from(w)).collect();
    let total: f64 = weights.iter().sum();
    let mut w = vec![0.0; p];
    for _ in 0..30 {
        let z = |b: usize| (0..p).map(|j| columns[j][b] * w[j]).sum::<f64>();
        let slopes: Vec<(f64, f64)> = (0..n)
            .map(|b| match task {
                Task::Binary => {
                    let q = 1.0 / (1.0 + (-z(b)).exp());
                    (q - f64::from(rows.labels[b]), q * (1.0 - q))
                }
                Task::Rating => (z(b) - f64::from(rows.labels[b]), 1.0),
            })
            .collect();
        let sum = |f: &dyn Fn(usize) -> f64| (0..n).map(|b| weights[b] * f(b)).sum::<f64>() / total;
        let penalty = |j: usize| if j + 1 < p { l2 } else { 0.0 };
        let gradient = (0..p).map(|j| sum(&|b| slopes[b].0 * columns[j][b]) + penalty(j) * w[j]).collect();
        let hessian = (0..p)
            .map(|j| {
                let entry = |k: usize| sum(&|b| slopes[b].1 * columns[j][b] * columns[k][b]);
                (0..p).map(|k| entry(k) + if j == k { penalty(j) } else { 0.0 }).collect()
            })
            .collect();
        let step = solved(hessian, gradient);
        w.iter_mut().zip(step).for_each(|(w, step)| *w -= step);
    }
    w
}

#[test]
fn the_minimum_is_that_of_newtons_method() {
    for task in [Task::Binary, Task::Rating] {
        for (seed, l2) in [(1, 0.1), (2, 0.01), (3, 0.003)] {
            let (rows, layout, pool) = (rows(seed, 200, task), layout(), learner::pool(2).unwrap());
            let design = Design::new(&[&rows], &layout, Slopes::Many, &pool);
            let weights = rows.weights.as_deref();
            let problem =
                Problem { design: &design, labels: &rows.labels, weights, task, l2, tolerance: TOLERANCE };
            let mut found = vec![0.0; design.columns];
            let ended = problem.minimise(&mut found, &mut || false);
            assert!(ended.converged && ended.gradient <= TOLERANCE, "{ended:?}");
            for (a, b) in found.iter().zip(by_newton(&design, &rows, task, l2)) {
                assert!((a - b).abs() < 2e-3 * (1.0 + b.abs()), "{task:?} {l2}: {a} {b}");
            }
        }
    }
}

#[test]
fn the_strength_is_chosen_and_no_bit_depends_on_threads() {
    for task in [Task::Binary, Task::Rating] {
        let (rows, validation, layout) = (rows(1, 400, task), rows(2, 100, task), layout());
        for validation in [Some(&validation), None] {
            let train = |threads| {
                let mut learner = learner(threads);
                let regression = Regression { rows: &rows, validation, layout: &layout, task, refits: false };
                let solved = regression.train(&mut learner, &mut Unobserved).unwrap();
                assert_eq!(solved.state.ending, Some(Ending::Converged));
                assert!(solved.state.history.len() > 3, "several strengths were tried");
                learner.logits(&rows).unwrap().into_iter().map(f32::to_bits).collect::<Vec<_>>()
            };
            assert_eq!(train(1), train(3));
        }
    }
}

#[test]
fn a_refit_is_the_optimum_on_training_and_validation_rows() {
    for task in [Task::Binary, Task::Rating] {
        let (rows, validation, layout) = (rows(1, 300, task), rows(2, 90, task), layout());
        let regression =
            Regression { rows: &rows, validation: Some(&validation), layout: &layout, task, refits: true };
        let solved = regression.train(&mut learner(2), &mut Unobserved).unwrap();
        let without = Regression { refits: false, ..regression };
        let alone = without.train(&mut learner(2), &mut Unobserved).unwrap();
        assert_eq!(solved.weights, alone.weights, "what is kept of training rows is the same");
        assert!(alone.refit.is_none());
        let found = solved.refit.unwrap().weights;
        // The strength by row is one of those that are tried: the one whose optimum this is.
        let pool = learner::pool(1).unwrap();
        let design = Design::new(&[&rows, &validation], &layout, Slopes::Many, &pool);
        let labels = [&rows.labels[..], &validation.labels[..]].concat();
        let weights = [rows.weights.clone().unwrap(), validation.weights.clone().unwrap()].concat();
        let strengths = (0..STRENGTHS).map(|k| 1.0 / (FIRST_C * FACTOR.powi(k) * labels.len() as f64));
        let distance = |l2| {
            let (labels, weights) = (&labels[..], Some(&weights[..]));
            let problem = Problem { design: &design, labels, weights, task, l2, tolerance: TOLERANCE };
            let mut optimum = vec![0.0; design.columns];
            problem.minimise(&mut optimum, &mut || false);
            // Weights of nearly the same columns have a flat optimum; what they come to has not.
            let scores = [&optimum[..], &found[..]].map(|weights| {
                let mut scores = vec![0.0; labels.len()];
                design.margins(weights, &mut scores);
                scores
            });
            scores[0].iter().zip(&scores[1]).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
        };
        let nearest = strengths.map(distance).fold(f64::INFINITY, f64::min);
        assert!(nearest < 2e-3, "{task:?}: {nearest}");
    }
}

/// A number with two bins, in rows whose labels follow `effect` of it.
fn with_bins(n: usize, effect: fn(f64) -> f64) -> (Layout, Batch) {
    let dense = vec!["x".into(), "x > -1".into(), "x > 0".into()];
    let layout = Layout { dense, bins: vec![1, 2], ..Layout::default() };
    let (mut rng, mut rows) = (Rng::new(5, 0), Batch::new(&layout));
    for _ in 0..n {
        let x = 2.0 * rng.uniform() - 1.0;
        rows.dense.extend([x, x.min(0.0) + 0.5, x.max(0.0) - 0.5].map(|x| x as f32));
        rows.labels.push(f32::from(rng.normal() < effect(x)));
    }
    (layout, rows)
}

#[test]
fn bins_are_inputs_only_where_an_effect_is_bent() {
    for (effect, bent) in [((|x| x) as fn(f64) -> f64, false), (|x| 3.0 * x.abs() - 1.5, true)] {
        let (layout, rows) = with_bins(300, effect);
        let mut learner = learner_of(&layout, 1);
        let regression =
            Regression { rows: &rows, validation: None, layout: &layout, task: Task::Binary, refits: false };
        let solved = regression.train(&mut learner, &mut Unobserved).unwrap();
        assert_eq!(solved.weights[1..3].iter().any(|&w| w != 0.0), bent, "{:?}", solved.weights);
        assert!(solved.weights[0] != 0.0, "{:?}", solved.weights);
    }
}
