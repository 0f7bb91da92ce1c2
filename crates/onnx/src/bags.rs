//! Ids as inputs, and the pooled vectors that are made of them.
//!
//! ONNX has no embedding bags. Bags of any number of ids become rows of one width L, the longest of the
//! batch, in which places behind the end of a bag count nothing; then vectors are gathered, [B, L, D], and
//! summed by a product with the factors of their ids, [B, 1, L]. (Adding vectors up by `ScatterND` needs no
//! room for L, but runtimes add the same row from several threads.)
use crate::graph::{GraphBuilder, Value};
use crate::port::{Dim, ElementType, Port};
use dlrm_data::batch::Layout;
use dlrm_data::schema::{Pooling, Schema};
use dlrm_nn::{Combine, Numbers, SlotRows, SlotSpec, Table};
use serde::Serialize;
use std::collections::HashMap;
use std::fmt;

/// In which form a column of several values is an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bags {
    /// All ids one after the other, and B + 1 offsets: row b has `ids[offsets[b]..offsets[b + 1]]`.
    #[default]
    Offsets,
    /// [B, L] ids, where -1 stands for none.
    Padded,
}

impl fmt::Display for Bags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Bags::Offsets => "offsets",
            Bags::Padded => "padded",
        })
    }
}

/// What of a table is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// Its rows.
    Rows,
    /// The learned weights of its rows, if it has any.
    RowWeights,
}

impl Part {
    /// Its name among the weights of a model.
    pub(crate) fn name(self, table: &Table) -> Option<&str> {
        match self {
            Part::Rows => Some(&table.name),
            Part::RowWeights => table.row_weights.as_ref().map(|_| table.row_weights_name.as_str()),
        }
    }
}

/// A column of ids.
#[derive(Debug)]
struct Column {
    name: String,
    /// Whether a row may have several ids, or none.
    several: bool,
    weighted: bool,
}

/// Ids of a feature, as values of the graph.
#[derive(Debug, Clone)]
enum Ids {
    /// [B]
    One {
        ids: String,
    },
    Several(Several),
}

#[derive(Debug, Clone)]
struct Several {
    /// [B, L], where 0 fills up.
    ids: String,
    /// [B, L]: 1 where there is an id, else 0.
    inside: String,
    /// [B, L] places in the list of all ids, where -1 fills up and an element is added at the end.
    places: Option<String>,
    /// [B, L], 0 where there is no id.
    weights: Option<String>,
}

/// The inputs of all features.
#[derive(Debug)]
pub(crate) struct BagInputs {
    form: Bags,
    columns: Vec<Column>,
    /// Those that are inputs already, by feature.
    declared: HashMap<usize, Ids>,
}

impl BagInputs {
    /// The features of `layout`, which rows of `schema` are encoded to.
    pub(crate) fn new(form: Bags, schema: &Schema, layout: &Layout) -> Self {
        let several = |name: &str| schema.categorical.iter().any(|c| c.name == name && c.multi.is_some());
        let crosses = schema.crosses.iter().map(|cross| cross.columns.iter().any(|name| several(name)));
        let several = schema.categorical.iter().map(|column| column.multi.is_some()).chain(crosses);
        let columns = layout.features.iter().zip(several).map(|(feature, several)| Column {
            name: feature.name.clone(),
            several,
            weighted: feature.weighted,
        });
        BagInputs { form, columns: columns.collect(), declared: HashMap::new() }
    }

