//! Requests that the host signs with AWS keys: AWS Signature Version 4, as AWS's own library makes
//! it. The plugin sees neither the keys nor the signature.

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4::SigningParams;
use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_TYPE, HOST, HeaderName, HeaderValue};
use http::{Request, request};
use http_body_util::{BodyExt, Full};
use ml_intern_manifest::{CredentialRule, CredentialUse};
use wasmtime_wasi_http::{Error, WasiBody};

use crate::call::Call;
use crate::egress::body::Sent;
use crate::egress::credential::{AwsKeys, CredentialValue};
use crate::egress::failure::Failure;
use crate::egress::{Asked, Refusal, headers};

/// Bytes of a body that is signed. A signature comes before the body and covers its digest, so that
/// the body is held in memory. Bedrock takes 25 MB (`Body` in AWS's own model of its runtime,
/// November 2026).
pub(super) const MAX_SIGNED_BODY: usize = 32 << 20;

/// What a request is signed with.
pub(super) struct Signing {
    rule: CredentialRule,
    service: String,
    region: String,
    keys: AwsKeys,
}

impl Signing {
    /// How requests under this rule are signed; none where they are not, or where the user has set
    /// no keys: the service's answer says what is missing.
    pub(super) fn of(call: &Call, rule: &CredentialRule) -> Result<Option<Self>, Refusal> {
        let CredentialUse::AwsSigV4 {
            service,
            region,
            region_key,
        } = &rule.applied
        else {
            return Ok(None);
        };
        let keys = match headers::value(call, rule) {
            None => return Ok(None),
            Some(CredentialValue::AwsKeys(keys)) => keys.clone(),
            Some(CredentialValue::Text(_)) => return Err(headers::unfit(rule)),
        };
        let region = region.clone().ok_or_else(|| {
            Refusal::denied(format!(
                "requests signed with the credential `{}` name a region, and none is set; set the configuration key `{region_key}`",
                rule.name
            ))
        })?;
        Ok(Some(Self {
            rule: rule.clone(),
            service: service.clone(),
            region,
            keys,
        }))
    }

    /// The request as it is sent, once its body is known.
    pub(super) async fn apply(
        &self,
        call: &Call,
        asked: &Asked,
        request: Request<WasiBody>,
        sent: &Sent,
    ) -> Result<Request<WasiBody>, Failure> {
        let (mut parts, body) = request.into_parts();
        let body = match tokio::time::timeout(call.clock.left(), collect(body, sent)).await {
            Ok(body) => body.inspect_err(|_| sent.nothing())?,
            Err(_) => {
                sent.nothing();
                let text = "the plugin did not finish the body of its request";
                return Err(Failure::new(Error::HttpProtocolError, text));
            }
        };
        // The guest took its time: what was granted then may be taken back.
        if asked.credential(&call.effective()) != Some(&self.rule) {
            sent.nothing();
            let detail = format!(
                "the grant of the credential `{}` has changed; ask again",
                self.rule.name
            );
            return Err(Failure::denied(Error::HttpRequestDenied, detail));
        }
        self.sign(&mut parts, &body, SystemTime::now())?;
        let body = Full::new(body).map_err(|never| match never {});
        Ok(Request::from_parts(parts, body.boxed_unsync()))
    }

    /// Adds the headers that carry the signature.
    fn sign(
        &self,
        parts: &mut request::Parts,
        body: &[u8],
        now: SystemTime,
    ) -> Result<(), Failure> {
        let headers = self.headers(parts, body, now).map_err(|_| {
            let text = format!(
                "the request cannot be signed with the credential `{}`",
                self.rule.name
            );
            Failure::new(Error::ConfigurationError, text)
        })?;
        for (name, value) in headers {
            parts.headers.insert(name, value);
        }
        Ok(())
    }

    fn headers(
        &self,
        parts: &request::Parts,
        body: &[u8],
        now: SystemTime,
    ) -> Result<Vec<(HeaderName, HeaderValue)>, Box<dyn std::error::Error>> {
        let host = parts.uri.authority().ok_or("no host")?.as_str();
        let mut signed = vec![(HOST.as_str(), host)];
        // What else a plugin writes may be changed by whoever passes it on.
        if let Some(Ok(kind)) = parts.headers.get(CONTENT_TYPE).map(HeaderValue::to_str) {
            signed.push((CONTENT_TYPE.as_str(), kind));
        }
        let uri = parts.uri.to_string();
        let request = SignableRequest::new(
            parts.method.as_str(),
            uri,
            signed.into_iter(),
            SignableBody::Bytes(body),
        )?;
        let identity = self.credentials().into();
        let parameters = SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(&self.service)
            .time(now)
            .settings(settings())
            .build()?;
        let (instructions, _signature) = sign(request, &parameters.into())?.into_parts();
        let mut all = vec![(HOST, HeaderValue::from_str(host)?)];
        for (name, value) in instructions.headers() {
            let mut value = HeaderValue::from_str(value)?;
            value.set_sensitive(true);
            all.push((HeaderName::from_bytes(name.as_bytes())?, value));
        }
        Ok(all)
    }

    fn credentials(&self) -> Credentials {
        let keys = &self.keys;
        let token = keys.session_token.as_ref();
        Credentials::new(
            keys.access_key_id.expose(),
            keys.secret_access_key.expose(),
            token.map(|token| token.expose().to_owned()),
            None,
            "ml-intern",
        )
    }
}

/// As every service but S3 checks it: the path is encoded once more than it is sent.
fn settings() -> SigningSettings {
    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode = PercentEncodingMode::Double;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Enabled;
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    settings
}

/// The whole of a body.
pub(super) async fn collect(mut body: WasiBody, sent: &Sent) -> Result<Bytes, Failure> {
    let mut all = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            let text = error.to_string();
            Failure::of_body(sent).unwrap_or_else(|| Failure::new(error, text))
        })?;
        let Ok(chunk) = frame.into_data() else {
            continue;
        };
        let length = all.len() + chunk.len();
        if length > MAX_SIGNED_BODY {
            return Err(Failure::new(
                Error::HttpRequestBodySize(Some(length as u64)),
                format!("a request whose body is held back has more than {MAX_SIGNED_BODY} bytes"),
            ));
        }
        all.extend_from_slice(&chunk);
    }
    Ok(all.freeze())
}

#[cfg(test)]
pub(super) mod tests;
