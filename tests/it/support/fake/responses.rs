//! stub
use super::{Shared, answer::Answer, error::ApiError, node::Checked, service::Ask};
use bytes::Bytes;
use hyper::http::request::Parts;
use serde_json::Value;
pub(super) fn ask(_: &Shared, _: &Parts, _: &[u8]) -> Checked<Ask> {
    todo!()
}
pub(super) fn events(_: &Answer<'_>) -> Vec<Bytes> {
    todo!()
}
pub(super) fn whole(_: &Answer<'_>) -> Value {
    todo!()
}
pub(super) fn error_event(_: &Answer<'_>, _: &ApiError, _: usize) -> Bytes {
    todo!()
}
