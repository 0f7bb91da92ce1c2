//! Tests of the library and the command as a whole: one binary, linked once.
mod bench;
mod bytes;
mod calibration;
mod commands;
mod common;
mod data;

mod examples;
mod explain;
mod first_mistakes;
mod generate;
mod golden;
mod goldens;
mod imbalance;
mod inspect;
mod known_answer;
mod linear;
mod mistaken_settings;
mod mistakes;
mod models;
mod numbers;
mod prepare;
mod prepared_sets;
mod ranking;
mod readme;
mod reproducible;
mod streaming;
