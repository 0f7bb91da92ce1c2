//! The values of a label: which two classes they are, or that they are numbers.
//!
//! One odd value among thousands does not make a click a rating: if 99 % of the rows hold 0 or 1 (or one of
//! two texts), the rest are mistakes, which training reports with their places.
use super::evidence::number;
use super::label_profile::{LabelOrigin, LabelProfile, PositiveOrigin};
use dlrm_data::error::quoted;
use dlrm_data::label::{LabelReader, plain};
use dlrm_data::row::RawRow;
use dlrm_data::schema::is_missing;
use dlrm_data::schema::{Label, Task};

/// Different texts that are counted; the two classes are among them unless there are more than two classes.
const MOST: usize = 16;
/// Stray texts that are shown.
const SHOWN: usize = 3;

/// Counts of label texts.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    texts: Vec<(String, u64)>,
    /// Rows of further texts.
    others: u64,
    /// Rows of numbers, and those among further texts.
    numbers: u64,
    other_numbers: u64,
    missing: u64,
}

impl Tally {
    /// The labels of the first rows.
    pub(super) fn of(head: &[RawRow], index: usize) -> Self {
        let mut tally = Tally::default();
        head.iter().filter(|row| index < row.len()).for_each(|row| tally.add(row.field(index)));
        tally
    }

    /// Counts a label.
    pub(super) fn add(&mut self, field: &str) {
        let field = field.trim();
        if is_missing(field) {
            self.missing += 1;
            return;
        }
        let is_rating = LabelReader::Rating.read(field).is_ok() && number(field).is_some();
        self.numbers += u64::from(is_rating);
        match self.texts.iter().position(|(text, _)| text == field) {
            Some(at) => self.texts[at].1 += 1,
            None if self.texts.len() < MOST => self.texts.push((field.to_owned(), 1)),
            None => {
                self.others += 1;
                self.other_numbers += u64::from(is_rating);
            }
        }
    }

    fn total(&self) -> u64 {
        self.texts.iter().map(|(_, count)| count).sum::<u64>() + self.others
    }

    /// Whether there is no label.
    pub(super) fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// Whether there is nothing to learn.
    pub(super) fn is_constant(&self) -> bool {
        self.texts.len() < 2
    }

    /// Whether 0 (or -1) and 1 are there and mean what they say.
    pub(super) fn is_clicks(&self) -> bool {
        let classes = self.classes();
        classes.is_some_and(|texts| {
            texts.len() == 2 && matches!((texts[0].0, texts[1].0), ("1", "0" | "-1") | ("0" | "-1", "1"))
        })
    }

    /// The (at most) two classes, if that is what the label is.
    fn classes(&self) -> Option<Vec<(&str, u64)>> {
        let mut top: Vec<(&str, u64)> =
            self.texts.iter().map(|(text, count)| (text.as_str(), *count)).collect();
        top.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        top.truncate(2);
        let strays = self.total() - top.iter().map(|(_, count)| count).sum::<u64>();
        if strays == 0 {
            return Some(top);
        }
        // Ratings may have two frequent values too; 0 and 1 and texts are classes.
        let are_classes = top.iter().all(|(text, _)| plain(text).is_some())
            || top.iter().any(|(text, _)| number(text).is_none());
        (are_classes && top.len() == 2 && strays < top[1].1 && strays * 100 <= self.total()).then_some(top)
    }

    /// The label as it is.
    pub(super) fn profile(&self, column: &str, origin: LabelOrigin) -> LabelProfile {
        let total = self.total();
        let mut profile = LabelProfile {
            column: column.to_owned(),
            origin,
            task: None,
            rule: None,
            positive: Vec::new(),
            positive_origin: None,
            negative: Vec::new(),
            positive_share: None,
            missing: self.missing,
            strays: 0,
            stray_texts: Vec::new(),
            examples: first_of(self.texts.iter().filter(|(_, count)| *count > 0)),
        };
        if let Some(classes) = self.classes() {
            profile.task = Some(Task::Binary);
            if let (Some(at), Some(origin)) = positive_class(&classes) {
                profile.positive = vec![classes[at].0.to_owned()];
                profile.positive_origin = (classes.len() > 1).then_some(origin);
                profile.negative =
                    classes.get(1 - at).map(|(text, _)| (*text).to_owned()).into_iter().collect();
            }
        } else if self.numbers * 100 >= total * 99 {
            profile.task = Some(Task::Rating);
        }
        self.count_strays(&mut profile);
        profile
    }

