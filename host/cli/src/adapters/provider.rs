//! The model: a provider plugin behind the agent's port.

use super::audit::CallObserver;
use async_trait::async_trait;
use ml_intern_agent::event::{Purpose, Usage};
use ml_intern_agent::message::{Call, CallResult, Image, Message, Part};
use ml_intern_agent::money::MicroUsd;
use ml_intern_agent::ports::{Deltas, Provider, Reply, Request, Stop, Tool};
use ml_intern_agent::{ProviderError, Role, Session};
use ml_intern_runtime::{CallContext, CallError, GuestError, Plugin, Sink, chat, sink, types};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Mutex, OnceCell};
use tokio_util::sync::CancellationToken;

/// Two of these are as long as the window in which requests are counted.
const LIMIT_WAIT_MS: u64 = 30_000;
/// How long a list of models is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct PluginProvider {
    plugin: Plugin,
    /// The request of the call before. The conversation only grows, so only what is new is converted.
    last: Mutex<Option<Kept>>,
    /// Shared by all that ask this model.
    calls: Arc<AtomicU64>,
    session: Arc<Session>,
    /// `id@version`.
    title: String,
    verbose: bool,
    /// What the service says of its models; asked once.
    windows: Arc<OnceCell<Vec<(String, u32)>>>,
}

struct Kept {
    generation: u64,
    request: chat::Request,
}

impl PluginProvider {
    pub(crate) fn new(plugin: Plugin, title: String, session: Arc<Session>, verbose: bool) -> Self {
        Self {
            plugin,
            last: Mutex::new(None),
            calls: Arc::new(AtomicU64::new(1)),
            session,
            title,
            verbose,
            windows: Arc::default(),
        }
    }

    /// The same model, for another conversation.
    pub(crate) fn another(&self) -> Self {
        Self {
            plugin: self.plugin.clone(),
            last: Mutex::new(None),
            calls: self.calls.clone(),
            session: self.session.clone(),
            title: self.title.clone(),
            verbose: self.verbose,
            windows: self.windows.clone(),
        }
    }

    /// The context windows that the service names, as far as it does so in time.
    async fn windows(&self) -> Vec<(String, u32)> {
        let cancel = CancellationToken::new();
        let _end_with_the_call = cancel.clone().drop_guard();
        let call = "models".to_owned();
        let observer = CallObserver {
            session: self.session.clone(),
            call: call.clone(),
            plugin: self.title.clone(),
            cancel: cancel.clone(),
            verbose: self.verbose,
        };
        let context = CallContext {
            call,
            ..CallContext::default()
        };
        let models = self.plugin.models(context, Arc::new(observer), &cancel);
        match tokio::time::timeout(PATIENCE, models).await {
            Ok(Ok(models)) => {
                let known = models.into_iter().filter(|model| model.context_window > 0);
                known
                    .map(|model| (model.id, model.context_window))
                    .collect()
            }
            // A service without a list is no reason to stop.
            Ok(Err(_)) | Err(_) => Vec::new(),
        }
    }
}

#[async_trait]
impl Provider for PluginProvider {
    async fn complete(
        &self,
        request: Request<'_>,
        deltas: Arc<dyn Deltas>,
    ) -> Result<Reply, ProviderError> {
        let mut last = self.last.lock().await;
        let kept = match last.take() {
            Some(kept)
                if kept.generation == request.generation
                    && kept.request.messages.len() <= request.messages.len() =>
            {
                kept
            }
            _ => Kept {
                generation: request.generation,
                request: fresh(&request),
            },
        };
        let kept = last.insert(kept);
        let known = kept.request.messages.len();
        kept.request.messages.extend(
            request
                .messages
                .iter()
                .skip(known)
                .map(|message| sent(message)),
        );
        let cancel = CancellationToken::new();
        let _end_with_the_call = cancel.clone().drop_guard();
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        let observer = CallObserver {
            session: self.session.clone(),
            call: format!("model-{number}"),
            plugin: self.title.clone(),
            cancel: cancel.clone(),
            verbose: self.verbose,
        };
        let context = CallContext {
            session: request.session.to_owned(),
            call: format!("model-{number}"),
            ..CallContext::default()
        };
        let sink = Arc::new(DeltaSink {
            deltas,
            cancel: cancel.clone(),
        });
        let response = self
            .plugin
            .complete(&kept.request, sink, context, Arc::new(observer), &cancel)
            .await
            .map_err(failed)?;
        Ok(received(response))
    }

