//! What the fuzz targets have been through once, they go through again with each test run.

#[path = "../../fuzz/targets/mod.rs"]
mod targets;

#[test]
fn the_kept_corpus_breaks_no_reader() {
    let corpus = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    for (name, run) in targets::TARGETS {
        let files: Vec<_> =
            std::fs::read_dir(corpus.join(name)).expect("a target has one").collect();
        assert!(!files.is_empty(), "{name} has a corpus");
        for file in files {
            run(&std::fs::read(file.expect("it can be listed").path()).expect("it can be read"));
        }
    }
    assert!(targets::find("nothing").is_none());
}
