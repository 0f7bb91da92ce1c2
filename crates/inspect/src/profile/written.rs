//! Numbers that are written with commas, which no reader takes for numbers.
use super::evidence::are_strays;
use dlrm_data::error::quoted;
use dlrm_data::parse::has_decimal_comma;

/// How many fields of a column are such numbers.
#[derive(Debug, Clone, Default)]
pub(super) struct Commas {
    /// With a decimal comma, as 508,46.
    decimal: u64,
    /// Either that or in groups of thousands, as 1,000 or 1,000,000.5.
    grouped: u64,
    example: Option<String>,
}

impl Commas {
    /// Looks at a trimmed field that is no number.
    pub(super) fn add(&mut self, trimmed: &str) {
        if !trimmed.contains(',') {
            return;
        }
        let is_grouped = is_grouped(trimmed);
        if !is_grouped && !has_decimal_comma(trimmed) {
            return;
        }
        self.grouped += u64::from(is_grouped);
        self.decimal += u64::from(!is_grouped);
        if self.example.is_none() || self.decimal == 1 && !is_grouped {
            self.example = Some(trimmed.to_owned());
        }
    }

    /// What to do, where (all but) all of `present` fields are numbers, `plain` of them without commas.
    pub(super) fn warning(&self, plain: u64, present: u64) -> Option<String> {
        let (own, example) = (self.decimal + self.grouped, self.example.as_deref()?);
        if are_strays(own, present) || !are_strays(present - own - plain, present) {
            return None;
        }
        let example_of = quoted(example);
        Some(if self.decimal > 0 {
            let point = example.replace('.', "").replace(',', ".");
            format!(
                "looks like numbers with a decimal comma, such as {example_of}, which are read as text: \
                 write them with a point ({point}), in Python: \
                 pandas.read_csv(FILE, sep=\";\", decimal=\",\")"
            )
        } else {
            format!(
                "looks like numbers with commas between thousands, such as {example_of}, which are read as \
                 text: write them without ({}), in Python: pandas.read_csv(FILE, thousands=\",\")",
                example.replace(',', "")
            )
        })
    }
}

/// Whether digits stand in groups of thousands, as in 1,000 or 12,345.6.
fn is_grouped(trimmed: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let unsigned = trimmed.strip_prefix(['-', '+']).unwrap_or(trimmed);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
    let mut groups = whole.split(',');
    let first = groups.next().is_some_and(|group| (1..=3).contains(&group.len()) && digits(group));
    first && groups.all(|group| group.len() == 3 && digits(group)) && digits(fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warning(fields: &[&str], plain: u64) -> Option<String> {
        let mut commas = Commas::default();
        fields.iter().for_each(|field| commas.add(field));
        commas.warning(plain, fields.len() as u64 + plain)
    }

    #[test]
    fn decimal_commas_and_thousands() {
        let decimal = warning(&["508,46", "1.508,4", "7,123"], 5).unwrap();
        assert!(decimal.contains("decimal comma, such as \"508,46\"") && decimal.contains("(508.46)"));
        let late = warning(&["7,123", "1.508,4"], 0).unwrap();
        assert!(late.contains("\"1.508,4\"") && late.contains("(1508.4)"), "{late}");
        let thousands = warning(&["1,000", "12,345.6", "1,000,000"], 0).unwrap();
        assert!(thousands.contains("between thousands") && thousands.contains("(1000)"), "{thousands}");
        assert_eq!(warning(&["red,blue", "1,2,3", "508,46"], 0), None, "lists");
        assert_eq!(warning(&["508,46"], 200), None, "a stray is a malformed row");
        assert_eq!(warning(&[], 3), None);
    }
}
