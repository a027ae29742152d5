//! Each example against a member of its own: it ends by itself, and tells its story.

use std::process::Command;

use anyhow::{Result, ensure};
use portunus_tests::Member;

/// Runs a program against a fresh member, twice, so that what a run leaves behind is no hindrance
/// to the next; returns what it printed each time.
fn told(program: &str) -> Result<[Vec<String>; 2]> {
    let dir = tempfile::tempdir()?;
    let member = Member::single(dir.path(), &[])?;
    let run = || {
        let output = Command::new(program)
            .env("PORTUNUS_ENDPOINTS", &member.client_url)
            .env("PORTUNUS", Member::program()?)
            .output()?;
        let error = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{}: {error}\n{:?}", output.status, output.stdout);
        Ok(String::from_utf8(output.stdout)?.lines().map(str::to_owned).collect())
    };
    Ok([run()?, run()?])
}

/// The lines in exactly this order.
fn tells(program: &str, expected: &[&str]) -> Result<()> {
    for story in told(program)? {
        assert_eq!(story, expected);
    }
    Ok(())
}

#[test]
fn service_discovery() -> Result<()> {
    let requests = |of: &[u8]| -> Vec<String> {
        let line = |(n, at): (usize, &u8)| format!("request {} goes to 10.0.0.{at}:80", n + 1);
        of.iter().enumerate().map(line).collect()
    };
    let first = r#"found {"10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"}"#.to_owned();
    let events = ["10.0.0.2:80 dies", "10.0.0.2:80 is gone: its TTL ended"].map(str::to_owned);
    let all = requests(&[1, 2, 3, 1, 2, 3]);
    let left = requests(&[1, 3, 1, 3, 1, 3]);
    let expected = [vec![first], all, events.to_vec(), left].concat();
    for story in told(env!("CARGO_BIN_EXE_service-discovery"))? {
        assert_eq!(story, expected);
    }
    Ok(())
}

#[test]
fn config() -> Result<()> {
    for story in told(env!("CARGO_BIN_EXE_config"))? {
        let of = |who: &str| -> Vec<String> {
            story.iter().filter(|line| line.starts_with(who)).cloned().collect()
        };
        let app = [
            r#"app: begins with {"index/hosts": "a,b", "index/n": "2", "log/level": "info"}"#,
            r#"app: now {"index/hosts": "a,b", "index/n": "2", "log/level": "debug"}"#,
            r#"app: now {"index/hosts": "a,b,c", "index/n": "3", "log/level": "debug"}"#,
            r#"app: now {"index/hosts": "a,b,c", "index/n": "3"}"#,
        ];
        // Changes may reach the application together; what it ends with is the same.
        let now = of("app");
        assert!(now.iter().all(|line| app.contains(&&line[..])), "{story:?}");
        assert_eq!((&now[0][..], &now[now.len() - 1][..]), (app[0], app[3]), "{story:?}");
        let operator = ["operator: compare and swap true", "operator: the same once more false"];
        assert_eq!(of("operator"), operator);
    }
    Ok(())
}

