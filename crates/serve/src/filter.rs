//! Conditions on the columns of items: `genre contains "Drama" and year >= 1990`.
//!
//! ```text
//! any  = all ("or" all)*
//! all  = one ("and" one)*
//! one  = "not" one | "(" any ")" | column operator value
//! ```
//! Operators are `=`, `!=`, `<`, `<=`, `>`, `>=` and `contains`; columns and values may stand in double
//! quotes. Two numbers are compared as numbers, everything else as text. `contains` asks for one of several
//! values, or for a part of a text where a column has one. What is missing fulfils nothing but `!=` and
//! `not`.
use crate::refusal::{Code, Refusal};
use dlrm_data::error::{nearest, quoted};

/// A condition.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Filter {
    Any(Vec<Filter>),
    All(Vec<Filter>),
    Not(Box<Filter>),
    Is { column: usize, operator: Operator, value: String, number: Option<f64> },
}

/// How a field is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Equal,
    Unequal,
    Less,
    AtMost,
    Greater,
    AtLeast,
    Contains,
}

const OPERATORS: [(&str, Operator); 7] = [
    ("=", Operator::Equal),
    ("!=", Operator::Unequal),
    ("<", Operator::Less),
    ("<=", Operator::AtMost),
    (">", Operator::Greater),
    (">=", Operator::AtLeast),
    ("contains", Operator::Contains),
];

/// Conditions within one another.
const DEEPEST: usize = 32;

impl Filter {
    /// Reads a condition on `columns`.
    pub(crate) fn parse(text: &str, columns: &[String]) -> Result<Self, Refusal> {
        let words = words(text)?;
        let mut reader = Reader { words: &words, next: 0, columns, depth: 0 };
        let filter = reader.any()?;
        match reader.peek() {
            None => Ok(filter),
            Some(word) => Err(refused("`and`, `or` or the end", &word.text)),
        }
    }

    /// Whether an item whose columns hold these fields fulfils it. `separators` are those of the values of
    /// columns with several.
    pub(crate) fn admits<'f>(&self, field: &impl Fn(usize) -> &'f str, separators: &[Option<char>]) -> bool {
        match self {
            Filter::Any(all) => all.iter().any(|one| one.admits(field, separators)),
            Filter::All(all) => all.iter().all(|one| one.admits(field, separators)),
            Filter::Not(one) => !one.admits(field, separators),
            Filter::Is { column, operator, value, number } => {
                is(field(*column), *operator, (value, *number), separators[*column])
            }
        }
    }
}

fn is(
    field: &str,
    operator: Operator,
    (value, number): (&str, Option<f64>),
    separator: Option<char>,
) -> bool {
    if operator == Operator::Contains {
        return match separator {
            Some(separator) => field.split(separator).any(|own| own == value),
            None => field.contains(value),
        };
    }
    if operator == Operator::Unequal {
        return !is(field, Operator::Equal, (value, number), separator);
    }
    if field.is_empty() {
        return value.is_empty() && operator == Operator::Equal;
    }
    let numbers = number.zip(field.trim().parse::<f64>().ok());
    let order = match numbers {
        Some((value, own)) => own.partial_cmp(&value),
        None => Some(field.cmp(value)),
    };
    order.is_some_and(|order| match operator {
        Operator::Equal => order.is_eq(),
        Operator::Less => order.is_lt(),
        Operator::AtMost => order.is_le(),
        Operator::Greater => order.is_gt(),
        Operator::AtLeast => order.is_ge(),
        Operator::Unequal | Operator::Contains => false,
    })
}

struct Word {
    text: String,
    quoted: bool,
}

fn refused(expected: &str, found: &str) -> Refusal {
    let refusal = Refusal::expected(Code::BadRequest, "filter", expected, quoted(found));
    refusal.with_hint("write it as: genre contains \"Drama\" and year >= 1990")
}

fn words(text: &str) -> Result<Vec<Word>, Refusal> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '"' => {
                let (own, used) = quoted_word(rest)?;
                words.push(Word { text: own, quoted: true });
                rest = rest[used..].trim_start();
                continue;
            }
            '(' | ')' | '=' => 1,
            '!' | '<' | '>' => 1 + usize::from(rest[1..].starts_with('=')),
            _ => rest.find(|c: char| c.is_whitespace() || "()=!<>\"".contains(c)).unwrap_or(rest.len()),
        };
        words.push(Word { text: rest[..length].to_owned(), quoted: false });
        rest = rest[length..].trim_start();
    }
    Ok(words)
}

/// The text between quotes, in which a backslash takes the next letter as it is, and the bytes that it took.
fn quoted_word(text: &str) -> Result<(String, usize), Refusal> {
    let (mut own, mut escaped) = (String::new(), false);
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => {
                own.push(c);
                escaped = false;
            }
            '\\' => escaped = true,
            '"' => return Ok((own, at + 1)),
            _ => own.push(c),
        }
    }
    Err(refused("a quote at the end of the text", text))
}

