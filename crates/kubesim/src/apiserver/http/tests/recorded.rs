//! Refusals in a real server's words. `refusals.jsonl` has what an API server v1.37.2 answered to objects that were sent with
//! `POST …?dryRun=All&fieldValidation=Strict` to a namespace with a service account `default`; each line is a request and its answer.

use super::*;

const RECORDED: &str = include_str!("refusals.jsonl");

#[tokio::test(start_paused = true)]
async fn what_a_real_server_refuses_is_refused_in_its_words() {
    let cluster = cluster();
    cluster.ready().await.unwrap();
    let client = cluster.client();
    for line in RECORDED.lines() {
        let recorded: Value = serde_json::from_str(line).unwrap();
        let path = format!("{}?dryRun=All&fieldValidation=Strict", recorded["path"].as_str().unwrap());
        let request = Request::post(path).header("content-type", "application/json");
        let request = request.body(recorded["object"].to_string().into_bytes()).unwrap();
        let Err(error) = client.request::<Value>(request).await else { panic!("accepted: {line}") };
        let answer = status(error);
        let expected = (&recorded["code"], recorded["message"].as_str().unwrap());
        assert_eq!((&json!(answer.code), answer.message.as_str()), expected, "{}", recorded["object"]);
    }
}
