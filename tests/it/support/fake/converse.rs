//! stub
use super::{
    Shared, answer::Answer, error::ApiError, node::Checked, script::Fault, service::Routed,
};
use bytes::Bytes;
use hyper::http::request::Parts;
use serde_json::Value;
pub(super) fn route(_: &Shared, _: &Parts, _: &[u8]) -> Checked<Routed> {
    todo!()
}
pub(super) fn events(_: &Answer<'_>) -> Vec<Bytes> {
    todo!()
}
pub(super) fn whole(_: &Answer<'_>) -> Value {
    todo!()
}
pub(super) fn error_event(_: &ApiError) -> Bytes {
    todo!()
}
pub(super) fn fault(_: Fault) -> ApiError {
    todo!()
}
