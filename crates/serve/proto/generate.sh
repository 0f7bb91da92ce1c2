#!/bin/sh
# Makes src/grpc/generated.rs and src/grpc/descriptor.bin of inference.proto. Needs protoc (Debian: protobuf-compiler).
set -eu
proto=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/src" "$work/out"
cat > "$work/Cargo.toml" <<'TOML'
[package]
name = "generate"
version = "0.0.0"
edition = "2024"
[dependencies]
tonic-prost-build = { version = "=0.14.9", default-features = false, features = ["transport"] }
[workspace]
TOML
cat > "$work/src/main.rs" <<'RUST'
fn main() {
    let args: Vec<String> = std::env::args().collect();
    tonic_prost_build::configure()
        .build_client(false)
        .out_dir(&args[2])
        .file_descriptor_set_path(format!("{}/descriptor.bin", args[2]))
        .compile_protos(&[format!("{}/inference.proto", args[1])], &[args[1].clone()])
        .expect("generated code");
}
RUST
cargo run --quiet --manifest-path "$work/Cargo.toml" -- "$proto" "$work/out"
cp "$work/out/inference.rs" "$proto/../src/grpc/generated.rs"
cp "$work/out/descriptor.bin" "$proto/../src/grpc/descriptor.bin"
