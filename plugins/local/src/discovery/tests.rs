//! Lists as the servers answer them.

use super::*;
use crate::server::{KINDS, Kind, LLAMACPP, OLLAMA};
use std::cell::RefCell;

/// Servers as a user has them who set these URLs.
fn servers(set: &[(&str, &str)]) -> Vec<Server> {
    let get = |key: &str| {
        let found = set.iter().find(|(name, _)| *name == key);
        Ok(found.map(|(_, url)| (*url).to_owned()))
    };
    KINDS.map(|kind| Server::read(kind, &get).unwrap()).to_vec()
}

/// What comes of asking where these URLs (and bodies) have these answers, and nothing else runs; and what was asked.
fn asked(
    servers: &[Server],
    window: Option<u32>,
    answers: &[(&str, &str)],
) -> (Result<Vec<Model>, Error>, Vec<String>) {
    let log = RefCell::new(Vec::new());
    let ask = |_: &Server, question: Question<'_>| {
        let body = String::from_utf8(question.body.unwrap_or_default()).unwrap();
        let url = format!("{}{}{body}", question.base_url, question.path);
        let found = answers.iter().find(|(known, _)| *known == url);
        log.borrow_mut().push(url);
        match found {
            Some((_, answer)) => Ok(answer.as_bytes().to_vec()),
            None => Err(Error::unreachable(format!(
                "`{}` cannot be reached: connection refused",
                question.base_url
            ))),
        }
    };
    let result = models(servers, window, &ask);
    (result, log.into_inner())
}

fn found(set: &[(&str, &str)], answers: &[(&str, &str)]) -> Vec<Model> {
    asked(&servers(set), None, answers).0.unwrap()
}

/// Id, window, tools, images.
fn seen(models: &[Model]) -> Vec<(&str, u32, bool, bool)> {
    let seen = |model: &Model| (model.context_window, model.tools, model.images);
    let all = models.iter().map(|model| (model, seen(model)));
    all.map(|(model, (window, tools, images))| (model.id.as_str(), window, tools, images))
        .collect()
}

const VLLM_LIST: &str = r#"{"object":"list","data":[{"id":"Qwen/Qwen3-8B","object":"model","created":1,"owned_by":"vllm","root":"Qwen/Qwen3-8B","parent":null,"max_model_len":40960,"permission":[]}]}"#;
const LLAMACPP_LIST: &str = r#"{"models":[{"name":"m.gguf"}],"object":"list","data":[{"id":"m.gguf","object":"model","created":1,"owned_by":"llamacpp","meta":{"vocab_type":2,"n_vocab":151936,"n_ctx_train":131072,"n_embd":4096}}]}"#;
const OLLAMA_LIST: &str = r#"{"object":"list","data":[{"id":"qwen3:8b","object":"model","created":1,"owned_by":"library"},{"id":"llava:7b","object":"model","created":1,"owned_by":"library"},{"id":"nomic-embed-text:latest","object":"model","created":1,"owned_by":"library"}]}"#;
const LM_STUDIO_LIST: &str = r#"{"object":"list","data":[{"id":"qwen2-vl","object":"model","owned_by":"organization_owner"},{"id":"text-embedding-x","object":"model","owned_by":"organization_owner"}]}"#;

#[test]
fn servers_that_do_not_run_are_left_out() {
    let found = found(&[], &[("http://localhost:8000/v1/models", VLLM_LIST)]);
    assert_eq!(seen(&found), [("vllm/Qwen/Qwen3-8B", 40960, true, false)]);
    let price = found[0].price.unwrap();
    assert_eq!((price.input, price.output), (0.0, 0.0));
    assert!(found[0].efforts.is_empty());
}

