//! What is known of each data set. Checksums and counts are those of the publishers, or say whose they are.
use dlrm_data::error::nearest;
use dlrm_data::readers::{Format, Header, Input, Trim};
use std::path::Path;

/// A public data set.
#[derive(Debug, Clone)]
pub struct DataSet {
    /// Its name on the command line.
    pub name: &'static str,
    /// Its name among people.
    pub title: &'static str,
    /// Who publishes it.
    pub publisher: &'static str,
    /// The publisher's page, whose terms hold.
    pub page: &'static str,
    /// Where the archive is.
    pub source: Source,
    /// What the publisher hands out.
    pub archive: Archive,
    /// Files of rows.
    pub tables: &'static [TableFile],
    /// Other files that the readers need.
    pub needed: &'static [&'static str],
    /// Other files that come along where they are there.
    pub extras: &'static [&'static str],
    /// Bytes of all unpacked files, about.
    pub unpacked: u64,
    /// The terms in one line.
    pub terms: &'static str,
    /// The terms in short.
    pub terms_text: &'static str,
}

/// Where an archive is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// At an address that anyone can read.
    Url(&'static str),
    /// Behind a login; this is what to do by hand.
    Login(&'static str),
}

/// What a publisher hands out.
#[derive(Debug, Clone)]
pub struct Archive {
    /// Its name as a file.
    pub file: &'static str,
    /// How it is packed.
    pub packing: Packing,
    /// How its bytes are known.
    pub checksum: Checksum,
}

/// How an archive is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// A zip; what lies below this directory of it (if it has one) is the data set.
    Zip(&'static str),
    /// A tar compressed by gzip.
    TarGz,
    /// The table itself, as it is.
    Plain,
}

/// How the bytes of an archive are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checksum {
    /// Its length and MD5 are published, and must be met.
    Md5 {
        /// Length.
        bytes: u64,
        /// MD5, hexadecimal.
        md5: &'static str,
        /// Who says so.
        by: &'static str,
    },
    /// None is published. Others found this length and SHA-256, which may have changed since: rows and format
    /// decide.
    Noted {
        /// Length.
        bytes: u64,
        /// SHA-256, hexadecimal.
        sha256: &'static str,
    },
    /// None is published, and nothing is known; this is about the length.
    Unknown {
        /// Length, about.
        bytes: u64,
    },
}

impl Checksum {
    /// Length of the archive, about.
    pub fn bytes(self) -> u64 {
        match self {
            Checksum::Md5 { bytes, .. } | Checksum::Noted { bytes, .. } | Checksum::Unknown { bytes } => {
                bytes
            }
        }
    }
}

/// A file of rows.
#[derive(Debug, Clone)]
pub struct TableFile {
    /// Its name.
    pub file: &'static str,
    /// How many rows it must have.
    pub rows: u64,
    /// How many lines may be no rows.
    pub bad_rows: u64,
    /// How it is written.
    pub format: Format,
    /// Names of the columns, where the file does not say.
    pub columns: &'static [&'static str],
}

impl TableFile {
    const fn new(file: &'static str, rows: u64, format: Format) -> Self {
        TableFile { file, rows, bad_rows: 0, format, columns: &[] }
    }

    /// How our readers read it in `directory`.
    pub fn input(&self, directory: &Path) -> Input {
        let mut input = Input::new([directory.join(self.file)]).with_format(self.format);
        if !self.columns.is_empty() {
            input.columns = Some(self.columns.iter().map(|&name| name.to_owned()).collect());
            input.header = Some(Header::Absent);
            input.trim = Some(Trim::Blanks);
        }
        input
    }
}

impl DataSet {
    /// Rows of all tables.
    pub fn rows(&self) -> u64 {
        self.tables.iter().map(|table| table.rows).sum()
    }
}

/// The data set of that name.
pub fn find(name: &str) -> Option<&'static DataSet> {
    CATALOGUE.iter().find(|set| set.name == name)
}

/// The known name nearest to `name`, which may also be the beginning of one or of an archive's.
pub fn near(name: &str) -> Option<&'static str> {
    let begins = |set: &&DataSet| {
        name.len() >= 3 && (set.name.starts_with(name) || set.archive.file.starts_with(name))
    };
    let names = CATALOGUE.iter().map(|set| set.name);
    nearest(name, names).or_else(|| CATALOGUE.iter().find(begins).map(|set| set.name))
}

