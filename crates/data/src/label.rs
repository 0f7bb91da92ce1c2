//! From a field to a label: 0/1 texts, listed positives, or a rule such as `rating >= 4`.
use crate::error::{Error, Hint, Result, quoted};
use crate::schema::{Label, Task};

/// How a label field is read.
#[derive(Debug, Clone, PartialEq)]
pub enum LabelReader {
    /// 0/1, true/false, -1.
    Click,
    /// A finite number.
    Rating,
    /// Positive if among the first texts; negative if among the second ones, or whatever else if there are
    /// none.
    Texts(Vec<String>, Vec<String>),
    /// Positive if the comparison holds.
    Rule(Rule),
}

/// `column operator value`.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Column to the left of the operator.
    pub column: String,
    operator: Operator,
    value: String,
    number: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    AtLeast,
    AtMost,
    Above,
    Below,
    Equal,
    NotEqual,
}

/// Longer ones first, since `>` is the beginning of `>=`.
const OPERATORS: [(&str, Operator); 6] = [
    (">=", Operator::AtLeast),
    ("<=", Operator::AtMost),
    ("==", Operator::Equal),
    ("!=", Operator::NotEqual),
    (">", Operator::Above),
    ("<", Operator::Below),
];

impl Rule {
    /// Parses a rule.
    ///
    /// # Errors
    /// If it is not `column operator value`, or an order is asked of a text.
    pub fn parse(text: &str) -> Result<Self> {
        let malformed = || {
            Error::input(
                "label rule",
                "a rule such as \"rating >= 4\" (operators >= <= > < == !=)",
                quoted(text),
            )
            .with_hint("numbers are compared with >= <= > <, texts with == and !=")
        };
        let (at, symbol, operator) = OPERATORS
            .iter()
            .filter_map(|&(symbol, operator)| text.find(symbol).map(|at| (at, symbol, operator)))
            .min_by_key(|&(at, symbol, _)| (at, std::cmp::Reverse(symbol.len())))
            .ok_or_else(malformed)?;
        let column = text[..at].trim().to_owned();
        let value = text[at + symbol.len()..].trim().trim_matches('"').to_owned();
        let number = value.parse::<f64>().ok().filter(|n| n.is_finite());
        let ordered = !matches!(operator, Operator::Equal | Operator::NotEqual);
        if column.is_empty() || value.is_empty() || (ordered && number.is_none()) {
            return Err(malformed());
        }
        Ok(Rule { column, operator, value, number })
    }

    /// Whether the field satisfies the rule; `None` if it should be a number and is not. A rule about a
    /// number says nothing of texts: a field such as "oops" is no click because it is not 0.
    fn holds(&self, field: &str) -> Option<bool> {
        let field = field.trim();
        let number = field.parse::<f64>().ok().filter(|n| n.is_finite());
        match (self.operator, self.number, number) {
            (Operator::Equal, Some(a), Some(b)) => Some(a == b),
            (Operator::NotEqual, Some(a), Some(b)) => Some(a != b),
            (Operator::Equal, None, _) => Some(field == self.value),
            (Operator::NotEqual, None, _) => Some(field != self.value),
            (Operator::AtLeast, Some(a), Some(b)) => Some(b >= a),
            (Operator::AtMost, Some(a), Some(b)) => Some(b <= a),
            (Operator::Above, Some(a), Some(b)) => Some(b > a),
            (Operator::Below, Some(a), Some(b)) => Some(b < a),
            _ => None,
        }
    }
}