    /// Fills in what training, which reads the label by the schema, makes of its texts.
    fn count_strays(&self, profile: &mut LabelProfile) {
        let Some(reader) = profile.to_schema().ok().and_then(|label| LabelReader::new(&label).ok()) else {
            profile.stray_texts = first_of(self.texts.iter());
            return;
        };
        let is_stray = |text: &str| reader.read(text).is_err();
        let strays = || self.texts.iter().filter(|(text, count)| *count > 0 && is_stray(text));
        let is_rating = profile.task == Some(Task::Rating);
        let further = self.others - if is_rating { self.other_numbers } else { 0 };
        profile.strays = strays().map(|(_, count)| count).sum::<u64>() + further;
        profile.stray_texts = first_of(strays());
        if !is_rating {
            let positive = self.texts.iter().filter(|(text, _)| reader.read(text) == Ok(1.0));
            let positive: u64 = positive.map(|(_, count)| count).sum();
            profile.positive_share = Some(positive as f64 / self.total().max(1) as f64);
        }
    }
}

/// The first different texts, shortened.
fn first_of<'t>(texts: impl Iterator<Item = &'t (String, u64)>) -> Vec<String> {
    texts.take(SHOWN).map(|(text, _)| text.chars().take(60).collect()).collect()
}

/// Which of at most two texts is the positive one, and why, unless that needs no saying.
fn positive_class(classes: &[(&str, u64)]) -> (Option<usize>, Option<PositiveOrigin>) {
    let meanings: Vec<Option<bool>> = classes.iter().map(|(text, _)| plain(text)).collect();
    if !meanings.is_empty()
        && meanings.iter().all(Option::is_some)
        && (meanings.len() < 2 || meanings[0] != meanings[1])
    {
        return (meanings.iter().position(|&m| m == Some(true)), None);
    }
    let [(first, first_count), (second, second_count)] = *classes else {
        return ((!classes.is_empty()).then_some(0), Some(PositiveOrigin::Rarer));
    };
    let said = |text: &str| {
        matches!(
            text.to_lowercase().as_str(),
            "yes" | "y" | "t" | "click" | "clicked" | "positive" | "pos" | "good"
        )
    };
    let (second_is_positive, origin) = match (first.parse::<f64>(), second.parse::<f64>()) {
        _ if said(first) != said(second) => (said(second), PositiveOrigin::Meaning),
        (Ok(a), Ok(b)) => (b > a, PositiveOrigin::Larger),
        // In doubt the later in the alphabet, so that the order of the rows decides nothing.
        _ if second_count == first_count => (second > first, PositiveOrigin::Later),
        _ => (second_count < first_count, PositiveOrigin::Rarer),
    };
    (Some(usize::from(second_is_positive)), Some(origin))
}

/// How rows fall into two classes for the leak tests, as the first rows tell.
#[derive(Debug, Clone)]
enum Sorting {
    /// As the user said.
    Said(LabelReader),
    /// By text, a second one as it comes.
    Texts(Vec<String>),
    /// Ratings above a number.
    Above(f64),
    Unknown,
}

/// The classes of the rows of a pass.
#[derive(Debug, Clone)]
pub(super) struct Classes {
    tally: Tally,
    sorting: Sorting,
    /// Rows of either class by what the user said, and rows of neither.
    said: [u64; 3],
}

impl Classes {
    /// For a label column with these first rows, read as the user said, if anything.
    pub(super) fn new(head: &[RawRow], index: Option<usize>, said: Option<LabelReader>) -> Self {
        let tally = index.map_or_else(Tally::default, |index| Tally::of(head, index));
        let sorting = match (said, tally.classes()) {
            (Some(reader), _) => Sorting::Said(reader),
            (None, Some(classes)) => {
                Sorting::Texts(classes.into_iter().map(|(text, _)| text.to_owned()).collect())
            }
            (None, None) => {
                index.and_then(|index| middle(head, index)).map_or(Sorting::Unknown, Sorting::Above)
            }
        };
        // The classes must be among the counted texts however late they come.
        let texts = if let Sorting::Texts(texts) = &sorting {
            texts.iter().map(|text| (text.clone(), 0)).collect()
        } else {
            Vec::new()
        };
        Classes { tally: Tally { texts, ..Tally::default() }, sorting, said: [0; 3] }
    }

