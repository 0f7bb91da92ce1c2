//! What people write or other programs hand over as text: schemas, encoders, traces and their profiles.
#![no_main]
use dlrm_data::{Encoder, Schema};
use dlrm_synth::trace::{Profile, parse_trace};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = Schema::from_toml(text, "schema.toml");
    let _ = serde_json_encoder(text);
    let _ = parse_trace(text, "trace.txt");
    if let Ok(profile) = Profile::parse(text, "profile.txt") {
        assert_eq!(Profile::parse(&profile.to_text(), "again").expect("what was written is read"), profile);
    }
});

/// An encoder that is read can be written.
fn serde_json_encoder(text: &str) -> Option<String> {
    let encoder: Encoder = serde_json::from_str(text).ok()?;
    serde_json::to_string(&encoder).ok()
}
