//! The simulated API server answers whatever is asked, and never with an error of its own:
//! `cargo +nightly fuzz run api`.
//!
//! An input is a sequence of requests, one below the other and divided by lines of `---`: a line with the method, the path and
//! the content type, then the body.
#![no_main]

use http::Request;
use http_body_util::{BodyExt, Full};
use kubesim::Cluster;
use libfuzzer_sys::fuzz_target;
use tower::ServiceExt;

fuzz_target!(|input: &[u8]| {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
    runtime.block_on(async {
        let cluster = Cluster::builder().nodes(0).build();
        for part in split(input).take(30) {
            let Some(request) = request(part) else { continue };
            // The answer to a watch ends only with the watch.
            let is_watch = request.uri().query().is_some_and(|query| query.contains("watch"));
            let answer = cluster.api().http().oneshot(request).await.expect("every request has an answer");
            let is_failure = answer.status().as_u16() == 500;
            if !is_watch {
                let body = answer.into_body().collect().await.expect("a body does not fail").to_bytes();
                // The real server has this code for what is applied and is not of its type.
                assert!(!is_failure || String::from_utf8_lossy(&body).contains("failed to create typed patch object"));
            }
        }
    });
});

fn split(input: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(input);
    std::iter::from_fn(move || {
        let whole = rest?;
        let end = whole.windows(5).position(|window| window == b"\n---\n");
        rest = end.map(|end| &whole[end + 5..]);
        Some(&whole[..end.unwrap_or(whole.len())])
    })
}

fn request(part: &[u8]) -> Option<Request<Full<bytes::Bytes>>> {
    let end = part.iter().position(|byte| *byte == b'\n').unwrap_or(part.len());
    let mut words = std::str::from_utf8(&part[..end]).ok()?.split(' ');
    let request = Request::builder().method(words.next()?).uri(words.next()?);
    let request = request.header("content-type", words.next().unwrap_or("application/json"));
    request.body(Full::from(part.get(end + 1..).unwrap_or_default().to_vec())).ok()
}
