//! Plots as SVG: a few marks on linear or logarithmic axes, readable in both themes, on paper and without
//! colours.
//!
//! Colours are the classes `c0`, `c1`, … of the page's style sheet; each series also has its own
//! dash pattern or marker, so that no reader depends on hues.
mod scale;

pub(crate) use scale::{Scale, Unit};

use super::markup::{Markup, element, tag, tagged, text};

/// Size of the picture in its own units; the page scales it.
const WIDTH: f64 = 480.0;
const HEIGHT: f64 = 330.0;
/// Space left of, right of, above and below the plotting area.
const LEFT: f64 = 66.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 52.0;
/// Tick labels on one axis fit up to this number.
const MOST_X_TICKS: usize = 7;

/// An axis with its label.
pub(crate) struct Axis {
    pub(crate) label: String,
    pub(crate) scale: Scale,
    pub(crate) unit: Unit,
}

/// A point with its interval along y.
pub(crate) struct Dot {
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
    /// Shown when the reader points at it.
    pub(crate) tip: String,
}

/// What a series looks like.
pub(crate) enum Shape {
    /// A line through points; broken where a value is not finite.
    Line(Vec<(f64, f64)>),
    /// Markers with intervals.
    Dots(Vec<Dot>),
    /// A filled outline over equal bins from `low`.
    Steps { low: f64, width: f64, heights: Vec<f64> },
    /// One marked point.
    Mark(f64, f64),
    /// A thin dotted reference line between two points.
    Reference((f64, f64), (f64, f64)),
}

/// A named series; `colour` picks one of the page's series colours and dash patterns.
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) colour: usize,
    pub(crate) shape: Shape,
}

/// A plot.
pub(crate) struct Plot {
    pub(crate) title: String,
    /// What a reader who cannot see it should know.
    pub(crate) description: String,
    pub(crate) x: Axis,
    pub(crate) y: Axis,
    pub(crate) series: Vec<Series>,
}

impl Plot {
    /// The plot as a figure with caption and legend.
    pub(crate) fn figure(&self) -> Markup {
        let drawn: Markup = [self.grid(), self.series.iter().map(|s| self.series(s)).collect::<Markup>()]
            .into_iter()
            .collect();
        let alternative = format!("{}. {}", self.title, self.description);
        let view = format!("0 0 {WIDTH} {HEIGHT}");
        let svg =
            element("svg", &[("viewBox", &view), ("role", "img"), ("aria-label", &alternative)], &drawn);
        let parts = [tagged("figcaption", &self.title), svg, self.legend()];
        tag("figure", &parts.into_iter().collect())
    }

    fn at(&self, x: f64, y: f64) -> (f64, f64) {
        let x = LEFT + self.x.scale.share(self.x.scale.clamp(x)) * (WIDTH - LEFT - RIGHT);
        let y = HEIGHT - BOTTOM - self.y.scale.share(self.y.scale.clamp(y)) * (HEIGHT - TOP - BOTTOM);
        (x, y)
    }

    fn grid(&self) -> Markup {
        let (left, right, bottom) = (LEFT, WIDTH - RIGHT, HEIGHT - BOTTOM);
        let mut all = Markup::default();
        let x_ticks = self.x.scale.ticks(self.x.unit);
        let every = x_ticks.len().div_ceil(MOST_X_TICKS);
        for (value, label) in x_ticks.into_iter().step_by(every.max(1)) {
            let (x, _) = self.at(value, 0.0);
            all.push(&line("grid", (x, TOP), (x, bottom)));
            all.push(&words("tick", (x, bottom + 18.0), "middle", &label));
        }
        for (value, label) in self.y.scale.ticks(self.y.unit) {
            let (_, y) = self.at(0.0, value);
            all.push(&line("grid", (left, y), (right, y)));
            all.push(&words("tick", (left - 7.0, y + 4.5), "end", &label));
        }
        all.push(&line("axis", (left, bottom), (right, bottom)));
        all.push(&line("axis", (left, TOP), (left, bottom)));
        all.push(&words("label", ((left + right) / 2.0, HEIGHT - 10.0), "middle", &self.x.label));
        let (x, y) = (15.0, (TOP + bottom) / 2.0);
        let turn = format!("rotate(-90 {x} {y})");
        let place = [
            ("class", "label"),
            ("x", "15"),
            ("y", &decimal(y)),
            ("text-anchor", "middle"),
            ("transform", &turn),
        ];
        all.push(&element("text", &place, &text(&self.y.label)));
        all
    }