    /// The names that its inputs may have.
    pub(crate) fn names(&self) -> impl Iterator<Item = String> + '_ {
        let names = |column: &Column| ["ids", "offsets", "weights"].map(|what| port_name(column, what));
        self.columns.iter().flat_map(names)
    }

    /// The pooled vectors of a slot, [B, D]. `read` finds a part of the table of this number.
    pub(crate) fn pooled<'a>(
        &mut self,
        graph: &mut GraphBuilder<'a>,
        slot: &SlotSpec,
        read: impl Fn(&mut GraphBuilder<'a>, usize, Part) -> Option<(String, Numbers<'a>)>,
    ) -> String {
        let ids = self.ids(graph, slot.feature);
        let name = match &ids {
            Ids::One { ids } | Ids::Several(Several { ids, .. }) => ids.clone(),
        };
        let rows = |graph: &mut GraphBuilder<'a>, table, ids: &str| {
            let (table, numbers) = read(graph, table, Part::Rows).expect("a table has rows");
            gathered(graph, (&table, numbers), ids)
        };
        let row_weights = match slot.rows {
            SlotRows::Whole { table } if slot.pooling == Pooling::Learned => {
                read(graph, table, Part::RowWeights).map(|found| gathered(graph, (&found.0, found.1), &name))
            }
            _ => None,
        };
        let vectors = match slot.rows {
            SlotRows::Whole { table } => rows(graph, table, &name),
            SlotRows::Pair { quotient, remainder, collisions, combine } => {
                let collisions = graph.int(i64::from(collisions));
                let above = graph.node("Div", &[&name, &collisions]);
                let below = graph.node("Mod", &[&name, &collisions]);
                let (q, r) = (rows(graph, quotient, &above), rows(graph, remainder, &below));
                match combine {
                    Combine::Multiply => graph.node("Mul", &[&q, &r]),
                    Combine::Add => graph.node("Add", &[&q, &r]),
                    Combine::Concat if combine.widths(slot.dim).1 == 0 => q,
                    Combine::Concat => graph.node_with("Concat", &[&q, &r], &[("axis", Value::Int(-1))]),
                }
            }
        };
        match (ids, row_weights) {
            (Ids::One { .. }, None) => vectors,
            (Ids::One { .. }, Some(weights)) => {
                let weights = graph.unsqueeze(&weights, 1);
                graph.node("Mul", &[&vectors, &weights])
            }
            (Ids::Several(ids), row_weights) => {
                let factors = self.factors(graph, slot, &ids, row_weights); // [B, L]
                let factors = graph.unsqueeze(&factors, 1);
                let pooled = graph.node("MatMul", &[&factors, &vectors]); // [B, 1, D]
                graph.reshape(&pooled, &[0, slot.dim as i64])
            }
        }
    }

    /// What the vector of each id of a bag is multiplied by, [B, L].
    fn factors(
        &mut self,
        graph: &mut GraphBuilder<'_>,
        slot: &SlotSpec,
        ids: &Several,
        row_weights: Option<String>,
    ) -> String {
        match (slot.pooling, row_weights) {
            (Pooling::Learned, Some(weights)) => graph.node("Mul", &[&weights, &ids.inside]),
            (Pooling::Mean, _) => {
                let axes = graph.ints(&[1]);
                let len = graph.node("ReduceSum", &[&ids.inside, &axes]);
                let one = graph.float(1.0);
                let len = graph.node("Max", &[&len, &one]);
                graph.node("Div", &[&ids.inside, &len])
            }
            _ if self.columns[slot.feature].weighted => self.weights(graph, slot.feature),
            _ => ids.inside.clone(),
        }
    }

    /// The ids of a feature, which become an input the first time.
    fn ids(&mut self, graph: &mut GraphBuilder<'_>, feature: usize) -> Ids {
        if let Some(ids) = self.declared.get(&feature) {
            return ids.clone();
        }
        let column = &self.columns[feature];
        let ids = match (column.several, self.form) {
            (false, _) => {
                let shape = vec![Dim::batch()];
                Ids::One { ids: declare(graph, column, ("ids", "ids"), shape) }
            }
            (true, Bags::Offsets) => Ids::Several(of_offsets(graph, column)),
            (true, Bags::Padded) => Ids::Several(of_padded(graph, column)),
        };
        self.declared.insert(feature, ids.clone());
        ids
    }

    /// The weights of the ids of a feature of several, which become an input the first time.
    fn weights(&mut self, graph: &mut GraphBuilder<'_>, feature: usize) -> String {
        let (column, form) = (&self.columns[feature], self.form);
        let Some(Ids::Several(several)) = self.declared.get_mut(&feature) else {
            unreachable!("weights belong to ids")
        };
        if let Some(weights) = &several.weights {
            return weights.clone();
        }
        let about = ("weights", "a weight for each id");
        let weights = match (form, &several.places) {
            (Bags::Offsets, Some(places)) => {
                let weights = declare(graph, column, about, vec![all_ids(column)]);
                let end = graph.floats(&[1], &[0.0]);
                let padded = graph.node_with("Concat", &[&weights, &end], &[("axis", Value::Int(0))]);
                graph.node("Gather", &[&padded, places])
            }
            _ => {
                let weights = declare(graph, column, about, vec![Dim::batch(), longest(column)]);
                // Whatever stands beside no id, also where it is no number.
                let (inside, none) = (&several.inside, graph.float(0.0));
                let there = graph.node("Greater", &[inside, &none]);
                graph.node("Where", &[&there, &weights, &none])
            }
        };
        several.weights = Some(weights.clone());
        weights
    }
}

