//! The shape of a network of the reference implementation, as the tensors of its checkpoint tell it.
use crate::error::{Error, Result};
use dlrm_models::Interaction;
use std::collections::{BTreeMap, BTreeSet};

/// A tensor of a checkpoint, without its numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReferenceTensor {
    /// Its name, such as `bot_l.0.weight`.
    pub name: String,
    /// What its elements are, such as `float32`.
    pub dtype: String,
    /// Its dimensions.
    pub shape: Vec<usize>,
}

/// A network of the reference implementation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReferenceShape {
    /// Columns of numbers.
    pub dense: usize,
    /// Widths of the layers of the bottom MLP, the last of which is that of all vectors.
    pub bottom: Vec<usize>,
    /// Rows of each table.
    pub rows: Vec<usize>,
    /// Widths of the layers of the top MLP, the last of which is 1.
    pub top: Vec<usize>,
    /// How vectors meet.
    pub interaction: Interaction,
}

const BOTTOM: &str = "bot_l";
const TOP: &str = "top_l";

/// The name of a layer's part in a checkpoint. Activations stand between layers and have places too.
pub(super) fn layer_name(mlp: Mlp, layer: usize, part: &str) -> String {
    let mlp = if mlp == Mlp::Bottom { BOTTOM } else { TOP };
    format!("{mlp}.{}.{part}", 2 * layer)
}

/// The name of a table in a checkpoint.
pub(super) fn table_name(table: usize) -> String {
    format!("emb_l.{table}.weight")
}

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mlp {
    Bottom,
    Top,
}

/// A layer: columns that it reads and that it gives.
#[derive(Debug, Clone, Copy)]
struct Layer {
    inputs: usize,
    outputs: usize,
}

/// The tensors of a checkpoint by name.
struct Tensors<'t>(BTreeMap<&'t str, &'t ReferenceTensor>);

/// The error of a checkpoint that is not what it should be.
pub(super) fn wrong(what: &str, expected: impl Into<String>, found: impl Into<String>) -> Error {
    let colon = if what.is_empty() { "" } else { ": " };
    Error::config(format!("checkpoint{colon}{what}"), expected, found)
        .with_hint("give the whole `state_dict()` of one DLRM_Net of the reference implementation")
}

/// The error of one of its tensors.
pub(super) fn wrong_tensor(name: &str, expected: impl Into<String>, found: impl Into<String>) -> Error {
    wrong(&format!("tensor \"{name}\""), expected, found)
}

impl ReferenceShape {
    /// The shape that these tensors have, where vectors meet as `interaction` says, else as the width of the
    /// top MLP's first layer does.
    ///
    /// # Errors
    /// The first tensor that is missing, of another shape or type than its neighbours ask for, or none of a
    /// plain network.
    pub fn of(tensors: &[ReferenceTensor], interaction: Option<Interaction>) -> Result<Self> {
        let tensors = Tensors::of(tensors)?;
        let (bottom, top) = (tensors.layers(Mlp::Bottom)?, tensors.layers(Mlp::Top)?);
        let dim = bottom[bottom.len() - 1].outputs;
        let rows = tensors.tables(dim)?;
        let last = top[top.len() - 1].outputs;
        if last != 1 {
            let name = layer_name(Mlp::Top, top.len() - 1, "weight");
            return Err(wrong_tensor(&name, "1 row, which gives the logit", last.to_string()));
        }
        let interaction = met(rows.len() + 1, dim, top[0].inputs, interaction)?;
        let outputs = |layers: &[Layer]| layers.iter().map(|layer| layer.outputs).collect();
        Ok(ReferenceShape {
            dense: bottom[0].inputs,
            bottom: outputs(&bottom),
            rows,
            top: outputs(&top),
            interaction,
        })
    }

    /// D, the width of all vectors.
    pub fn dim(&self) -> usize {
        self.bottom[self.bottom.len() - 1]
    }
}

impl<'t> Tensors<'t> {
    /// Tensors that all belong to a plain network and are of its type.
    fn of(tensors: &'t [ReferenceTensor]) -> Result<Self> {
        for ReferenceTensor { name, dtype, .. } in tensors {
            if place(name).is_none() {
                let expected = "tensors emb_l.K.weight, bot_l.I.weight, bot_l.I.bias, top_l.I.weight and \
                                top_l.I.bias";
                return Err(wrong("", expected, format!("\"{name}\"")).with_hint(about_stranger(name)));
            }
            if dtype != "float32" {
                let error = wrong_tensor(name, "float32", dtype);
                return Err(error.with_hint("widen the numbers first: {name: x.float() for name, x in …}"));
            }
        }
        Ok(Tensors(tensors.iter().map(|tensor| (tensor.name.as_str(), tensor)).collect()))
    }

