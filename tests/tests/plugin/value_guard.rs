//! `value-guard` in a real member: each of its bounds, with its words; what a binding's modes and
//! limits make of them; and settings that are none.

use anyhow::Result;
use etcd_client::{Client, Error, Txn, TxnOp};
use portunus_tests::Member;
use tonic::Code;

use crate::builtins::Deployed;
use crate::commands::Shell;

const ID: &str = "value-guard/write-policy/app/";

/// Code and text of a refusal, or that there was none.
fn outcome<T>(answer: Result<T, Error>) -> (Code, String) {
    match answer {
        Ok(_) => (Code::Ok, String::new()),
        Err(Error::GRpcStatus(status)) => {
            (Code::from(status.code() as i32), status.message().to_owned())
        }
        Err(other) => panic!("not of the server: {other}"),
    }
}

async fn put(client: &mut Client, key: &str, value: impl Into<Vec<u8>>) -> (Code, String) {
    outcome(client.put(key, value, None).await)
}

fn refused(why: &str) -> (Code, String) {
    (Code::FailedPrecondition, format!("portunus: refused by value-guard: {why}"))
}

fn taken() -> (Code, String) {
    (Code::Ok, String::new())
}

/// Its one binding, as the status has it.
fn status(shell: &Shell) -> Result<serde_json::Value> {
    Ok(serde_json::from_str(&shell.ok(&["plugin", "status", "value-guard", "--json"])?)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_bound_refuses_what_is_outside_and_takes_what_is_not() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let settings =
        ["max-key-bytes=8", "max-value-bytes=12", "key-chars=a-z0-9/", "values=json", "max-keys=2"];
    let config: Vec<&str> = settings.iter().flat_map(|setting| ["--config", setting]).collect();
    let options = [&["--write-policy", "app/"], &config[..]].concat();
    let mut it = Deployed::new(dir.path(), "value-guard", &options).await?;
    let client = &mut it.client;
    assert_eq!(put(client, "app/a", "{\"b\": true}").await, taken());
    for (key, value, why) in [
        ("app/abcde", &b"1"[..], "app/abcde: key has 9 bytes, more than 8"),
        ("app/a", b"[1,2,3,4,5,6]", "app/a: value has 13 bytes, more than 12"),
        ("app/A", b"1", "app/A: key has `A`, which key-chars does not allow"),
        ("app/a", b"{b: true}", "app/a: value is not JSON at byte 1"),
        ("app/a", b"\"\xff\"", "app/a: value is not JSON at byte 1"),
        ("app/a", b"", "app/a: value is not JSON at byte 0"),
    ] {
        assert_eq!(put(client, key, value).await, refused(why));
    }
    // Elsewhere it has no say.
    assert_eq!(put(client, "APP/much longer", "{b: true}").await, taken());

    assert_eq!(put(client, "app/b", "2").await, taken());
    assert_eq!(put(client, "app/b", "3").await, taken(), "no key more");
    let full = refused("app/ may hold 2 keys, not 3");
    assert_eq!(put(client, "app/c", "4").await, full);
    // One bad write takes the whole transaction with it, a swap leaves the count as it is.
    let both = [TxnOp::put("app/a", "5", None), TxnOp::put("app/b", "five", None)];
    let why = refused("app/b: value is not JSON at byte 0");
    assert_eq!(outcome(client.txn(Txn::new().and_then(both)).await), why);
    let swap = [TxnOp::delete("app/a", None), TxnOp::put("app/c", "6", None)];
    assert_eq!(outcome(client.txn(Txn::new().and_then(swap)).await), taken());
    for (key, value) in [("app/a", None), ("app/b", Some("3")), ("app/c", Some("6"))] {
        assert_eq!(it.value(key).await?.as_deref(), value, "{key}");
    }
    let explained = it.shell.ok(&["plugin", "explain", "--put", "app/b", "five"])?;
    let end = "the transaction would be refused: portunus: refused by value-guard: app/b: value is not JSON at byte 0\n";
    assert!(explained.ends_with(end), "{explained}");
    assert_eq!(it.value("app/b").await?.as_deref(), Some("3"), "it was only asked");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn its_modes_are_followed_and_what_it_says_is_counted() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let options = ["--write-policy", "app/", "--config", "values=utf8", "--monitor"];
    let mut it = Deployed::new(dir.path(), "value-guard", &options).await?;
    let not_text = b"\xff";
    let why = refused("app/a: value is not UTF-8 text");
    assert_eq!(put(&mut it.client, "app/a", not_text).await, taken(), "only watched");
    let watched = status(&it.shell)?;
    assert_eq!((&watched["id"], &watched["mode"]), (&ID.into(), &"monitor".into()), "{watched}");
    assert_eq!((&watched["calls"], &watched["refusals"]), (&1.into(), &1.into()), "{watched}");

    assert_eq!(it.shell.ok(&["plugin", "enable", "value-guard"])?, format!("{ID} enforce\n"));
    assert_eq!(put(&mut it.client, "app/a", not_text).await, why);
    assert_eq!(put(&mut it.client, "app/a", "\u{e9}").await, taken());
    assert_eq!(status(&it.shell)?["refusals"], 2);
    let off = it.shell.ok(&["plugin", "disable", "value-guard", "--binding", ID])?;
    assert_eq!(off, format!("{ID} disabled\n"));
    assert_eq!(put(&mut it.client, "app/a", not_text).await, taken());
    it.shell.ok(&["plugin", "enable", "value-guard"])?;
    assert_eq!(
        put(&mut it.client, "app/b", not_text).await,
        refused("app/b: value is not UTF-8 text")
    );
    it.shell.ok(&["plugin", "remove", "value-guard"])?;
    assert_eq!(put(&mut it.client, "app/b", not_text).await, taken());
    Ok(())
}

/// A guard that cannot do its work is no hole, unless it was deployed as one.
#[tokio::test(flavor = "multi_thread")]
async fn what_keeps_it_from_its_work_refuses_unless_it_may_fail_open() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let member = Member::single(dir.path(), &[])?;
    let (shell, mut client) = (Shell::of(&member), member.client().await?);
    let deploy = |more: &[&str]| {
        let words = ["plugin", "deploy", "builtin:value-guard", "--write-policy", "app/"];
        shell.ok(&[&words[..], more].concat())
    };
    deploy(&["--config", "max-keys=many"])?;
    let (code, text) = put(&mut client, "app/a", "").await;
    assert_eq!(code, Code::FailedPrecondition);
    assert!(text.starts_with("portunus: refused by value-guard: "), "{text}");
    assert!(text.contains("max-keys = many is not a u64"), "{text}");

    // Counting takes a read.
    let counting = ["--config", "max-keys=1", "--limit", "reads=0"];
    deploy(&counting)?;
    let (code, text) = put(&mut client, "app/a", "").await;
    assert_eq!(code, Code::FailedPrecondition);
    assert!(text.starts_with("portunus: refused by value-guard: the policy failed: "), "{text}");
    deploy(&[&counting[..], &["--fail-open"]].concat())?;
    assert_eq!(put(&mut client, "app/a", "").await, taken());
    // An update counts nothing, so there is nothing it could fail at.
    deploy(&counting)?;
    assert_eq!(put(&mut client, "app/a", "again").await, taken());
    deploy(&["--config", "max-keys=1"])?;
    assert_eq!(put(&mut client, "app/b", "").await, refused("app/ may hold 1 keys, not 2"));
    Ok(())
}
