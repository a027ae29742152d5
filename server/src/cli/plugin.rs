//! `portunus plugin`: puts wasm components on prefixes of a running cluster, lists and removes
//! them. A client of `portunus.v1.Plugin`; it never looks into a component, the server does.

use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use clap::{Args, Parser, Subcommand};
use portunus_proto::portunus::v1::plugin_client::PluginClient;
use portunus_proto::portunus::v1::{Binding, DeployRequest, ListRequest, RemoveRequest};
use tonic::transport::{Channel, Endpoint};

use crate::cli::dispatch::{REFUSED, finish};
use crate::cli::output;
use crate::limits::COMPONENT_BYTES_MAX;

/// A server that does not accept by then is not there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Compiling a large component takes seconds.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);
/// What every wasm file begins with.
const WASM_MAGIC: &[u8] = b"\0asm";
/// The version word of a component; a plain module has another.
const COMPONENT_VERSION: &[u8] = &[0x0d, 0x00, 0x01, 0x00];

/// Put plugins on prefixes of keys
#[derive(Debug, Parser)]
#[command(name = "portunus plugin", disable_help_subcommand = true)]
struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Bind a component to all keys under a prefix; a name that exists is replaced at once
    Deploy(Deploy),
    /// Show what is bound where
    List {
        #[command(flatten)]
        servers: Servers,
        /// Print one JSON object per binding
        #[arg(long)]
        json: bool,
    },
    /// Take a binding away; its prefix is written freely from then on
    Remove {
        /// The name it was deployed under
        name: String,
        #[command(flatten)]
        servers: Servers,
    },
}

#[derive(Debug, Args)]
struct Deploy {
    /// The component
    file: PathBuf,
    /// The binding's name
    #[arg(long)]
    name: String,
    /// All keys that begin with it
    #[arg(long)]
    prefix: String,
    /// A file that is given to the plugin as its configuration; - reads stdin
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Let a write through when the plugin traps or takes too long, instead of refusing it
    #[arg(long)]
    fail_open: bool,
    #[command(flatten)]
    servers: Servers,
}

#[derive(Debug, Args)]
struct Servers {
    /// Where the cluster listens; the first that accepts is asked
    #[arg(long, value_delimiter = ',', default_value = "127.0.0.1:2379")]
    endpoints: Vec<String>,
}

/// Runs one command; `arguments` begin after `plugin`.
pub fn run(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let words = std::iter::once(OsString::from("portunus plugin")).chain(arguments);
    let options = match Options::try_parse_from(words) {
        Ok(options) => options,
        Err(error) => {
            let code = if error.use_stderr() { ExitCode::from(REFUSED) } else { ExitCode::SUCCESS };
            let _ = error.print();
            return code;
        }
    };
    match execute(options.command) {
        Ok(text) => finish(output::print(&text)),
        Err(error) => {
            eprintln!("portunus plugin: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn execute(command: Command) -> anyhow::Result<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match command {
            Command::Deploy(options) => deploy(options).await,
            Command::List { servers, json } => list(&servers, json).await,
            Command::Remove { name, servers } => remove(&name, &servers).await,
        }
    })
}

/// Prints the digest, by which the version is known.
async fn deploy(options: Deploy) -> anyhow::Result<String> {
    let component = read_component(&options.file)?;
    let config = options.config.as_deref().map(read_config).transpose()?.unwrap_or_default();
    let request = DeployRequest {
        name: options.name.clone(),
        component: component.into(),
        prefix: options.prefix.clone().into(),
        config: config.into(),
        fail_open: options.fail_open,
    };
    let answer = connect(&options.servers).await?.deploy(request).await;
    let digest = answer.map_err(refused)?.into_inner().digest;
    eprintln!(
        "\"{}\" decides writes under \"{}\"; undo with: portunus plugin remove {}",
        options.name, options.prefix, options.name
    );
    Ok(format!("sha256:{}\n", hex(&digest)))
}

async fn list(servers: &Servers, json: bool) -> anyhow::Result<String> {
    let answer = connect(servers).await?.list(ListRequest {}).await.map_err(refused)?;
    let bindings = answer.into_inner().bindings;
    if json {
        return Ok(bindings.iter().map(|binding| format!("{}\n", as_json(binding))).collect());
    }
    if bindings.is_empty() {
        eprintln!(
            "no plugins; put one on a prefix with: portunus plugin deploy FILE.wasm --name NAME --prefix PREFIX"
        );
    }
    Ok(table(&bindings))
}