/// What a text means that needs no explanation as a click or none.
pub fn plain(trimmed: &str) -> Option<bool> {
    match trimmed {
        "1" | "1.0" | "+1" | "+1.0" | "true" | "True" | "TRUE" => Some(true),
        "0" | "0.0" | "-1" | "-1.0" | "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

/// A field that is no label: what was expected, and a hint.
#[derive(Debug, PartialEq, Eq)]
pub struct NoLabel {
    /// What should have stood there.
    pub expected: String,
    /// What to do.
    pub hint: Option<Hint>,
}

impl Label {
    /// What a model of this label predicts the probability of, where that is not plainly a 1 in its column:
    /// `outcome is "accepted"` or `rating >= 4`.
    pub fn says(&self) -> Option<String> {
        if let Some(rule) = &self.rule {
            return Some(rule.clone());
        }
        let positive: Vec<String> = self.positive.iter().map(|text| quoted(text)).collect();
        (!positive.is_empty()).then(|| format!("{} is {}", self.column, positive.join(" or ")))
    }
}

impl LabelReader {
    /// For a schema's label.
    ///
    /// # Errors
    /// If the rule is malformed, speaks of another column, or is given for ratings.
    pub fn new(label: &Label) -> Result<Self> {
        match (&label.rule, label.task) {
            (Some(rule), Task::Rating) => {
                Err(Error::input("label rule", "no rule for the rating task", quoted(rule)))
            }
            (Some(rule), Task::Binary) => {
                let rule = Rule::parse(rule)?;
                if rule.column != label.column {
                    let expected = format!("a rule about the label column \"{}\"", label.column);
                    return Err(Error::input(
                        "label rule",
                        expected,
                        format!("one about \"{}\"", rule.column),
                    ));
                }
                Ok(LabelReader::Rule(rule))
            }
            (None, Task::Rating) => Ok(LabelReader::Rating),
            (None, Task::Binary) if label.positive.is_empty() => Ok(LabelReader::Click),
            (None, Task::Binary) => {
                let trimmed = |texts: &[String]| texts.iter().map(|text| text.trim().to_owned()).collect();
                Ok(LabelReader::Texts(trimmed(&label.positive), trimmed(&label.negative)))
            }
        }
    }

    /// The label of a field.
    ///
    /// # Errors
    /// What was expected instead.
    pub fn read(&self, field: &str) -> Result<f32, NoLabel> {
        match self {
            LabelReader::Texts(positive, negative) => {
                let (field, is_in) =
                    (field.trim(), |texts: &[String], field: &str| texts.iter().any(|text| text == field));
                match is_in(positive, field) {
                    true => Ok(1.0),
                    false if negative.is_empty() || is_in(negative, field) => Ok(0.0),
                    false => {
                        let known: Vec<String> =
                            positive.iter().chain(negative).map(|text| quoted(text)).collect();
                        let hint = "if this text counts too, list it under `positive` or `negative` of the \
                            schema's label";
                        Err(NoLabel {
                            expected: format!("one of {} as label", known.join(", ")),
                            hint: Some(hint.into()),
                        })
                    }
                }
            }
            LabelReader::Rule(rule) => {
                let held = rule.holds(field).ok_or_else(|| NoLabel {
                    expected: "a number for the label rule".into(),
                    hint: Some(
                        Hint::from("if a text counts as a click, name all clicks under ")
                            .name("schema.label.positive")
                            .say(" in place of the rule; rows that have no label can be skipped with ")
                            .set("data.max_bad_rows", "N"),
                    ),
                })?;
                Ok(f32::from(held))
            }
            LabelReader::Rating => {
                let number = field.trim().parse::<f32>().ok().filter(|n| n.is_finite());
                number.ok_or_else(|| NoLabel { expected: "a finite rating".into(), hint: None })
            }
            LabelReader::Click => match field.trim() {
                text if plain(text).is_some() => Ok(f32::from(plain(text) == Some(true))),
                _ => Err(NoLabel {
                    expected: "a label of 0 or 1".into(),
                    hint: Some(
                        Hint::from("say what counts as a click with a label rule (")
                            .set("schema.label.rule", "rating >= 4")
                            .say(") or a list of positive values (")
                            .name("schema.label.positive")
                            .say(")"),
                    ),
                }),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules() {
        let rule = Rule::parse("rating>=4").unwrap();
        assert_eq!(rule.column, "rating");
        assert_eq!([rule.holds("4"), rule.holds("3.5"), rule.holds("x")], [Some(true), Some(false), None]);
        let text = Rule::parse("income == >50K").unwrap();
        assert_eq!(text.column, "income");
        assert_eq!([text.holds(">50K"), text.holds("<=50K")], [Some(true), Some(false)]);
        assert_eq!(text.holds(" >50K "), Some(true));
        for (rule, of_one) in [("label != 0", true), ("label == 0", false)] {
            let rule = Rule::parse(rule).unwrap();
            assert_eq!((rule.holds("1.0"), rule.holds("oops"), rule.holds("")), (Some(of_one), None, None));
        }
        for bad in ["", "rating", "rating >=", ">= 4", "rating > high", "rating = 4"] {
            assert!(Rule::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn clicks() {
        let read = |field| LabelReader::Click.read(field);
        assert_eq!((read("+1"), read(" 0"), read("-1"), read("True")), (Ok(1.0), Ok(0.0), Ok(0.0), Ok(1.0)));
        assert!(read("2").is_err() && read("").is_err() && read("nan").is_err());
        let listed = |negative: &[&str]| {
            LabelReader::Texts(vec![">50K".into()], negative.iter().map(|&text| text.into()).collect())
        };
        assert_eq!((listed(&[]).read(" >50K "), listed(&[]).read(">50K.")), (Ok(1.0), Ok(0.0)));
        assert_eq!(listed(&["<=50K"]).read(" <=50K"), Ok(0.0));
        assert_eq!(
            listed(&["<=50K"]).read(">50K.").unwrap_err().expected,
            "one of \">50K\", \"<=50K\" as label"
        );
    }
}
