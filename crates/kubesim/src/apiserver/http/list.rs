//! Requests for the objects of a resource.

use std::sync::Arc;

use http::{Method, Response, StatusCode};
use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::{Value, json};

use super::{
    super::{ApiServer, Writer, events::external, metadata::fields, table::partial},
    Incoming, ResponseBody,
    body::{self, document_response, response},
    deletion::delete_options,
    media::Form,
    path::is_read,
};
use crate::{
    object::{Key, Object},
    resource::{NAMESPACES, Resource},
    selector::Selection,
    status::{FieldError, StatusError},
};

/// A part of a list, and how to go on.
struct Page {
    objects: Vec<Arc<Object>>,
    revision: u64,
    /// Where the next page starts, and how many objects are left.
    rest: Option<(Key, usize)>,
}

impl ApiServer {
    pub(super) fn collection(
        &self,
        resource: &'static Resource,
        namespace: Option<String>,
        request: &Incoming,
    ) -> Result<Response<ResponseBody>, StatusError> {
        match request.method {
            ref method if is_read(method) => {
                let is_watch = request.query.flag("watch");
                request.query.check_list(is_watch)?;
                let selection = request.query.selection(resource, namespace)?;
                if is_watch { self.watch(resource, selection, request) } else { self.list(resource, &selection, request) }
            }
            Method::POST => {
                if resource.namespaced && namespace.is_none() {
                    return Err(StatusError::method_not_allowed());
                }
                let value = body::object(resource, request.content_type(), &request.body)?;
                let object = self.create(resource, namespace.as_deref(), value, &request.writer()?)?;
                Ok(self.show(resource, StatusCode::CREATED, &object, request))
            }
            Method::DELETE => self.delete_collection(resource, namespace, request),
            _ => Err(StatusError::method_not_allowed()),
        }
    }

    fn list(
        &self,
        resource: &'static Resource,
        selection: &Selection,
        request: &Incoming,
    ) -> Result<Response<ResponseBody>, StatusError> {
        let page = self.page(resource, selection, request)?;
        let mut metadata = json!({"resourceVersion": page.revision.to_string()});
        if let Some((start, left)) = &page.rest {
            metadata["continue"] = json!(continue_token(page.revision, start));
            if selection.labels.is_empty() && request.query.text("fieldSelector").is_empty() {
                metadata["remainingItemCount"] = json!(left);
            }
        }
        let stored = resource == resource.stored();
        if request.accept.form == Form::Object && stored && !request.accept.yaml {
            let list = List {
                kind: format!("{}List", resource.kind),
                api_version: resource.api_version(),
                metadata,
                items: page.objects.iter().map(|object| Item(object.value())).collect(),
            };
            let text = serde_json::to_string(&list).unwrap_or_default();
            return Ok(response(StatusCode::OK, "application/json", text));
        }
        let values: Vec<Value> = page.objects.iter().map(|object| external(resource, object.value())).collect();
        let shown = match request.accept.form {
            Form::Table => {
                let mut table = self.table(resource, values, request.query.text("includeObject"), true);
                table["metadata"] = metadata;
                table
            }
            Form::Metadata => json!({
                "kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": metadata,
                "items": values.iter().map(partial).collect::<Vec<_>>(),
            }),
            Form::Object => json!({
                "kind": format!("{}List", resource.kind), "apiVersion": resource.api_version(), "metadata": metadata,
                "items": values,
            }),
        };
        Ok(document_response(StatusCode::OK, &shown, request.accept.yaml))
    }

    /// The objects that a list asks for: all, or a page of them as they were when the first page was given.
    fn page(&self, resource: &'static Resource, selection: &Selection, request: &Incoming) -> Result<Page, StatusError> {
        let token = request.query.text("continue");
        let current = self.store().revision();
        let too_old = |_| StatusError::expired("The resourceVersion for the provided list is too old.");
        let (mut objects, revision) = if token.is_empty() {
            match request.query.revision()? {
                Some(revision) if revision > current => return Err(too_large(revision, current)),
                Some(revision) if request.query.text("resourceVersionMatch") == "Exact" => {
                    (self.store().list_at(resource, selection, revision).map_err(too_old)?, revision)
                }
                _ => self.store().list(resource, selection),
            }
        } else {
            if !["", "0"].contains(&request.query.text("resourceVersion")) {
                return Err(StatusError::bad_request("specifying resource version is not allowed when using continue"));
            }
            let (revision, start) = read_token(token)?;
            let expired = |_| {
                StatusError::expired(
                    "The provided continue parameter is too old to display a consistent list result. You must start a new list \
                     without the continue parameter.",
                )
            };
            let mut objects = self.store().list_at(resource, selection, revision).map_err(expired)?;
            objects.retain(|object| object.key() >= start);
            (objects, revision)
        };
        let limit = request.query.number("limit")?.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(0);
        let rest = (limit > 0 && objects.len() > limit).then(|| {
            let rest = objects.split_off(limit);
            (rest.first().map(|object| object.key()), rest.len())
        });
        let rest = rest.and_then(|(start, left)| Some((start?, left)));
        Ok(Page { objects, revision, rest })
    }