    async fn window(&self, model: &str) -> Option<u64> {
        let windows = self.windows.get_or_init(|| self.windows()).await;
        let found = windows.iter().find(|(id, _)| id == model);
        found.map(|(_, tokens)| u64::from(*tokens))
    }
}

fn fresh(request: &Request<'_>) -> chat::Request {
    chat::Request {
        model: request.model.to_owned(),
        messages: Vec::new(),
        tools: request.tools.iter().map(described).collect(),
        tool_choice: chat::ToolChoice::Auto,
        max_tokens: request.max_tokens,
        response_schema: None,
        affinity: Some(request.session.to_owned()),
        effort: None,
        stream: request.stream,
        extra: None,
    }
}

fn described(tool: &Tool) -> chat::ToolSpec {
    chat::ToolSpec {
        name: tool.name.clone(),
        description: tool.description.clone(),
        input_schema: tool.input_schema.clone(),
    }
}

fn sent(message: &Message) -> chat::Message {
    let role = match message.role {
        Role::System => chat::Role::System,
        Role::User => chat::Role::User,
        Role::Assistant => chat::Role::Assistant,
        Role::Tool => chat::Role::Tool,
    };
    chat::Message {
        role,
        parts: message.parts.iter().map(sent_part).collect(),
        cache_breakpoint: message.role == Role::System,
    }
}

fn sent_part(part: &Part) -> chat::Part {
    match part {
        Part::Text { text } => chat::Part::Text(text.clone()),
        Part::Image { media_type, base64 } => chat::Part::Image(blob(media_type, base64)),
        Part::Reasoning { text, opaque } => chat::Part::Reasoning(chat::Reasoning {
            text: text.clone(),
            opaque: opaque.clone(),
        }),
        Part::Call(call) => chat::Part::Call(chat::ToolCall {
            id: call.id.clone(),
            name: call.name.clone(),
            arguments: call.arguments.clone(),
        }),
        Part::Result(result) => chat::Part::Result(sent_result(result)),
    }
}

fn sent_result(result: &CallResult) -> chat::ToolResult {
    chat::ToolResult {
        call_id: result.call_id.clone(),
        content: result.content.clone(),
        images: result
            .images
            .iter()
            .map(|image: &Image| blob(&image.media_type, &image.base64))
            .collect(),
        is_error: result.is_error,
    }
}

fn blob(media_type: &str, base64: &str) -> types::Blob {
    use base64::Engine as _;
    // Only this program writes the text, from bytes; a damaged log must not stop the session.
    let data = base64::engine::general_purpose::STANDARD
        .decode(base64)
        .unwrap_or_default();
    types::Blob {
        media_type: media_type.to_owned(),
        data,
    }
}

