//! Shows the figures of all live diaries in the process's metrics. A plugin that goes takes its
//! series along; of two diaries of one name, which only tests have, the younger is shown.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Weak};

use parking_lot::Mutex;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;

use super::diary::Diary;

static SHOWN: LazyLock<Mutex<Vec<Weak<Diary>>>> = LazyLock::new(|| {
    if let Err(error) = prometheus::register(Box::new(Shown::new())) {
        tracing::error!(%error, "the plugins' metrics are not exported");
    }
    Mutex::default()
});

/// Exports `diary` for as long as it lives.
pub(super) fn show(diary: &Arc<Diary>) {
    let mut shown = SHOWN.lock();
    // Only before it would grow, so that many plugins cost no more each than few.
    if shown.len() == shown.capacity() {
        shown.retain(|diary| diary.strong_count() > 0);
    }
    shown.push(Arc::downgrade(diary));
}

/// All diaries as one source of metrics.
struct Shown {
    desc: Desc,
}

impl Shown {
    fn new() -> Self {
        // The registry wants to know one family beforehand; it joins the others by their names.
        let name = "portunus_plugin".to_owned();
        let help = "Figures of the deployed plugins.".to_owned();
        let desc = Desc::new(name, help, Vec::new(), Default::default());
        Self { desc: desc.expect("the name is well formed") }
    }
}

impl Collector for Shown {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let live: Vec<_> = SHOWN.lock().iter().filter_map(Weak::upgrade).collect();
        let youngest: BTreeMap<&str, &Diary> =
            live.iter().map(|diary| (diary.plugin(), &**diary)).collect();
        youngest.values().flat_map(|diary| diary.collect()).collect()
    }
}