    fn series(&self, series: &Series) -> Markup {
        let class = format!("c{}", series.colour);
        match &series.shape {
            Shape::Line(points) => self.path(&format!("line {class}"), points),
            Shape::Dots(dots) => dots.iter().map(|dot| self.dot(&class, dot)).collect(),
            Shape::Steps { low, width, heights } => {
                self.path(&format!("steps {class}"), &outline(*low, *width, heights))
            }
            Shape::Mark(x, y) if x.is_finite() && y.is_finite() => self.mark(&class, (*x, *y), &series.name),
            Shape::Mark(..) => Markup::default(),
            Shape::Reference(from, to) => line("reference", self.at(from.0, from.1), self.at(to.0, to.1)),
        }
    }

    fn path(&self, class: &str, points: &[(f64, f64)]) -> Markup {
        let mut data = String::new();
        let mut pen = 'M';
        for &(x, y) in points {
            if !(x.is_finite() && y.is_finite()) {
                pen = 'M';
                continue;
            }
            let (x, y) = self.at(x, y);
            data.push(pen);
            data.push_str(&format!("{} {}", decimal(x), decimal(y)));
            pen = 'L';
        }
        element("path", &[("class", class), ("d", &data)], &Markup::default())
    }

    fn dot(&self, class: &str, dot: &Dot) -> Markup {
        let (top, bottom) = (self.at(dot.x, dot.high), self.at(dot.x, dot.low));
        let mut parts = line("whisker", top, bottom);
        for (x, y) in [top, bottom] {
            parts.push(&line("whisker", (x - 4.0, y), (x + 4.0, y)));
        }
        parts.push(&circle("point", self.at(dot.x, dot.y), 4.0));
        parts.push(&tagged("title", &dot.tip));
        element("g", &[("class", class)], &parts)
    }

    fn mark(&self, class: &str, (x, y): (f64, f64), name: &str) -> Markup {
        let (px, py) = self.at(x, y);
        let parts = [
            line("drop", (px, py), (px, HEIGHT - BOTTOM)),
            circle("best", (px, py), 6.0),
            tagged("title", name),
        ];
        element("g", &[("class", class)], &parts.into_iter().collect())
    }

    fn legend(&self) -> Markup {
        let item = |series: &Series| {
            let swatch = element(
                "svg",
                &[("viewBox", "0 0 28 12"), ("class", "swatch"), ("aria-hidden", "true")],
                &swatch(series),
            );
            tag("li", &[swatch, text(&series.name)].into_iter().collect())
        };
        element("ul", &[("class", "legend")], &self.series.iter().map(item).collect())
    }
}

fn swatch(series: &Series) -> Markup {
    let class = format!("c{}", series.colour);
    let path =
        |class: &str, data: &str| element("path", &[("class", class), ("d", data)], &Markup::default());
    match series.shape {
        Shape::Line(_) => path(&format!("line {class}"), "M1 6L27 6"),
        Shape::Steps { .. } => path(&format!("steps {class}"), "M2 11L2 4L14 4L14 1L26 1L26 11"),
        Shape::Reference(..) => path("reference", "M1 6L27 6"),
        Shape::Dots(_) => element("g", &[("class", &class)], &circle("point", (14.0, 6.0), 4.0)),
        Shape::Mark(..) => element("g", &[("class", &class)], &circle("best", (14.0, 6.0), 4.5)),
    }
}

