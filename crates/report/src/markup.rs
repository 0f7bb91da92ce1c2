//! HTML that is escaped by construction: text enters a [`Markup`] only through [`text`] or [`attribute`].
use std::fmt::Write;

/// A piece of finished HTML.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Markup(String);

impl Markup {
    /// Markup written in the source of this crate; never a value that came from outside.
    pub(crate) fn fixed(html: &'static str) -> Self {
        Markup(html.into())
    }

    /// Appends markup.
    pub(crate) fn push(&mut self, more: &Markup) {
        self.0.push_str(&more.0);
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The HTML.
    pub(crate) fn into_string(self) -> String {
        self.0
    }
}

impl FromIterator<Markup> for Markup {
    fn from_iter<I: IntoIterator<Item = Markup>>(pieces: I) -> Self {
        let mut all = Markup::default();
        pieces.into_iter().for_each(|piece| all.push(&piece));
        all
    }
}

/// Text as markup.
pub(crate) fn text(text: &str) -> Markup {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            // Control characters are not HTML, and bidirectional ones reorder what the reader sees.
            c if c.is_control() && c != '\n' && c != '\t' => escaped.push('\u{fffd}'),
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    Markup(escaped)
}

/// At most 80 characters of a name or value as markup.
pub(crate) fn short(name: &str) -> Markup {
    const LONGEST: usize = 80;
    match name.char_indices().nth(LONGEST) {
        None => text(name),
        Some((end, _)) => text(&format!("{}…", &name[..end])),
    }
}

/// An element around `inner`, with attributes as name and value.
pub(crate) fn element(tag: &'static str, attributes: &[(&'static str, &str)], inner: &Markup) -> Markup {
    let mut html = format!("<{tag}");
    for (name, value) in attributes {
        let _ = write!(html, " {name}=\"{}\"", text(value).0);
    }
    let _ = write!(html, ">{}</{tag}>", inner.0);
    Markup(html)
}

/// An element without attributes.
pub(crate) fn tag(name: &'static str, inner: &Markup) -> Markup {
    element(name, &[], inner)
}

/// An element around text.
pub(crate) fn tagged(name: &'static str, content: &str) -> Markup {
    tag(name, &text(content))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_gets_out_of_text_or_attributes() {
        let hostile = "<script>alert('x')</script>\" onload=\"y\u{202e}\u{0}";
        let html = element("p", &[("title", hostile)], &text(hostile)).into_string();
        assert_eq!(html.matches('<').count(), 2);
        assert_eq!(html.matches('"').count(), 2);
        assert!(!html.contains('\u{202e}') && !html.contains('\u{0}') && !html.contains('\''));
    }

    #[test]
    fn long_names_are_cut_between_characters() {
        assert_eq!(short(&"é".repeat(80)).into_string(), "é".repeat(80));
        assert_eq!(short(&"é".repeat(81)).into_string(), format!("{}…", "é".repeat(80)));
    }
}