#[test]
fn node_table() -> Result<()> {
    for story in told(env!("CARGO_BIN_EXE_node-table"))? {
        assert_eq!(story[0], r#"codes: {"at": "Austria", "ch": "Switzerland"}"#);
        assert!(story[1].starts_with(r#"12 requests over ["a", "b", "c"]: ["#), "{story:?}");
        assert!(story[2].starts_with(r#"b is gone, ["a", "c"] are left"#), "{story:?}");
        assert_eq!(story[3..], ["all of them were b's"]);
    }
    Ok(())
}

#[test]
fn notification() -> Result<()> {
    let [says, died] = ["the console says go", "w3 died at 1/3"];
    let progress = r#"progress: {"w1": "3/3", "w2": "3/3", "w3": "1/3"}"#;
    tells(env!("CARGO_BIN_EXE_notification"), &[says, died, progress])
}

#[test]
fn locks() -> Result<()> {
    for story in told(env!("CARGO_BIN_EXE_locks"))? {
        assert_eq!(story[0], "exclusive: of 5 contenders 1 won");
        let mut held: Vec<&str> =
            story.iter().filter(|it| it.ends_with("lock")).map(|it| &it[..]).collect();
        held.sort_unstable();
        let all: Vec<String> =
            (1..=5).map(|who| format!("contender {who} holds the lock")).collect();
        assert_eq!(held, all);
        // Who was woken, was by the one that held the lock just before.
        for (at, line) in story.iter().enumerate().filter(|(_, line)| line.contains("woken")) {
            let words: Vec<&str> = line.split(' ').collect();
            let [who, by] = [words[1], words[6]];
            assert_eq!(story[at - 1], format!("contender {by} holds the lock"), "{story:?}");
            assert_eq!(story[at + 1], format!("contender {who} holds the lock"), "{story:?}");
        }
    }
    Ok(())
}

#[test]
fn condition_queue() -> Result<()> {
    let small = "examples/queue/small";
    let put = |part, ready| {
        format!("part {part} is in {small}; it waits for [\"size>=3: {ready} are ready\"]")
    };
    let story = [
        format!("the big task is in examples/queue/big; it waits for [\"after {small}: there is no such key or queue\"]"),
        put(1, 1),
        put(2, 2),
        format!("part 3 is in {small}; it waits for []"),
        "part 1 is done".to_owned(),
        "part 2 is done".to_owned(),
        "part 3 is done".to_owned(),
        "the big task is done".to_owned(),
        "the night's task is in examples/queue/night; it waits for [\"key examples/queue/word: it is not there\"]"
            .to_owned(),
        "the night's task is done".to_owned(),
    ];
    let story: Vec<&str> = story.iter().map(|line| &line[..]).collect();
    tells(env!("CARGO_BIN_EXE_condition-queue"), &story)
}

#[test]
fn index_builder() -> Result<()> {
    for story in told(env!("CARGO_BIN_EXE_index-builder"))? {
        let expected = ["node-1", "node-2", "node-3"].map(|name| {
            let vanishes = format!("{name} vanishes from term");
            [format!("{name} leads"), format!("all others use: index by {name}"), vanishes]
        });
        let mut lines = story.iter();
        for expected in expected.concat() {
            let found = lines.any(|line| line.starts_with(&expected));
            assert!(found, "{expected}, in this order: {story:?}");
        }
        let noticed = story.iter().filter(|line| *line == "the monitor noticed at once").count();
        assert_eq!((noticed, &story[story.len() - 1][..]), (3, "nobody is left"), "{story:?}");
    }
    Ok(())
}

#[test]
fn policy() -> Result<()> {
    for story in told(env!("CARGO_BIN_EXE_policy"))? {
        assert!(story[0].starts_with("releases "), "{story:?}");
        assert!(story[1].starts_with("written once: examples/release/"), "{story:?}");
        let ways = ["a put on a lease", "a transaction", "a delete of all", "by HTTP"];
        for (line, way) in story[2..].iter().zip(ways) {
            assert!(line.starts_with(&format!("{way}: ")), "{story:?}");
            assert!(line.contains("refused by releases: "), "{story:?}");
        }
        assert_eq!(story[6..], [r#"it still says "built""#]);
    }
    Ok(())
}

/// The last line names both counts and what is saved, which is more than half.
fn saves(program: &str, first: &str) -> Result<()> {
    for story in told(program)? {
        assert!(story[0].starts_with(first), "{story:?}");
        let last = story[story.len() - 1].replace([',', ';'], "");
        let numbers: Vec<usize> = last.split(' ').filter_map(|word| word.parse().ok()).collect();
        let [without, with, saved] = numbers[..] else { panic!("three numbers: {last}") };
        assert_eq!(without - with, saved, "{last}");
        assert!(with * 5 <= without * 3, "{last}");
    }
    Ok(())
}

#[test]
fn plugins_save_round_trips() -> Result<()> {
    saves(env!("CARGO_BIN_EXE_node-table-plugin"), r#"node 0 has ["p"#)?;
    saves(env!("CARGO_BIN_EXE_notification-plugin"), "8 workers and a console")?;
    let builders = "8 nodes, built 1 time with an election, 1 with the plugin";
    saves(env!("CARGO_BIN_EXE_index-builder-plugin"), builders)
}
