//! A compute thread.
use super::desk::Desk;
use super::job::{Answer, Job, Task, Times};
use super::queue::{Next, Queue};
use crate::metrics::Metrics;
use crate::models::{Loaded, Registry, Snapshot};
use crate::refusal::{Code, Refusal};
use dlrm_data::row::RawRow;
use dlrm_engine::Workspace;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Is called with the rows of a request before they are scored: a test makes it panic or wait.
pub type Probe = Arc<dyn Fn(&[RawRow]) + Send + Sync>;

/// Works until the queue ends.
pub(crate) fn work(queue: &Queue, registry: &Registry, metrics: &Metrics, probe: Option<&Probe>) {
    let mut workspace = Workspace::new();
    loop {
        let models = registry.snapshot();
        if !of_generation(&models, queue, (metrics, probe), &mut workspace) {
            return;
        }
    }
}

/// Works with these models; `false` if there is nothing more to do.
fn of_generation(
    models: &Snapshot,
    queue: &Queue,
    (metrics, probe): (&Metrics, Option<&Probe>),
    workspace: &mut Workspace,
) -> bool {
    let mut desks: Vec<Option<Desk<'_>>> = models.models.iter().map(|_| None).collect();
    loop {
        let jobs = match queue.next(models.generation) {
            Next::Jobs(jobs) => jobs,
            Next::NewModels => return true,
            Next::End => return false,
        };
        let model = jobs[0].model.clone();
        let place = models.models.iter().position(|known| Arc::ptr_eq(known, &model));
        match place {
            Some(place) => {
                answer(jobs, &models.models[place], &mut desks[place], (metrics, probe), workspace);
            }
            // A version that is on its way out has a desk for this once.
            None => answer(jobs, &model, &mut None, (metrics, probe), workspace),
        }
    }
}

/// Answers jobs of one model. A panic in it is answered too, and spoils nothing but the desk.
fn answer<'m>(
    jobs: Vec<Job>,
    model: &'m Loaded,
    desk: &mut Option<Desk<'m>>,
    (metrics, probe): (&Metrics, Option<&Probe>),
    workspace: &mut Workspace,
) {
    let begun = Instant::now();
    let together = jobs.len() > 1;
    let done = catch_unwind(AssertUnwindSafe(|| done(&jobs, model, desk, (metrics, probe), workspace)));
    let answers = match done {
        Ok(answers) => answers,
        Err(_) => {
            (*desk, *workspace) = (None, Workspace::new());
            if together {
                // Which of them it was is found out one by one.
                for job in jobs {
                    answer(vec![job], model, desk, (metrics, probe), workspace);
                }
                return;
            }
            metrics.panics.inc();
            vec![Err(Refusal::new(
                Code::Internal,
                "this request could not be computed: a fault of the server",
            ))]
        }
    };
    let encode = desk.as_mut().map_or(Duration::ZERO, Desk::take_encoding);
    let score = begun.elapsed().saturating_sub(encode);
    for (job, answer) in jobs.into_iter().zip(answers) {
        let times = Times { queue: begun.saturating_duration_since(job.queued), encode, score };
        // Whoever asked may have gone.
        let _ = job.answer.send(Some(answer.map(|answer| (answer, times))));
    }
}

fn done<'m>(
    jobs: &[Job],
    model: &'m Loaded,
    desk: &mut Option<Desk<'m>>,
    (metrics, probe): (&Metrics, Option<&Probe>),
    workspace: &mut Workspace,
) -> Vec<Result<Answer, Refusal>> {
    let refused = |refusal: Refusal| jobs.iter().map(|_| Err(refusal.clone())).collect();
    let desk = match desk {
        Some(desk) => desk,
        None => match Desk::new(model, metrics) {
            Ok(new) => desk.insert(new),
            Err(refusal) => return refused(refusal),
        },
    };
    match &jobs[0].task {
        Task::Score(_) => {
            let requests: Vec<&[RawRow]> = jobs.iter().map(rows).collect();
            if let Some(probe) = probe {
                requests.iter().for_each(|rows| probe(rows));
            }
            let answers = desk.score(&requests, workspace);
            answers.into_iter().map(|answer| answer.map(Answer::Scored)).collect()
        }
        Task::Rank { context, own, candidates, k } => {
            vec![desk.rank((context, own), candidates, *k, workspace).map(Answer::Ranked)]
        }
        Task::Recommend { context, wanted, places, k } => {
            let found = desk.recommend((context, wanted), places.clone(), *k, workspace);
            vec![found.map(|(best, candidates)| Answer::Recommended(best, candidates))]
        }
        Task::Explain { row, orders } => vec![desk.explain(row, *orders, workspace).map(Answer::Explained)],
    }
}

/// The rows that a job wants scored.
fn rows(job: &Job) -> &[RawRow] {
    match &job.task {
        Task::Score(rows) => rows,
        _ => &[],
    }
}
