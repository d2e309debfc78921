//! What a large node costs.

use serde_json::json;

use super::lab::*;

/// One hour of 300 Pods of which 30 crash-loop: at most 5 s of wall time in release. Run it with
/// `cargo test --release -p kubesim --lib -- --ignored --nocapture an_hour`.
#[test]
#[ignore = "a measurement"]
#[allow(clippy::disallowed_methods, reason = "it measures real time")]
fn an_hour_of_300_pods() {
    let began = std::time::Instant::now();
    let (rows, writes) = simulate(async {
        let mut lab = Lab::new(1, "1.37");
        for index in 0..300 {
            let spec = if index % 10 == 0 {
                liveness()
            } else {
                one(json!({
                    "image": "blux2/hello-server:1.6",
                    "readinessProbe": {"httpGet": {"path": "/health", "port": 8080}},
                    "livenessProbe": {"httpGet": {"path": "/health", "port": 8080}},
                }))
            };
            lab.start(&format!("p{index}"), spec).await;
        }
        lab.until(3_600.0).await;
        lab.assert_alive();
        (lab.rows.lock().unwrap().len(), lab.api.store().revision())
    });
    println!("{rows} rows, {writes} writes, {:?}", began.elapsed());
    assert!(rows > 300 * 4);
}
