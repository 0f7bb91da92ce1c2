//! The two texts that collectors of metrics read: OpenMetrics, and what there was before it.
use axum::http::HeaderMap;
use axum::http::header::ACCEPT;
use std::borrow::Cow;

/// How metrics are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MetricsFormat {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// Prometheus's text format 0.0.4, in which a counter is described by the name of its sample.
    Plain,
}

impl MetricsFormat {
    /// What an asker reads: the older text only where it is named and the newer one is not.
    pub(crate) fn asked(headers: &HeaderMap) -> Self {
        let says = |name: &str| {
            headers.get_all(ACCEPT).iter().any(|value| value.to_str().is_ok_and(|value| value.contains(name)))
        };
        let plain = says("text/plain") && !says("openmetrics");
        if plain { MetricsFormat::Plain } else { MetricsFormat::OpenMetrics }
    }

    /// The type of its content.
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            MetricsFormat::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            MetricsFormat::Plain => "text/plain; version=0.0.4; charset=utf-8",
        }
    }

    /// A text of OpenMetrics in this form.
    pub(crate) fn of(self, text: String) -> String {
        match self {
            MetricsFormat::OpenMetrics => text,
            MetricsFormat::Plain => plain(&text),
        }
    }
}

fn plain(text: &str) -> String {
    let is_counter = |name: &str| text.contains(&format!("\n# TYPE {name} counter\n"));
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        let described = line.strip_prefix("# ").and_then(|rest| rest.split_once(' '));
        let line = match described {
            Some((what @ ("HELP" | "TYPE"), rest)) => {
                let (name, rest) = rest.split_once(' ').unwrap_or((rest, ""));
                let total = if is_counter(name) { "_total" } else { "" };
                Cow::from(format!("# {what} {name}{total} {rest}"))
            }
            // The unit, and the end.
            _ if line.starts_with('#') => continue,
            _ => Cow::from(line),
        };
        out.push_str(&line);
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newer_text_unless_only_the_older_is_read() {
        for (accept, expected) in [
            (None, MetricsFormat::OpenMetrics),
            (Some("*/*"), MetricsFormat::OpenMetrics),
            (
                Some("application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.2"),
                MetricsFormat::OpenMetrics,
            ),
            (Some("text/plain;version=0.0.4"), MetricsFormat::Plain),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(accept) = accept {
                headers.insert(ACCEPT, accept.parse().unwrap());
            }
            assert_eq!(MetricsFormat::asked(&headers), expected, "{accept:?}");
        }
    }

    #[test]
    fn counters_are_described_by_the_name_of_their_samples() {
        let text = "# HELP a_seconds Time.\n# TYPE a_seconds histogram\n# UNIT a_seconds seconds\n\
            a_seconds_sum 1.0\n# HELP b Things.\n# TYPE b counter\nb_total{x=\"# y\"} 3\n# EOF\n";
        let expected = "# HELP a_seconds Time.\n# TYPE a_seconds histogram\na_seconds_sum 1.0\n\
            # HELP b_total Things.\n# TYPE b_total counter\nb_total{x=\"# y\"} 3\n";
        assert_eq!(MetricsFormat::Plain.of(text.into()), expected);
        assert_eq!(MetricsFormat::OpenMetrics.of(text.into()), text);
    }
}
