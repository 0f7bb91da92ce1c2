//! Numbers for people.

/// 1234567 as 1,234,567.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Bytes in the unit that fits: `4.6 GB`.
pub fn bytes(n: u64) -> String {
    let units = ["B", "kB", "MB", "GB", "TB"];
    let (mut value, mut unit) = (n as f64, 0);
    while value >= 999.5 && unit + 1 < units.len() {
        value /= 1000.0;
        unit += 1;
    }
    if unit == 0 || value >= 99.5 {
        format!("{value:.0} {}", units[unit])
    } else {
        format!("{value:.1} {}", units[unit])
    }
}

/// Bytes of a size such as `512MB` or `8GB`; `None` for what is none.
pub fn parse_bytes(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match text[digits.len()..].to_ascii_lowercase().trim_end_matches('b').trim_end_matches('i') {
        "" => 1e0,
        "k" => 1e3,
        "m" => 1e6,
        "g" => 1e9,
        "t" => 1e12,
        _ => f64::NAN,
    };
    let bytes = digits.trim().parse::<f64>().map_or(f64::NAN, |n| n * factor);
    (bytes >= 1.0 && bytes.is_finite()).then_some(bytes as u64)
}

/// Seconds as people say them: `45 s`, `12 min`, `1 h 52 min`, `3 days`.
pub fn duration(seconds: f64) -> String {
    let whole = |x: f64| if x.is_finite() { x.round().clamp(0.0, 1e15) as u64 } else { 0 };
    match seconds {
        s if !s.is_finite() || s >= 48.0 * 3600.0 * 1000.0 => "more than a year".into(),
        s if s < 90.0 => format!("{} s", whole(s)),
        s if s < 5400.0 => format!("{} min", whole(s / 60.0)),
        s if s < 48.0 * 3600.0 => {
            let minutes = whole(s / 60.0);
            format!("{} h {} min", minutes / 60, minutes % 60)
        }
        s => format!("{} days", whole(s / 86400.0)),
    }
}

/// A share as a percentage; what is neither nothing nor all is never shown as such.
pub fn percent(share: f64) -> String {
    match share {
        0.0 => "0 %".to_owned(),
        s if s < 0.001 => "<0.1 %".to_owned(),
        s if s < 1.0 && s > 0.999 => ">99.9 %".to_owned(),
        s if s >= 1.0 => "100 %".to_owned(),
        s => format!("{:.1} %", 100.0 * s),
    }
}

/// A number with about four significant digits; whole numbers up to a billion in full.
pub fn number(x: f64) -> String {
    let size = x.abs();
    if x.fract() == 0.0 && size < 1e10 {
        format!("{x:.0}")
    } else if (1e-3..1e6).contains(&size) {
        let decimals = (3 - libm::log10(size).floor() as i32).clamp(0, 6) as usize;
        let text = format!("{x:.decimals$}");
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
    } else {
        format!("{x:.3e}")
    }
}

/// The first `width` characters, the last an ellipsis if any were cut; control characters replaced.
pub fn clip(text: &str, width: usize) -> String {
    let clean = text.chars().map(|c| if c.is_control() { '·' } else { c });
    if text.chars().count() <= width {
        return clean.collect();
    }
    clean.take(width.saturating_sub(1)).chain((width > 0).then_some('…')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn for_people() {
        assert_eq!([count(0), count(999), count(1000), count(1_234_567)], ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([bytes(7), bytes(4_924_029), bytes(4_576_820_670)], ["7 B", "4.9 MB", "4.6 GB"]);
        assert_eq!(
            [percent(0.0), percent(1e-9), percent(0.441), percent(0.99999), percent(1.0)],
            ["0 %", "<0.1 %", "44.1 %", ">99.9 %", "100 %"]
        );
        assert_eq!(
            [number(38.58165), number(-3.0), number(1234.5678), number(0.00001), number(1e19)],
            ["38.58", "-3", "1235", "1.000e-5", "1.000e19"]
        );
        assert_eq!(
            [clip("abc", 3), clip("abcd", 3), clip("a\nb", 3), clip("ab", 0)],
            ["abc", "ab…", "a·b", ""]
        );
    }
}
