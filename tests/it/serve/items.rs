//! Where what is recommended comes from: a table, a file that is mapped, the training rows.
use super::client::{get, post};
use super::{models, options, start, table};
use crate::common::{dlrm, fails, works};
use dlrm::data::readers::Input;
use dlrm::engine::model_dir;
use dlrm::serve::{Catalogue, EventItems, Origin, Roles};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;

/// The items of rows that the model `kind` was trained on.
fn derived(kind: &str, rows: &Path, scratch: &Path) -> Arc<Catalogue> {
    let config = model_dir::config_of(&models().join("runs").join(kind)).expect("a model");
    let schema = config.schema.as_ref().expect("a schema");
    let roles = Roles::of(&config, schema, None, &[]);
    let items = EventItems::read(&Input::new([rows]), &roles).expect("items");
    Arc::new(items.finish(scratch).expect("a catalogue"))
}

fn keys(answer: &Value) -> Vec<String> {
    let items = answer["items"].as_array().unwrap_or_else(|| panic!("{answer}")).iter();
    items.map(|item| item["item"]["item"].as_str().expect("a key").to_owned()).collect()
}

#[test]
fn the_training_rows_have_items_and_who_has_had_them() {
    let (dir, scratch) = (models(), tempfile::tempdir().expect("a directory"));
    let rows = table(&fs::read_to_string(dir.join("rows.csv")).expect("rows"));
    let text = |row: &Value, name: &str| row[name].as_str().expect("a text").to_owned();
    let all: BTreeSet<String> = rows.iter().map(|row| text(row, "item")).collect();
    for kind in ["dlrm", "mf"] {
        let catalogue = derived(kind, &dir.join("rows.csv"), scratch.path());
        // The shelf is the item's; price, tags and time are those of a row.
        let columns: &[&str] = if kind == "mf" { &["item"] } else { &["item", "shelf"] };
        assert_eq!(
            (catalogue.key(), catalogue.columns()),
            ("item", &columns.iter().map(|c| (*c).to_owned()).collect::<Vec<_>>()[..])
        );
        assert_eq!(
            (catalogue.len(), catalogue.seen_by(), catalogue.origin()),
            (all.len(), Some("user"), Origin::Events)
        );
        let mut options = options(&[("m", &dir.join("runs").join(kind))]);
        options.catalogue = Some(catalogue);
        let server = start(options);
        let ask = |more: Value| {
            let mut ask = json!({ "user": { "user": "u3" }, "k": 100 });
            ask.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
            post(server.http(), "/v1/recommend", ask.to_string()).json()
        };
        assert_eq!(keys(&ask(json!({}))).into_iter().collect::<BTreeSet<_>>(), all, "{kind}");
        let seen: BTreeSet<String> =
            rows.iter().filter(|row| row["user"] == "u3").map(|row| text(row, "item")).collect();
        let unseen = ask(json!({ "exclude_seen": true }));
        let found: BTreeSet<String> = keys(&unseen).into_iter().collect();
        assert_eq!(found, all.difference(&seen).cloned().collect(), "{kind}");
        assert_eq!(unseen["candidates"], all.len() - seen.len(), "{kind}");
        // Someone who is not there has had nothing.
        let nobody = ask(json!({ "exclude_seen": true, "user": { "user": "nobody" } }));
        assert_eq!(nobody["candidates"], all.len(), "{kind}");
        assert!(seen.len() > 3 && seen.len() < all.len(), "{}", seen.len());
    }
    assert_eq!(fs::read_dir(scratch.path()).expect("listed").count(), 0, "files of catalogues have no names");
}

/// The command and the server say the same of the same rows, in the same order.
#[test]
fn without_a_server_the_same_is_recommended() {
    let (dir, scratch) = (models(), tempfile::tempdir().expect("a directory"));
    let mut options = options(&[("m", &dir.join("runs/fm"))]);
    options.catalogue = Some(derived("fm", &dir.join("rows.csv"), scratch.path()));
    let server = start(options);
    let ask = json!({ "user": { "user": "u7" }, "k": 5, "exclude_seen": true, "filter": "shelf != 2" });
    let served = post(server.http(), "/v1/recommend", ask.to_string()).json();
    let args = ["--json", "recommend", "runs/fm", "--user", "user=u7", "-k", "5", "--exclude-seen"];
    let args = [&args[..], &["--filter", "shelf != 2"]].concat();
    let own: Value = serde_json::from_str(&works(dir, &args).out).expect("JSON");
    assert_eq!(own["items"], served["items"]);
    works(dir, &["-q", "items", "runs/fm", "-o", "of-rows.arrow", "--overwrite"]);
    let mapped: Value =
        serde_json::from_str(&works(dir, &[&args[..], &["--items", "of-rows.arrow"]].concat()).out)
            .expect("JSON");
    assert_eq!(mapped["items"], served["items"]);
}

