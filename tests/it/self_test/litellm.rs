use serde_json::json;

use crate::support::{
    fake::{Fake, MODEL, Reply, Script, Service},
    http::send,
    litellm::{LiteLlm, MASTER_KEY, says, stands_before},
};

#[tokio::test]
async fn the_proxy_answers_with_a_text_of_ours_and_with_that_of_a_server_behind_it() {
    let fake = Fake::start(Service::OpenAi, Script::new(|_| Reply::text("from behind"))).await;
    let models = [
        says("parrot", "hello from the proxy"),
        stands_before(MODEL, &fake.base_url(), "none"),
    ];
    let proxy = LiteLlm::start(&models).await;
    let url = format!("{}/chat/completions", proxy.base_url());
    let key = format!("Bearer {MASTER_KEY}");
    let headers = [
        ("content-type", "application/json"),
        ("authorization", key.as_str()),
    ];
    for (model, said) in [("parrot", "hello from the proxy"), (MODEL, "from behind")] {
        let messages = json!([{"role": "user", "content": "hi"}]);
        let request = json!({"model": model, "messages": messages}).to_string();
        let refused = send("POST", &url, &headers[..1], request.clone()).await;
        assert_ne!(refused.status, 200, "without a key");
        let answer = send("POST", &url, &headers, request).await.json();
        assert_eq!(answer["choices"][0]["message"]["content"], said, "{answer}");
    }
    fake.assert_all_accepted();
}
