//! `docs/compat.md` against the program: every RPC, flag, endpoint and metric has its row, every row
//! is something that is there, and every test that a row names exists.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use portunus::config::flags::{FLAGS, Group, UNSUPPORTED};
use portunus_proto::FILE_DESCRIPTOR_SET;
use portunus_tests::http::{get, post};
use prost::Message;

use crate::fixture::Single;

/// What may stand in a row's second column.
const STATES: [&str; 6] = ["as etcd", "differs", "no effect", "refused", "not there", "ours"];

struct Row {
    state: String,
    remark: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The rows of a section: the name in the first column, without what quotes it.
fn rows(section: &str) -> BTreeMap<String, Row> {
    let page = std::fs::read_to_string(root().join("docs/compat.md")).expect("the page is there");
    let begin = page.find(&format!("\n## {section}\n")).expect("the section is there");
    let body = &page[begin + 4..];
    let body = &body[..body.find("\n## ").unwrap_or(body.len())];
    let mut rows = BTreeMap::new();
    for line in body.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<_> = line.trim_matches('|').splitn(3, '|').map(str::trim).collect();
        let [name, state, remark] = cells[..] else { panic!("three columns: {line}") };
        let row = Row { state: state.to_owned(), remark: remark.to_owned() };
        let name = name.trim_matches('`').trim_start_matches("--").to_owned();
        assert!(rows.insert(name, row).is_none(), "{line} stands twice");
    }
    assert!(!rows.is_empty(), "{section} has rows");
    rows
}

#[track_caller]
fn assert_same(what: &str, page: &BTreeMap<String, Row>, program: &BTreeSet<String>) {
    let page: BTreeSet<_> = page.keys().cloned().collect();
    let missing: Vec<_> = program.difference(&page).collect();
    let gone: Vec<_> = page.difference(program).collect();
    assert!(missing.is_empty(), "{what} without a row: {missing:?}");
    assert!(gone.is_empty(), "rows for {what} that are not there: {gone:?}");
}

#[test]
fn every_rpc_has_its_row() {
    let set = prost_types::FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).expect("descriptors");
    let mut program = BTreeSet::new();
    for file in &set.file {
        // What members speak among themselves is nobody else's business.
        if file.package().starts_with("portunus.peer") {
            continue;
        }
        for service in &file.service {
            for method in &service.method {
                let (package, service) = (file.package(), service.name());
                program.insert(format!("{package}.{service}/{}", method.name()));
            }
        }
    }
    assert_same("RPCs", &rows("RPCs"), &program);
}

#[test]
fn every_flag_has_its_row_and_says_what_the_program_does() {
    let page = rows("Flags");
    let program = FLAGS.iter().map(|flag| flag.name);
    let program = program.chain(UNSUPPORTED.iter().map(|flag| flag.name));
    assert_same("flags", &page, &program.map(str::to_owned).collect());
    for flag in FLAGS {
        let row = &page[flag.name];
        let ignored = flag.group == Group::NoEffect;
        assert_eq!(row.state == "no effect", ignored, "--{}", flag.name);
        if ignored {
            assert_eq!(row.remark, flag.help, "--{}", flag.name);
        }
    }
    for flag in UNSUPPORTED {
        let row = &page[flag.name];
        assert_eq!((row.state.as_str(), row.remark.as_str()), ("refused", flag.instead));
    }
}

#[test]
fn every_row_has_a_state_and_a_test_or_a_reason() {
    for section in ["RPCs", "Flags", "HTTP", "Metrics"] {
        for (name, row) in rows(section) {
            assert!(STATES.contains(&row.state.as_str()), "{name}: {}", row.state);
            assert!(section == "Metrics" || !row.remark.is_empty(), "{name} has no remark");
            for word in row.remark.split([' ', ';', ',']) {
                if word.ends_with(".rs") {
                    assert!(root().join(word).exists(), "{name} names {word}, which is not there");
                }
            }
        }
    }
}

#[tokio::test]
async fn every_path_has_its_row_and_answers_as_it_says() {
    let single = Single::with(&["--enable-pprof"]).await;
    let url = &single.member.client_url;
    let page = rows("HTTP");
    let document = get(url, "/openapi.json").await.expect("an answer").json();
    let described: BTreeSet<_> = document["paths"]
        .as_object()
        .expect("paths")
        .keys()
        .filter(|path| path.starts_with("/v3/"))
        .cloned()
        .collect();
    let (gateway, other): (BTreeMap<_, _>, BTreeMap<_, _>) =
        page.into_iter().partition(|(path, _)| path.starts_with("/v3/"));
    assert_same("gateway paths", &gateway, &described);
    for path in gateway.keys() {
        let wrong = post(url, path, "{").await.expect("an answer");
        assert_eq!(wrong.status, 400, "{path} takes JSON and says so");
    }
    for (path, row) in other {
        let status = get(url, &path).await.expect("an answer").status;
        assert_eq!(status, if row.state == "not there" { 404 } else { 200 }, "{path}");
    }
}

#[tokio::test]
async fn every_metric_has_its_row() {
    let single = Single::start().await;
    // Some have no series before something has happened.
    let mut client = single.member.client().await.expect("connects");
    client.put("k", "v", None).await.expect("written");
    let page = rows("Metrics");
    let answer = get(&single.member.client_url, "/metrics").await.expect("an answer");
    let families: BTreeSet<_> = answer
        .body
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next().map(str::to_owned))
        .collect();
    let missing: Vec<_> = families.iter().filter(|name| !page.contains_key(*name)).collect();
    assert!(missing.is_empty(), "metrics without a row: {missing:?}");
    for (name, row) in page {
        let absent = row.state == "not there";
        let later = row.remark.contains("once");
        let there = families.contains(&name);
        assert!(!(there && absent), "{name} is there, and its row says it is not");
        assert!(there || absent || later, "{name} has a row and is not there");
    }
}
