//! A model's operations as a picture: inputs at the top, the logit at the bottom, each box with its width and
//! its cost.
use super::format::count;
use super::markup::{Markup, element, tag, text};
use dlrm_nn::{Graph, GraphNode};

const BOX: (f64, f64) = (210.0, 46.0);
const GAP: (f64, f64) = (18.0, 34.0);
const MARGIN: f64 = 16.0;

const STYLE: &str = concat!(
    "svg{color-scheme:light dark;font:12px system-ui,sans-serif}",
    "rect{fill:#eef3f8;stroke:#5b6b7b}path{fill:none;stroke:#8a97a4}",
    "text{fill:#16202a;text-anchor:middle}.soft{fill:#52606d;font-size:10.5px}",
    "@media(prefers-color-scheme:dark){rect{fill:#1d2731;stroke:#8a97a4}",
    "text{fill:#e8eef4}.soft{fill:#a9b6c2}}",
);

/// The graph of recorded operations as a standalone SVG.
pub fn graph_svg(graph: &Graph) -> String {
    let places = places(&graph.nodes);
    let count_of = |most: Option<usize>| most.map_or(0, |last| last + 1) as f64;
    let rows = count_of(places.iter().map(|p| p.0).max());
    let columns = count_of(places.iter().map(|p| p.1).max());
    let (width, height) =
        (2.0 * MARGIN + columns * (BOX.0 + GAP.0) - GAP.0, 2.0 * MARGIN + rows * (BOX.1 + GAP.1) - GAP.1);
    let mut all = tag("style", &Markup::fixed(STYLE));
    for (node, &place) in graph.nodes.iter().zip(&places) {
        node.inputs.iter().for_each(|&input| all.push(&edge(places[input], place)));
    }
    for (node, &place) in graph.nodes.iter().zip(&places) {
        all.push(&drawn(node, place));
    }
    let view = format!("0 0 {width:.0} {height:.0}");
    let attributes = [
        ("xmlns", "http://www.w3.org/2000/svg"),
        ("viewBox", view.as_str()),
        ("width", &format!("{width:.0}")),
    ];
    element("svg", &attributes, &all).into_string()
}

/// Upper left corner of the box at (row, column).
fn corner((row, column): (usize, usize)) -> (f64, f64) {
    (MARGIN + column as f64 * (BOX.0 + GAP.0), MARGIN + row as f64 * (BOX.1 + GAP.1))
}

/// The line from an input to what reads it.
fn edge(input: (usize, usize), reader: (usize, usize)) -> Markup {
    let ((fx, fy), (x, y)) = (corner(input), corner(reader));
    let (from, to) = ((fx + BOX.0 / 2.0, fy + BOX.1), (x + BOX.0 / 2.0, y));
    let bend = (from.1 + to.1) / 2.0;
    let path = format!(
        "M{:.0} {:.0}C{:.0} {bend:.0} {:.0} {bend:.0} {:.0} {:.0}",
        from.0, from.1, from.0, to.0, to.0, to.1
    );
    element("path", &[("d", &path)], &Markup::default())
}

/// The box of an operation: its name, width and cost.
fn drawn(node: &GraphNode, place: (usize, usize)) -> Markup {
    let (x, y) = corner(place);
    let at = |value: f64| format!("{value:.0}");
    let frame = [("x", at(x)), ("y", at(y)), ("width", at(BOX.0)), ("height", at(BOX.1)), ("rx", "6".into())];
    let frame: Vec<(&'static str, &str)> = frame.iter().map(|(k, v)| (*k, v.as_str())).collect();
    let words = |class: &str, dy: f64, content: &str| {
        let place = [("class", class), ("x", &at(x + BOX.0 / 2.0) as &str), ("y", &at(y + dy))];
        element("text", &place, &text(content))
    };
    let parameter = node.parameter().map(|p| format!(" {}", shortened(p.trim_end_matches(".weight"))));
    let name = format!("{}{}", node.operation, parameter.unwrap_or_default());
    let cost = if node.cost.forward > 0.0 {
        format!(", {} multiply-adds", count(node.cost.forward as u64))
    } else {
        String::new()
    };
    let cost = format!("{} columns{cost}", count(node.width as u64));
    let parts =
        [element("rect", &frame, &Markup::default()), words("", 19.0, &name), words("soft", 36.0, &cost)];
    parts.into_iter().collect()
}

/// The last part of a long name.
fn shortened(name: &str) -> String {
    const MOST: usize = 18;
    let letters = name.chars().count();
    if letters <= MOST {
        name.to_owned()
    } else {
        format!("…{}", name.chars().skip(letters - MOST + 1).collect::<String>())
    }
}

/// (row, column) of every node: a row below all of its inputs; what has no input stands right above what
/// reads it. Columns in the order of recording.
fn places(nodes: &[GraphNode]) -> Vec<(usize, usize)> {
    let mut rows: Vec<usize> = Vec::with_capacity(nodes.len());
    for node in nodes {
        rows.push(node.inputs.iter().map(|&i| rows[i] + 1).max().unwrap_or(0));
    }
    for source in (0..nodes.len()).filter(|&i| nodes[i].inputs.is_empty()) {
        let readers = nodes.iter().zip(&rows).filter(|(node, _)| node.inputs.contains(&source));
        rows[source] = readers.map(|(_, &row)| row).min().map_or(0, |row| row - 1);
    }
    let mut used = vec![0; rows.iter().max().map_or(0, |row| row + 1)];
    rows.into_iter()
        .map(|row| {
            used[row] += 1;
            (row, used[row] - 1)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_stand_below_their_inputs() {
        let node = |operation, inputs: &[usize]| GraphNode {
            operation,
            inputs: inputs.to_vec(),
            width: 3,
            ..GraphNode::default()
        };
        let nodes = vec![
            node("dense inputs", &[]),
            node("embeddings", &[]),
            node("concat", &[0, 1]),
            node("linear", &[2]),
        ];
        assert_eq!(places(&nodes), [(0, 0), (0, 1), (1, 0), (2, 0)]);
        let svg = graph_svg(&Graph { nodes });
        assert!(svg.contains(">concat</text>"), "{svg}");
        assert!(
            svg.starts_with("<svg") && svg.matches("<rect").count() == 4 && svg.matches("<path").count() == 3
        );
    }
}
