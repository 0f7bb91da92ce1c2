//! How several ranks will share a run, in words.
use crate::text_table::table;
use dlrm_data::format::{bytes, count};
use dlrm_engine::run::{Foreseen, RankNetwork, StepTime};
use dlrm_engine::traffic::Traffic;
use dlrm_nn::Holder;
use serde_json::{Value, json};

/// What is known of the time of a step.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Rows a second of one rank alone.
    pub alone: f64,
    /// Threads that it had.
    pub threads: usize,
    /// The way from rank to rank.
    pub network: RankNetwork,
}

/// Bytes of a table and its optimiser's state.
fn table_bytes(foreseen: &Foreseen, table: usize) -> u64 {
    let load = &foreseen.alone.table_loads[table];
    load.bytes.saturating_add(load.state_bytes)
}

/// Bytes of tables that a rank holds.
fn held(foreseen: &Foreseen, rank: usize) -> u64 {
    let ranks = foreseen.traffic.len() as u64;
    let of = |(table, holder): (usize, &Holder)| match holder {
        Holder::Rank(own) if *own == rank => table_bytes(foreseen, table),
        Holder::Rank(_) => 0,
        Holder::ByRow => table_bytes(foreseen, table).div_ceil(ranks),
    };
    foreseen.holders.iter().enumerate().map(of).fold(0, u64::saturating_add)
}

fn holder(holder: Holder) -> String {
    match holder {
        Holder::Rank(rank) => rank.to_string(),
        Holder::ByRow => "all, row by row".into(),
    }
}

/// For people.
pub fn foreseen_text(foreseen: &Foreseen, pace: Option<Pace>) -> String {
    let ranks = foreseen.traffic.len();
    let mut text = String::new();
    let tables: Vec<Vec<String>> = (foreseen.alone.tables.iter().zip(&foreseen.holders).enumerate())
        .map(|(table, ((name, rows, dim), own))| {
            let size = bytes(table_bytes(foreseen, table));
            vec![name.clone(), count(*rows as u64), dim.to_string(), size, holder(*own)]
        })
        .collect();
    text.push_str(&table(&["table", "rows", "dim", "with its state", "rank"], &tables));
    text.push('\n');
    let rows: Vec<Vec<String>> = foreseen
        .traffic
        .iter()
        .enumerate()
        .map(|(rank, sent)| {
            let whole = foreseen.holders.iter().filter(|own| **own == Holder::Rank(rank)).count();
            let dense = sent.dense + sent.updated + sent.rest;
            let sent = [sent.vectors, sent.gradients, dense, sent.bytes()].map(bytes);
            let [vectors, gradients, dense, all] = sent;
            let tables = bytes(held(foreseen, rank));
            vec![rank.to_string(), whole.to_string(), tables, vectors, gradients, dense, all]
        })
        .collect();
    let header = ["rank", "tables", "bytes", "sends vectors", "gradients", "dense", "in all"];
    text.push_str(&table(&header, &rows));
    text.push_str(&format!(
        "\nA step has {} rows. One process would need {} of memory, a rank of {ranks} at most {}.\n",
        count(foreseen.alone.batch_size as u64),
        bytes(foreseen.alone.memory_bytes()),
        bytes(foreseen.most.memory_bytes()),
    ));
    let idle = foreseen.rows.iter().filter(|rows| **rows == 0).count();
    if idle > 0 {
        text.push_str(&format!(
            "Of {ranks} ranks {idle} have no rows in a step: take larger steps with --batch-size.\n"
        ));
    }
    if let Some(pace) = pace {
        text.push_str(&pace_text(foreseen, pace));
    }
    text
}

fn pace_text(foreseen: &Foreseen, pace: Pace) -> String {
    let StepTime { computing, sending } = foreseen.step_time(pace.alone, pace.network);
    let rate = foreseen.alone.batch_size as f64 / (computing + sending);
    let ranks = foreseen.traffic.len() as f64;
    format!(
        "Measured here: {} rows/s with {} threads. Predicted, if every rank has what this machine has: \
         {:.2} ms of computing and {:.2} ms of sending, so {} rows/s, {:.2} of {ranks} times as fast.\n",
        count(pace.alone as u64),
        pace.threads,
        1e3 * computing,
        1e3 * sending,
        count(rate as u64),
        rate / pace.alone / ranks,
    )
}

/// For machines.
pub fn foreseen_json(foreseen: &Foreseen, pace: Option<Pace>) -> Value {
    let tables = foreseen.alone.tables.iter().zip(&foreseen.holders).enumerate();
    let tables = tables.map(|(table, ((name, rows, dim), holder))| {
        let rank = match holder {
            Holder::Rank(rank) => json!(rank),
            Holder::ByRow => Value::Null,
        };
        json!({"name": name, "rows": rows, "dim": dim, "bytes": table_bytes(foreseen, table), "rank": rank})
    });
    let ranks = foreseen.traffic.iter().enumerate().map(|(rank, sent): (usize, &Traffic)| {
        let rows = foreseen.rows[rank];
        json!({"table_bytes": held(foreseen, rank), "rows": rows, "sends": sent, "sends_bytes": sent.bytes()})
    });
    let predicted = pace.map(|pace| {
        let time = foreseen.step_time(pace.alone, pace.network);
        json!({
            "rows_per_second_alone": pace.alone,
            "threads": pace.threads,
            "step_seconds": time,
            "rows_per_second": foreseen.alone.batch_size as f64 / (time.computing + time.sending),
        })
    });
    json!({
        "batch_size": foreseen.alone.batch_size,
        "memory_bytes_alone": foreseen.alone.memory_bytes(),
        "memory_bytes_of_a_rank": foreseen.most.memory_bytes(),
        "tables": tables.collect::<Vec<_>>(),
        "ranks": ranks.collect::<Vec<_>>(),
        "predicted": predicted,
    })
}