/// More items than a block and than a file of encoded rows, with every kind of input, some made of the item
/// and the context together.
#[test]
fn many_items_are_scored_as_rows_are() {
    let (dir, scratch) = (models(), tempfile::tempdir().expect("a directory"));
    let items: String = (0..70_000).map(|i| format!("i{i},t{}|t{},{}.5\n", i % 9, i % 4, i % 50)).collect();
    let path = scratch.path().join("many.csv");
    fs::write(&path, format!("item,tags,price\n{items}")).expect("a file");
    let catalogue = Arc::new(Catalogue::open(&path, None, scratch.path()).expect("items"));
    let crossed = ["-q", "train", "rows.csv", "--label", "click", "--model", "lr", "--cross", "user,item"];
    works(
        dir,
        &[&crossed[..], &["--no-baseline", "--epochs", "1", "--overwrite", "-o", "runs/crossed"]].concat(),
    );
    for kind in ["dlrm", "wide_deep", "crossed"] {
        let mut options = options(&[("m", &dir.join("runs").join(kind))]);
        options.catalogue = Some(catalogue.clone());
        let server = start(options);
        let user = json!({ "user": "u3", "time": 1_700_000_000 });
        let ask = json!({ "user": user, "k": 50, "filter": "tags contains t3 and price < 40" });
        let found = post(server.http(), "/v1/recommend", ask.to_string()).json();
        let admitted = (0..70_000).filter(|i| (i % 9 == 3 || i % 4 == 3) && i % 50 < 40).count();
        assert_eq!(found["candidates"], admitted, "{kind}");
        let items = found["items"].as_array().expect("items");
        let join = |item: &Value| {
            let mut row = user.clone();
            row.as_object_mut()
                .expect("an object")
                .extend(item["item"].as_object().expect("an item").clone());
            row
        };
        let rows: Vec<Value> = items.iter().map(join).collect();
        let scored = post(server.http(), "/v1/predict", json!({ "rows": rows }).to_string()).json();
        let logits: Vec<Value> = items.iter().map(|item| item["logit"].clone()).collect();
        assert_eq!(json!(logits), scored["logits"], "{kind}");
    }
}

#[test]
fn files_that_are_no_items() {
    let dir = models();
    works(dir, &["-q", "items", "items.csv", "-o", "whole.arrow", "--overwrite"]);
    let mut bytes = fs::read(dir.join("whole.arrow")).expect("a file");
    let middle = bytes.len() / 3;
    bytes[middle] ^= 1;
    fs::write(dir.join("damaged.arrow"), bytes).expect("a file");
    let damaged = ["serve", "runs/lr", "--listen", "127.0.0.1:0", "--items", "damaged.arrow"];
    fails(dir, &damaged, 3, &["damaged.arrow: expected a table of items", "dlrm items"]);
    let other_key =
        ["recommend", "runs/lr", "--user", "user=u1", "--items", "whole.arrow", "--item-key", "title"];
    fails(dir, &other_key, 3, &["whole.arrow: expected items that the column \"title\" tells apart"]);
    fails(dir, &["items", "items.csv", "-o", "whole.arrow"], 2, &["-o: expected a new file", "--overwrite"]);
    fails(
        dir,
        &["items", "items.csv", "-o", "items.csv"],
        2,
        &["expected another file than those that are read"],
    );
    fails(
        dir,
        &["items", "runs/lr", "--item-key", "itm", "-o", "x.arrow"],
        3,
        &["a column \"itm\"", "did you mean \"item\"?"],
    );
    fs::write(dir.join("none.csv"), "item,shelf\n").expect("a file");
    assert_ne!(dlrm(dir, &["items", "none.csv", "-o", "x.arrow"]).code, 0);
    assert!(!dir.join("x.arrow").exists());
}

/// A model that reads none of the columns answers all the same, and says why it recommends nothing.
#[test]
fn a_model_of_other_rows_recommends_nothing() {
    let (dir, scratch) = (models(), tempfile::tempdir().expect("a directory"));
    let rows = scratch.path().join("rows.csv");
    fs::write(&rows, "click,user,item\n1,a,b\n0,c,d\n").expect("a file");
    let config = model_dir::config_of(&dir.join("runs/lr")).expect("a model");
    let mut roles = Roles::of(&config, config.schema.as_ref().expect("a schema"), None, &[]);
    assert_eq!((roles.keys.clone(), roles.user.as_deref()), (vec!["item".to_owned()], Some("user")));
    roles.keys = vec!["click".into()];
    roles.others.clear();
    let items = EventItems::read(&Input::new([&rows]), &roles).expect("items");
    let mut options = options(&[("m", &dir.join("runs/lr"))]);
    options.catalogue = Some(Arc::new(items.finish(scratch.path()).expect("a catalogue")));
    let server = start(options);
    let refused = post(server.http(), "/v1/recommend", "{}");
    assert_eq!((refused.status, refused.code().as_str()), (404, "not_found"));
    assert!(refused.json()["error"].as_str().expect("a text").contains("a column that the model reads"));
    assert_eq!(get(server.http(), "/v2/health/ready").status, 200);
}