    /// The class of a label field, if it is known.
    pub(super) fn of(&mut self, field: &str) -> Option<usize> {
        self.tally.add(field);
        let field = field.trim();
        if is_missing(field) {
            return None;
        }
        match &mut self.sorting {
            Sorting::Said(reader) => {
                let class = reader.read(field).ok().map(|label| usize::from(label == 1.0));
                self.said[class.unwrap_or(2)] += 1;
                class
            }
            Sorting::Texts(texts) => texts.iter().position(|text| text == field).or_else(|| {
                texts.push(field.to_owned());
                Some(texts.len() - 1).filter(|_| texts.len() <= 2).or_else(|| {
                    texts.pop();
                    None
                })
            }),
            Sorting::Above(middle) => number(field).map(|x| usize::from(x > *middle)),
            Sorting::Unknown => None,
        }
    }

    /// What the classes of the leak tests are, if the first rows spoke for all.
    pub(super) fn tested(&self, label: &LabelProfile) -> Option<String> {
        match &self.sorting {
            Sorting::Said(_) => Some("the label".to_owned()),
            Sorting::Texts(texts) => {
                let classes = self.tally.classes()?;
                (label.task == Some(Task::Binary)
                    && classes.iter().all(|(class, _)| texts.iter().any(|text| text == class)))
                .then(|| "the label".to_owned())
            }
            Sorting::Above(middle) => {
                (label.task == Some(Task::Rating)).then(|| format!("whether the label is above {middle}"))
            }
            Sorting::Unknown => None,
        }
    }

    /// Why there is nothing to learn of the label `column`, if so.
    pub(super) fn constant(&self, column: &str) -> Option<String> {
        let held: Vec<String> =
            self.tally.texts.iter().filter(|(_, count)| *count > 0).map(|(text, _)| quoted(text)).collect();
        let which = match self.sorting {
            Sorting::Said(_) => match self.said {
                [_, 0, _] => format!("no value of it counts as a click; it holds {}", held.join(", ")),
                [0, ..] => format!("every value of it counts as a click; it holds {}", held.join(", ")),
                _ => return None,
            },
            _ => match &held[..] {
                [] => "it holds no value".to_owned(),
                [only] => format!("it holds one value only, {only}"),
                _ => return None,
            },
        };
        Some(format!("label \"{column}\": {which}; there is nothing to learn, so take rows of both classes"))
    }

    /// The label, by the rule or the positive texts of `said` if there are any.
    pub(super) fn profile(&self, column: &str, origin: LabelOrigin, said: Option<Label>) -> LabelProfile {
        let found = self.tally.profile(column, origin);
        let Some(said) = said else { return found };
        let [negative, positive, strays] = self.said;
        LabelProfile {
            task: Some(Task::Binary),
            rule: said.rule,
            positive: said.positive,
            positive_origin: None,
            negative: Vec::new(),
            positive_share: Some(positive as f64 / (negative + positive).max(1) as f64),
            strays,
            stray_texts: Vec::new(),
            ..found
        }
    }
}

