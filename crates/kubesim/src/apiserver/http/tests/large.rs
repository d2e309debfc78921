//! Much of everything: large objects, many objects, many watchers.

use super::*;

async fn refusal(client: &Client, path: &str, body: &Value) -> (u16, String) {
    let request = Request::post(path).header("content-type", "application/json").body(body.to_string().into_bytes()).unwrap();
    let error = status(client.request::<Value>(request).await.unwrap_err());
    (error.code, error.message)
}

/// The limits of the real server, in the order in which a growing object meets them: validation's, etcd's
/// (`--max-request-bytes`), that of a request's body.
#[tokio::test(start_paused = true)]
async fn what_is_too_large_is_refused() {
    let client = cluster().client();
    let map = |size| json!({"metadata": {"name": "a"}, "data": {"k": "x".repeat(size)}});
    let (maps, pods) = ("/api/v1/namespaces/default/configmaps", "/api/v1/namespaces/default/pods");
    let _: Value = raw(&client, "POST", maps, "*/*", map(1024 * 1024)).await;
    let (code, message) = refusal(&client, maps, &map(2 * 1024 * 1024)).await;
    assert_eq!((code, message.as_str()), (422, "ConfigMap \"a\" is invalid: []: Too long: may not be more than 1048576 bytes"));
    let pod =
        json!({"metadata": {"name": "a"}, "spec": {"containers": [{"name": "c", "image": "i", "args": ["x".repeat(2 << 20)]}]}});
    assert_eq!(refusal(&client, pods, &pod).await, (500, "etcdserver: request is too large".to_owned()));
    let (code, message) = refusal(&client, maps, &map(3 * 1024 * 1024)).await;
    assert_eq!((code, message.as_str()), (413, "Request entity too large: limit is 3145728"));
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_objects_are_listed_in_pages() {
    let cluster = cluster();
    let maps: Api<ConfigMap> = Api::default_namespaced(cluster.client());
    for index in 0..10_000 {
        let map = of(json!({"metadata": {"name": format!("m-{index:05}")}}));
        maps.create(&PostParams::default(), &map).await.unwrap();
    }
    let mut names = Vec::new();
    let mut params = ListParams::default().limit(700);
    loop {
        let page = maps.list(&params).await.unwrap();
        names.extend(page.items.iter().map(ResourceExt::name_any));
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => break,
        }
    }
    names.retain(|name| name != "kube-root-ca.crt");
    let expected: Vec<String> = (0..10_000).map(|index| format!("m-{index:05}")).collect();
    assert_eq!(names, expected);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_watchers_see_the_same() {
    let cluster = cluster();
    let maps: Api<ConfigMap> = Api::default_namespaced(cluster.client());
    // The controllers' own map is there by then.
    cluster.clock().sleep(Duration::from_secs(1)).await;
    let start = maps.list(&ListParams::default()).await.unwrap().metadata.resource_version.unwrap();
    let mut watchers = Vec::new();
    for _ in 0..1_000 {
        let (maps, start) = (maps.clone(), start.clone());
        watchers.push(tokio::spawn(async move {
            let events: Vec<_> = maps.watch(&WatchParams::default(), &start).await.unwrap().take(10).try_collect().await.unwrap();
            let added = |event: &WatchEvent<ConfigMap>| match event {
                WatchEvent::Added(map) => map.name_any(),
                other => panic!("{other:?}"),
            };
            events.iter().map(added).collect::<Vec<_>>()
        }));
    }
    let names: Vec<String> = (0..10).map(|index| format!("w-{index}")).collect();
    for name in &names {
        tokio::time::sleep(Duration::from_millis(1)).await;
        maps.create(&PostParams::default(), &of(json!({"metadata": {"name": name}}))).await.unwrap();
    }
    for watcher in watchers {
        assert_eq!(watcher.await.unwrap(), names);
    }
}

/// What happened to the Pods of a cluster at work, told from every revision on, leads to the state that there is.
#[tokio::test(start_paused = true)]
async fn a_watch_from_any_revision_leads_to_the_same_state() {
    let cluster = Cluster::builder().seed(5).build();
    cluster.ready().await.unwrap();
    let client = cluster.client();
    let first = Api::<Pod>::default_namespaced(client.clone()).list(&ListParams::default()).await.unwrap();
    let first: u64 = first.metadata.resource_version.unwrap().parse().unwrap();
    let deployments: Api<Deployment> = Api::default_namespaced(client.clone());
    deployments.create(&PostParams::default(), &deployment("d")).await.unwrap();
    for replicas in [4, 1, 3] {
        cluster.clock().sleep(Duration::from_secs(20)).await;
        let patch = Patch::Merge(json!({"spec": {"replicas": replicas}}));
        deployments.patch("d", &PatchParams::default(), &patch).await.unwrap();
    }
    cluster.clock().sleep(Duration::from_mins(1)).await;
    let state = |list: &Value| -> std::collections::BTreeMap<String, Value> {
        let items = list["items"].as_array().unwrap().iter();
        items
            .map(|pod| (pod["metadata"]["name"].as_str().unwrap().to_owned(), pod["metadata"]["resourceVersion"].clone()))
            .collect()
    };
    let pods = "/api/v1/namespaces/default/pods";
    let end = raw(&client, "GET", pods, "*/*", Value::Null).await;
    let last: u64 = end["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap();
    assert!(last > first + 50, "{first} to {last}");
    for revision in first..=last {
        let then = format!("{pods}?resourceVersion={revision}&resourceVersionMatch=Exact");
        let mut seen = state(&raw(&client, "GET", &then, "*/*", Value::Null).await);
        let path = format!("{pods}?watch=1&resourceVersion={revision}&timeoutSeconds=1");
        let request = Request::get(path).body(Vec::new()).unwrap();
        let mut lines = client.request_stream(request).await.unwrap().lines();
        let mut newest = revision;
        while let Some(Ok(line)) = lines.next().await {
            let event: Value = serde_json::from_str(&line).unwrap();
            let metadata = &event["object"]["metadata"];
            let version: u64 = metadata["resourceVersion"].as_str().unwrap().parse().unwrap();
            assert!(version > newest, "{version} after {newest}");
            newest = version;
            if version > last {
                break;
            }
            let name = metadata["name"].as_str().unwrap().to_owned();
            let before = match event["type"].as_str() {
                Some("DELETED") => seen.remove(&name),
                _ => seen.insert(name, metadata["resourceVersion"].clone()),
            };
            assert_eq!(before.is_none(), event["type"] == "ADDED", "{event}");
        }
        assert_eq!(seen, state(&end), "from {revision}");
    }
}
