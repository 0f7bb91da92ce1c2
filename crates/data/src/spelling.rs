//! Names in messages: quoted, and the known one that was meant.

/// `text` in quotes for a message, shortened to a readable length, control characters escaped.
pub fn quoted(text: &str) -> String {
    const LONGEST: usize = 60;
    let mut short: String = text.chars().take(LONGEST).flat_map(char::escape_debug).collect();
    if text.chars().nth(LONGEST).is_some() {
        short.push('…');
    }
    format!("\"{short}\"")
}

/// The known name nearest to `name` by edit distance, if it is near enough to be a typing mistake.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = name.to_lowercase();
    known
        .into_iter()
        .map(|candidate| (edit_distance(&lower, &candidate.to_lowercase()), candidate))
        .filter(|&(distance, candidate)| {
            distance <= (candidate.chars().count().max(name.chars().count()) / 3).max(1)
        })
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, candidate)| candidate)
}

/// Characters to insert, remove, replace or exchange with the next one (optimal string alignment).
fn edit_distance(a: &str, b: &str) -> usize {
    let [a, b]: [Vec<char>; 2] = [a, b].map(|text| text.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for (i, ca) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, cb) in b.iter().enumerate() {
            let above = &rows[i];
            let mut least = (above[j] + usize::from(ca != cb)).min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && (*ca, a[i - 1]) == (b[j - 1], *cb) {
                least = least.min(rows[i - 1][j - 1] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_finds_typing_mistakes_only() {
        let known = ["embedding_dim", "interaction", "bottom"];
        assert_eq!(nearest("embeding_dim", known), Some("embedding_dim"));
        assert_eq!(nearest("Bottom", known), Some("bottom"));
        assert_eq!(nearest("lgos", ["logs", "lags"]), Some("logs"));
        assert_eq!((edit_distance("", "ab"), edit_distance("kitten", "sitting")), (2, 3));
        assert_eq!(nearest("learning_rate", known), None);
    }
}