    /// The shape of a tensor that must be there.
    fn shape(&self, name: &str) -> Result<&'t [usize]> {
        let missing = || wrong("", format!("a tensor \"{name}\""), "none");
        self.0.get(name).map(|tensor| &tensor.shape[..]).ok_or_else(missing)
    }

    /// The two dimensions of a tensor, neither of them 0.
    fn matrix(&self, name: &str) -> Result<[usize; 2]> {
        match *self.shape(name)? {
            [rows, columns] if rows > 0 && columns > 0 => Ok([rows, columns]),
            ref other => Err(wrong_tensor(name, "two dimensions of at least 1", format!("{other:?}"))),
        }
    }

    /// The numbers in the names that begin with `list`.
    fn places(&self, list: &str) -> BTreeSet<usize> {
        let of_list = |name: &&str| place(name).filter(|(own, ..)| *own == list).map(|(_, place, _)| place);
        self.0.keys().filter_map(of_list).collect()
    }

    fn layers(&self, mlp: Mlp) -> Result<Vec<Layer>> {
        let count = self.places(if mlp == Mlp::Bottom { BOTTOM } else { TOP }).len().max(1);
        let mut layers: Vec<Layer> = Vec::with_capacity(count);
        for layer in 0..count {
            let [weight, bias] = ["weight", "bias"].map(|part| layer_name(mlp, layer, part));
            let [outputs, inputs] = self.matrix(&weight)?;
            if let Some(before) = layers.last().filter(|before| before.outputs != inputs) {
                let expected = format!("{} columns, as the layer before has rows", before.outputs);
                return Err(wrong_tensor(&weight, expected, inputs.to_string()));
            }
            let found = self.shape(&bias)?;
            if found != [outputs] {
                return Err(wrong_tensor(&bias, format!("[{outputs}]"), format!("{found:?}")));
            }
            layers.push(Layer { inputs, outputs });
        }
        Ok(layers)
    }

    /// Rows of the tables, which are all `dim` wide.
    fn tables(&self, dim: usize) -> Result<Vec<usize>> {
        const MOST: usize = u32::MAX as usize - 1;
        let rows = (0..self.places("emb_l").len().max(1)).map(|table| {
            let name = table_name(table);
            let [rows, columns] = self.matrix(&name)?;
            if columns != dim {
                let expected = format!("{dim} columns, the width of the bottom MLP's result");
                return Err(wrong_tensor(&name, expected, columns.to_string())
                    .with_hint("tables of mixed dimensions cannot be read: train such a model with dlrm"));
            }
            if rows > MOST {
                return Err(wrong_tensor(&name, format!("{MOST} rows at most"), rows.to_string()));
            }
            Ok(rows)
        });
        rows.collect()
    }
}

/// List, number and part of a name of a plain network.
fn place(name: &str) -> Option<(&str, usize, &str)> {
    let mut words = name.split('.');
    let (list, number, part) = (words.next()?, words.next()?, words.next()?);
    let known = match list {
        "emb_l" => part == "weight",
        BOTTOM | TOP => part == "weight" || part == "bias",
        _ => false,
    };
    let place: usize = number.parse().ok().filter(|place: &usize| place.to_string() == number)?;
    (known && words.next().is_none()).then_some((list, place, part))
}

/// What to do about a tensor that no plain network has.
fn about_stranger(name: &str) -> &'static str {
    if name.ends_with(".weight_q") || name.ends_with(".weight_r") {
        "quotient-remainder tables cannot be read: train such a model with dlrm (model.quotient_remainder)"
    } else if name.contains(".embs.") || name.contains(".proj.") {
        "tables of mixed dimensions cannot be read: train such a model with dlrm (model.mixed_dims)"
    } else if name.starts_with("v_W_l") {
        "learned pooling weights cannot be read: train such a model with dlrm (model.pooling)"
    } else if name.starts_with("module.") {
        "take the prefix away: {name.removeprefix(\"module.\"): x for name, x in …}"
    } else {
        "give the `state_dict()` of the reference implementation's DLRM_Net, and nothing else"
    }
}