/// `[B, L]` of all ids and `[B + 1]` offsets.
fn of_offsets(graph: &mut GraphBuilder<'_>, column: &Column) -> Several {
    let ids = declare(graph, column, ("ids", "ids of all rows, one after the other"), vec![all_ids(column)]);
    let about = "row b has the ids from offsets[b] to offsets[b + 1]";
    let offsets = declare(graph, column, ("offsets", about), vec![Dim::Free("batch + 1".into())]);
    let [first, second, last, end] = [0, 1, -1, i64::MAX].map(|place| graph.ints(&[place]));
    let starts = graph.node("Slice", &[&offsets, &first, &last]); // [B]
    let ends = graph.node("Slice", &[&offsets, &second, &end]);
    let lens = graph.node("Sub", &[&ends, &starts]);
    // At least 1, also without rows.
    let lens_and_one = graph.node_with("Concat", &[&lens, &second], &[("axis", Value::Int(0))]);
    let most = graph.node_with("ReduceMax", &[&lens_and_one], &[("keepdims", Value::Int(0))]);
    let (zero, one) = (graph.int(0), graph.int(1));
    let steps = graph.node("Range", &[&zero, &most, &one]); // [L]
    let lens = graph.unsqueeze(&lens, 1);
    let there = graph.node("Less", &[&steps, &lens]); // [B, L]
    let starts = graph.unsqueeze(&starts, 1);
    let places = graph.node("Add", &[&starts, &steps]);
    let places = graph.node("Where", &[&there, &places, &last]);
    let filled = graph.node_with("Concat", &[&ids, &first], &[("axis", Value::Int(0))]);
    let ids = graph.node("Gather", &[&filled, &places]);
    let inside = graph.cast(&there, ElementType::Float32);
    Several { ids, inside, places: Some(places), weights: None }
}

/// [B, L] with -1 for none.
fn of_padded(graph: &mut GraphBuilder<'_>, column: &Column) -> Several {
    let shape = vec![Dim::batch(), longest(column)];
    let ids = declare(graph, column, ("ids", "ids of each row, filled up with -1"), shape);
    let zero = graph.int(0);
    let there = graph.node("GreaterOrEqual", &[&ids, &zero]);
    let inside = graph.cast(&there, ElementType::Float32);
    let ids = graph.node("Max", &[&ids, &zero]);
    Several { ids, inside, places: None, weights: None }
}

/// Rows of a table, widened to 32 bits.
fn gathered(graph: &mut GraphBuilder<'_>, (table, numbers): (&str, Numbers<'_>), ids: &str) -> String {
    let rows = graph.node("Gather", &[table, ids]);
    match numbers {
        Numbers::F32(_) => rows,
        Numbers::Bf16(_) | Numbers::F16(_) => graph.cast(&rows, ElementType::Float32),
    }
}

fn declare(
    graph: &mut GraphBuilder<'_>,
    column: &Column,
    (what, about): (&str, &str),
    shape: Vec<Dim>,
) -> String {
    let element_type = if what == "weights" { ElementType::Float32 } else { ElementType::Int64 };
    let name = port_name(column, what);
    graph.input(Port { name, element_type, shape, about: format!("column {}: {about}", column.name) })
}

fn port_name(column: &Column, what: &str) -> String {
    format!("{}.{what}", column.name)
}

fn all_ids(column: &Column) -> Dim {
    Dim::Free(format!("ids of {}", column.name))
}

fn longest(column: &Column) -> Dim {
    Dim::Free(format!("most ids of {}", column.name))
}
