//! A plain HTTP/1.1 client, as `curl` is one: a connection for each request.

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{HeaderMap, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// A whole answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// An answer that comes line by line.
pub struct Lines {
    pub status: StatusCode,
    body: Incoming,
    read: Vec<u8>,
}

impl Lines {
    /// The next line as JSON; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<serde_json::Value>> {
        loop {
            if let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.read.drain(..=end).collect();
                return Ok(Some(serde_json::from_slice(&line)?));
            }
            match self.body.frame().await {
                Some(frame) => self.read.extend(frame?.into_data().unwrap_or_default()),
                None => return Ok(None),
            }
        }
    }
}

/// Asks `method` for `path` at `url`.
pub async fn request(
    url: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Result<Answer> {
    whole(send(url, method, path, headers, body.into()).await?).await
}

async fn whole(response: Response<Incoming>) -> Result<Answer> {
    let (parts, body) = response.into_parts();
    let body = body.collect().await?.to_bytes();
    let body = String::from_utf8(body.to_vec())?;
    Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body })
}

/// What is no text: the status, the headers and the bytes.
pub async fn get_bytes(url: &str, path: &str) -> Result<(u16, HeaderMap, Bytes)> {
    let (parts, body) = send(url, "GET", path, &[], Bytes::new()).await?.into_parts();
    Ok((parts.status.as_u16(), parts.headers, body.collect().await?.to_bytes()))
}

pub async fn get(url: &str, path: &str) -> Result<Answer> {
    request(url, "GET", path, &[], "").await
}

/// As `curl -d` sends it, content type included.
pub async fn post(url: &str, path: &str, body: impl Into<Bytes>) -> Result<Answer> {
    let form = [("content-type", "application/x-www-form-urlencoded")];
    request(url, "POST", path, &form, body).await
}

/// An empty request with one header of any bytes.
pub async fn request_with(
    url: &str,
    path: &str,
    name: &'static str,
    value: hyper::header::HeaderValue,
) -> Result<Answer> {
    let request = Request::builder().method("POST").uri(path).header(name, value);
    whole(exchange(url, request, Bytes::new()).await?).await
}

/// As [`post`], for an answer without an end.
pub async fn stream(url: &str, path: &str, body: impl Into<Bytes>) -> Result<Lines> {
    let response = send(url, "POST", path, &[], body.into()).await?;
    let status = response.status();
    Ok(Lines { status, body: response.into_body(), read: Vec::new() })
}

async fn send(
    url: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Bytes,
) -> Result<Response<Incoming>> {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    exchange(url, request, body).await
}

async fn exchange(
    url: &str,
    request: hyper::http::request::Builder,
    body: Bytes,
) -> Result<Response<Incoming>> {
    let authority = url.strip_prefix("http://").context("a plain http url")?;
    let connection = TcpStream::connect(authority).await?;
    let (mut sender, driver) =
        hyper::client::conn::http1::handshake(TokioIo::new(connection)).await?;
    // Ends with the exchange.
    tokio::spawn(driver);
    let request = request.header("host", authority).body(Full::new(body))?;
    Ok(sender.send_request(request).await?)
}