/// How `vectors` vectors of width `dim` meet, if the top MLP reads `width` columns.
fn met(vectors: usize, dim: usize, width: usize, said: Option<Interaction>) -> Result<Interaction> {
    let ways = [
        ("dot", Interaction::Dot, dim + vectors * (vectors - 1) / 2),
        ("dot_self", Interaction::DotSelf, dim + vectors * (vectors + 1) / 2),
        ("cat", Interaction::Cat, vectors * dim),
    ];
    let asked: Vec<_> = ways.into_iter().filter(|(_, way, _)| said.is_none_or(|said| said == *way)).collect();
    match &asked.iter().filter(|(.., columns)| *columns == width).collect::<Vec<_>>()[..] {
        [(_, way, _)] => Ok(*way),
        [] => {
            let each: Vec<String> =
                asked.iter().map(|(name, _, columns)| format!("{columns} ({name})")).collect();
            let expected = format!("columns for {vectors} vectors of width {dim}: {}", each.join(" or "));
            Err(wrong_tensor(&layer_name(Mlp::Top, 0, "weight"), expected, width.to_string()))
        }
        fits => {
            let names: Vec<String> = fits.iter().map(|(name, ..)| format!("\"{name}\"")).collect();
            let expected = format!("one of {}, for {width} columns fit them all", names.join(", "));
            let error = Error::config("interaction", expected, "none");
            Err(error.with_hint("say which the model was trained with; the reference's default is \"dot\""))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three dense columns, two tables of width 4: 4 + 3 columns for the top MLP.
    fn network() -> Vec<ReferenceTensor> {
        let tensor = |(name, shape): (&str, &[usize])| ReferenceTensor {
            name: name.to_owned(),
            dtype: "float32".to_owned(),
            shape: shape.to_vec(),
        };
        let all: [(&str, &[usize]); 10] = [
            ("emb_l.0.weight", &[9, 4]),
            ("emb_l.1.weight", &[5, 4]),
            ("bot_l.0.weight", &[8, 3]),
            ("bot_l.0.bias", &[8]),
            ("bot_l.2.weight", &[4, 8]),
            ("bot_l.2.bias", &[4]),
            ("top_l.0.weight", &[6, 7]),
            ("top_l.0.bias", &[6]),
            ("top_l.2.weight", &[1, 6]),
            ("top_l.2.bias", &[1]),
        ];
        all.into_iter().map(tensor).collect()
    }

    #[test]
    fn widths_tell_the_network() {
        let shape = ReferenceShape::of(&network(), None).expect("a network");
        let expected = ReferenceShape {
            dense: 3,
            bottom: vec![8, 4],
            rows: vec![9, 5],
            top: vec![6, 1],
            interaction: Interaction::Dot,
        };
        assert_eq!(shape, expected);
        for (columns, interaction) in [(10, Interaction::DotSelf), (12, Interaction::Cat)] {
            let mut tensors = network();
            tensors[6].shape = vec![6, columns];
            assert_eq!(ReferenceShape::of(&tensors, None).expect("a network").interaction, interaction);
        }
    }

    fn refused(change: impl FnOnce(&mut Vec<ReferenceTensor>), said: Option<Interaction>) -> String {
        let mut tensors = network();
        change(&mut tensors);
        ReferenceShape::of(&tensors, said).expect_err("no network").to_string()
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let shape = |index: usize, shape: &[usize]| {
            let shape = shape.to_vec();
            refused(move |tensors| tensors[index].shape = shape, None)
        };
        let cases = [
            (shape(0, &[9, 3]), "\"emb_l.0.weight\": expected 4 columns"),
            (shape(1, &[5]), "\"emb_l.1.weight\": expected two dimensions of at least 1, found [5]"),
            (shape(3, &[7]), "\"bot_l.0.bias\": expected [8], found [7]"),
            (shape(4, &[4, 9]), "\"bot_l.2.weight\": expected 8 columns"),
            (shape(6, &[6, 8]), "7 (dot) or 10 (dot_self) or 12 (cat), found 8"),
            (shape(8, &[2, 6]), "\"top_l.2.bias\": expected [2], found [1]"),
            (refused(|tensors| drop(tensors.remove(0)), None), "a tensor \"emb_l.0.weight\", found none"),
            (refused(|tensors| drop(tensors.remove(5)), None), "a tensor \"bot_l.2.bias\", found none"),
            (refused(|tensors| tensors.truncate(6), None), "a tensor \"top_l.0.weight\", found none"),
            (refused(|tensors| tensors[2].dtype = "float16".into(), None), "expected float32, found float16"),
            (refused(|tensors| tensors[0].name = "emb_l.0.weight_q".into(), None), "\"emb_l.0.weight_q\""),
            (refused(|tensors| tensors[0].name = "emb_l.00.weight".into(), None), "\"emb_l.00.weight\""),
            (refused(|_| (), Some(Interaction::Cat)), "12 (cat), found 7"),
        ];
        for (message, expected) in cases {
            assert!(message.contains(expected), "{message}: expected {expected}");
        }
    }

    #[test]
    fn a_width_that_fits_two_ways_is_asked_about() {
        // Four vectors of width 2: 2 + 6 columns, or 4 · 2.
        let change = |tensors: &mut Vec<ReferenceTensor>| {
            tensors[4].shape = vec![2, 8];
            tensors[5].shape = vec![2];
            tensors[6].shape = vec![6, 8];
            tensors[0].shape = vec![9, 2];
            tensors[1].shape = vec![5, 2];
            tensors.push(ReferenceTensor { name: "emb_l.2.weight".into(), ..tensors[1].clone() });
        };
        assert!(refused(change, None).contains("interaction: expected one of \"dot\", \"cat\""));
        let mut tensors = network();
        change(&mut tensors);
        let shape = ReferenceShape::of(&tensors, Some(Interaction::Cat)).expect("a network");
        assert_eq!(shape.interaction, Interaction::Cat);
    }
}
