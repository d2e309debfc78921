//! What volumes and their sources give to containers.

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use serde_json::json;

use super::lab::*;
use crate::{DeleteOptions, Patch};

#[expect(clippy::needless_pass_by_value, reason = "a literal is given")]
fn config(data: serde_json::Value) -> ConfigMap {
    serde_json::from_value(json!({"metadata": {"name": "settings", "namespace": "default"}, "data": data})).unwrap()
}

#[test]
fn a_missing_key_is_a_config_error_until_it_is_there() {
    simulate(async {
        let mut lab = Lab::new(1, "1.37");
        let source = json!({"configMapKeyRef": {"name": "settings", "key": "port"}});
        lab.start("p", one(json!({"image": "blux2/hello-server:1.6", "env": [{"name": "PORT", "valueFrom": source}]}))).await;
        lab.until(20.0).await;
        assert_eq!(lab.cells("p").last().unwrap(), "0/1 CreateContainerConfigError 0", "{}", lab.print("p"));
        assert!(lab.events().await.iter().any(|event| event.ends_with("Error: configmap \"settings\" not found")));
        lab.client.create(&config(json!({"other": "1"}))).await.unwrap();
        lab.until(40.0).await;
        let events = lab.events().await;
        assert!(events.iter().any(|e| e.ends_with("Error: couldn't find key port in ConfigMap default/settings")), "{events:?}");
        lab.client.patch::<ConfigMap>("default", "settings", &Patch::Merge(json!({"data": {"port": "9000"}}))).await.unwrap();
        lab.until(60.0).await;
        assert_eq!(lab.cells("p").last().unwrap(), "1/1 Running 0");
        assert_eq!(lab.log("p", "c", false).await.unwrap(), ["Starting server on port 9000"]);
    });
}

#[test]
fn a_missing_volume_keeps_the_container_from_being_made() {
    simulate(async {
        let mut lab = Lab::new(1, "1.37");
        let mut spec = one(json!({"image": "blux2/hello-server:1.6"}));
        spec["volumes"] = json!([{"name": "v", "configMap": {"name": "settings"}}]);
        lab.start("p", spec).await;
        lab.until(20.0).await;
        assert_eq!(lab.cells("p").last().unwrap(), "0/1 ContainerCreating 0");
        let events = lab.events().await;
        assert!(events[0].starts_with("Warning FailedMount x"), "{events:?}");
        assert!(events[0].ends_with("MountVolume.SetUp failed for volume \"v\" : configmap \"settings\" not found"), "{events:?}");
        lab.client.create(&config(json!({}))).await.unwrap();
        lab.until(60.0).await;
        assert_eq!(lab.cells("p").last().unwrap(), "1/1 Running 0");
    });
}

/// Half a second, one, two, four … up to about two minutes after each failure, whatever the syncs do.
#[test]
fn each_volume_has_one_back_off() {
    simulate(async {
        let mut lab = Lab::new(1, "1.37");
        let mut spec = one(json!({"image": "blux2/hello-server:1.6"}));
        spec["volumes"] = json!([{"name": "v", "configMap": {"name": "settings"}}]);
        lab.start("p", spec).await;
        for (second, count) in
            [(1.2, 2), (2.2, 3), (5.0, 4), (10.0, 5), (20.0, 6), (40.0, 7), (80.0, 8), (120.0, 8), (140.0, 9), (260.0, 10)]
        {
            lab.until(second).await;
            assert_eq!(lab.count("FailedMount").await, count, "at {second}: {:?}", lab.events().await);
        }
        let message = "Unable to attach or mount volumes: unmounted volumes=[v], unattached volumes=[], failed to process volumes=[]: \
                       context deadline exceeded";
        let events = lab.events().await;
        assert!(events.iter().any(|event| event.starts_with("Warning FailedMount") && event.ends_with(message)), "{events:?}");
    });
}

