//! Signatures of requests, version 4, as the receiving side computes them.
//!
//! From Amazon's page "Create a signed AWS API request". A key is `ID:SECRET`; one without a colon is
//! an API key of Bedrock's and comes as a bearer token.

use std::time::{SystemTime, UNIX_EPOCH};

use hmac::{Hmac, KeyInit, Mac};
use hyper::http::request::Parts;
use sha2::{Digest, Sha256};

use super::super::{error::ApiError, node::Checked, script::Fault, service::header};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// The name that the service has in signatures.
const SERVICE: &str = "bedrock";
/// How far the time of a request may be from the service's own, in seconds.
const SKEW_S: i64 = 300;

/// Judges who sent a request; everybody may where there is no key.
pub(super) fn check(key: Option<&str>, head: &Parts, body: &[u8]) -> Checked {
    let Some(key) = key else {
        return Ok(());
    };
    let unknown = || super::fault(Fault::Unauthorized);
    let given = header(head, "authorization").ok_or_else(|| {
        ApiError::new(
            403,
            "MissingAuthenticationTokenException",
            "Missing Authentication Token",
        )
    })?;
    let Some((id, secret)) = key.split_once(':') else {
        return match given.strip_prefix("Bearer ") {
            Some(given) if given == key => Ok(()),
            _ => Err(unknown()),
        };
    };
    let signed = Signed::parse(given)?;
    let date = header(head, "x-amz-date").ok_or_else(|| incomplete("'X-Amz-Date'"))?;
    if signed.id != id {
        return Err(unknown());
    }
    signed.scope_fits(date)?;
    in_time(date)?;
    let canonical = canonical(head, body, signed.headers)?;
    let to_sign = format!(
        "{ALGORITHM}\n{date}\n{}\n{}",
        signed.scope(),
        hex(&Sha256::digest(&canonical))
    );
    if hex(&signed.sign(secret, &to_sign)) == signed.signature {
        return Ok(());
    }
    let message = format!(
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.\n\nThe Canonical String for this request should have been\n'{canonical}'\n\nThe String-to-Sign should have been\n'{to_sign}'\n"
    );
    Err(ApiError::new(403, "InvalidSignatureException", message))
}

fn incomplete(what: &str) -> ApiError {
    let message = format!("Authorization header requires {what}.");
    ApiError::new(403, "IncompleteSignatureException", message)
}

/// What an `Authorization` header says.
struct Signed<'a> {
    id: &'a str,
    date: &'a str,
    region: &'a str,
    service: &'a str,
    end: &'a str,
    headers: &'a str,
    signature: &'a str,
}

impl<'a> Signed<'a> {
    fn parse(header: &'a str) -> Checked<Self> {
        let fields = header.strip_prefix(ALGORITHM);
        let fields = fields.ok_or_else(|| incomplete(&format!("'{ALGORITHM}'")))?;
        let field = |name: &'static str| {
            let mut fields = fields.split(',').map(str::trim);
            let field = fields.find_map(|field| field.strip_prefix(name)?.strip_prefix('='));
            field.ok_or_else(|| incomplete(&format!("'{name}' parameter")))
        };
        let scope: Vec<&str> = field("Credential")?.split('/').collect();
        let &[id, date, region, service, end] = scope.as_slice() else {
            return Err(incomplete("a 'Credential' of five parts"));
        };
        Ok(Self {
            id,
            date,
            region,
            service,
            end,
            headers: field("SignedHeaders")?,
            signature: field("Signature")?,
        })
    }

    fn scope(&self) -> String {
        format!(
            "{}/{}/{}/{}",
            self.date, self.region, self.service, self.end
        )
    }

    fn scope_fits(&self, date: &str) -> Checked {
        let fits = date.starts_with(self.date)
            && !self.region.is_empty()
            && self.service == SERVICE
            && self.end == "aws4_request";
        if fits {
            return Ok(());
        }
        let message = format!("Credential should be scoped to correct service: '{SERVICE}'.");
        Err(ApiError::new(403, "InvalidSignatureException", message))
    }

    fn sign(&self, secret: &str, text: &str) -> Vec<u8> {
        let first = format!("AWS4{secret}").into_bytes();
        let parts = [self.date, self.region, self.service, self.end, text];
        parts.iter().fold(first, |key, part| mac(&key, part))
    }
}

/// The request as both sides have it before they sign.
fn canonical(head: &Parts, body: &[u8], signed: &str) -> Checked<String> {
    let names: Vec<&str> = signed.split(';').collect();
    for wanted in ["host", "x-amz-date"] {
        if !names.contains(&wanted) {
            return Err(incomplete(&format!("'{wanted}' to be signed")));
        }
    }
    if !names.is_sorted() {
        return Err(incomplete("signed headers in alphabetical order"));
    }
    let mut headers = String::new();
    for name in names {
        let values = head.headers.get_all(name).iter();
        let values: Vec<String> = values
            .map(|value| {
                let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
                value.split_whitespace().collect::<Vec<_>>().join(" ")
            })
            .collect();
        headers.push_str(&format!("{name}:{}\n", values.join(",")));
    }
    let hash = hex(&Sha256::digest(body));
    if header(head, "x-amz-content-sha256").is_some_and(|given| given != hash) {
        let message =
            "The provided 'x-amz-content-sha256' header does not match what was computed.";
        return Err(ApiError::new(400, "XAmzContentSHA256Mismatch", message));
    }
    let mut query: Vec<&str> = head.uri.query().unwrap_or_default().split('&').collect();
    query.sort_unstable();
    Ok(format!(
        "{}\n{}\n{}\n{headers}\n{signed}\n{hash}",
        head.method,
        encoded(head.uri.path()),
        query.join("&")
    ))
}

/// The path, encoded once more than it came, as all services but S3 have it.
fn encoded(path: &str) -> String {
    let mut encoded = String::new();
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                encoded.push(char::from(byte));
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length will do");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Judges a time of the form `20261126T073000Z`.
fn in_time(date: &str) -> Checked {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.expect("it is later than 1970").as_secs();
    let now = i64::try_from(now).expect("seconds fit");
    match seconds(date) {
        Some(then) if (now - then).abs() <= SKEW_S => Ok(()),
        _ => {
            let message = format!("Signature expired: {date} is too far from the current time.");
            Err(ApiError::new(403, "InvalidSignatureException", message))
        }
    }
}

/// Seconds since 1970.
fn seconds(date: &str) -> Option<i64> {
    let number = |from: usize, to: usize| date.get(from..to)?.parse::<i64>().ok();
    let shaped = date.len() == 16 && date.get(8..9) == Some("T") && date.ends_with('Z');
    let (year, month, day) = (number(0, 4)?, number(4, 6)?, number(6, 8)?);
    let time = number(9, 11)? * 3600 + number(11, 13)? * 60 + number(13, 15)?;
    // Days from the civil calendar, with years that begin in March.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let leap_days = year / 4 - year / 100 + year / 400;
    let days = 365 * year + leap_days + (153 * month + 2) / 5 + day - 1 - 719_468;
    shaped.then_some(days * 86_400 + time)
}