async fn remove(name: &str, servers: &Servers) -> anyhow::Result<String> {
    let request = RemoveRequest { name: name.to_owned() };
    connect(servers).await?.remove(request).await.map_err(|status| {
        refused(status).context(format!("\"{name}\" is not removed; see portunus plugin list"))
    })?;
    eprintln!("removed \"{name}\"");
    Ok(String::new())
}

/// Connects to the first endpoint that accepts.
async fn connect(servers: &Servers) -> anyhow::Result<PluginClient<Channel>> {
    let mut failures = Vec::new();
    for endpoint in &servers.endpoints {
        let url = match endpoint.contains("://") {
            true => endpoint.clone(),
            false => format!("http://{endpoint}"),
        };
        let server = Endpoint::from_shared(url)
            .with_context(|| format!("--endpoints {endpoint} is not host:port"))?
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(CALL_TIMEOUT);
        match server.connect().await {
            Ok(channel) => return Ok(PluginClient::new(channel)),
            Err(error) => failures.push(format!("{endpoint}: {:#}", anyhow::Error::from(error))),
        }
    }
    bail!(
        "no server answers ({}); start one with: portunus, or name it with --endpoints",
        failures.join("; ")
    )
}

/// What the server said, and what to do where that is known.
fn refused(status: tonic::Status) -> anyhow::Error {
    let advice = match status.code() {
        tonic::Code::Unimplemented => "; --endpoints must name portunus servers",
        tonic::Code::Unavailable | tonic::Code::DeadlineExceeded => {
            "; it may have happened, see portunus plugin list"
        }
        _ => "",
    };
    anyhow::anyhow!("{}{advice}", status.message())
}

/// Reads a component, and refuses here what the server would only refuse after it has travelled.
fn read_component(file: &Path) -> anyhow::Result<Vec<u8>> {
    let bytes = std::fs::read(file).with_context(|| format!("read {}", file.display()))?;
    let shown = file.display();
    ensure!(
        bytes.len() <= COMPONENT_BYTES_MAX,
        "{shown} has {} bytes, {COMPONENT_BYTES_MAX} are allowed; build it in release mode and strip it",
        bytes.len()
    );
    ensure!(
        bytes.starts_with(WASM_MAGIC),
        "{shown} is not wasm; build the plugin and name its .wasm file"
    );
    ensure!(
        bytes[WASM_MAGIC.len()..].starts_with(COMPONENT_VERSION),
        "{shown} is a wasm module, not a component; make it one with: wasm-tools component new {shown} -o FILE.wasm"
    );
    Ok(bytes)
}

fn read_config(file: &Path) -> anyhow::Result<Vec<u8>> {
    if file == Path::new("-") {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes).context("read the configuration from stdin")?;
        return Ok(bytes);
    }
    std::fs::read(file).with_context(|| format!("read the configuration {}", file.display()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Columns wide enough for their longest entry.
fn table(bindings: &[Binding]) -> String {
    let head = ["NAME", "PREFIX", "ON FAILURE", "CONFIG", "DIGEST"].map(str::to_owned);
    let rows: Vec<[String; 5]> = bindings.iter().map(row).collect();
    if rows.is_empty() {
        return String::new();
    }
    let all: Vec<_> = std::iter::once(&head).chain(&rows).collect();
    let width =
        |column: usize| all.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths = [width(0), width(1), width(2), width(3)];
    let line = |row: &[String; 5]| {
        let padded = widths.iter().zip(row).map(|(width, text)| format!("{text:width$}  "));
        padded.collect::<String>() + &row[4] + "\n"
    };
    all.into_iter().map(line).collect()
}

fn row(binding: &Binding) -> [String; 5] {
    [
        binding.name.clone(),
        binding.prefix.escape_ascii().to_string(),
        on_failure(binding).to_owned(),
        format!("{} B", binding.config.len()),
        // Enough to tell versions apart; JSON has all of it.
        hex(&binding.digest).chars().take(12).collect(),
    ]
}

fn on_failure(binding: &Binding) -> &'static str {
    if binding.fail_open { "allow" } else { "refuse" }
}

fn as_json(binding: &Binding) -> serde_json::Value {
    serde_json::json!({
        "name": binding.name,
        "prefix": binding.prefix.escape_ascii().to_string(),
        "on_failure": on_failure(binding),
        "config_bytes": binding.config.len(),
        "digest": format!("sha256:{}", hex(&binding.digest)),
    })
}

#[cfg(test)]
#[path = "plugin_test.rs"]
mod tests;