#[test]
fn a_missing_key_of_a_secret_is_named() {
    simulate(async {
        let mut lab = Lab::new(1, "1.37");
        let secret = json!({"metadata": {"name": "s", "namespace": "default"}, "data": {}});
        lab.client.create::<Secret>(&serde_json::from_value(secret).unwrap()).await.unwrap();
        let mut spec = one(json!({"image": "blux2/hello-server:1.6"}));
        spec["volumes"] = json!([{"name": "v", "secret": {"secretName": "s", "items": [{"key": "k", "path": "k"}]}}]);
        lab.start("p", spec).await;
        lab.until(2.0).await;
        assert!(lab.events().await[0].ends_with("references non-existent secret key: k"), "{:?}", lab.events().await);
    });
}

#[test]
fn mounted_keys_are_files() {
    simulate(async {
        let mut lab = Lab::new(1, "1.37");
        lab.client.create(&config(json!({"a": "one\n", "b": "two\n"}))).await.unwrap();
        let mut spec = shell("ls /etc/config; cat /etc/config/a /b; sleep 99");
        spec["volumes"] = json!([{"name": "v", "configMap": {"name": "settings"}}]);
        spec["containers"][0]["volumeMounts"] =
            json!([{"name": "v", "mountPath": "/etc/config"}, {"name": "v", "mountPath": "/b", "subPath": "b"}]);
        lab.start("p", spec).await;
        lab.until(3.0).await;
        assert_eq!(lab.log("p", "c", false).await.unwrap(), ["a", "b", "one", "two"]);
    });
}

/// The next sync of a Pod that nothing else happens to comes within 90 s.
#[test]
fn a_mounted_key_changes_with_its_config_map() {
    simulate(async {
        let mut lab = Lab::new(1, "1.37");
        lab.client.create(&config(json!({"a": "one\n", "b": "two\n"}))).await.unwrap();
        let mut spec = shell("sleep 120; ls /c; cat /c/a /d");
        spec["volumes"] = json!([{"name": "v", "configMap": {"name": "settings"}}]);
        spec["containers"][0]["volumeMounts"] =
            json!([{"name": "v", "mountPath": "/c"}, {"name": "v", "mountPath": "/d", "subPath": "a"}]);
        spec["restartPolicy"] = json!("Never");
        lab.start("p", spec).await;
        lab.until(3.0).await;
        let patch = Patch::Merge(json!({"data": {"a": "three\n", "b": null, "c": "four\n"}}));
        lab.client.patch::<ConfigMap>("default", "settings", &patch).await.unwrap();
        lab.until(130.0).await;
        assert_eq!(lab.log("p", "c", false).await.unwrap(), ["a", "c", "three", "one"]);
    });
}

#[test]
fn a_config_map_that_goes_is_told_and_its_files_stay() {
    simulate(async {
        let mut lab = Lab::new(1, "1.37");
        lab.client.create(&config(json!({"a": "one\n"}))).await.unwrap();
        let mut spec = shell("sleep 120; cat /c/a; sleep 99");
        spec["volumes"] = json!([{"name": "v", "configMap": {"name": "settings"}}]);
        spec["containers"][0]["volumeMounts"] = json!([{"name": "v", "mountPath": "/c"}]);
        lab.start("p", spec).await;
        lab.until(3.0).await;
        lab.client.delete::<ConfigMap>("default", "settings", &DeleteOptions::default()).await.unwrap();
        lab.until(130.0).await;
        assert_eq!(lab.log("p", "c", false).await.unwrap(), ["one"]);
        assert!(lab.count("FailedMount").await > 1, "{:?}", lab.events().await);
    });
}

/// An `emptyDir` lasts from container to container, as long as its Pod does.
#[test]
fn containers_share_an_empty_dir() {
    simulate(async {
        let mut lab = Lab::new(1, "1.37");
        let mut spec = shell("cat /data/greeting; echo again >> /data/greeting; exit 1");
        spec["volumes"] = json!([{"name": "v", "emptyDir": {}}]);
        spec["containers"][0]["volumeMounts"] = json!([{"name": "v", "mountPath": "/data"}]);
        spec["initContainers"] = json!([{
            "name": "i", "image": "busybox:1.36.1", "command": ["sh", "-c", "echo hello > /scratch/greeting"],
            "volumeMounts": [{"name": "v", "mountPath": "/scratch"}],
        }]);
        lab.start("p", spec).await;
        lab.until(10.0).await;
        assert_eq!(lab.log("p", "c", true).await.unwrap(), ["hello", "again"], "{}", lab.print("p"));
    });
}
