//! Threads that the system refuses.
use super::library;
use super::verbs::RESOURCES;
use crate::common::{command, demo_copy, finished};
use std::path::Path;

/// More threads than a run starts.
const MOST: u32 = 200;

/// Every verb, with fewer and fewer threads allowed, does its work or says what it lacks, and leaves nothing
/// that keeps the next call from doing it.
#[test]
fn threads_that_the_system_refuses() {
    let Some(library) = library::made("no_threads") else {
        println!("skipped: threads_that_the_system_refuses (it takes Linux and a C compiler)");
        return;
    };
    let input = ["runs/demo/sample.csv", "--label", "click"];
    let train = [&["train"], &input[..], &["--epochs", "1", "-o", "model"]].concat();
    let prepare = [&["prepare"], &input[..], &["-o", "set"]].concat();
    let compare =
        [&["compare"], &input[..], &["--models", "lr,fm", "--seeds", "1", "-o", "compared"]].concat();
    for args in [
        &train[..],
        &prepare,
        &compare,
        &["predict", "runs/demo", "runs/demo/sample.csv"],
        &["evaluate", "runs/demo", "runs/demo/sample.csv"],
        &["inspect", "runs/demo/sample.csv"],
        &["generate", "clicks", "--rows", "1000", "-o", "log"],
    ] {
        let mut refused = 0;
        // A run starts threads again and again, each of which may be the first that is refused.
        while refused < MOST {
            let dir = demo_copy();
            let ran = with_threads(dir.path(), args, refused, &library);
            let shown = format!("{args:?} with {refused} threads: exit {}\n{}", ran.code, ran.err);
            assert!([0, RESOURCES].contains(&ran.code) && !ran.err.contains("panicked"), "{shown}");
            if ran.code == 0 {
                break;
            }
            // Every number while it is small, fewer of those beyond: a comparison starts many.
            refused += 1 + refused / 8;
            assert!(ran.err.contains("thread"), "{shown}");
            let with =
                |more: &[&str]| finished(command(dir.path(), args).args(more).output().expect("started"));
            let mut again = with(&[]);
            if again.err.contains("--overwrite to replace it") {
                again = with(&["--overwrite"]);
            }
            assert_eq!(again.code, 0, "{shown}\nand then: {}", again.err);
        }
        println!("{}: done with {refused} threads, refused with fewer", args[0]);
        assert!(refused < MOST, "{args:?}: refused {refused} times");
    }
}

fn with_threads(dir: &Path, args: &[&str], allowed: u32, library: &Path) -> crate::common::Ran {
    let mut command = command(dir, args);
    command.arg("--threads=2").env("LD_PRELOAD", library).env("THREADS_ALLOWED", allowed.to_string());
    finished(command.output().expect("started"))
}
