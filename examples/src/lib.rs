//! What the example programs share: where the server is, its own program, and a count of round
//! trips. What they do is in the programs.

use std::future::Future;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, ensure};
use etcd_client::{Client, DeleteOptions, WatchOptions, WatchStream};
use portunus_proto::portunus::v1::CallRequest;
use portunus_proto::portunus::v1::recipe_client::RecipeClient;
use serde_json::{Value, json};
use tonic::transport::Channel;

/// Members to connect to: `PORTUNUS_ENDPOINTS`, separated by commas, or the one that runs here.
pub fn endpoints() -> Vec<String> {
    let given = std::env::var("PORTUNUS_ENDPOINTS");
    let given = given.unwrap_or_else(|_| "http://127.0.0.1:2379".to_owned());
    given.split(',').map(str::to_owned).collect()
}

/// An etcd client. All that is under `prefix` from an earlier run is gone.
pub async fn begin(prefix: &str) -> Result<Client> {
    let endpoints = endpoints();
    let client = Client::connect(&endpoints, None).await;
    let mut client = client.with_context(|| format!("no portunus at {endpoints:?}: start one"))?;
    client.delete(prefix, Some(DeleteOptions::new().with_prefix())).await?;
    Ok(client)
}

/// A watch of a prefix that is there: whatever happens from now on is told.
pub async fn watch(client: &mut Client, prefix: &str) -> Result<WatchStream> {
    let options = WatchOptions::new().with_prefix();
    let mut watch = client.watch(prefix, Some(options)).await?;
    while !watch.message().await?.context("the watch goes on")?.created() {}
    Ok(watch)
}

/// A connection for the services that only Portunus has.
pub async fn channel() -> Result<Channel> {
    let endpoints = endpoints();
    let first = endpoints.first().context("an endpoint")?;
    Ok(Channel::from_shared(first.clone())?.connect().await?)
}

/// Calls a plugin's recipe; arguments and reply are JSON.
pub async fn call(channel: &Channel, plugin: &str, function: &str, args: Value) -> Result<Value> {
    let (plugin, function) = (plugin.to_owned(), function.to_owned());
    let request = CallRequest { plugin, function, payload: args.to_string().into() };
    let reply = RecipeClient::new(channel.clone()).call(request).await?.into_inner();
    Ok(serde_json::from_slice(&reply.payload)?)
}

/// A put through the JSON gateway, as `curl` does it: the status and the answer.
pub fn put_by_http(key: &str, value: &str) -> Result<String> {
    let endpoint = endpoints().swap_remove(0);
    let host = endpoint.trim_start_matches("http://");
    let mut server = TcpStream::connect(host)?;
    let [key, value] = [key, value].map(|text| base64(text.as_bytes()));
    let body = json!({ "key": key, "value": value }).to_string();
    let length = body.len();
    let head = format!("POST /v3/kv/put HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
    write!(server, "{head}Content-Length: {length}\r\n\r\n{body}")?;
    let mut answer = String::new();
    server.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("an answer has a body")?;
    Ok(format!("{} {}", head.lines().next().unwrap_or_default(), body.trim()))
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let encode = |chunk: &[u8]| -> Vec<char> {
        let bytes = chunk.iter().chain([&0; 2]).take(3);
        let bits = bytes.fold(0, |bits, byte| bits << 8 | usize::from(*byte));
        let digit = |n: usize| match n > chunk.len() {
            true => '=',
            false => char::from(DIGITS[bits >> (18 - 6 * n) & 63]),
        };
        (0..4).map(digit).collect()
    };
    bytes.chunks(3).flat_map(encode).collect()
}

/// Runs `portunus` with `words`, as one would by hand, and returns what it prints.
pub fn portunus(words: &[&str]) -> Result<String> {
    let endpoints = format!("--endpoints={}", endpoints().join(","));
    let done = Command::new(program()).args(words).arg(endpoints).output();
    let done = done.context("portunus is not to be found: cargo build, or set PORTUNUS to it")?;
    ensure!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    Ok(String::from_utf8(done.stdout)?)
}

/// The program: `PORTUNUS`, or what cargo built, or what is in `PATH`.
fn program() -> PathBuf {
    if let Some(given) = std::env::var_os("PORTUNUS") {
        return given.into();
    }
    let here = std::env::current_exe().unwrap_or_default();
    let target = here.ancestors().nth(2).unwrap_or(&here);
    let built = ["debug", "release"].map(|profile| target.join(profile).join("portunus"));
    built.into_iter().find(|it| it.exists()).unwrap_or_else(|| "portunus".into())
}

/// Counts questions to the server, and what a watch tells.
#[derive(Default)]
pub struct Trips(AtomicUsize);

impl Trips {
    /// One question and its answer, or one message of a watch.
    pub async fn of<T>(&self, question: impl Future<Output = T>) -> T {
        self.0.fetch_add(1, Ordering::Relaxed);
        question.await
    }

    pub fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// Arguments of a recipe about one name.
pub fn named(name: &str) -> Value {
    json!({ "name": name })
}

#[cfg(test)]
mod tests {
    #[test]
    fn base64_is_what_others_make_of_it() {
        for (text, encoded) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v")] {
            assert_eq!(super::base64(text.as_bytes()), encoded);
        }
    }
}
