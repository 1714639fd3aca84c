//! The model: a provider plugin behind the agent's port.

use super::audit::CallObserver;
use crate::catalogue::{Catalogue, Listing};
use crate::compose::Loaded;
use crate::paths::Paths;
use async_trait::async_trait;
use ml_intern_agent::event::{Purpose, Usage};
use ml_intern_agent::message::{Call, CallResult, Image, Message, Part};
use ml_intern_agent::money::MicroUsd;
use ml_intern_agent::ports::{Deltas, Provider, Reply, Request, Stop, Tool};
use ml_intern_agent::{ProviderError, Role, Session};
use ml_intern_runtime::{CallContext, CallError, GuestError, Plugin, Sink, chat, sink, types};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

/// Two of these are as long as the window in which requests are counted.
const LIMIT_WAIT_MS: u64 = 30_000;

pub(crate) struct PluginProvider {
    plugin: Plugin,
    /// Name of its entry in the run manifest, by which its reasoning is known again.
    name: String,
    /// The request of the call before. The conversation only grows, so only what is new is converted.
    last: Mutex<Option<Kept>>,
    /// Shared by all that ask this model.
    calls: Arc<AtomicU64>,
    session: Arc<Session>,
    /// `id@version`.
    title: String,
    verbose: bool,
    /// What the service says of its models.
    catalogue: Arc<Catalogue>,
    /// Its credentials, each with the variables that may hold it.
    keys: Vec<(String, Vec<String>)>,
}

struct Kept {
    generation: u64,
    request: chat::Request,
}

impl PluginProvider {
    pub(crate) fn new(
        plugin: Plugin,
        loaded: &Loaded,
        paths: &Paths,
        session: Arc<Session>,
        verbose: bool,
    ) -> Self {
        let catalogue = Catalogue::new(paths, loaded, plugin.clone());
        Self {
            plugin,
            name: loaded.name.clone(),
            last: Mutex::new(None),
            calls: Arc::new(AtomicU64::new(1)),
            session,
            title: loaded.title(),
            verbose,
            catalogue: Arc::new(catalogue),
            keys: keys(loaded),
        }
    }

    /// The same model, for another conversation.
    pub(crate) fn another(&self) -> Self {
        Self {
            plugin: self.plugin.clone(),
            name: self.name.clone(),
            last: Mutex::new(None),
            calls: self.calls.clone(),
            session: self.session.clone(),
            title: self.title.clone(),
            verbose: self.verbose,
            catalogue: self.catalogue.clone(),
            keys: self.keys.clone(),
        }
    }

    fn observer(&self, call: &str, cancel: &CancellationToken) -> Arc<CallObserver> {
        Arc::new(CallObserver {
            session: self.session.clone(),
            call: call.to_owned(),
            plugin: self.title.clone(),
            cancel: cancel.clone(),
            verbose: self.verbose,
        })
    }

    async fn models(&self) -> &Listing {
        let cancel = CancellationToken::new();
        self.catalogue
            .listing(self.observer("models", &cancel))
            .await
    }

    /// What the call cost by the service's list, where the service does not say it itself.
    async fn cost(&self, model: &str, usage: &Usage) -> Option<MicroUsd> {
        let prices = self.models().await.prices(model)?;
        Some(prices.cost(usage))
    }

    /// With where the credential that the message names is looked for.
    fn placed(&self, message: String) -> String {
        let mut keys = self.keys.iter();
        match keys.find(|(name, _)| message.contains(&format!("`{name}`"))) {
            Some((name, variables)) => format!(
                "{message}: keep it with `ml-intern login {name}`, or set {} in the environment",
                variables.join(", ")
            ),
            None => message,
        }
    }