#[test]
fn ollama_is_asked_about_each_model() {
    let show = |name| format!("http://localhost:11434/api/show{{\"model\":\"{name}\"}}");
    let (qwen, llava, nomic) = (
        show("qwen3:8b"),
        show("llava:7b"),
        show("nomic-embed-text:latest"),
    );
    let answers = [
        ("http://localhost:11434/v1/models", OLLAMA_LIST),
        (
            qwen.as_str(),
            r#"{"modelfile":"…","parameters":"temperature 0.6\nstop \"<|im_end|>\"","capabilities":["completion","tools","thinking"],"model_info":{"general.architecture":"qwen3","qwen3.context_length":40960}}"#,
        ),
        (
            llava.as_str(),
            r#"{"parameters":"num_ctx                        8192","capabilities":["completion","vision"],"model_info":{"general.architecture":"llama","llama.context_length":32768}}"#,
        ),
        (
            nomic.as_str(),
            r#"{"capabilities":["embedding"],"model_info":{"general.architecture":"nomic-bert","nomic-bert.context_length":2048}}"#,
        ),
    ];
    assert_eq!(
        seen(&found(&[], &answers)),
        [
            ("ollama/qwen3:8b", 40960, true, false),
            ("ollama/llava:7b", 8192, false, true)
        ]
    );
    // How it is loaded counts more than how it was trained.
    let running = (
        "http://localhost:11434/api/ps",
        r#"{"models":[{"name":"qwen3:8b","model":"qwen3:8b","context_length":4096}]}"#,
    );
    let loaded = found(&[], &[&answers[..], &[running]].concat());
    assert_eq!(loaded[0].context_window, 4096);
}

#[test]
fn ollama_is_not_asked_about_hundreds_of_models() {
    let entries: Vec<_> = (0..40).map(|at| format!(r#"{{"id":"m{at}"}}"#)).collect();
    let list = format!(r#"{{"data":[{}]}}"#, entries.join(","));
    let ask = |_: &Server, question: Question<'_>| {
        Ok(match question.path {
            "/models" => list.clone().into_bytes(),
            _ => b"{}".to_vec(),
        })
    };
    let count = RefCell::new(0);
    let counted = |server: &Server, question: Question<'_>| {
        *count.borrow_mut() += usize::from(question.path == "/api/show");
        ask(server, question)
    };
    let ollama = &servers(&[])[..1];
    assert_eq!(models(ollama, None, &counted).unwrap().len(), 40);
    assert_eq!(count.into_inner(), 32);
    // And one that stops answering is left alone, though its models stay.
    let (found, asked) = asked(ollama, None, &[("http://localhost:11434/v1/models", &list)]);
    assert_eq!((found.unwrap().len(), asked.len()), (40, 3));
}

#[test]
fn llamacpp_says_what_it_was_started_with() {
    let list = ("http://localhost:8080/v1/models", LLAMACPP_LIST);
    let props = (
        "http://localhost:8080/props",
        r#"{"default_generation_settings":{"id":0,"n_ctx":8192},"total_slots":4,"modalities":{"vision":true,"audio":false}}"#,
    );
    assert_eq!(
        seen(&found(&[], &[list, props])),
        [("llamacpp/m.gguf", 8192, true, true)]
    );
    assert_eq!(
        seen(&found(&[], &[list])),
        [("llamacpp/m.gguf", 131_072, true, false)]
    );
    // Beside `/v1` nothing may be asked where the user named `/v1`.
    let set = [("llamacpp-url", "http://localhost:8080/v1")];
    let (found, asked) = asked(&servers(&set), Some(32768), &[list, props]);
    assert_eq!(
        seen(&found.unwrap()),
        [("llamacpp/m.gguf", 32768, true, false)]
    );
    assert!(!asked.iter().any(|url| url.ends_with("/props")));
}

#[test]
fn lm_studio_lists_more_at_a_path_of_its_own() {
    let own = r#"{"object":"list","data":[
        {"id":"qwen2-vl","object":"model","type":"vlm","publisher":"x","arch":"qwen2_vl","state":"loaded","max_context_length":32768,"loaded_context_length":4096},
        {"id":"gpt-oss-20b","object":"model","type":"llm","state":"not-loaded","max_context_length":131072,"capabilities":["tool_use"]},
        {"id":"gemma","object":"model","type":"llm","state":"not-loaded","max_context_length":8192,"capabilities":[]},
        {"id":"text-embedding-x","object":"model","type":"embeddings","state":"not-loaded","max_context_length":2048}]}"#;
    let list = ("http://127.0.0.1:1234/v1/models", LM_STUDIO_LIST);
    assert_eq!(
        seen(&found(
            &[],
            &[list, ("http://127.0.0.1:1234/api/v0/models", own)]
        )),
        [
            ("lm_studio/qwen2-vl", 4096, true, true),
            ("lm_studio/gpt-oss-20b", 131_072, true, false),
            ("lm_studio/gemma", 8192, false, false),
        ]
    );
    assert_eq!(found(&[], &[list]).len(), 2);
}

