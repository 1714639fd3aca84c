use crate::support::{http::send, webhook_sink::WebhookSink};

#[tokio::test]
async fn deliveries_are_kept_and_answered_as_told() {
    let sink = WebhookSink::start_with(&[503, 429]).await;
    let url = format!("{}?a=1", sink.url());
    let mut statuses = Vec::new();
    for number in 0..3 {
        let body = format!("{{\"number\": {number}}}");
        statuses.push(
            send("POST", &url, &[("x-signature", "s")], body)
                .await
                .status,
        );
    }
    assert_eq!(statuses, [503, 429, 200]);

    let deliveries = sink.wait_for(3).await;
    assert_eq!(deliveries.len(), 3);
    assert_eq!(deliveries[1].json()["number"], 1);
    assert_eq!(
        (deliveries[1].method.as_str(), deliveries[1].status),
        ("POST", 429)
    );
    assert_eq!(deliveries[0].target, "/hook?a=1");
    assert_eq!(deliveries[0].headers["x-signature"], "s");
}

#[tokio::test]
async fn a_sink_waits_for_a_delivery_that_comes_later() {
    let sink = WebhookSink::start().await;
    let url = sink.url();
    let (deliveries, answer) = tokio::join!(sink.wait_for(1), send("POST", &url, &[], "x"));
    assert_eq!((deliveries.len(), answer.status), (1, 200));
}
