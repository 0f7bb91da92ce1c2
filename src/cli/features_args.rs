//! Flags of `dlrm features`.
use super::input_args::InputArgs;
use clap::{Arg, ArgAction, ArgGroup, ArgMatches, Args, Command, FromArgMatches, Subcommand};
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(super) enum FeaturesCommand {
    /// Fill a feature store from tables of users and items; a table is replaced whole or not at all
    Load(LoadArgs),
    /// Say what a feature store holds, and show single rows
    Show(ShowFeaturesArgs),
}

#[derive(Debug, Args)]
pub(super) struct LoadArgs {
    /// The store: sqlite:FILE (or a file name that ends in .sqlite or .db), or redis://HOST[:PORT][/DATABASE]
    #[arg(value_name = "STORE")]
    pub store: String,
    #[command(flatten)]
    pub tables: TableArgs,
    #[command(flatten)]
    pub input: InputArgs,
}

#[derive(Debug, Args)]
pub(super) struct ShowFeaturesArgs {
    /// The store, as `dlrm features load` names it
    #[arg(value_name = "STORE")]
    pub store: String,
    /// Show the row of this user, and how many items it has had
    #[arg(long, value_name = "KEY")]
    pub user: Option<String>,
    /// Show the row of this item
    #[arg(long, value_name = "KEY")]
    pub item: Option<String>,
}

/// A word about the tables to load.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Said {
    /// Files of a table.
    Table(TableFlag, PathBuf),
    /// A column of the keys of the table before it.
    Key(String),
    /// A column to load of the table before it.
    Take(String),
}

/// A flag that names a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum TableFlag {
    Users,
    Items,
    Seen,
}

impl TableFlag {
    pub(super) const ALL: [TableFlag; 3] = [TableFlag::Users, TableFlag::Items, TableFlag::Seen];

    fn id(self) -> &'static str {
        match self {
            TableFlag::Users => "users",
            TableFlag::Items => "items",
            TableFlag::Seen => "seen",
        }
    }

    pub(super) fn flag(self) -> &'static str {
        match self {
            TableFlag::Users => "--users",
            TableFlag::Items => "--items",
            TableFlag::Seen => "--seen",
        }
    }

    fn help(self) -> &'static str {
        match self {
            TableFlag::Users => "Rows of users (may be repeated)",
            TableFlag::Items => "Rows of items (may be repeated)",
            TableFlag::Seen => {
                "Rows that say which items users have had already, such as the clicks (may be repeated)"
            }
        }
    }
}

const KEY: &str = "key";
const TAKE: &str = "take";

/// What was said of the tables to load, in its order: `--key` and `--take` are about the table that stands
/// before them, which derived arguments do not tell.
#[derive(Debug, Clone, Default)]
pub(super) struct TableArgs {
    pub said: Vec<Said>,
}

impl Args for TableArgs {
    fn augment_args(command: Command) -> Command {
        let flag = |name, value, help| {
            Arg::new(name).long(name).value_name(value).help(help).action(ArgAction::Append)
        };
        let group = ArgGroup::new("tables").args(TableFlag::ALL.map(TableFlag::id)).multiple(true);
        let tables = TableFlag::ALL
            .map(|table| flag(table.id(), "PATH", table.help()).value_parser(clap::value_parser!(PathBuf)));
        let key =
            "Column of the keys of the table that stands before it; for --seen the user's, then the item's";
        let take = "Columns to load of the table that stands before it, comma-separated (default: all)";
        let take = flag(TAKE, "A,B,…", take).value_delimiter(',');
        command.args(tables).group(group.required(true)).arg(flag(KEY, "COLUMN", key)).arg(take)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for TableArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut all: Vec<(usize, Said)> = Vec::new();
        for table in TableFlag::ALL {
            let values = matches.get_many::<PathBuf>(table.id()).into_iter().flatten();
            let said = values.map(|path| Said::Table(table, path.clone()));
            all.extend(matches.indices_of(table.id()).into_iter().flatten().zip(said));
        }
        for (name, said) in [(KEY, Said::Key as fn(String) -> Said), (TAKE, Said::Take)] {
            let values = matches.get_many::<String>(name).into_iter().flatten();
            let said = values.map(|value| said(value.clone()));
            all.extend(matches.indices_of(name).into_iter().flatten().zip(said));
        }
        all.sort_unstable();
        Ok(TableArgs { said: all.into_iter().map(|(_, said)| said).collect() })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