#[test]
fn one_place_for_all_is_asked_once_and_says_what_it_is() {
    let place = "http://gpu.lan:9000/";
    let all = KINDS.map(|kind| (kind.key, place));
    for (list, id) in [
        (VLLM_LIST, "vllm/Qwen/Qwen3-8B"),
        (LLAMACPP_LIST, "llamacpp/m.gguf"),
        (OLLAMA_LIST, "ollama/qwen3:8b"),
        (LM_STUDIO_LIST, "lm_studio/qwen2-vl"),
        (r#"{"data":[{"id":"x","owned_by":"sglang"}]}"#, "vllm/x"),
        (r#"{"data":[{"id":"x"}]}"#, "vllm/x"),
    ] {
        let (found, asked) = asked(
            &servers(&all),
            None,
            &[("http://gpu.lan:9000/v1/models", list)],
        );
        assert_eq!(found.unwrap()[0].id, id);
        assert_eq!(
            asked
                .iter()
                .filter(|url| url.ends_with("/v1/models"))
                .count(),
            1
        );
    }
    // Only a kind whose URL it is can be asked there afterwards.
    let two = [(OLLAMA.key, place), (LLAMACPP.key, place)];
    let answers = [("http://gpu.lan:9000/v1/models", VLLM_LIST)];
    assert_eq!(found(&two, &answers)[0].id, "ollama/Qwen/Qwen3-8B");
}

#[test]
fn a_server_without_models_and_names_that_cannot_be_asked_for() {
    let empty = r#"{"object":"list","data":null}"#;
    assert!(found(&[], &[("http://localhost:11434/v1/models", empty)]).is_empty());
    let blank = r#"{"data":[{"id":"/m/My Model.gguf"},{"id":""},{"id":"/m/a.gguf"}]}"#;
    let found = found(&[], &[("http://localhost:8080/v1/models", blank)]);
    assert_eq!(seen(&found), [("llamacpp//m/a.gguf", 0, true, false)]);
}

#[test]
fn where_none_runs_every_place_is_named_with_how_to_start_a_server() {
    let (result, asked) = asked(
        &servers(&[]),
        None,
        &[("http://localhost:8000/v1/models", "<html>")],
    );
    let Err(Error::Upstream(upstream)) = result else {
        panic!("not upstream");
    };
    assert!(!upstream.retryable);
    for text in [
        "`http://localhost:11434/v1` cannot be reached: connection refused",
        "`http://localhost:8000/v1`: the server's list of models cannot be read",
        "http://127.0.0.1:1234/v1",
        "http://localhost:8080/v1",
        "if it should be Ollama, start it with `ollama serve`",
        "llama-server",
    ] {
        assert!(upstream.message.contains(text), "{}", upstream.message);
    }
    assert_eq!(asked.len(), 4);
}

#[test]
fn a_server_that_wants_a_key_is_no_server_that_does_not_run() {
    let kind: &Kind = &VLLM;
    let ask = |server: &Server, question: Question<'_>| match server.kind == kind {
        true => Err(Error::AuthRequired(server.kind.credential.to_owned())),
        false => Err(Error::unreachable(format!(
            "`{}` cannot be reached",
            question.base_url
        ))),
    };
    let result = models(&servers(&[]), None, &ask);
    assert!(matches!(result, Err(Error::AuthRequired(name)) if name == "vllm"));
}
