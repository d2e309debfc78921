//! Stage 4: an action becomes requests to the API server.

use std::fmt;
use std::time::Duration;

use http::{Method, header};
use kube::client::UpgradeConnectionError;
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::errors::words;
use crate::resources::{Resource, ResourceError};
use crate::scenario::{Action, Exec, FieldPath, ObjectRef, PatchType, Request, Segment, Set, keyed};
use crate::timeline::ActionResult;

/// The field manager of everything that labproof applies.
const FIELD_MANAGER: &str = "labproof";

/// How long a request that the API server does not take is tried again.
const PATIENCE: Duration = Duration::from_secs(30);

/// A command or request that is not answered in this time has failed.
const LONGEST_ANSWER: Duration = Duration::from_secs(30);

/// How much of an answer is kept.
const LONGEST_OUTPUT: u64 = 64 * 1024;

const MERGE_PATCH: &str = "application/merge-patch+json";
const JSON_PATCH: &str = "application/json-patch+json";

/// Acts in one namespace.
pub struct Actor {
    /// Talks to the API server. It must not retry on its own, or time zero is lost.
    pub client: Client,
    /// The scenario's namespace; nothing outside of it is touched.
    pub namespace: String,
}

/// A request that came to nothing.
#[derive(Debug)]
enum Refusal {
    /// It was not carried out: the API server was not reached, or asked to come again.
    NotYet(String),
    /// Whether it was carried out is not known: the answer was lost.
    Unknown(String),
    /// There is no such object.
    NotFound(String),
    /// The API server understood it and will never carry it out: what the scenario asks for is wrong.
    Refused(String),
    /// It came to nothing, and that says nothing of what the scenario asks for.
    Failed(String),
}

impl Refusal {
    fn new(error: &kube::Error) -> Self {
        let text = words(error);
        match error {
            kube::Error::Api(status) => Self::by_status(status.code, text),
            // A command that is not even begun is answered as any other request.
            kube::Error::UpgradeConnection(UpgradeConnectionError::ProtocolSwitch(status)) => {
                Self::by_status(status.as_u16(), text)
            }
            _ if text.contains("onnection refused") => Self::NotYet(text),
            _ => Self::Unknown(text),
        }
    }

    /// Who may not do something, or is not known, has a wrong cluster and not a wrong scenario; but each namespace of a scenario has
    /// the same Pod Security Standard (`pod-security-admission/admission/admission.go`).
    fn by_status(code: u16, text: String) -> Self {
        match code {
            429 => Self::NotYet(text),
            // Given to what is not of its type (`apimachinery/pkg/util/managedfields/internal/structuredmerge.go`).
            500 if text.contains("failed to create typed patch object") => Self::Refused(text),
            500.. | 408 => Self::Unknown(text),
            404 => Self::NotFound(text),
            409 if text.contains("the object has been modified") => Self::NotYet(text),
            401 => Self::Failed(text),
            403 if !text.contains("violates PodSecurity") => Self::Failed(text),
            _ => Self::Refused(text),
        }
    }

    fn reason(&mut self) -> &mut String {
        match self {
            Self::NotYet(reason)
            | Self::Unknown(reason)
            | Self::NotFound(reason)
            | Self::Refused(reason)
            | Self::Failed(reason) => reason,
        }
    }

    /// The same, said of an object.
    fn about(mut self, object: impl fmt::Display) -> Self {
        let reason = self.reason();
        *reason = format!("{object}: {reason}");
        self
    }
}

impl From<Refusal> for ActionResult {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotFound(error) | Refusal::Refused(error) => Self::Refused { error },
            Refusal::NotYet(error) | Refusal::Unknown(error) | Refusal::Failed(error) => Self::Failed { error },
        }
    }
}

