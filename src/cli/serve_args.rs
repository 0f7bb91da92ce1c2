//! Flags of the server, and of what it does without being one.
use clap::Args;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Flags of `dlrm serve`.
#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    /// Run or model directories, each with the name that requests call it by: DIR or NAME=DIR
    #[arg(required = true, value_name = "MODEL")]
    pub models: Vec<String>,
    /// Where to listen for HTTP; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8000")]
    pub listen: SocketAddr,
    /// Where to listen for gRPC (default: the port behind that of HTTP); "off" for nowhere
    #[arg(long, value_name = "ADDRESS")]
    pub grpc: Option<String>,
    /// Where models can be loaded, unloaded and taken back (default: nowhere)
    #[arg(long, value_name = "ADDRESS")]
    pub admin: Option<SocketAddr>,
    /// Table of the items that can be recommended, a row for each, or a file that `dlrm items` has written
    /// (default: the items of the rows that the first model was trained on); "off" for none
    #[arg(long, value_name = "FILE")]
    pub items: Option<PathBuf>,
    /// Column that tells items apart (default: the first of --items; of training rows, one whose name says
    /// so, or the one with most values)
    #[arg(long, value_name = "COLUMN")]
    pub item_key: Option<String>,
    /// Store of features that requests are joined to by key: sqlite:FILE or redis://HOST
    #[arg(long, value_name = "ADDRESS")]
    pub features: Option<String>,
    /// Write what was asked and answered into Parquet files in this directory, to train on
    #[arg(long, value_name = "DIR")]
    pub log: Option<PathBuf>,
    /// Write a line of JSON for each request to this file, behind what it holds; - for standard error
    #[arg(long, value_name = "FILE")]
    pub request_log: Option<PathBuf>,
    /// Shares of the requests that name no model, by model: a=0.9,b=0.1
    #[arg(long, value_name = "NAME=SHARE,…", requires = "by")]
    pub split: Option<String>,
    /// Column whose value decides which model of --split answers
    #[arg(long, value_name = "COLUMN", requires = "split")]
    pub by: Option<String>,
    /// A further model that is asked about the same rows, to compare: DIR or NAME=DIR
    #[arg(long, value_name = "MODEL")]
    pub shadow: Option<String>,
    /// File of keys, one in each line: only who sends one of them may ask
    #[arg(long, value_name = "FILE")]
    pub keys: Option<PathBuf>,
    /// Certificate (PEM) to speak TLS with
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_certificate: Option<PathBuf>,
    /// Its private key (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    pub tls_key: Option<PathBuf>,
    /// Listen where others reach it, without keys
    #[arg(long)]
    pub insecure: bool,
    /// Rows of a request, and candidates, at most
    #[arg(long, value_name = "N", default_value_t = 4096)]
    pub max_rows: usize,
    /// Do not load a model again when its directory is replaced
    #[arg(long)]
    pub no_watch: bool,
}

/// Flags of `dlrm items`.
#[derive(Debug, Args)]
pub(super) struct ItemsArgs {
    /// Run or model directory, whose training rows have the items, or a table with a row for each
    #[arg(value_name = "SOURCE")]
    pub source: PathBuf,
    /// File to write (Arrow)
    #[arg(long, short, value_name = "FILE", required = true)]
    pub output: PathBuf,
    /// Replace the file
    #[arg(long)]
    pub overwrite: bool,
    /// Column that tells items apart (default: the first of a table; of training rows, one whose name says
    /// so, or the one with most values)
    #[arg(long, value_name = "COLUMN")]
    pub item_key: Option<String>,
}

/// Flags of `dlrm recommend`.
#[derive(Debug, Args)]
pub(super) struct RecommendArgs {
    /// Run or model directory
    pub model: PathBuf,
    /// What is known of the user, such as user_id=196; what the training rows tell beside it is taken from
    /// there
    #[arg(long, required = true, value_name = "COLUMN=VALUE")]
    pub user: Vec<String>,
    /// Items to print
    #[arg(long = "count", short = 'k', value_name = "N", default_value_t = 10)]
    pub count: usize,
    /// Leave out what the training rows say that the user has had
    #[arg(long)]
    pub exclude_seen: bool,
    /// Keys of items to leave out
    #[arg(long, value_name = "KEY", value_delimiter = ',')]
    pub exclude: Vec<String>,
    /// A condition on the items: "genre contains Drama and year >= 1990"
    #[arg(long, value_name = "CONDITION")]
    pub filter: Option<String>,
    /// Table of the items, a row for each, or a file that `dlrm items` has written (default: those of the
    /// training rows)
    #[arg(long, value_name = "FILE")]
    pub items: Option<PathBuf>,
    /// Column that tells items apart (default: the first of --items; of training rows, one whose name says
    /// so, or the one with most values)
    #[arg(long, value_name = "COLUMN")]
    pub item_key: Option<String>,
}
