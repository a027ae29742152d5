//! A policy that no client can get around: `write-once`, deployed under a prefix, lets a release be
//! written once, whichever way a second write comes. It runs in the server, in the write's own
//! transaction, so there is no client to forget it and no moment in between.

use anyhow::{Context, Result};
use etcd_client::{DeleteOptions, Error, PutOptions, Txn, TxnOp};
use portunus_examples::{begin, portunus, put_by_http};

#[tokio::main]
async fn main() -> Result<()> {
    let mut client = begin("examples/other/").await?;
    println!(
        "{}",
        portunus(&[
            "plugin",
            "deploy",
            "builtin:write-once",
            "--name",
            "releases",
            "--write-policy",
            "examples/release/"
        ])?
        .trim()
    );
    let at = client.put("examples/other/run", "", None).await?;
    let key = format!("examples/release/{}", at.header().context("a header")?.revision());
    client.put(&key[..], "built", None).await?;
    println!("written once: {key}");
    let tell =
        |way: &str, error: Error| println!("{way}: {}", error.to_string().replace(&key, "KEY"));
    let lease = client.lease_grant(60, None).await?.id();
    let options = Some(PutOptions::new().with_lease(lease));
    tell("a put on a lease", client.put(&key[..], "x", options).await.err().context("refused")?);
    let txn = Txn::new()
        .and_then([TxnOp::put("examples/other/a", "", None), TxnOp::delete(&key[..], None)]);
    tell("a transaction", client.txn(txn).await.err().context("refused")?);
    let all = Some(DeleteOptions::new().with_prefix());
    tell("a delete of all", client.delete("examples/", all).await.err().context("refused")?);
    println!("by HTTP: {}", put_by_http(&key, "x")?.replace(&key, "KEY"));
    let kept = client.get(&key[..], None).await?;
    println!("it still says {:?}", kept.kvs()[0].value_str()?);
    Ok(())
}