impl Actor {
    /// Does what a step says; `objects` are those of its manifests. `sending` is called each time the first request is sent: the
    /// last call is the step's time zero.
    pub async fn act(&self, action: &Action, objects: &[Value], sending: &mut dyn FnMut()) -> ActionResult {
        let done = match action {
            Action::Observe => {
                sending();
                return ActionResult::Done;
            }
            Action::Exec(exec) => {
                sending();
                return self.exec(exec).await.unwrap_or_else(ActionResult::from);
            }
            Action::Request(request) => self.request(request, sending).await,
            Action::Apply(_) => self.each(objects.iter(), sending, Self::apply).await,
            Action::DeleteManifests(_) => self.each(objects.iter().rev(), sending, Self::delete).await,
            Action::Delete(object) => self.each([reference(object)].iter(), sending, Self::delete).await,
            Action::Patch(patch) => {
                let content = match patch.patch_type {
                    PatchType::Strategic => "application/strategic-merge-patch+json",
                    PatchType::Merge => MERGE_PATCH,
                    PatchType::Json => JSON_PATCH,
                };
                self.patch_one(&patch.object, "", content, &patch.patch, sending).await
            }
            Action::Scale { object, replicas } => {
                let patch = json!({"spec": {"replicas": replicas}});
                self.patch_one(object, "/scale", MERGE_PATCH, &patch, sending).await
            }
            Action::Set(set) => self.set(set, sending).await,
        };
        done.unwrap_or_else(ActionResult::from)
    }

