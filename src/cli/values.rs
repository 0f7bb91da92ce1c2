//! Values of flags that clap does not know.
use super::failure::Failure;
use dlrm::bench::load::Arrivals;
use dlrm::data::format;
use dlrm::kernels::isa::{Isa, Level};
use dlrm::nn::{Precision, TablePrecision};
use dlrm::onnx::Bags;
use std::time::Duration;

pub(super) fn precision(text: &str) -> Result<Precision, String> {
    match text {
        "f32" => Ok(Precision::F32),
        "bf16" => Ok(Precision::Bf16),
        _ => Err("expected f32 or bf16".into()),
    }
}

pub(super) fn table_precision(text: &str) -> Result<TablePrecision, String> {
    match text {
        "f32" => Ok(TablePrecision::F32),
        "bf16" => Ok(TablePrecision::Bf16),
        "f16" => Ok(TablePrecision::F16),
        _ => Err("expected f32, bf16 or f16".into()),
    }
}

pub(super) fn bags(text: &str) -> Result<Bags, String> {
    match text {
        "offsets" => Ok(Bags::Offsets),
        "padded" => Ok(Bags::Padded),
        _ => Err("expected offsets or padded".into()),
    }
}

pub(super) fn batch(text: &str) -> Result<usize, String> {
    whole(text, 1 << 24)
}

pub(super) fn windows(text: &str) -> Result<usize, String> {
    whole(text, 1000)
}

pub(super) fn scale(text: &str) -> Result<usize, String> {
    whole(text, 1 << 24)
}

pub(super) fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if seconds > 0.0 && seconds <= 3600.0 => Ok(seconds),
        _ => Err("expected a number of seconds, at most 3600".into()),
    }
}

/// Requests a second.
pub(super) fn rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if (0.01..=100_000.0).contains(&rate) => Ok(rate),
        _ => Err("expected a number of requests a second, from 0.01 to 100000".into()),
    }
}

pub(super) fn connections(text: &str) -> Result<usize, String> {
    whole(text, 1000)
}

pub(super) fn arrivals(text: &str) -> Result<Arrivals, String> {
    match text {
        "poisson" => Ok(Arrivals::Poisson),
        "even" => Ok(Arrivals::Even),
        _ => Err("expected poisson or even".into()),
    }
}

/// A time such as `90s`, `5m`, `2h` or `1h30m`.
pub(super) fn duration(text: &str) -> Result<Duration, Failure> {
    let refused = || {
        let message = format!("--budget: expected a time such as 90s, 5m or 2h, found \"{text}\"");
        Failure::usage(message, "give a number with s, m or h")
    };
    let (mut seconds, mut number) = (0.0, String::new());
    for c in text.trim().chars() {
        let unit = match c {
            '0'..='9' | '.' => {
                number.push(c);
                continue;
            }
            's' => 1.0,
            'm' => 60.0,
            'h' => 3600.0,
            _ => return Err(refused()),
        };
        seconds += unit * number.parse::<f64>().map_err(|_| refused())?;
        number.clear();
    }
    let whole = number.is_empty() && seconds > 0.0 && seconds <= 1e9;
    whole.then(|| Duration::from_secs_f64(seconds)).ok_or_else(refused)
}

pub(super) fn threads(text: &str) -> Result<usize, String> {
    whole(text, 1024)
}

pub(super) fn ranks(text: &str) -> Result<usize, String> {
    whole(text, 1 << 16)
}

/// Bytes a second of a speed such as `25Gbit` or `3GB`.
pub(super) fn network(text: &str) -> Result<f64, Failure> {
    let speed = text.trim().trim_end_matches("/s");
    let bits = [("Gbit", 1e9), ("Mbit", 1e6), ("kbit", 1e3)];
    let of_bits = bits.into_iter().find_map(|(unit, size)| {
        speed.strip_suffix(unit).and_then(|number| number.trim().parse::<f64>().ok()).map(|n| n * size / 8.0)
    });
    let speed = of_bits.or_else(|| format::parse_bytes(speed).map(|bytes| bytes as f64));
    speed.filter(|speed| *speed >= 1e3 && speed.is_finite()).ok_or_else(|| {
        Failure::usage(
            format!("--network: expected a speed such as 25Gbit or 3GB, found \"{text}\""),
            "give a number with Mbit, Gbit, MB or GB: what one machine can send in a second",
        )
    })
}

/// Seconds of a time such as `30us` or `0.1ms`.
pub(super) fn latency(text: &str) -> Result<f64, Failure> {
    let units = [("us", 1e-6), ("µs", 1e-6), ("ms", 1e-3)];
    let seconds = units.into_iter().find_map(|(unit, size)| {
        text.trim().strip_suffix(unit).and_then(|number| number.trim().parse::<f64>().ok()).map(|n| n * size)
    });
    seconds.filter(|seconds| (0.0..=1.0).contains(seconds)).ok_or_else(|| {
        Failure::usage(
            format!("--latency: expected a time such as 30us or 0.1ms, found \"{text}\""),
            "give a number with us or ms",
        )
    })
}

/// A number from 1 to `most`.
fn whole(text: &str, most: usize) -> Result<usize, String> {
    match text.parse() {
        Ok(n) if (1..=most).contains(&n) => Ok(n),
        _ => Err(format!("expected a number from 1 to {most}")),
    }
}

/// The instruction set of that name.
pub(super) fn isa(name: Option<&str>) -> Result<Isa, Failure> {
    let Some(name) = name.filter(|name| !name.is_empty()) else { return Ok(Isa::detect()) };
    let known = Level::ALL.map(Level::name).join(", ");
    let level = Level::ALL.into_iter().find(|level| level.name() == name);
    let level = level.ok_or_else(|| {
        Failure::usage(
            format!("--isa: expected one of {known}, found \"{name}\""),
            "leave it out for the best one",
        )
    })?;
    Isa::of(level).ok_or_else(|| {
        Failure::usage(format!("--isa: this CPU has no {name}"), "leave it out for the best one")
    })
}

/// Bytes of `--memory-limit`, where it was said.
pub(super) fn memory_limit(said: Option<&str>) -> Result<Option<u64>, Failure> {
    bytes_of("--memory-limit", said)
}

/// Bytes of a flag, where it was said.
pub(super) fn bytes_of(flag: &str, said: Option<&str>) -> Result<Option<u64>, Failure> {
    said.map(|text| size(flag, text)).transpose()
}

/// Bytes of a size such as `512MB` or `8GB`.
fn size(flag: &str, text: &str) -> Result<u64, Failure> {
    format::parse_bytes(text).ok_or_else(|| {
        Failure::usage(
            format!("{flag}: expected a size such as 512MB or 8GB, found \"{text}\""),
            "give a number with kB, MB or GB",
        )
    })
}