fn received(response: chat::Response) -> Reply {
    let parts = response.parts.into_iter().filter_map(|part| match part {
        chat::Part::Text(text) => Some(Part::Text { text }),
        chat::Part::Reasoning(reasoning) => Some(Part::Reasoning {
            text: reasoning.text,
            opaque: reasoning.opaque,
        }),
        chat::Part::Call(call) => Some(Part::Call(Call {
            id: call.id,
            name: call.name,
            arguments: call.arguments,
        })),
        chat::Part::Image(image) => {
            use base64::Engine as _;
            let base64 = base64::engine::general_purpose::STANDARD.encode(&image.data);
            Some(Part::Image {
                media_type: image.media_type,
                base64,
            })
        }
        // A model has no results of its own.
        chat::Part::Result(_) => None,
    });
    let usage = response.usage;
    Reply {
        parts: parts.collect(),
        stop: match response.stop {
            chat::Stop::EndTurn => Stop::EndTurn,
            chat::Stop::ToolUse => Stop::ToolUse,
            chat::Stop::MaxTokens => Stop::MaxTokens,
            chat::Stop::Refusal => Stop::Refusal,
            chat::Stop::Cancelled | chat::Stop::Other => Stop::Other,
        },
        usage: Usage {
            input: usage.input.into(),
            output: usage.output.into(),
            cache_read: usage.cache_read.into(),
            cache_write: usage.cache_write.into(),
            reasoning: usage.reasoning.into(),
            cost_usd: response
                .cost_usd
                .filter(|cost| cost.is_finite() && *cost >= 0.0)
                .map(MicroUsd::from_usd),
            assumed_usd: None,
            purpose: Purpose::Conversation,
        },
    }
}

fn failed(error: CallError) -> ProviderError {
    match error {
        CallError::Guest(error) => reported(error),
        CallError::Fault(fault) => {
            ProviderError::Fault(format!("the provider plugin failed: {fault}"))
        }
        _ => ProviderError::Cancelled,
    }
}

fn reported(error: GuestError) -> ProviderError {
    if let Some(denial) = error.denials.first() {
        return ProviderError::Denied(denial.detail.clone());
    }
    let text = error.to_string();
    match error.error {
        types::Error::AuthRequired(_) => ProviderError::Auth(text),
        types::Error::NotFound(message) => ProviderError::NotFound(message),
        types::Error::ContextOverflow(message) => ProviderError::ContextOverflow(message),
        types::Error::Upstream(upstream) => ProviderError::Upstream {
            status: upstream.status,
            code: upstream.code,
            message: upstream.message,
            retryable: upstream.retryable,
            retry_after_ms: upstream.retry_after_ms.map(u64::from),
        },
        types::Error::Timeout => ProviderError::Timeout,
        types::Error::Cancelled => ProviderError::Cancelled,
        types::Error::Denied(denial) => ProviderError::Denied(denial.detail),
        types::Error::InvalidInput(_) | types::Error::Unsupported(_) => {
            ProviderError::Invalid(text)
        }
        // The plugin made more requests than it may in a minute: a fast model is no reason to give up.
        types::Error::Limit(_) => ProviderError::Upstream {
            status: None,
            code: Some("limit".into()),
            message: text,
            retryable: true,
            retry_after_ms: Some(LIMIT_WAIT_MS),
        },
        types::Error::Conflict(_) | types::Error::Internal(_) => ProviderError::Other(text),
    }
}

struct DeltaSink {
    deltas: Arc<dyn Deltas>,
    cancel: CancellationToken,
}

impl Sink for DeltaSink {
    fn emit(&self, delta: sink::Delta) -> types::Control {
        match delta {
            sink::Delta::Text(text) => self.deltas.text(&text),
            sink::Delta::Reasoning(text) => self.deltas.reasoning(&text),
            // The whole call is shown when it runs.
            sink::Delta::CallStart(_) | sink::Delta::CallArguments(_) => {}
        }
        if self.cancel.is_cancelled() {
            types::Control::Stop
        } else {
            types::Control::Proceed
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_of_the_plugin_is_waited_for_and_a_failure_of_it_is_not() {
        let told = |error| {
            reported(GuestError {
                error,
                denials: Vec::new(),
            })
        };
        let limit = told(types::Error::Limit("requests-per-minute".into()));
        assert!(
            matches!(&limit, ProviderError::Upstream { retryable: true, retry_after_ms: Some(30_000), message, .. }
                if message.contains("requests-per-minute")),
            "{limit:?}"
        );
        let failed = told(types::Error::Internal("broken".into()));
        assert!(matches!(failed, ProviderError::Other(_)), "{failed:?}");
    }
}
