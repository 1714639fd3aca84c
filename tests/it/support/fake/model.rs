//! What the catalogue of a fake service says about a model, and what its checks go by.

/// One model; each service tells what its own catalogue has a place for.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    pub(super) id: String,
    /// Tokens of prompt and answer together.
    pub(super) context: u64,
    /// Tokens of the longest answer.
    pub(super) max_output: u64,
    pub(super) images: bool,
    pub(super) tools: bool,
    /// The levels of effort that it takes; without one it does not reason.
    pub(super) efforts: Vec<&'static str>,
    /// US dollars per million tokens: of the prompt, of the answer.
    pub(super) price: (f64, f64),
    /// Who serves it, where the service is a router.
    pub(super) providers: Vec<&'static str>,
}

impl Model {
    /// A model that takes tools and images and reasons, with a context of 128,000 tokens.
    pub(crate) fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            context: 128_000,
            max_output: 16_000,
            images: true,
            tools: true,
            efforts: vec!["low", "medium", "high", "xhigh", "max"],
            price: (2.0, 8.0),
            providers: vec!["fakeworks"],
        }
    }

    /// Sets the context and the longest answer, in tokens.
    pub(crate) fn tokens(self, context: u64, max_output: u64) -> Self {
        Self {
            context,
            max_output,
            ..self
        }
    }

    /// A model that refuses images.
    pub(crate) fn blind(self) -> Self {
        Self {
            images: false,
            ..self
        }
    }

    /// A model that refuses tools.
    pub(crate) fn without_tools(self) -> Self {
        Self {
            tools: false,
            ..self
        }
    }

    /// Sets the levels of effort that it takes, least first; without one it does not reason.
    pub(crate) fn efforts(self, efforts: &[&'static str]) -> Self {
        Self {
            efforts: efforts.to_vec(),
            ..self
        }
    }

    /// Sets the prices in US dollars per million tokens: of the prompt, of the answer.
    pub(crate) fn price(self, prompt: f64, answer: f64) -> Self {
        Self {
            price: (prompt, answer),
            ..self
        }
    }

    /// Sets who serves it behind a router.
    pub(crate) fn providers(self, providers: &[&'static str]) -> Self {
        Self {
            providers: providers.to_vec(),
            ..self
        }
    }
}
