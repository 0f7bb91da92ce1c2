//! Numbers as people write them, which no reader takes for numbers: with decimal commas, with commas between
//! thousands, with percent signs.
use super::evidence::{are_strays, number};
use dlrm_data::error::quoted;
use dlrm_data::format::percent;
use dlrm_data::parse::has_decimal_comma;

/// How many fields of a column are such numbers.
#[derive(Debug, Clone, Default)]
pub(super) struct Written {
    decimal: Way,
    grouped: Way,
    percent: Way,
}

/// One way to write numbers.
#[derive(Debug, Clone, Default)]
struct Way {
    fields: u64,
    example: Option<String>,
}

impl Way {
    fn add(&mut self, trimmed: &str) {
        self.fields += 1;
        self.example.get_or_insert_with(|| trimmed.to_owned());
    }
}

impl Written {
    /// Looks at a trimmed field that is no number.
    pub(super) fn add(&mut self, trimmed: &str) {
        if let Some(number) = trimmed.strip_suffix('%') {
            let number = number.trim_end();
            if is_number(number) || is_grouped(number) || has_decimal_comma(number) {
                self.percent.add(trimmed);
            }
        } else if !trimmed.contains(',') {
        } else if is_grouped(trimmed) {
            self.grouped.add(trimmed);
        } else if has_decimal_comma(trimmed) {
            self.decimal.add(trimmed);
        }
    }

    /// What to do, where most of `present` fields are numbers if these are, `plain` of them as they stand.
    /// Of a column that looks like lists all of them must be.
    pub(super) fn warning(&self, plain: u64, present: u64, is_list: bool) -> Option<String> {
        let own = self.decimal.fields + self.grouped.fields + self.percent.fields;
        let others = present.saturating_sub(own + plain);
        let few = if is_list { others == 0 } else { others * 10 <= present };
        if are_strays(own, present) || !few {
            return None;
        }
        // Groups of three may be decimals too, if others are.
        let (way, what, how, python) = if self.percent.fields * 2 > own {
            let python = "pandas: column.str.rstrip(\"%\").astype(float)";
            (&self.percent, "with a percent sign", "without it", python)
        } else if self.decimal.fields > 0 {
            let python = "pandas.read_csv(FILE, sep=\";\", decimal=\",\")";
            (&self.decimal, "with a decimal comma", "with a point", python)
        } else {
            let python = "pandas.read_csv(FILE, thousands=\",\")";
            (&self.grouped, "with commas between thousands", "without them", python)
        };
        let example = way.example.as_deref()?;
        let plainly = match what {
            "with a decimal comma" => example.replace('.', "").replace(',', "."),
            _ => example.replace([',', '%'], "").trim_end().to_owned(),
        };
        Some(format!(
            "looks like numbers, {} of them written {what}, such as {}, which are read as text: {} would be \
             numbers if these were written {how} ({plainly}), in Python: {python}",
            percent(own as f64 / present.max(1) as f64),
            quoted(example),
            percent((own + plain) as f64 / present.max(1) as f64),
        ))
    }
}

fn is_number(text: &str) -> bool {
    number(text).is_some()
}

/// Whether digits stand in groups of thousands, as in 1,000 or 12,345.6.
fn is_grouped(trimmed: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let unsigned = trimmed.strip_prefix(['-', '+']).unwrap_or(trimmed);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
    if !whole.contains(',') {
        return false;
    }
    let mut groups = whole.split(',');
    let first = groups.next().is_some_and(|group| (1..=3).contains(&group.len()) && digits(group));
    first && groups.all(|group| group.len() == 3 && digits(group)) && digits(fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warning(fields: &[&str], plain: u64, others: u64) -> Option<String> {
        let mut written = Written::default();
        fields.iter().for_each(|field| written.add(field));
        written.warning(plain, fields.len() as u64 + plain + others, false)
    }

    #[test]
    fn decimal_commas_thousands_and_percent_signs() {
        let decimal = warning(&["508,46", "1.508,4", "7,123"], 5, 0).unwrap();
        assert!(decimal.contains("decimal comma, such as \"508,46\"") && decimal.contains("(508.46)"));
        let late = warning(&["7,123", "1.508,4"], 0, 0).unwrap();
        assert!(late.contains("\"1.508,4\"") && late.contains("(1508.4)"), "{late}");
        let thousands = warning(&["1,000", "12,345.6", "1,000,000"], 0, 0).unwrap();
        assert!(thousands.contains("between thousands") && thousands.contains("(1000)"), "{thousands}");
        let percents = warning(&["12 %", "3.5%", "7,5 %"], 0, 0).unwrap();
        assert!(
            percents.contains("percent sign, such as \"12 %\"") && percents.contains("(12)"),
            "{percents}"
        );
    }

    #[test]
    fn some_other_texts_are_allowed_and_the_share_is_said() {
        let some = warning(&["7,770"; 30], 65, 5).unwrap();
        assert!(some.contains("30.0 % of them") && some.contains("95.0 % would be numbers"), "{some}");
        assert_eq!(warning(&["7,770"; 30], 40, 30), None, "texts");
    }

    #[test]
    fn lists_and_strays_are_no_such_numbers() {
        assert_eq!(warning(&["red,blue", "1,2,3", "508,46"], 0, 0), None, "lists");
        assert_eq!(warning(&["508,46"], 200, 0), None, "a stray is a malformed row");
        assert_eq!(warning(&["%", "a%", "1%2"], 0, 0), None);
        assert_eq!(warning(&[], 3, 0), None);
    }
}
