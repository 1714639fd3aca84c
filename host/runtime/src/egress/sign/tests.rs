//! Signatures against AWS's published examples, and against a second reading of the specification.

use std::collections::BTreeMap;
use std::time::Duration;

use hmac::{KeyInit, Mac, SimpleHmac};
use sha2::{Digest, Sha256};

use super::*;

/// A request as a service reads it: the texts of its first line, and what follows.
pub(in crate::egress) struct Received<'a> {
    pub(in crate::egress) method: &'a str,
    /// As it was sent, with its query.
    pub(in crate::egress) target: &'a str,
    pub(in crate::egress) headers: BTreeMap<String, String>,
    pub(in crate::egress) body: &'a [u8],
}

/// Who signs, for what.
pub(in crate::egress) struct Scope<'a> {
    pub(in crate::egress) secret: &'a str,
    pub(in crate::egress) region: &'a str,
    pub(in crate::egress) service: &'a str,
}

/// The signature that a service computes over these headers ("Create a signed AWS API request" in
/// AWS's documentation of IAM). Everything here is written anew, so that it errs on its own.
pub(in crate::egress) fn signature(
    scope: &Scope<'_>,
    request: &Received<'_>,
    signed: &[&str],
) -> String {
    let (path, query) = request
        .target
        .split_once('?')
        .unwrap_or((request.target, ""));
    let path = if scope.service == "s3" {
        path.to_owned()
    } else {
        encoded(path.as_bytes(), "/")
    };
    let mut pairs: Vec<(String, String)> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (encoded(&decoded(name), ""), encoded(&decoded(value), "")))
        .collect();
    pairs.sort();
    let query: Vec<String> = pairs
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let headers: String = signed
        .iter()
        .map(|name| format!("{name}:{}\n", request.headers[*name].trim()))
        .collect();
    let canonical = format!(
        "{}\n{path}\n{}\n{headers}\n{}\n{}",
        request.method,
        query.join("&"),
        signed.join(";"),
        hex(&Sha256::digest(request.body))
    );
    let time = &request.headers["x-amz-date"];
    let date = &time[..8];
    let to_sign = format!(
        "AWS4-HMAC-SHA256\n{time}\n{date}/{}/{}/aws4_request\n{}",
        scope.region,
        scope.service,
        hex(&Sha256::digest(canonical))
    );
    let key = format!("AWS4{}", scope.secret).into_bytes();
    let key = [date, scope.region, scope.service, "aws4_request"]
        .iter()
        .fold(key, |key, text| mac(&key, text));
    hex(&mac(&key, &to_sign))
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = SimpleHmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn encoded(bytes: &[u8], kept: &str) -> String {
    let one = |byte: &u8| match char::from(*byte) {
        c if c.is_ascii_alphanumeric() || "-_.~".contains(c) || kept.contains(c) => c.to_string(),
        _ => format!("%{byte:02X}"),
    };
    bytes.iter().map(one).collect()
}

fn decoded(text: &str) -> Vec<u8> {
    let (mut bytes, mut out) = (text.bytes(), Vec::new());
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'%' => {
                let digits = [bytes.next().unwrap(), bytes.next().unwrap()];
                u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
            }
            other => other,
        });
    }
    out
}

fn signing(keys: &str, region: &str, service: &str) -> Signing {
    let plugin = ml_intern_manifest::PluginManifest::parse(
        "plugin.toml",
        "[plugin]\nid = \"t/t\"\nversion = \"0.1.0\"\ndescription = \"x\"\nlicense = \"MIT\"\nabi = \"0.1\"\n[[request.credential]]\nname = \"aws\"\nhosts = [\"a.org\"]\nsign = \"aws-sigv4\"\nservice = \"bedrock\"\nregion = \"region\"\n[[request.config]]\nkey = \"region\"\n",
    )
    .unwrap();
    let all = ml_intern_manifest::Grant::all_of(&plugin.request);
    let effective = ml_intern_manifest::Effective::compute(
        "plugins.t",
        &plugin.request,
        &all,
        &BTreeMap::new(),
    );
    Signing {
        rule: effective.unwrap().credentials.rules()[0].clone(),
        service: service.to_owned(),
        region: region.to_owned(),
        keys: AwsKeys::parse(keys).unwrap(),
    }
}

