//! The breakdown of steps as SVG: a bar for each operator, its forward pass, backward pass and update end to
//! end.
use crate::markup::{Markup, element, tag, text};

const WIDTH: f64 = 760.0;
const MARGIN: f64 = 20.0;
/// Where bars begin and how long the longest is.
const LEFT: f64 = 150.0;
const LONGEST: f64 = 430.0;
const BAR: f64 = 16.0;
const LINE: f64 = 24.0;
/// Title, subtitle and legend of one measurement.
const HEAD: f64 = 78.0;

const STYLE: &str = concat!(
    "svg{background:#fff;font:13px system-ui,sans-serif}text{fill:#16202a}",
    ".title{font-size:16px;font-weight:600}.soft{fill:#52606d}.end{text-anchor:end}",
    ".forward{fill:#1f5fa8}.backward{fill:#7fb2e5}.update{fill:#d98a29}.waiting{fill:#b8c2cc}",
);

/// The time of one workload's steps by operator.
#[derive(Debug, Clone, PartialEq)]
pub struct StepBreakdown {
    /// What was measured.
    pub title: String,
    /// Rates, below the title.
    pub facts: String,
    /// Worker threads, over which thread time is divided.
    pub threads: usize,
    /// One bar each, in this order.
    pub operators: Vec<OperatorBar>,
}

/// Thread seconds of one operator in a step.
#[derive(Debug, Clone, PartialEq)]
pub struct OperatorBar {
    /// For people.
    pub name: &'static str,
    /// Whether the time is not work but waiting.
    pub idle: bool,
    /// Of the forward pass.
    pub forward: f64,
    /// Of the backward pass.
    pub backward: f64,
    /// Of the update.
    pub update: f64,
    /// Of all thread time.
    pub share: f64,
}

impl OperatorBar {
    fn seconds(&self) -> f64 {
        self.forward + self.backward + self.update
    }
}

/// One picture of several measurements.
pub fn breakdown_svg(all: &[StepBreakdown]) -> String {
    let mut drawn = tag("style", &Markup::fixed(STYLE));
    let mut y = MARGIN;
    for measured in all {
        drawn.push(&section(measured, y));
        y += HEAD + LINE * measured.operators.len() as f64 + MARGIN;
    }
    let (width, height) = (number(WIDTH), number(y));
    let view = format!("0 0 {width} {height}");
    let attributes =
        [("xmlns", "http://www.w3.org/2000/svg"), ("viewBox", &view), ("width", &width), ("height", &height)];
    element("svg", &attributes, &drawn).into_string()
}

fn section(measured: &StepBreakdown, top: f64) -> Markup {
    let mut drawn: Markup = [
        words("title", MARGIN, top + 14.0, &measured.title),
        words("soft", MARGIN, top + 34.0, &measured.facts),
    ]
    .into_iter()
    .collect();
    for (i, (class, name)) in
        [("forward", "forward"), ("backward", "backward"), ("update", "update")].into_iter().enumerate()
    {
        let x = LEFT + 100.0 * i as f64;
        drawn.push(&bar(class, x, top + 46.0, 12.0, 12.0));
        drawn.push(&words("", x + 18.0, top + 57.0, name));
    }
    let most = measured.operators.iter().map(OperatorBar::seconds).fold(f64::MIN_POSITIVE, f64::max);
    for (i, operator) in measured.operators.iter().enumerate() {
        drawn.push(&line(operator, top + HEAD + LINE * i as f64, LONGEST / most, measured.threads));
    }
    drawn
}

/// The bar of one operator; `scale` is its length per second.
fn line(operator: &OperatorBar, y: f64, scale: f64, threads: usize) -> Markup {
    let mut drawn = words("end", LEFT - 10.0, y + 12.5, operator.name);
    let mut x = LEFT;
    let forward = if operator.idle { "waiting" } else { "forward" };
    for (class, seconds) in
        [(forward, operator.forward), ("backward", operator.backward), ("update", operator.update)]
    {
        if seconds > 0.0 {
            drawn.push(&bar(class, x, y, seconds * scale, BAR));
            x += seconds * scale;
        }
    }
    let label =
        format!("{:.2} ms, {:.1} %", 1e3 * operator.seconds() / threads as f64, 100.0 * operator.share);
    drawn.push(&words("soft", x + 8.0, y + 12.5, &label));
    drawn
}

fn bar(class: &str, x: f64, y: f64, width: f64, height: f64) -> Markup {
    let [x, y, width, height] = [x, y, width, height].map(number);
    element(
        "rect",
        &[("class", class), ("x", &x), ("y", &y), ("width", &width), ("height", &height)],
        &Markup::default(),
    )
}

fn words(class: &str, x: f64, y: f64, content: &str) -> Markup {
    element("text", &[("class", class), ("x", &number(x)), ("y", &number(y))], &text(content))
}

fn number(x: f64) -> String {
    format!("{x:.1}")
}
