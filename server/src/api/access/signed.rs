//! Signed tokens (JWT) with etcd's claims: `username`, `revision` of auth, `exp`.

use std::fs;
use std::path::Path;
use std::time::Duration;

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

/// How long a token holds where nothing is said, as in etcd.
const TTL_DEFAULT: Duration = Duration::from_secs(5 * 60);

/// Why tokens cannot be signed or read.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    #[error("--auth-token {0:?} is not known: give simple, or jwt with its options")]
    UnknownKind(String),
    #[error("--auth-token has no {0}: give it as {0}=...")]
    Missing(&'static str),
    #[error(
        "--auth-token option {0:?} is not known: there are pub-key, priv-key, sign-method, ttl"
    )]
    UnknownOption(String),
    #[error(
        "--auth-token sign-method {0:?} is not known: give RS256, PS256, ES256, EdDSA or HS256"
    )]
    Method(String),
    #[error("--auth-token ttl {0:?} is not a duration: give it as 5m")]
    Ttl(String),
    #[error(
        "--auth-token key {path}: {why}; it must be PEM, and private ones of ES256 and EdDSA PKCS#8 \
         (openssl pkcs8 -topk8 -nocrypt)"
    )]
    Key { path: String, why: String },
    #[error("--auth-token key {path} cannot be read: {error}")]
    Unreadable { path: String, error: std::io::Error },
    #[error("--auth-token has no private key, so this member cannot sign tokens: give priv-key")]
    CannotSign,
    #[error("--auth-token has no key: give pub-key=FILE, priv-key=FILE or both")]
    NoKey,
    #[error("--auth-token: public and private keys don't match: give those of one pair")]
    Mismatch,
    #[error("a token cannot be signed: {0}")]
    Sign(String),
}

/// What a token says.
#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    username: String,
    revision: u64,
    exp: u64,
}

/// Signs and reads tokens.
pub struct Signer {
    algorithm: Algorithm,
    sign: Option<EncodingKey>,
    verify: DecodingKey,
    ttl: Duration,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

impl Signer {
    /// From the options after `jwt,`.
    pub fn of_options(options: &str) -> Result<Self, TokenError> {
        let (mut public, mut private, mut method, mut ttl) = (None, None, None, TTL_DEFAULT);
        for option in options.split(',').filter(|option| !option.is_empty()) {
            match option.split_once('=') {
                Some(("pub-key", path)) => public = Some(path),
                Some(("priv-key", path)) => private = Some(path),
                Some(("sign-method", name)) => method = Some(name),
                Some(("ttl", text)) => {
                    ttl = duration(text).ok_or_else(|| TokenError::Ttl(text.to_owned()))?;
                }
                _ => return Err(TokenError::UnknownOption(option.to_owned())),
            }
        }
        let method = method.ok_or(TokenError::Missing("sign-method"))?;
        let algorithm = method.parse().map_err(|_| TokenError::Method(method.to_owned()))?;
        let symmetric = matches!(algorithm, Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512);
        let (sign, verify) = if symmetric {
            let path = private.ok_or(TokenError::Missing("priv-key"))?;
            let secret = read(path)?;
            let sign = EncodingKey::from_secret(&secret);
            (Some(sign), DecodingKey::from_secret(&secret))
        } else {
            pair(algorithm, public, private)?
        };
        let signer = Self { algorithm, sign, verify, ttl };
        match signer.sign.is_some() && !signer.reads_its_own()? {
            true => Err(TokenError::Mismatch),
            false => Ok(signer),
        }
    }

    fn reads_its_own(&self) -> Result<bool, TokenError> {
        let token = self.sign("", 0, 0)?;
        Ok(self.read(&token, 0).is_some())
    }