/// What is added to a request.
fn signed(
    signing: &Signing,
    request: http::request::Builder,
    body: &str,
    seconds: u64,
) -> BTreeMap<String, String> {
    let (mut parts, ()) = request.body(()).unwrap().into_parts();
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    signing
        .sign(&mut parts, body.as_bytes(), now)
        .map_err(|failure| failure.text)
        .unwrap();
    let all = parts.headers.iter();
    all.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect()
}

/// 2013-05-24T00:00:00Z.
const DAY: u64 = 1_369_353_600;

#[test]
fn signatures_are_those_of_the_published_examples() {
    // "Authenticating Requests: Using the Authorization Header" in the reference of S3, whose
    // examples are those that sign the body's digest as a header. Their paths need no encoding.
    let signing = signing(
        "AKIAIOSFODNN7EXAMPLE:wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "us-east-1",
        "s3",
    );
    for (query, signature) in [
        (
            "?lifecycle",
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
        ),
        (
            "?max-keys=2&prefix=J",
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        ),
    ] {
        let url = format!("https://examplebucket.s3.amazonaws.com/{query}");
        let headers = signed(&signing, Request::get(url), "", DAY);
        assert_eq!(
            headers["authorization"],
            format!(
                "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature={signature}"
            )
        );
        assert_eq!(headers["x-amz-date"], "20130524T000000Z");
        assert_eq!(headers["host"], "examplebucket.s3.amazonaws.com");
    }
}

#[test]
fn the_second_reading_agrees_with_the_published_examples_too() {
    let of = |scope: &Scope<'_>, target, headers: &[(&str, &str)]| {
        let signed: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
        let headers = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let request = Received {
            method: "GET",
            target,
            headers: headers.collect(),
            body: b"",
        };
        signature(scope, &request, &signed)
    };
    let scope = |service| Scope {
        secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
        region: "us-east-1",
        service,
    };
    // `get-vanilla` of AWS's suite of tests for Signature Version 4.
    let vanilla = [
        ("host", "example.amazonaws.com"),
        ("x-amz-date", "20150830T123600Z"),
    ];
    assert_eq!(
        of(&scope("service"), "/", &vanilla),
        "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
    );
    // `ListUsers` of the documentation of IAM.
    let list_users = [
        (
            "content-type",
            "application/x-www-form-urlencoded; charset=utf-8",
        ),
        ("host", "iam.amazonaws.com"),
        ("x-amz-date", "20150830T123600Z"),
    ];
    assert_eq!(
        of(
            &scope("iam"),
            "/?Action=ListUsers&Version=2010-05-08",
            &list_users
        ),
        "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
    );
}

#[test]
fn both_readings_agree_on_paths_queries_and_bodies() {
    let keys = "AKIDEXAMPLE:wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY:AQoDYXdzEPT//////////w";
    let signing = signing(keys, "us-east-1", "bedrock");
    let scope = Scope {
        secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
        region: "us-east-1",
        service: "bedrock",
    };
    for target in [
        "/",
        "/model/a.claude-v2:0/converse",
        "/model/a.claude-v2%3A0/converse-stream",
        "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Aprompt%2Fx/invoke",
        "/a!b'(c)*d;e,f@g=h+i$j&k~l/%C3%A9",
        "/a/?b=2&a=1&a=0&c&d=%2F%20x~y:z",
    ] {
        let request = Request::post(format!("https://b.test{target}"))
            .header("content-type", "application/json")
            .header("accept", "unsigned");
        let headers = signed(&signing, request, "{\"a\": 1}", DAY);
        let names = "content-type;host;x-amz-content-sha256;x-amz-date;x-amz-security-token";
        let received = Received {
            method: "POST",
            target,
            headers: headers.clone(),
            body: b"{\"a\": 1}",
        };
        let names_of: Vec<&str> = names.split(';').collect();
        let expected = signature(&scope, &received, &names_of);
        assert_eq!(
            headers["authorization"],
            format!(
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20130524/us-east-1/bedrock/aws4_request, SignedHeaders={names}, Signature={expected}"
            ),
            "{target}"
        );
        assert_eq!(headers["x-amz-security-token"], "AQoDYXdzEPT//////////w");
    }
}
