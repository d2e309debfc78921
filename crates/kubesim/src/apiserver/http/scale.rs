//! The subresource `scale` (pkg/registry/apps/*/storage).

use http::{Method, Response, StatusCode};
use serde_json::{Value, json};

use super::{
    super::{ApiServer, Patch, strategy::cannot_be_handled},
    Incoming, ResponseBody,
    body::{document, document_response},
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
            return Ok(document_response(StatusCode::OK, &scale_of(&current), request.accept.yaml));
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