    fn delete_collection(
        &self,
        resource: &'static Resource,
        namespace: Option<String>,
        request: &Incoming,
    ) -> Result<Response<ResponseBody>, StatusError> {
        if (resource.namespaced && namespace.is_none()) || resource == &NAMESPACES {
            return Err(StatusError::method_not_allowed());
        }
        let selection = request.query.selection(resource, namespace)?;
        let (options, dry_run) = delete_options(resource, request)?;
        let writer = request.writer()?;
        let writer = Writer { dry_run: writer.dry_run || dry_run, ..writer };
        let (objects, revision) = self.store().list(resource, &selection);
        let mut items = Vec::new();
        for object in objects {
            match self.delete(resource, &object.key(), &options, &writer) {
                Ok((deleted, _)) => {
                    let mut item = external(resource, deleted.value());
                    for field in ["kind", "apiVersion"] {
                        fields(&mut item).remove(field);
                    }
                    items.push(item);
                }
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error),
            }
        }
        let list = json!({
            "kind": format!("{}List", resource.kind), "apiVersion": resource.api_version(),
            "metadata": {"resourceVersion": revision.to_string()}, "items": items,
        });
        Ok(document_response(StatusCode::OK, &list, request.accept.yaml))
    }
}

/// The error for a revision that has not been reached.
pub(super) fn too_large(revision: u64, current: u64) -> StatusError {
    let cause = k8s_openapi::apimachinery::pkg::apis::meta::v1::StatusCause {
        field: None,
        message: Some("Too large resource version".to_owned()),
        reason: Some("ResourceVersionTooLarge".to_owned()),
    };
    StatusError::new(504, "Timeout", format!("Timeout: Too large resource version: {revision}, current: {current}"))
        .with_causes(vec![cause])
        .retry_after(1)
}

/// A list whose items are written from where they are stored.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct List<'a> {
    kind: String,
    api_version: String,
    metadata: Value,
    items: Vec<Item<'a>>,
}

/// An item of a list, which does not repeat what the list says.
struct Item<'a>(&'a Value);

impl Serialize for Item<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fields = self.0.as_object().into_iter().flatten().filter(|(key, _)| !["kind", "apiVersion"].contains(&key.as_str()));
        let mut map = serializer.serialize_map(None)?;
        for (key, value) in fields {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

/// Where a list goes on: opaque to clients, so hexadecimal.
fn continue_token(revision: u64, start: &Key) -> String {
    let text = format!("{revision}/{}/{}", start.namespace, start.name);
    text.bytes().flat_map(|byte| [byte >> 4, byte & 15]).filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
}

fn read_token(token: &str) -> Result<(u64, Key), StatusError> {
    let read = || {
        let bytes: Option<Vec<u8>> =
            (0..token.len()).step_by(2).map(|start| u8::from_str_radix(token.get(start..start + 2)?, 16).ok()).collect();
        let text = String::from_utf8(bytes?).ok()?;
        let mut parts = text.splitn(3, '/');
        let revision = parts.next()?.parse().ok()?;
        Some((revision, Key::new(parts.next()?, parts.next()?)))
    };
    read().ok_or_else(|| {
        let error = FieldError::invalid("continue", &json!(token), "continue key is not valid");
        StatusError::bad_request(format!("invalid continue token: {error}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_says_where_to_go_on() {
        let key = Key::new("default", "a");
        assert_eq!(read_token(&continue_token(7, &key)), Ok((7, key)));
        for wrong in ["abc", "zz", "", "é", "31"] {
            assert_eq!(read_token(wrong).unwrap_err().code(), 400, "{wrong}");
        }
    }
}
