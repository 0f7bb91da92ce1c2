//! What is asked of the study.
use std::num::NonZeroUsize;
use std::path::PathBuf;

const USAGE: &str = "cargo xtask defaults DATA_DIR [PYTHON]
  [--out target/defaults] [--venv DIR] [--splits 5] [--only NAME,NAME] [--half choosing|reporting] [--large]
  [--jobs 1] [--bin PATH] [--variant NAME=\"FLAGS OF DLRM TRAIN\"]… [--no-family]";

/// Every second table of a kind is chosen with; the others only report.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Half {
    Choosing,
    Reporting,
}

impl Half {
    pub(super) const ALL: [Half; 2] = [Half::Choosing, Half::Reporting];

    pub(super) fn named(name: &str) -> Option<Half> {
        Half::ALL.into_iter().find(|half| half.name() == name)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Half::Choosing => "choosing",
            Half::Reporting => "reporting",
        }
    }
}

/// Flags that are given to `dlrm train` besides rows and label.
#[derive(Clone)]
pub(super) struct Variant {
    pub name: String,
    pub flags: Vec<String>,
    /// Another model with its defaults, only for tables led by ids.
    pub family: bool,
}

impl Variant {
    pub(super) fn new(name: &str, flags: &str) -> Variant {
        let flags = flags.split_whitespace().map(str::to_owned).collect();
        Variant { name: name.into(), flags, family: false }
    }

    pub(super) fn family(model: &str) -> Variant {
        let flags = vec!["--model".into(), model.into(), "--no-baseline".into()];
        Variant { name: format!("--model {model}"), flags, family: true }
    }
}

/// Arguments and flags of the command.
pub(super) struct Options {
    pub data: String,
    pub python: String,
    /// Where tables, peers, environment and results are kept.
    pub out: PathBuf,
    pub venv: Option<PathBuf>,
    pub splits: usize,
    /// Tables; all if empty.
    pub only: Vec<String>,
    pub half: Option<Half>,
    /// With MovieLens 1M.
    pub large: bool,
    /// Runs at a time.
    pub jobs: usize,
    pub binary: Option<PathBuf>,
    pub variants: Vec<Variant>,
    /// Whether tables led by ids are also given to the other models.
    pub family: bool,
}

impl Options {
    pub(super) fn parse(args: &[&str]) -> Result<Options, String> {
        let mut options = Options {
            data: String::new(),
            python: "python3".into(),
            out: "target/defaults".into(),
            venv: None,
            splits: 5,
            only: Vec::new(),
            half: None,
            large: false,
            jobs: 1,
            binary: None,
            variants: Vec::new(),
            family: true,
        };
        let mut places = vec![&mut options.python, &mut options.data];
        let mut rest = args;
        while let [first, after @ ..] = rest
            && !first.starts_with("--")
        {
            let Some(place) = places.pop() else { return Err(format!("unexpected {first}; {USAGE}")) };
            *place = (*first).into();
            rest = after;
        }
        if options.data.is_empty() {
            return Err(USAGE.into());
        }
        while let [flag, after @ ..] = rest {
            rest = options.flag(flag, after)?;
        }
        if options.variants.is_empty() {
            options.variants.push(Variant::new("default", ""));
        }
        Ok(options)
    }

    /// Takes one flag; returns what follows it and its value.
    fn flag<'a>(&mut self, flag: &str, after: &'a [&'a str]) -> Result<&'a [&'a str], String> {
        match flag {
            "--large" => self.large = true,
            "--no-family" => self.family = false,
            _ => {
                let [value, after @ ..] = after else {
                    return Err(format!("unexpected {flag}, or its value is missing; {USAGE}"));
                };
                self.value(flag, value)?;
                return Ok(after);
            }
        }
        Ok(after)
    }

    fn value(&mut self, flag: &str, value: &str) -> Result<(), String> {
        let count = || -> Result<usize, String> {
            let count: NonZeroUsize =
                value.parse().map_err(|_| format!("{flag} {value}: expected a number from 1 on"))?;
            Ok(count.get())
        };
        match flag {
            "--out" => self.out = value.into(),
            "--venv" => self.venv = Some(value.into()),
            "--bin" => self.binary = Some(value.into()),
            "--splits" => self.splits = count()?,
            "--jobs" => self.jobs = count()?,
            "--only" => self.only = value.split(',').map(str::to_owned).collect(),
            "--half" => {
                let half = Half::named(value);
                self.half =
                    Some(half.ok_or_else(|| format!("--half {value}: expected choosing or reporting"))?);
            }
            "--variant" => {
                let Some((name, flags)) = value.split_once('=').filter(|(name, _)| !name.is_empty()) else {
                    return Err(format!("--variant {value}: expected NAME=\"FLAGS OF DLRM TRAIN\""));
                };
                self.variants.push(Variant::new(name, flags));
            }
            _ => return Err(format!("unexpected {flag}; {USAGE}")),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_and_flags() {
        let options = Options::parse(&["data"]).expect("options");
        assert_eq!((options.data.as_str(), options.python.as_str()), ("data", "python3"));
        assert_eq!((options.splits, options.variants[0].name.as_str(), options.family), (5, "default", true));
        let args = ["data", "py", "--splits", "2", "--half", "choosing", "--large", "--no-family"];
        let more = ["--variant", "small=--batch-size 32 --set a=b", "--variant", "plain="];
        let options = Options::parse(&[&args[..], &more].concat()).expect("options");
        assert_eq!((options.python.as_str(), options.splits, options.large), ("py", 2, true));
        assert!(options.half == Some(Half::Choosing) && !options.family);
        assert_eq!(options.variants[0].flags, ["--batch-size", "32", "--set", "a=b"]);
        assert!(options.variants[1].name == "plain" && options.variants[1].flags.is_empty());
    }

    #[test]
    fn mistakes_are_named() {
        for (args, part) in [
            (&[][..], "DATA_DIR"),
            (&["data", "py", "more"], "unexpected more"),
            (&["data", "--splits", "0"], "from 1 on"),
            (&["data", "--half", "both"], "choosing or reporting"),
            (&["data", "--variant", "name"], "expected NAME="),
            (&["data", "--jobs"], "value is missing"),
            (&["data", "--what", "x"], "unexpected --what"),
        ] {
            let message = Options::parse(args).err().expect("a mistake");
            assert!(message.contains(part), "{message}");
        }
    }
}
