//! `portunus [flags]`: reads the configuration, starts logging, runs the member.

use std::ffi::OsString;
use std::process::ExitCode;

use crate::cli::dispatch::{REFUSED, finish, print_version};
use crate::cli::output;
use crate::config::read::{Request, Values};
use crate::config::{Bootstrap, Config, help, read};
use crate::{app, config, node, profiles, telemetry};

/// Runs a member until it is told to stop.
pub fn run(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let request = match read::read(arguments, std::env::vars_os()) {
        Ok(request) => request,
        Err(error) => return refuse(&error),
    };
    let values = match request {
        Request::Help => return print_help(),
        Request::Version => return print_version(),
        Request::Serve(values) => values,
    };
    let values = match from_file(values) {
        Ok(values) => values,
        Err(error) => return refuse(&error),
    };
    let config = match configure(&values) {
        Ok(config) => config,
        Err(error) => return refuse(&error),
    };
    match serve(config) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("portunus: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Prints the flags.
pub fn print_help() -> ExitCode {
    finish(output::print(&help::text()))
}

/// With a config file the values are its alone.
fn from_file(values: Values) -> Result<Values, config::Error> {
    let Some(path) = config::requested_file(&values, std::env::vars_os()) else {
        return Ok(values);
    };
    let text = std::fs::read_to_string(&path).map_err(|error| config::Error::File {
        path: path.display().to_string(),
        reason: format!("cannot be read: {error}"),
    })?;
    config::read_file(&path, &text)
}

/// Where there is no data yet, what a first start needs is checked here, as a refused flag.
fn configure(values: &Values) -> Result<Config, config::Error> {
    let config = Config::from_values(values)?;
    if config.bootstrap == Bootstrap::Listed
        && !node::has_data(&config.data_dir, config.wal_dir.as_deref())
    {
        config.check_bootstrap()?;
    }
    Ok(config)
}

fn serve(config: Config) -> anyhow::Result<ExitCode> {
    telemetry::init(&config.log)?;
    if config.serving.enable_profiles {
        profiles::sample_allocations();
    }
    if let Some(path) = &config.config_file {
        tracing::info!(
            path = %path.display(),
            "loaded server configuration, other configuration command line flags and environment \
             variables will be ignored if provided"
        );
    }
    for suite in &config.client_tls.left_out {
        tracing::warn!(suite, "cipher suite is not offered");
    }
    for flag in &config.ignored_flags {
        tracing::warn!(flag, "flag has no effect");
    }
    for (former, today) in &config.former_flags {
        tracing::warn!(former, today, "flag has another name since etcd 3.6");
    }
    for variable in &config.unrecognized_variables {
        tracing::warn!(variable, "unrecognized environment variable");
    }
    if config.unsafe_no_fsync {
        tracing::warn!("fsync is off, a power loss loses acknowledged writes");
    }
    app::run(config)
}

fn refuse(error: &config::Error) -> ExitCode {
    eprintln!("portunus: {error}");
    ExitCode::from(REFUSED)
}