struct Reader<'a> {
    words: &'a [Word],
    next: usize,
    columns: &'a [String],
    depth: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<&Word> {
        self.words.get(self.next)
    }

    fn take(&mut self, text: &str) -> bool {
        let found = self.peek().is_some_and(|word| !word.quoted && word.text.eq_ignore_ascii_case(text));
        self.next += usize::from(found);
        found
    }

    fn any(&mut self) -> Result<Filter, Refusal> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(refused(&format!("conditions at most {DEEPEST} deep"), "deeper ones"));
        }
        let mut all = vec![self.all()?];
        while self.take("or") {
            all.push(self.all()?);
        }
        self.depth -= 1;
        Ok(if all.len() == 1 { all.remove(0) } else { Filter::Any(all) })
    }

    fn all(&mut self) -> Result<Filter, Refusal> {
        let mut all = vec![self.one()?];
        while self.take("and") {
            all.push(self.one()?);
        }
        Ok(if all.len() == 1 { all.remove(0) } else { Filter::All(all) })
    }

    fn one(&mut self) -> Result<Filter, Refusal> {
        if self.take("not") {
            self.depth += 1;
            if self.depth > DEEPEST {
                return Err(refused(&format!("conditions at most {DEEPEST} deep"), "deeper ones"));
            }
            let one = self.one()?;
            self.depth -= 1;
            return Ok(Filter::Not(Box::new(one)));
        }
        if self.take("(") {
            let any = self.any()?;
            return match self.take(")") {
                true => Ok(any),
                false => Err(refused("`)`", self.peek().map_or("the end", |word| &word.text))),
            };
        }
        let name = self.word("a column")?;
        let column = self.columns.iter().position(|column| *column == name).ok_or_else(|| {
            let names = self.columns.join(", ");
            let refusal = Refusal::expected(
                Code::UnknownColumn,
                "filter",
                &format!("a column of the items among {names}"),
                quoted(&name),
            );
            match nearest(&name, self.columns.iter().map(String::as_str)) {
                Some(near) => refusal.with_hint(format!("did you mean \"{near}\"?")),
                None => refusal,
            }
        })?;
        let word = self.word("an operator")?;
        let known = OPERATORS.iter().find(|(text, _)| word.eq_ignore_ascii_case(text));
        let Some(&(_, operator)) = known else {
            return Err(refused("one of = != < <= > >= contains", &word));
        };
        let value = self.word("a value")?;
        let number = value.trim().parse::<f64>().ok();
        Ok(Filter::Is { column, operator, value, number })
    }

    fn word(&mut self, what: &str) -> Result<String, Refusal> {
        let word = self.peek().filter(|word| word.quoted || !["(", ")"].contains(&word.text.as_str()));
        let text = word.map(|word| word.text.clone()).ok_or_else(|| refused(what, "the end"))?;
        self.next += 1;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admits(filter: &str, fields: [&str; 3]) -> bool {
        let columns = ["genres", "year", "the title"].map(str::to_owned);
        let filter = Filter::parse(filter, &columns).unwrap_or_else(|e| panic!("{filter}: {e:?}"));
        filter.admits(&|column: usize| fields[column], &[Some('|'), None, None])
    }

    #[test]
    fn what_fulfils_a_condition() {
        let row = ["Drama|War", "1994", "A \"quoted\" film"];
        for yes in [
            "genres contains \"Drama\" and year >= 1990",
            "genres contains Drama",
            "year=1994",
            "year = 1994.0",
            "year != 1993 and not year < 1990",
            "(year < 1990 or genres contains War) and year<=1994",
            "\"the title\" contains quoted",
            "\"the title\" contains \"\\\"quoted\"",
            "not (genres contains Comedy)",
            "year > 1990 OR year < 1000",
        ] {
            assert!(admits(yes, row), "{yes}");
        }
        for no in ["genres contains Dra", "year > 1994", "year = 199", "not year = 1994", "genres = Drama"] {
            assert!(!admits(no, row), "{no}");
        }
        let missing = ["", "", ""];
        assert!(
            admits("year != 1990", missing)
                && !admits("year < 1990", missing)
                && !admits("year >= 0", missing)
        );
        assert!(admits("year = \"\"", missing));
    }

    #[test]
    fn what_is_none() {
        let columns = ["year".to_owned()];
        for (text, expected) in [
            ("", "a column"),
            ("yaer = 1", "a column of the items"),
            ("year", "an operator"),
            ("year ~ 3", "one of ="),
            ("year =", "a value"),
            ("year = 1 year = 2", "`and`, `or` or the end"),
            ("(year = 1", "`)`"),
            ("year = \"1", "a quote at the end"),
            (&"(".repeat(99), "deep"),
            (&"not ".repeat(99), "deep"),
        ] {
            let refusal = Filter::parse(text, &columns).expect_err(text);
            assert!(refusal.message().contains(expected), "{text}: {refusal:?}");
        }
    }
}