const GROUPLENS: &str = "\
Research use only. Acknowledge the data set in publications: F. Maxwell Harper and Joseph A. Konstan. 2015. \
The MovieLens
Datasets: History and Context. ACM Transactions on Interactive Intelligent Systems 5, 4, Article 19. Do not \
redistribute it
without separate permission. No commercial use without permission of GroupLens. Do not imply an endorsement \
by the University
of Minnesota or GroupLens. The README of the archive holds the terms in full.
";
const GROUPLENS_LATER: &str = "\
Any use under the conditions of the README of the archive: acknowledge the data set in publications (F. \
Maxwell Harper and
Joseph A. Konstan. 2015. The MovieLens Datasets: History and Context. ACM Transactions on Interactive \
Intelligent Systems 5, 4,
Article 19), imply no endorsement by the University of Minnesota or GroupLens, redistribute it (also \
transformed) only under
these same conditions, and use it for nothing commercial without permission of GroupLens. It is a \
development set that changes
over time, and not meant for results that are to be shared.
";

/// All data sets that have a name here.
pub const CATALOGUE: &[DataSet] = &[
    DataSet {
        name: "movielens-100k",
        title: "MovieLens 100K",
        publisher: "GroupLens",
        page: "https://grouplens.org/datasets/movielens/100k/",
        source: Source::Url("https://files.grouplens.org/datasets/movielens/ml-100k.zip"),
        archive: Archive {
            file: "ml-100k.zip",
            packing: Packing::Zip("ml-100k"),
            checksum: Checksum::Md5 {
                bytes: 4_924_029,
                md5: "0e33842e24a9c977be4e0107933c0723",
                by: "GroupLens",
            },
        },
        tables: &[TableFile::new("u.data", 100_000, Format::Movielens)],
        needed: &["u.item", "u.user", "u.genre"],
        extras: &[
            "README",
            "u.info",
            "u.occupation",
            "u1.base",
            "u1.test",
            "u2.base",
            "u2.test",
            "u3.base",
            "u3.test",
            "u4.base",
            "u4.test",
            "u5.base",
            "u5.test",
            "ua.base",
            "ua.test",
            "ub.base",
            "ub.test",
        ],
        unpacked: 16_100_000,
        terms: "research, no redistribution, nothing commercial",
        terms_text: GROUPLENS,
    },
    DataSet {
        name: "movielens-1m",
        title: "MovieLens 1M",
        publisher: "GroupLens",
        page: "https://grouplens.org/datasets/movielens/1m/",
        source: Source::Url("https://files.grouplens.org/datasets/movielens/ml-1m.zip"),
        archive: Archive {
            file: "ml-1m.zip",
            packing: Packing::Zip("ml-1m"),
            checksum: Checksum::Md5 {
                bytes: 5_917_549,
                md5: "c4d9eecfca2ab87c1945afe126590906",
                by: "GroupLens",
            },
        },
        tables: &[TableFile::new("ratings.dat", 1_000_209, Format::Movielens)],
        needed: &["movies.dat", "users.dat"],
        extras: &["README"],
        unpacked: 25_000_000,
        terms: "research, no redistribution, nothing commercial",
        terms_text: GROUPLENS,
    },
    DataSet {
        name: "movielens-latest-small",
        title: "MovieLens latest, small (9/2018)",
        publisher: "GroupLens",
        page: "https://grouplens.org/datasets/movielens/latest/",
        source: Source::Url("https://files.grouplens.org/datasets/movielens/ml-latest-small.zip"),
        archive: Archive {
            file: "ml-latest-small.zip",
            packing: Packing::Zip("ml-latest-small"),
            checksum: Checksum::Noted {
                bytes: 978_202,
                sha256: "696d65a3dfceac7c45750ad32df2c259311949efec81f0f144fdfb91ebc9e436",
            },
        },
        tables: &[TableFile::new("ratings.csv", 100_836, Format::Movielens)],
        needed: &["movies.csv"],
        extras: &["README.txt", "links.csv", "tags.csv"],
        unpacked: 3_300_000,
        terms: "redistribution under the same terms, nothing commercial",
        terms_text: GROUPLENS_LATER,
    },
    DataSet {
        name: "adult",
        title: "Adult (census income)",
        publisher: "UCI",
        page: "https://archive.ics.uci.edu/dataset/2/adult",
        source: Source::Url("https://archive.ics.uci.edu/static/public/2/adult.zip"),
        archive: Archive {
            file: "adult.zip",
            packing: Packing::Zip("adult"),
            checksum: Checksum::Noted {
                bytes: 620_237,
                sha256: "7537312dd56c2b98035880805ce99e68183a30ee468aa5329d6df0fbb3cc21bb",
            },
        },
        tables: &[
            TableFile { columns: &ADULT_COLUMNS, ..TableFile::new("adult.data", 32_561, Format::Csv) },
            // Its first line is a comment.
            TableFile {
                columns: &ADULT_COLUMNS,
                bad_rows: 1,
                ..TableFile::new("adult.test", 16_281, Format::Csv)
            },
        ],
        needed: &[],
        extras: &["adult.names", "old.adult.names", "Index"],
        unpacked: 6_000_000,
        terms: "CC BY 4.0",
        terms_text: "\
Creative Commons Attribution 4.0 International (https://creativecommons.org/licenses/by/4.0/). Cite: Becker, \
B. and Kohavi, R.
(1996). Adult. UCI Machine Learning Repository. https://doi.org/10.24432/C5XW20
",
    },
    DataSet {
        name: "criteo-kaggle",
        title: "Criteo Kaggle display advertising",
        publisher: "Criteo",
        page: "https://ailab.criteo.com/ressources/",
        source: Source::Url(
            "https://go.criteo.net/criteo-research-kaggle-display-advertising-challenge-dataset.tar.gz",
        ),
        archive: Archive {
            file: "criteo-research-kaggle-display-advertising-challenge-dataset.tar.gz",
            packing: Packing::TarGz,
            checksum: Checksum::Md5 {
                bytes: 4_576_820_670,
                md5: "df9b1b3766d9ff91d5ca3eb3d23bed27",
                by: "figshare, article 5732310",
            },
        },
        tables: &[
            TableFile::new("train.txt", 45_840_617, Format::Criteo),
            TableFile::new("test.txt", 6_042_135, Format::Criteo),
        ],
        needed: &[],
        extras: &["readme.txt", "license.txt"],
        unpacked: 12_700_000_000,
        terms: "nothing commercial, no redistribution",
        terms_text: "\
Criteo Labs data terms of use: non-commercial use and analysis only. Publications may hold results, not the \
data, and name
Criteo. Do not distribute the data in any manner, and do not reverse-engineer it. The publisher's page holds \
the terms in force.
",
    },
    DataSet {
        name: "avazu",
        title: "Avazu click-through (train.gz)",
        publisher: "Avazu, on Kaggle",
        page: "https://www.kaggle.com/c/avazu-ctr-prediction/data",
        source: Source::Login("log in at Kaggle, accept the rules of the competition and download train.gz"),
        archive: Archive {
            file: "train.gz",
            packing: Packing::Plain,
            checksum: Checksum::Unknown { bytes: 1_120_000_000 },
        },
        tables: &[TableFile::new("train.gz", 40_428_967, Format::Csv)],
        needed: &[],
        extras: &[],
        unpacked: 1_120_000_000,
        terms: "rules of the competition",
        terms_text: "\
The rules of the Kaggle competition, which you accept there: \
https://www.kaggle.com/c/avazu-ctr-prediction/rules
",
    },
];

