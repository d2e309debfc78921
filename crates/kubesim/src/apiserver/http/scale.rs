//! The subresource `scale` (pkg/registry/apps/*/storage).

use http::{Method, Response, StatusCode};
use serde_json::{Value, json};

use super::{
    super::{ApiServer, Origin, Patch, Writer, strategy::cannot_be_handled, table::partial},
    Incoming, ResponseBody,
    body::{document, document_response},
    media::Form,
    object::Place,
    path::is_read,
};
use crate::{
    object::Object,
    selector::LabelSelector,
    status::{FieldError, StatusError},
    typed,
};

impl ApiServer {
    pub(super) fn scale(&self, at: &Place, request: &Incoming) -> Result<Response<ResponseBody>, StatusError> {
        let key = at.key();
        let current = self.get(at.resource, &key)?;
        if is_read(&request.method) {
            let scale = scale_of(&current);
            let shown = match request.accept.form {
                Form::Object => scale,
                Form::Metadata => partial(&scale),
                Form::Table => self.scale_table(at.resource, scale, request.query.text("includeObject")),
            };
            return Ok(document_response(StatusCode::OK, &shown, request.accept.yaml));
        }
        if request.method == Method::PATCH && request.content_type() == "application/apply-patch+yaml" {
            return self.scale_applied(at, request);
        }
        let wanted = match request.method {
            Method::PUT => document("Scale", request.content_type(), &request.body)?,
            Method::PATCH => {
                let body: Value = serde_json::from_slice(&request.body)
                    .map_err(|error| StatusError::bad_request(format!("error decoding patch: {error}")))?;
                let patch =
                    if request.content_type() == "application/json-patch+json" { Patch::Json(body) } else { Patch::Merge(body) };
                patch.apply(at.resource, scale_of(&current))?
            }
            _ => return Err(StatusError::method_not_allowed()),
        };
        let wanted = typed::normalise_scale(&wanted).map_err(|error| cannot_be_handled(at.resource, &error))?;
        let replicas = wanted["spec"]["replicas"].as_i64().unwrap_or(0);
        if replicas < 0 {
            let error = FieldError::invalid("spec.replicas", &json!(replicas), "must be greater than or equal to 0");
            return Err(StatusError::invalid("autoscaling", "Scale", &at.name, vec![error]));
        }
        let name = wanted["metadata"]["name"].as_str().unwrap_or_default();
        if !["", at.name.as_str()].contains(&name) {
            let message = format!("the name of the object ({name}) does not match the name on the URL ({})", at.name);
            return Err(StatusError::bad_request(message));
        }
        let version = wanted["metadata"]["resourceVersion"].as_str().unwrap_or_default();
        if !version.is_empty() && version != current.revision().to_string() {
            return Err(StatusError::modified(at.resource, &at.name));
        }
        let scaled = self.modify(at.resource, "scale", &key, &request.writer()?, |object| {
            let mut object = object.clone();
            object["spec"]["replicas"] = json!(replicas);
            Ok(object)
        })?;
        Ok(document_response(StatusCode::OK, &scale_of(&scaled), request.accept.yaml))
    }
}

impl ApiServer {
    fn scale_applied(&self, at: &Place, request: &Incoming) -> Result<Response<ResponseBody>, StatusError> {
        request.query.applier()?;
        let config = document("Scale", request.content_type(), &request.body)?;
        let config = typed::normalise_scale(&config).map_err(|error| cannot_be_handled(at.resource, &error))?;
        let config = json!({"metadata": {"name": at.name}, "spec": config["spec"]});
        let writer = Writer { origin: Origin::Apply, ..request.writer()? };
        let force = request.query.flag("force");
        let (scaled, _) = self.apply(at.resource, "scale", &at.key(), &config, force, &writer)?;
        Ok(document_response(StatusCode::OK, &scale_of(&scaled), request.accept.yaml))
    }
}

fn scale_of(object: &Object) -> Value {
    let value = object.value();
    let selector = serde_json::from_value(value["spec"]["selector"].clone()).unwrap_or_default();
    let selector = LabelSelector::from_api(&selector).map(|selector| selector.to_string()).unwrap_or_default();
    let metadata = &value["metadata"];
    let fields = ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"];
    let metadata: serde_json::Map<String, Value> =
        fields.iter().filter_map(|field| Some(((*field).to_owned(), metadata.get(field)?.clone()))).collect();
    json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata,
        "spec": {"replicas": value["spec"]["replicas"].as_i64().unwrap_or(0)},
        "status": {"replicas": value["status"]["replicas"].as_i64().unwrap_or(0), "selector": selector},
    })
}
