//! Floor 4 of dlrm: from what a person said to a trained, measured and saved model.
//!
//! * [`request`]: what was said of a run, resolved to a complete [`Run`]; [`config`]: everything that decides
//!   its result.
//! * [`run`]: a whole run; [`compare`]: several models on the same rows; [`plan`]: what a run needs;
//!   [`folds`]: either on every fold of the rows; [`tune`]: a search for better settings; [`choice`]: a run
//!   whose model the validation rows choose; [`training`]: a run as it was asked for, by itself or behind
//!   either.
//! * [`network`]: a model with its weights and its one forward pass; [`workspace`]: the memory and the
//!   threads it needs.
//! * [`learner`]: one training step, alone or shared among [`ranks`]; [`trainer`]: many, with evaluation,
//!   early stopping and checkpoints.
//! * [`training_rows`], [`feed`]: where steps get their rows from; [`observer`]: who watches; [`event_file`]:
//!   what TensorBoard reads.
//! * [`row_scorer`]: from raw rows to logits; [`predictor`]: a saved model, loaded; [`input_scorer`]: whole
//!   files.
//! * [`calibration`]: probabilities that are those observed.
//! * [`preparation`]: rows encoded once, on disk.
//! * [`inspection`]: what the columns of rows are.
//! * [`mod@reference`]: models from checkpoints of the reference implementation.
//! * [`explain`]: which columns a model rests on, and what moves the score of a row.
//! * [`checkpoint_store`]: what a trainer keeps; [`model_dir`], [`checkpoint`], [`saved`], [`tensors`]:
//!   directories on disk that are whole or absent; [`own_files`]: which files of a directory are ours;
//!   [`trained_files`]: which files a model has seen.
#![forbid(unsafe_code)]

mod answer;
mod arriving;
pub mod calibration;
pub mod checkpoint;
pub mod checkpoint_store;
pub mod choice;
mod common_rows;
pub mod compare;
pub mod config;
mod config_file;
mod config_mistakes;
pub mod downsampling;
mod elsewhere;
pub mod error;
pub mod event_file;
mod exchange;
pub mod explain;
pub mod feed;
mod fit;
pub mod folds;
pub mod golden;
pub mod golden_config;
pub mod input_scorer;
pub mod inspection;
mod journal;
pub mod learner;
pub mod model_dir;
pub mod network;
pub mod note;
pub mod observer;
mod optimizer_state;
pub mod own_files;
pub mod placement;
pub mod plan;
pub mod predecessor;
pub mod predictor;
pub mod preparation;
pub mod ranks;
pub mod reference;
mod regression;
mod replica;
pub mod request;
pub mod row_scorer;
pub mod rows;
pub mod run;
pub mod run_dir;
pub mod saved;
pub mod schedule;
mod shared_start;
mod shared_store;
mod spare;
pub mod start;
pub mod step_plan;
mod tensorboard;
pub mod tensors;
pub mod traffic;
pub mod train_config;
pub mod train_state;
mod trained;
pub mod trained_files;
pub mod trainer;
pub mod training;
pub mod training_rows;
pub mod tune;
mod unknown_values;
mod warm_start;
mod whole;
pub mod workspace;

pub use config::RunConfig;
pub use error::{Error, Result};
pub use input_scorer::InputScorer;
pub use learner::Learner;
pub use network::Network;
pub use note::Note;
pub use predictor::Predictor;
pub use request::RunRequest;
pub use row_scorer::RowScorer;
pub use run::{Outcome, Resources, Run};
pub use schedule::Schedule;
pub use start::Start;
pub use step_plan::StepPlan;
pub use workspace::{Parallel, Workspace};