    /// A token for the user as of this auth revision.
    pub fn sign(&self, user: &str, revision: u64, unix_ms: u64) -> Result<String, TokenError> {
        let key = self.sign.as_ref().ok_or(TokenError::CannotSign)?;
        let exp = unix_ms / 1000 + self.ttl.as_secs();
        let claims = Claims { username: user.to_owned(), revision, exp };
        jsonwebtoken::encode(&Header::new(self.algorithm), &claims, key)
            .map_err(|error| TokenError::Sign(error.to_string()))
    }

    /// Who holds the token and since which auth revision; `None` when it is not ours or over.
    pub fn read(&self, token: &str, unix_ms: u64) -> Option<(String, u64)> {
        let mut validation = Validation::new(self.algorithm);
        // Compared with the clock that everything else here goes by.
        validation.validate_exp = false;
        validation.validate_aud = false;
        let data = jsonwebtoken::decode::<Claims>(token, &self.verify, &validation).ok()?;
        let Claims { username, revision, exp } = data.claims;
        (unix_ms / 1000 < exp).then_some((username, revision))
    }
}

fn read(path: &str) -> Result<Vec<u8>, TokenError> {
    let unreadable = |error| TokenError::Unreadable { path: path.to_owned(), error };
    fs::read(Path::new(path)).map_err(unreadable)
}

fn key_error(path: &str, why: &impl ToString) -> TokenError {
    TokenError::Key { path: path.to_owned(), why: why.to_string() }
}

/// The keys to sign, if there is one, and to read with. The private key tells the public one.
fn pair(
    algorithm: Algorithm,
    public: Option<&str>,
    private: Option<&str>,
) -> Result<(Option<EncodingKey>, DecodingKey), TokenError> {
    let private = private.map(|path| Ok((path, read(path)?))).transpose()?;
    let sign = match &private {
        Some((path, pem)) => Some(encoding(algorithm, pem).map_err(|why| key_error(path, &why))?),
        None => None,
    };
    let verify = match (public, &private) {
        (Some(path), _) => {
            decoding(algorithm, &read(path)?).map_err(|why| key_error(path, &why))?
        }
        (None, Some((path, pem))) => {
            let public = public_of(pem).map_err(|why| key_error(path, &why))?;
            decoding(algorithm, public.as_bytes()).map_err(|why| key_error(path, &why))?
        }
        (None, None) => return Err(TokenError::NoKey),
    };
    Ok((sign, verify))
}

/// The public half of a private key, as PEM.
fn public_of(private: &[u8]) -> Result<String, rcgen::Error> {
    let pair = rcgen::KeyPair::from_pem(&String::from_utf8_lossy(private))?;
    Ok(pair.public_key_pem())
}

fn encoding(algorithm: Algorithm, pem: &[u8]) -> Result<EncodingKey, jsonwebtoken::errors::Error> {
    match algorithm {
        Algorithm::ES256 | Algorithm::ES384 => EncodingKey::from_ec_pem(pem),
        Algorithm::EdDSA => EncodingKey::from_ed_pem(pem),
        _ => EncodingKey::from_rsa_pem(pem),
    }
}

fn decoding(algorithm: Algorithm, pem: &[u8]) -> Result<DecodingKey, jsonwebtoken::errors::Error> {
    match algorithm {
        Algorithm::ES256 | Algorithm::ES384 => DecodingKey::from_ec_pem(pem),
        Algorithm::EdDSA => DecodingKey::from_ed_pem(pem),
        _ => DecodingKey::from_rsa_pem(pem),
    }
}

/// Go's notation, as far as it makes sense here: hours, minutes and seconds.
fn duration(text: &str) -> Option<Duration> {
    let (mut total, mut rest) = (0_u64, text);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok()?;
        let unit = match rest.as_bytes()[digits] {
            b'h' => 3600,
            b'm' => 60,
            b's' => 1,
            _ => return None,
        };
        total = total.checked_add(number.checked_mul(unit)?)?;
        rest = &rest[digits + 1..];
    }
    (total > 0).then(|| Duration::from_secs(total))
}

#[cfg(test)]
#[path = "signed_test.rs"]
mod tests;