    /// Models with names like the one that the service does not know.
    async fn suggest(&self, model: &str, message: String) -> String {
        let models = self.models().await;
        let close = match models.find(model) {
            Some(_) => Vec::new(),
            None => models.close(model),
        };
        match close.as_slice() {
            [] => message,
            names => {
                let names = names.iter().map(|id| format!("`{}/{id}`", self.name));
                let names = names.collect::<Vec<_>>().join(", ");
                format!("{message}; models with such a name: {names}")
            }
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
        kept.request.effort = request.effort.map(str::to_owned);
        let known = kept.request.messages.len();
        let new = request.messages.iter().skip(known);
        kept.request
            .messages
            .extend(new.map(|message| sent(message, &self.name)));
        let cancel = CancellationToken::new();
        let _end_with_the_call = cancel.clone().drop_guard();
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        let call = format!("model-{number}");
        let observer = self.observer(&call, &cancel);
        let context = CallContext {
            session: request.session.to_owned(),
            call,
            ..CallContext::default()
        };
        let sink = Arc::new(DeltaSink {
            deltas,
            cancel: cancel.clone(),
        });
        let response = self
            .plugin
            .complete(&kept.request, sink, context, observer, &cancel)
            .await;
        let mut response = match response.map_err(failed) {
            Ok(response) => response,
            Err(ProviderError::NotFound(message)) => {
                let message = self.suggest(request.model, message).await;
                return Err(ProviderError::NotFound(message));
            }
            Err(ProviderError::Auth(message)) => {
                return Err(ProviderError::Auth(self.placed(message)));
            }
            // It is something else that it cannot do.
            Err(ProviderError::Effort(message)) if request.effort.is_none() => {
                return Err(ProviderError::Invalid(message));
            }
            Err(error) => return Err(error),
        };
        let answered = response.model.take();
        let mut reply = received(response, &self.name);
        if reply.usage.cost_usd.is_none() {
            let model = answered.as_deref().unwrap_or(request.model);
            reply.usage.cost_usd = self.cost(model, &reply.usage).await;
        }
        Ok(reply)
    }

    async fn window(&self, model: &str) -> Option<u64> {
        self.models().await.find(model)?.context_window
    }
}

fn keys(loaded: &Loaded) -> Vec<(String, Vec<String>)> {
    let rules = loaded.effective.credentials.rules().iter();
    let known = rules.filter(|rule| !rule.env.is_empty());
    known
        .map(|rule| (rule.name.clone(), rule.env.clone()))
        .collect()
}

fn fresh(request: &Request<'_>) -> chat::Request {
    chat::Request {
        model: request.model.to_owned(),
        messages: Vec::new(),
        tools: request.tools.iter().map(described).collect(),
        tool_choice: chat::ToolChoice::Auto,
        max_tokens: request.max_tokens,
        response_schema: request.answer_schema.map(str::to_owned),
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

/// Stands for a message of a model of which nothing can be sent to another one: services refuse an empty one, and two
/// messages of the user in a row.
const NOTHING_SENT: &str = "(no answer)";

fn sent(message: &Message, provider: &str) -> chat::Message {
    let role = match message.role {
        Role::System => chat::Role::System,
        Role::User => chat::Role::User,
        Role::Assistant => chat::Role::Assistant,
        Role::Tool => chat::Role::Tool,
    };
    let parts = message.parts.iter();
    let mut parts = parts
        .filter_map(|part| sent_part(part, provider))
        .collect::<Vec<_>>();
    if parts.is_empty() && message.role == Role::Assistant {
        parts.push(chat::Part::Text(NOTHING_SENT.to_owned()));
    }
    chat::Message {
        role,
        parts,
        // A request ends behind the user's words or the results of tools, and the next one begins with it.
        cache_breakpoint: message.role != Role::Assistant,
    }
}

fn sent_part(part: &Part, provider: &str) -> Option<chat::Part> {
    Some(match part {
        Part::Text { text } => chat::Part::Text(text.clone()),
        Part::Image { media_type, base64 } => chat::Part::Image(blob(media_type, base64)),
        // Nobody but its maker can read the opaque side, and without it the text is nobody's.
        Part::Reasoning {
            provider: Some(maker),
            ..
        } if maker != provider => return None,
        Part::Reasoning { text, opaque, .. } => chat::Part::Reasoning(chat::Reasoning {
            text: text.clone(),
            opaque: opaque.clone(),
        }),
        Part::Call(call) => chat::Part::Call(chat::ToolCall {
            id: call.id.clone(),
            name: call.name.clone(),
            arguments: call.arguments.clone(),
        }),
        Part::Result(result) => chat::Part::Result(sent_result(result)),
    })
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

fn received(response: chat::Response, provider: &str) -> Reply {
    let parts = response.parts.into_iter().filter_map(|part| match part {
        chat::Part::Text(text) => Some(Part::Text { text }),
        chat::Part::Reasoning(reasoning) => Some(Part::Reasoning {
            text: reasoning.text,
            provider: Some(provider.to_owned()),
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
        types::Error::Unsupported(message) => ProviderError::Effort(message),
        types::Error::Conflict(message) => ProviderError::StaleReasoning(message),
        types::Error::InvalidInput(_) => ProviderError::Invalid(text),
        // The plugin made more requests than it may in a minute: a fast model is no reason to give up.
        types::Error::Limit(_) => ProviderError::Upstream {
            status: None,
            code: Some("limit".into()),
            message: text,
            retryable: true,
            retry_after_ms: Some(LIMIT_WAIT_MS),
        },
        types::Error::Internal(_) => ProviderError::Other(text),
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
            sink::Delta::CallStart(start) => {
                self.deltas.call(start.index, Some(&start.name), "");
            }
            sink::Delta::CallArguments(part) => {
                self.deltas.call(part.index, None, &part.fragment);
            }
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