/// The outline of a histogram, down to zero at both ends and wherever a bin is empty.
fn outline(low: f64, width: f64, heights: &[f64]) -> Vec<(f64, f64)> {
    let edge = |k: usize| low + k as f64 * width;
    let tops = heights.iter().enumerate().flat_map(|(k, &h)| [(edge(k), h), (edge(k + 1), h)]);
    std::iter::once((low, 0.0)).chain(tops).chain([(edge(heights.len()), 0.0)]).collect()
}

fn line(class: &str, from: (f64, f64), to: (f64, f64)) -> Markup {
    let [x1, y1, x2, y2] = [from.0, from.1, to.0, to.1].map(decimal);
    element(
        "line",
        &[("class", class), ("x1", &x1), ("y1", &y1), ("x2", &x2), ("y2", &y2)],
        &Markup::default(),
    )
}

fn circle(class: &str, (x, y): (f64, f64), r: f64) -> Markup {
    let [x, y, r] = [x, y, r].map(decimal);
    element("circle", &[("class", class), ("cx", &x), ("cy", &y), ("r", &r)], &Markup::default())
}

fn words(class: &str, (x, y): (f64, f64), anchor: &str, content: &str) -> Markup {
    let place = [("class", class), ("x", &decimal(x) as &str), ("y", &decimal(y)), ("text-anchor", anchor)];
    element("text", &place, &text(content))
}

/// A coordinate to a tenth, which is finer than a pixel.
fn decimal(x: f64) -> String {
    let shown = format!("{x:.1}");
    shown.strip_suffix(".0").map_or(shown.clone(), str::to_owned)
}

/// At most `most` points (about): the lowest and highest of each run of neighbours, so that no spike
/// gets lost. Points that are not finite survive as gaps.
pub(crate) fn thin(points: &[(f64, f64)], most: usize) -> Vec<(f64, f64)> {
    if points.len() <= most {
        return points.to_vec();
    }
    let run = (2 * points.len()).div_ceil(most);
    let extremes = |run: &[(f64, f64)]| {
        if let Some(&gap) = run.iter().find(|p| !p.1.is_finite()) {
            return vec![gap];
        }
        let index = |better: fn(f64, f64) -> bool| {
            (1..run.len()).fold(0, |best, k| if better(run[k].1, run[best].1) { k } else { best })
        };
        let (low, high) = (index(|a, b| a < b), index(|a, b| a > b));
        let mut kept = vec![low.min(high), low.max(high)];
        kept.dedup();
        kept.into_iter().map(|k| run[k]).collect()
    };
    points.chunks(run).flat_map(extremes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot(series: Vec<Series>) -> String {
        let axis =
            |label: &str| Axis { label: label.into(), scale: Scale::exactly(0.0, 1.0), unit: Unit::Number };
        let plot = Plot {
            title: "A <title>".into(),
            description: "What \"it\" shows".into(),
            x: axis("x"),
            y: axis("y"),
            series,
        };
        plot.figure().into_string()
    }

    #[test]
    fn lines_break_at_what_is_not_a_number_and_stay_inside() {
        let points = vec![(0.0, 0.0), (0.5, f64::NAN), (0.5, 7.0), (1.0, 1.0)];
        let html = plot(vec![Series { name: "loss".into(), colour: 0, shape: Shape::Line(points) }]);
        assert!(html.contains("d=\"M66 278M261 12L456 12\""), "{html}");
        assert!(!html.contains("NaN"));
        assert!(html.contains("aria-label=\"A &lt;title&gt;. What &quot;it&quot; shows\""));
    }

    #[test]
    fn thinning_keeps_ends_of_the_range() {
        let points: Vec<(f64, f64)> = (0..10_000)
            .map(|i| (f64::from(i), if i == 7_777 { 9.0 } else { f64::from(i % 10) * 0.1 }))
            .collect();
        let thinned = thin(&points, 400);
        assert!(thinned.len() <= 400);
        assert!(thinned.contains(&(7_777.0, 9.0)));
        assert!(thinned.is_sorted_by(|a, b| a.0 < b.0));
    }
}