    /// One request for each object, in order, each tried again while it is not taken.
    async fn each<'a, F>(
        &'a self,
        objects: impl Iterator<Item = &'a Value>,
        sending: &mut dyn FnMut(),
        request: F,
    ) -> Result<ActionResult, Refusal>
    where
        F: AsyncFn(&'a Self, &'a Value, bool) -> Result<(), Refusal>,
    {
        let mut first = true;
        let mut result = ActionResult::Done;
        for object in objects {
            let noted = self
                .patiently(
                    &mut || {
                        if first {
                            sending();
                        }
                    },
                    async |again| request(self, object, again).await,
                )
                .await;
            let unsure = noted.map_err(|refusal| refusal.about(name(object)))?;
            result = unsure.map_or(result, |reason| ActionResult::Unsure { reason });
            first = false;
        }
        Ok(result)
    }

    /// Tries again while the request is not taken. Gives the reason why it is not known when it was carried out, if so. The request
    /// is told whether an earlier attempt may have been carried out.
    async fn patiently<F>(&self, sending: &mut dyn FnMut(), request: F) -> Result<Option<String>, Refusal>
    where
        F: AsyncFn(bool) -> Result<(), Refusal>,
    {
        let started = tokio::time::Instant::now();
        let mut wait = Duration::from_millis(50);
        let mut unsure = None;
        loop {
            sending();
            let reason = match request(unsure.is_some()).await {
                Ok(()) => return Ok(unsure),
                Err(Refusal::NotYet(reason)) => reason,
                Err(Refusal::Unknown(reason)) => unsure.insert(reason).clone(),
                Err(final_one) => return Err(final_one),
            };
            if started.elapsed() + wait > PATIENCE {
                return Err(Refusal::Failed(format!("{reason} (tried for {} s)", PATIENCE.as_secs())));
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(Duration::from_secs(1));
        }
    }

    async fn apply(&self, object: &Value, _again: bool) -> Result<(), Refusal> {
        let path = self.path(object, "").await?;
        let mut object = object.clone();
        object["metadata"]["namespace"] = json!(self.namespace);
        let uri = format!("{path}?fieldManager={FIELD_MANAGER}&force=true&fieldValidation=Strict");
        self.send(Method::PATCH, &uri, "application/apply-patch+yaml", &object).await.map(|_| ())
    }

    async fn delete(&self, object: &Value, again: bool) -> Result<(), Refusal> {
        let path = self.path(object, "").await?;
        let options = json!({"propagationPolicy": "Background"});
        match self.send(Method::DELETE, &path, "application/json", &options).await {
            Err(Refusal::NotFound(_)) if again => Ok(()),
            other => other.map(|_| ()),
        }
    }

    async fn patch_one(
        &self,
        object: &ObjectRef,
        subresource: &str,
        content: &str,
        patch: &Value,
        sending: &mut dyn FnMut(),
    ) -> Result<ActionResult, Refusal> {
        let reference = reference(object);
        let unsure = self
            .patiently(sending, async |_| {
                let path = self.path(&reference, subresource).await?;
                let uri = format!("{path}?fieldManager={FIELD_MANAGER}");
                match self.send(Method::PATCH, &uri, content, patch).await {
                    // Unlike the others, it may do something else the second time.
                    Err(Refusal::Unknown(reason)) if content == JSON_PATCH => {
                        Err(Refusal::Failed(format!("it is not known whether it was carried out: {reason}")))
                    }
                    other => other.map(|_| ()),
                }
            })
            .await
            .map_err(|refusal| refusal.about(object))?;
        Ok(unsure.map_or(ActionResult::Done, |reason| ActionResult::Unsure { reason }))
    }

    /// Reads the object, checks the old value, and replaces it in exactly that version of the object.
    async fn set(&self, set: &Set, sending: &mut dyn FnMut()) -> Result<ActionResult, Refusal> {
        let reference = reference(&set.object);
        let unsure = self
            .patiently(sending, async |again| {
                let path = self.path(&reference, "").await?;
                let object = self.send(Method::GET, &path, "application/json", &Value::Null).await.map_err(without_effect)?;
                if again && set.field.get(&object) == Some(&set.to) {
                    return Ok(());
                }
                let patch = replacement(set, &object).map_err(Refusal::Refused)?;
                let uri = format!("{path}?fieldManager={FIELD_MANAGER}");
                match self.send(Method::PATCH, &uri, JSON_PATCH, &patch).await {
                    // Somebody else, such as a controller, has written the object in between.
                    Err(Refusal::Refused(reason)) if reason.contains("resourceVersion") => Err(Refusal::NotYet(reason)),
                    other => other.map(|_| ()),
                }
            })
            .await
            .map_err(|refusal| refusal.about(&set.object))?;
        Ok(unsure.map_or(ActionResult::Done, |reason| ActionResult::Unsure { reason }))
    }

    async fn exec(&self, exec: &Exec) -> Result<ActionResult, Refusal> {
        let pods: Api<k8s_openapi::api::core::v1::Pod> = Api::namespaced(self.client.clone(), &self.namespace);
        let mut parameters = kube::api::AttachParams::default().stdin(false).stdout(true).stderr(true);
        parameters.container.clone_from(&exec.container);
        let run = async {
            let mut process = pods.exec(&exec.pod, &exec.command, &parameters).await.map_err(|error| Refusal::new(&error))?;
            let status = process.take_status();
            let (stdout, stderr) = tokio::join!(output(process.stdout()), output(process.stderr()));
            let status = match status {
                Some(status) => status.await,
                None => None,
            };
            let status = status.ok_or_else(|| Refusal::Failed("the connection ended before the command did".to_owned()))?;
            Ok(ActionResult::Executed { exit_code: exit_code(&status).map_err(Refusal::Failed)?, stdout, stderr })
        };
        let answer = tokio::time::timeout(LONGEST_ANSWER, run).await;
        answer.unwrap_or_else(|_| Err(Refusal::Failed(format!("the command did not end in {} s", LONGEST_ANSWER.as_secs()))))
    }

    async fn request(&self, request: &Request, sending: &mut dyn FnMut()) -> Result<ActionResult, Refusal> {
        let answered = std::sync::OnceLock::new();
        self.patiently(sending, async |_| {
            let answer = tokio::time::timeout(LONGEST_ANSWER, self.ask(request)).await;
            let late = || Err(Refusal::Failed(format!("{} did not answer in {} s", request.to, LONGEST_ANSWER.as_secs())));
            let answer = answer.unwrap_or_else(|_| late())?;
            // It is set once: what is answered is not asked again.
            let _ = answered.set(answer);
            Ok(())
        })
        .await?;
        answered.into_inner().ok_or_else(|| Refusal::Failed(format!("{} did not answer", request.to)))
    }

    async fn ask(&self, request: &Request) -> Result<ActionResult, Refusal> {
        let plural = if request.to.kind == "Service" { "services" } else { "pods" };
        let Request { to, port, path, .. } = request;
        let uri = format!("/api/v1/namespaces/{}/{plural}/{}:{port}/proxy{path}", self.namespace, to.name);
        let message = http::Request::get(uri).body(kube::client::Body::empty());
        let message = message.map_err(|error| Refusal::Refused(error.to_string()))?;
        let broken = |error: &kube::Error| without_effect(Refusal::new(error));
        let response = self.client.send(message).await.map_err(|error| broken(&error))?;
        let status = response.status().as_u16();
        let body = response.into_body().collect_bytes().await.map_err(|error| broken(&error))?;
        if let Some(reason) = own_failure(status, &body) {
            return Err(Refusal::NotYet(reason));
        }
        let end = body.len().min(usize::try_from(LONGEST_OUTPUT).unwrap_or(usize::MAX));
        Ok(ActionResult::Answered { status, body: String::from_utf8_lossy(&body[..end]).into_owned() })
    }

    async fn path(&self, object: &Value, subresource: &str) -> Result<String, Refusal> {
        let text = |pointer| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let resource = Resource::find(&self.client, text("/apiVersion"), text("/kind")).await;
        let resource = resource.map_err(|error| match error {
            ResourceError::Undiscovered { error, .. } => without_effect(Refusal::new(&error)),
            ResourceError::Unknown { .. } | ResourceError::ClusterScoped(_) => Refusal::Refused(error.to_string()),
        })?;
        Ok(format!("{}/{}{subresource}", resource.path(&self.namespace), text("/metadata/name")))
    }

    async fn send(&self, method: Method, uri: &str, content: &str, body: &Value) -> Result<Value, Refusal> {
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let request = http::Request::builder().method(method).uri(uri).header(header::CONTENT_TYPE, content).body(body);
        let request = request.map_err(|error| Refusal::Refused(error.to_string()))?;
        self.client.request(request).await.map_err(|error| Refusal::new(&error))
    }
}

