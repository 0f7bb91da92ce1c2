//! What makes the figures of a run meaningless, whatever they are.
use dlrm_data::schema::{Label, Task};
use dlrm_data::split::Part;
use dlrm_engine::config::RunConfig;
use dlrm_engine::run::Outcome;

/// One sentence to say in the place of a verdict: what is wrong and what to do.
pub(crate) fn caution(outcome: &Outcome, config: &RunConfig) -> Option<String> {
    constant_label(outcome, config)
        .map(|which| format!("{which}: there is nothing to learn. Give rows with different labels."))
        .or_else(|| {
            let files = config.trained_and_measured(Part::Test);
            (!files.is_empty() && outcome.verdict_part == Part::Test).then(|| {
                format!(
                    "The test rows were trained on ({}): the figures tell what the model remembers, not how \
                     well it predicts. Test with other rows.",
                    files.join(", ")
                )
            })
        })
}

/// Which label all training rows have, where it is one only.
fn constant_label(outcome: &Outcome, config: &RunConfig) -> Option<String> {
    // Drawn negatives are the other class.
    if config.data.negatives.is_some() {
        return None;
    }
    let label = &outcome.fitted.encoder.schema().label;
    let column = &label.column;
    match label.task {
        Task::Binary => {
            let stats = &outcome.stats[Part::Train];
            if stats.label_sum == 0.0 {
                Some(one_class(label, Class::Negative))
            } else if stats.label_sum == stats.weight_sum {
                Some(one_class(label, Class::Positive))
            } else {
                None
            }
        }
        Task::Rating => {
            let (first, rest) = outcome.parts[Part::Train].labels.split_first()?;
            rest.iter()
                .all(|other| other == first)
                .then(|| format!("The label \"{column}\" is {first} in every training row"))
        }
    }
}

/// The class of all rows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Negative,
    Positive,
}

fn one_class(label: &Label, class: Class) -> String {
    let column = &label.column;
    let texts = |texts: &[String]| texts.iter().map(|t| format!("\"{t}\"")).collect::<Vec<_>>().join(" or ");
    let how_many = if class == Class::Positive { "every" } else { "no" };
    match (&label.rule, &label.positive[..], &label.negative[..]) {
        (Some(rule), ..) => format!("The label rule \"{rule}\" holds in {how_many} training row"),
        (None, [], _) => {
            let value = u8::from(class == Class::Positive);
            format!("The label \"{column}\" is {value} in every training row")
        }
        (None, _, [_, ..]) if class == Class::Negative => {
            format!("The label \"{column}\" is {} in every training row", texts(&label.negative))
        }
        (None, positive, _) => {
            format!("The label \"{column}\" is {} in {how_many} training row", texts(positive))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_column_and_its_value_are_named() {
        let said = |label: &Label| [Class::Negative, Class::Positive].map(|class| one_class(label, class));
        let plain = Label::clicks("click".to_owned());
        assert_eq!(
            said(&plain),
            [
                "The label \"click\" is 0 in every training row",
                "The label \"click\" is 1 in every training row"
            ]
        );
        let texts = Label { positive: vec!["yes".into()], negative: vec!["no".into()], ..plain.clone() };
        assert_eq!(
            said(&texts),
            [
                "The label \"click\" is \"no\" in every training row",
                "The label \"click\" is \"yes\" in every training row"
            ]
        );
        let listed = Label { negative: Vec::new(), ..texts };
        assert_eq!(said(&listed)[0], "The label \"click\" is \"yes\" in no training row");
        let rule = Label { rule: Some("age >= 90".into()), ..plain };
        assert_eq!(said(&rule)[0], "The label rule \"age >= 90\" holds in no training row");
    }
}
