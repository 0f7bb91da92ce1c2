//! Mistakes in flags that need more words than the parser has for them.
use super::failure::Failure;
use clap::error::{ContextKind, ContextValue, ErrorKind};

/// Flags that people know from other programs, and what stands for them here.
const OTHER_NAMES: [(&str, &str); 14] = [
    ("--lr", "--set train.optimizer.lr=RATE (and --set train.table_optimizer.lr=RATE for the tables)"),
    (
        "--learning-rate",
        "--set train.optimizer.lr=RATE (and --set train.table_optimizer.lr=RATE for the tables)",
    ),
    ("--target", "--label"),
    ("-l", "--label"),
    ("-y", "--label"),
    ("--batch", "--batch-size"),
    ("-b", "--batch-size"),
    ("-e", "--epochs"),
    ("--output-dir", "-o"),
    ("--out", "-o"),
    ("--sep", "--delimiter"),
    ("--separator", "--delimiter"),
    ("--patience", "--set train.patience=N"),
    ("--optimizer", "--set train.optimizer.kind=NAME"),
];

/// What is wrong with the arguments `given`; `None` where the parser's own words will do.
pub(super) fn explain(error: &clap::Error, given: &[String]) -> Option<Failure> {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        Some(ContextValue::Strings(texts)) => Some(texts.join(", ")),
        _ => None,
    };
    let flag = text(ContextKind::InvalidArg)?;
    match error.kind() {
        ErrorKind::ArgumentConflict => resumed(&flag, &text(ContextKind::PriorArg)?),
        ErrorKind::UnknownArgument => {
            let before = given.iter().position(|arg| *arg == flag || arg.starts_with(&flag));
            let before =
                before.and_then(|at| given.get(at.checked_sub(1)?)).filter(|arg| arg.starts_with("--"));
            match before {
                Some(before)
                    if flag.starts_with('-') && flag[1..].starts_with(|c: char| c.is_ascii_digit()) =>
                {
                    let found = given.iter().find(|arg| arg.starts_with(&flag)).unwrap_or(&flag);
                    Some(Failure::usage(
                        format!("{before}: expected a number of 0 or more, found {found}"),
                        format!("give one without the sign, or leave {before} out for its default"),
                    ))
                }
                // The parser has found a similar one.
                _ if error.get(ContextKind::SuggestedArg).is_some() => None,
                _ => Some(unknown(&flag)),
            }
        }
        ErrorKind::ValueValidation => {
            let (value, reason) =
                (text(ContextKind::InvalidValue)?, std::error::Error::source(error)?.to_string());
            let name = flag.split(' ').next().unwrap_or(&flag);
            reason.contains("digit").then(|| {
                Failure::usage(
                    format!("{name}: expected a whole number, found \"{value}\""),
                    format!("give digits only, or leave {name} out for its default"),
                )
            })
        }
        _ => None,
    }
}

/// Of settings beside `--resume`, which keeps those that the run was started with.
fn resumed(one: &str, other: &str) -> Option<Failure> {
    if ![one, other].iter().any(|flag| flag.starts_with("--resume")) {
        return None;
    }
    let other = [one, other].into_iter().find(|flag| !flag.starts_with("--resume"))?;
    Some(beside_resume(other.split([' ', ',']).next().unwrap_or(other)))
}

/// Of one such setting.
pub(super) fn beside_resume(flag: &str) -> Failure {
    Failure::usage(
        format!("--resume: expected the settings that the run was started with, found {flag} beside it"),
        format!(
            "leave {flag} out to go on with the run as it is; to train with other settings, start again \
             without --resume (and with --overwrite, or another -o)"
        ),
    )
}

fn unknown(flag: &str) -> Failure {
    let message = format!("expected a flag that is known, found {flag}");
    let hint = match OTHER_NAMES.iter().find(|(other, _)| *other == flag) {
        Some((_, ours)) => format!("it is {ours} here"),
        None => "--help lists the flags; what has none of its own is set with --set KEY=VALUE".to_owned(),
    };
    Failure::usage(message, hint)
}