const ADULT_COLUMNS: [&str; 15] = [
    "age",
    "workclass",
    "fnlwgt",
    "education",
    "education_num",
    "marital_status",
    "occupation",
    "relationship",
    "race",
    "sex",
    "capital_gain",
    "capital_loss",
    "hours_per_week",
    "native_country",
    "income",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain_and_differ() {
        for (i, set) in CATALOGUE.iter().enumerate() {
            assert!(CATALOGUE[..i].iter().all(|other| other.name != set.name), "{}", set.name);
            let files = set
                .tables
                .iter()
                .map(|table| table.file)
                .chain(set.needed.iter().copied())
                .chain(set.extras.iter().copied());
            for name in files.chain([set.name, set.archive.file]) {
                assert!(!name.starts_with('.') && !name.contains(['/', '\\']), "{name}");
            }
            assert!(
                !set.tables.is_empty() && !set.terms_text.is_empty() && set.page.starts_with("https://"),
                "{}",
                set.name
            );
            assert!(
                set.archive.packing == Packing::Plain
                    || matches!(set.source, Source::Url(url) if url.ends_with(set.archive.file))
            );
        }
    }

    #[test]
    fn checksums_have_their_length() {
        for set in CATALOGUE {
            let (text, length) = match set.archive.checksum {
                Checksum::Md5 { md5, .. } => (md5, 32),
                Checksum::Noted { sha256, .. } => (sha256, 64),
                Checksum::Unknown { .. } => continue,
            };
            assert!(
                text.len() == length
                    && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)),
                "{}",
                set.name
            );
        }
    }

    #[test]
    fn a_typing_mistake_finds_its_name() {
        assert_eq!(near("movielens-100"), Some("movielens-100k"));
        assert_eq!(near("adul"), Some("adult"));
        assert_eq!(near("criteo"), Some("criteo-kaggle"));
        assert_eq!(near("ml-1m"), Some("movielens-1m"));
        assert_eq!(near("iris"), None);
    }
}