/// A request that only reads can be sent again, whatever became of it.
fn without_effect(refusal: Refusal) -> Refusal {
    match refusal {
        Refusal::Unknown(reason) => Refusal::NotYet(reason),
        other => other,
    }
}

/// What the API server says if it is itself that fails, not what stands behind its proxy: that it cannot be reached is 503
/// (`apimachinery/pkg/util/proxy/upgradeaware.go`).
fn own_failure(status: u16, body: &[u8]) -> Option<String> {
    if !matches!(status, 429 | 500) {
        return None;
    }
    let answer: Value = serde_json::from_slice(body).ok()?;
    let is_status = answer.get("kind").and_then(Value::as_str) == Some("Status");
    let message = answer.get("message").and_then(Value::as_str).unwrap_or("no reason");
    is_status.then(|| format!("the API server answered {status}: {message}"))
}

fn reference(object: &ObjectRef) -> Value {
    json!({"apiVersion": object.api_version, "kind": object.kind, "metadata": {"name": object.name}})
}

fn name(object: &Value) -> String {
    let text = |pointer| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    format!("{}/{}", text("/kind").to_lowercase(), text("/metadata/name"))
}

/// A JSON patch that gives the field its new value, and fails if the object has changed since it was read.
fn replacement(set: &Set, object: &Value) -> Result<Value, String> {
    let found = set.field.get(object);
    if let Some(from) = &set.from
        && found != Some(from)
    {
        if set.object.is_secret() {
            return Err(format!("{} is not what the scenario says that it is", set.field));
        }
        let found = found.map_or_else(|| "is not set".to_owned(), |value| format!("is {value}"));
        return Err(format!("{} {found}, but the scenario says that it is {from}", set.field));
    }
    let pointer = json_pointer(&set.field, object)?;
    let operation = if found.is_some() { "replace" } else { "add" };
    let version = object.pointer("/metadata/resourceVersion").cloned().unwrap_or_default();
    Ok(json!([
        {"op": "test", "path": "/metadata/resourceVersion", "value": version},
        {"op": operation, "path": pointer, "value": set.to},
    ]))
}