/// A number with about half of the ratings of the first rows above it.
fn middle(head: &[RawRow], index: usize) -> Option<f64> {
    let labels = head.iter().filter(|row| index < row.len());
    let mut numbers: Vec<f64> = labels.filter_map(|row| number(row.field(index).trim())).collect();
    numbers.sort_unstable_by(f64::total_cmp);
    let (median, last) = (*numbers.get(numbers.len() / 2)?, *numbers.last()?);
    // Of ratings whose median is the highest one, those below it are the other class.
    if median < last { Some(median) } else { numbers.into_iter().rev().find(|&x| x < median) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(fields: &[&str]) -> LabelProfile {
        let mut tally = Tally::default();
        fields.iter().for_each(|field| tally.add(field));
        tally.profile("x", LabelOrigin::Given)
    }

    #[test]
    fn positives() {
        let plain = label(&["1", "0", "0", ""]);
        assert_eq!((plain.positive.len(), plain.positive_share, plain.missing), (0, Some(1.0 / 3.0), 1));
        assert_eq!(label(&["-1", "+1"]).positive_share, Some(0.5));
        let income = label(&["<=50K", " >50K", "<=50K"]);
        assert_eq!((income.positive, income.negative), (vec![">50K".to_owned()], vec!["<=50K".to_owned()]));
        assert_eq!(label(&["yes", "no", "yes"]).positive, ["yes"]);
        assert_eq!(label(&["2", "1", "2"]).positive, ["2"]);
        assert_eq!(label(&["1", "2", "3"]).task, Some(Task::Rating));
        assert!(label(&["a", "b", "c"]).to_schema().unwrap_err().to_string().contains("\"a\", \"b\", \"c\""));
        assert_eq!(label(&["0", "0"]).positive_share, Some(0.0));
        assert_eq!(label(&[]).positive_share, Some(0.0));
    }

    #[test]
    fn the_choice_of_the_positive_class_is_said() {
        let outcome = label(&["rejected", "accepted", "rejected"]);
        assert_eq!(outcome.positive_origin, Some(PositiveOrigin::Rarer));
        let said = outcome.decisions().join("\n");
        assert!(
            said.contains("\"accepted\" of \"x\" counts as positive, the rarer of the two texts"),
            "{said}"
        );
        assert!(said.contains("(\"rejected\")"), "{said}");
        assert_eq!(label(&["yes", "no"]).positive_origin, Some(PositiveOrigin::Meaning));
        assert_eq!(label(&["2", "1"]).positive_origin, Some(PositiveOrigin::Larger));
        let tied = label(&["red", "blue", "blue", "red"]);
        assert_eq!(
            (&tied.positive[..], tied.positive_origin),
            (&["red".to_owned()][..], Some(PositiveOrigin::Later))
        );
        assert!(label(&["0", "1", "1"]).decisions().is_empty(), "given, and plain");
        let grades = label(&["0", "1", "2", "1"]).decisions().join("\n");
        assert!(grades.contains("(\"0\", \"1\", \"2\", …)") && grades.contains("\"x >= 2\""), "{grades}");
    }

    #[test]
    fn what_training_reads_is_no_stray() {
        let forms = label(&[&["0"; 150][..], &["1"; 60], &["1.0", "0.0"]].concat());
        assert_eq!(
            (forms.task, forms.strays, forms.positive_share),
            (Some(Task::Binary), 0, Some(61.0 / 212.0))
        );
        let odd = label(&[&["0"; 150][..], &["1"; 60], &["2"]].concat());
        assert_eq!((odd.strays, odd.stray_texts), (1, vec!["2".to_owned()]));
        let large = label(&[&["1"; 50][..], &["2"; 50], &["3"; 50], &["1e39"]].concat());
        assert_eq!((large.task, large.strays), (Some(Task::Rating), 1), "no rating of training");
    }

    #[test]
    fn one_odd_label_changes_no_task() {
        let clicks = |odd: &[&'static str]| label(&[&["0"; 150][..], &["1"; 60], odd].concat());
        for odd in ["2", "oops"] {
            let found = clicks(&[odd]);
            assert_eq!(
                (found.task, found.strays, found.stray_texts),
                (Some(Task::Binary), 1, vec![odd.to_owned()])
            );
            assert!(found.positive.is_empty(), "0 and 1 speak for themselves");
        }
        assert_eq!(clicks(&["2", "2", "3"]).task, Some(Task::Rating), "more than one in a hundred");
        assert_eq!(clicks(&["a", "b", "c"]).task, None);
        let texts = label(&[&["no"; 150][..], &["yes"; 60], &["y"]].concat());
        assert_eq!((texts.positive[0].as_str(), texts.negative[0].as_str(), texts.strays), ("yes", "no", 1));
        assert_eq!(
            label(&[&["4"; 150][..], &["5"; 60], &["3"]].concat()).task,
            Some(Task::Rating),
            "ratings with two frequent values"
        );
        let ratings = label(&[&["1"; 50][..], &["2"; 50], &["3"; 50], &["oops"]].concat());
        assert_eq!((ratings.task, ratings.strays), (Some(Task::Rating), 1));
    }
}
