//! What every communicator must do.
use dlrm_cluster::{Communicator, Solo, Threads, Watch};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// What rank `from` sends to rank `to` in exchange `number`.
fn part(number: u64, from: usize, to: usize) -> Vec<u8> {
    // Of lengths that differ, none among them.
    let bytes = format!("exchange {number} from {from} to {to}").into_bytes();
    bytes.repeat((from * 3 + to * 5 + number as usize) % 4)
}

fn parts(number: u64, communicator: &dyn Communicator) -> Vec<Vec<u8>> {
    (0..communicator.size()).map(|to| part(number, communicator.rank(), to)).collect()
}

fn received(number: u64, communicator: &dyn Communicator) -> Vec<Vec<u8>> {
    (0..communicator.size()).map(|from| part(number, from, communicator.rank())).collect()
}

fn personalised(communicator: &mut dyn Communicator) {
    for number in 0..50 {
        let ticket = communicator.start(parts(number, communicator));
        assert_eq!(communicator.finish(ticket), received(number, communicator));
    }
}

/// Started in one order, finished in another, in which the ranks differ.
fn overlapping(communicator: &mut dyn Communicator) {
    let mut open = Vec::new();
    for number in 0..40 {
        open.push((number, communicator.start(parts(number, communicator))));
        if open.len() == 5 {
            let (number, ticket) = open.remove((communicator.rank() + number as usize) % 5);
            assert_eq!(communicator.finish(ticket), received(number, communicator));
        }
    }
    for (number, ticket) in open.into_iter().rev() {
        assert_eq!(communicator.finish(ticket), received(number, communicator));
    }
}

fn derived(communicator: &mut dyn Communicator) {
    let (rank, size) = (communicator.rank() as u8, communicator.size());
    let all: Vec<Vec<u8>> = (0..size as u8).map(|rank| vec![rank; rank.into()]).collect();
    for _ in 0..20 {
        assert_eq!(communicator.all_gather(vec![rank; rank.into()]), all);
        communicator.barrier();
        for root in 0..size {
            assert_eq!(communicator.broadcast(root, vec![rank; 7]), vec![root as u8; 7]);
            let gathered = communicator.gather(root, vec![rank; rank.into()]);
            assert_eq!(gathered, if root == rank.into() { all.clone() } else { Vec::new() });
        }
    }
}

const CHECKS: [fn(&mut dyn Communicator); 3] = [personalised, overlapping, derived];

#[test]
fn alone() {
    CHECKS.into_iter().for_each(|check| check(&mut Solo::default()));
}

#[test]
fn ranks_that_are_threads() {
    for size in [1, 2, 3, 4, 8] {
        for check in CHECKS {
            let ranks = Threads::run(size, |mut rank| {
                check(&mut rank);
                rank.rank()
            });
            assert_eq!(ranks, (0..size).collect::<Vec<_>>());
        }
    }
}

fn message(panic: &(dyn std::any::Any + Send)) -> &str {
    panic.downcast_ref::<String>().map_or_else(|| panic.downcast_ref::<&str>().unwrap(), String::as_str)
}

/// How each rank of three ends when rank 1 ends by `end` and the others wait for it.
fn ends(end: fn(&mut Threads)) -> (String, Vec<String>) {
    let others = std::sync::Mutex::new(Vec::new());
    let all = catch_unwind(AssertUnwindSafe(|| {
        Threads::run(3, |mut rank| {
            rank.barrier();
            if rank.rank() == 1 {
                end(&mut rank);
            } else {
                let waits = catch_unwind(AssertUnwindSafe(|| rank.barrier()));
                let waits = waits.map(|()| "nothing happened".to_owned());
                let told = waits.unwrap_or_else(|panic| message(&*panic).to_owned());
                others.lock().unwrap().push(told.split_once(": ").unwrap().1.to_owned());
            }
        })
    }));
    let first = all.map_or_else(|panic| message(&*panic).to_owned(), |_| String::new());
    (first, others.into_inner().unwrap())
}

#[test]
fn a_rank_that_panics_takes_the_others_along() {
    let (first, others) = ends(|_| panic!("out of luck"));
    assert_eq!(first, "out of luck");
    assert_eq!(others, ["rank 1 panicked"; 2]);
}

#[test]
fn a_rank_aborts_all() {
    let (first, others) = ends(|rank| rank.abort(3));
    assert_eq!(first, "rank 1 aborts all with code 3");
    assert_eq!(others, ["rank 1 aborted all with code 3"; 2]);
}

#[test]
fn a_rank_that_leaves_early_is_named() {
    let (first, others) = ends(|_| {});
    assert_eq!(first, "");
    assert_eq!(others, ["rank 1 left before the others"; 2]);
}

#[test]
fn the_panic_that_came_first_is_reported() {
    // Rank 0 falls because of rank 2, whatever the order in which they are joined.
    let first = catch_unwind(|| {
        Threads::run(3, |mut rank| {
            if rank.rank() == 2 {
                panic!("the cause");
            }
            rank.barrier();
        })
    });
    assert_eq!(message(&*first.unwrap_err()), "the cause");
}

#[test]
fn ranks_that_are_late_are_named() {
    let said = Arc::new(Mutex::new(Vec::new()));
    Threads::run(4, |rank| {
        let told = said.clone();
        let mut rank = match rank.rank() {
            0 => rank.watched(Watch::new(Duration::from_millis(50), move |late: &[usize], waited| {
                told.lock().expect("no panic").push((late.to_vec(), waited));
            })),
            _ => rank,
        };
        rank.barrier();
        // Ranks 1 and 3 come late, as long as it takes to be told of twice.
        while rank.rank() % 2 == 1 && said.lock().expect("no panic").len() < 2 {
            thread::sleep(Duration::from_millis(1));
        }
        rank.barrier();
        rank.barrier();
    });
    let said = said.lock().expect("no panic");
    for (late, waited) in said.iter() {
        assert!(*waited >= Duration::from_millis(50), "{said:?}");
        assert!(late.contains(&1) || late.contains(&3), "{said:?}");
    }
    // By then the others had nothing else to do.
    assert_eq!(said[1].0, [1, 3]);
    assert!(said[1].1 >= said[0].1 * 2, "{said:?}");
}