/// The path as a JSON pointer (RFC 6901) into this object. Only its last part may be missing in the object.
fn json_pointer(field: &FieldPath, object: &Value) -> Result<String, String> {
    let mut pointer = String::new();
    for segment in field.segments() {
        let parent = object.pointer(&pointer).ok_or_else(|| format!("{field}: there is no {pointer} in the object"))?;
        let part = match segment {
            Segment::Field(name) => name.replace('~', "~0").replace('/', "~1"),
            Segment::Index(index) => index.to_string(),
            Segment::Keyed(key, text) => {
                let found = keyed(parent, key, text);
                found.ok_or_else(|| format!("{field}: no item of {pointer} has {key} {text}"))?.to_string()
            }
        };
        pointer = format!("{pointer}/{part}");
    }
    Ok(pointer)
}

/// The beginning of what a command writes; the rest is read too, or the command would never end.
async fn output(stream: Option<impl AsyncRead + Unpin>) -> String {
    let mut bytes = Vec::new();
    if let Some(mut stream) = stream {
        // A connection that breaks shows in the command's status.
        let _ = (&mut stream).take(LONGEST_OUTPUT).read_to_end(&mut bytes).await;
        let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The exit code is a cause of the status (`client-go/tools/remotecommand/v4.go`).
fn exit_code(status: &k8s_openapi::apimachinery::pkg::apis::meta::v1::Status) -> Result<i32, String> {
    if status.status.as_deref() == Some("Success") {
        return Ok(0);
    }
    let causes = status.details.iter().flat_map(|details| details.causes.iter().flatten());
    let code =
        causes.filter(|cause| cause.reason.as_deref() == Some("ExitCode")).find_map(|cause| cause.message.as_ref()?.parse().ok());
    code.ok_or_else(|| status.message.clone().unwrap_or_else(|| "the command could not be run".to_owned()))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use tokio::io::AsyncWriteExt;

    use super::*;

    #[tokio::test]
    async fn a_command_that_writes_much_ends() {
        let (mut command, stream) = tokio::io::duplex(1024);
        let written = 2 * usize::try_from(LONGEST_OUTPUT).unwrap();
        let writing = async move { command.write_all(&vec![b'x'; written]).await.unwrap() };
        let (text, ()) = tokio::join!(output(Some(stream)), writing);
        assert_eq!(text.len(), written / 2);
    }

    #[rstest]
    #[case(400, "unknown field", true)]
    #[case(404, "pods \"x\" not found", true)]
    #[case(409, "already exists", true)]
    #[case(422, "is invalid", true)]
    #[case(403, "pods \"x\" is forbidden: violates PodSecurity \"baseline:latest\"", true)]
    #[case(403, "User \"x\" cannot create resource \"pods\"", false)]
    #[case(401, "Unauthorized", false)]
    #[case(408, "timeout", false)]
    #[case(409, "Operation cannot be fulfilled: the object has been modified", false)]
    #[case(429, "too many requests", false)]
    #[case(500, "failed to create typed patch object (n/p; v1, Kind=Pod): .spec.imagee: field not declared in schema", true)]
    #[case(500, "internal error", false)]
    #[case(504, "timeout", false)]
    fn what_is_refused_for_good_is_told_from_what_fails(#[case] code: u16, #[case] text: &str, #[case] is_refused: bool) {
        let result = ActionResult::from(Refusal::by_status(code, text.to_owned()));
        assert_eq!(matches!(result, ActionResult::Refused { .. }), is_refused, "{result:?}");
    }

    #[test]
    fn the_values_of_a_secret_are_not_told() {
        let object = ObjectRef { api_version: "v1".to_owned(), kind: "Secret".to_owned(), name: "x".to_owned() };
        let field = FieldPath::parse("data.password").unwrap();
        let set = Set { object, field, from: Some(json!("secret-1")), to: json!("secret-2"), images: Vec::new() };
        let error = replacement(&set, &json!({"data": {"password": "secret-3"}})).unwrap_err();
        assert!(!error.contains("secret-"), "{error}");
        assert!(!Action::Set(set).to_string().contains("secret-"));
    }
}
