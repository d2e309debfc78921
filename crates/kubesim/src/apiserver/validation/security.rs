//! Security contexts of Pods and containers (pkg/apis/core/validation:ValidateSecurityContext, validatePodSpecSecurityContext).

use serde_json::{Value, json};

use super::{Errors, list, text};
use crate::status::FieldError;

/// The kinds of a profile of `seccomp` or `AppArmor`.
const PROFILES: [&str; 3] = ["Localhost", "RuntimeDefault", "Unconfined"];

/// Checks the security context of a container.
pub(super) fn of_container(context: &Value, path: &str, errors: &mut Errors) {
    users(context, path, errors);
    errors.one_of(context, path, "procMount", &["Default", "Unmasked"]);
    if context["privileged"] == true && context["allowPrivilegeEscalation"] == false {
        let problem = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true";
        errors.push(FieldError::invalid_text(path, &internal(context), problem));
    }
    profiles(context, path, errors);
}

/// Checks the security context of a Pod.
pub(super) fn of_pod(context: &Value, path: &str, errors: &mut Errors) {
    group(&context["fsGroup"], &format!("{path}.fsGroup"), errors);
    users(context, path, errors);
    for (index, id) in list(context, "supplementalGroups").iter().enumerate() {
        group(id, &format!("{path}.supplementalGroups[{index}]"), errors);
    }
    for (index, sysctl) in list(context, "sysctls").iter().enumerate() {
        let name = text(sysctl, "name");
        if name.is_empty() {
            errors.required(format!("{path}.sysctls[{index}].name"));
        } else if !is_sysctl(name) {
            let problem = "must have at most 253 characters and match regex \
                           ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$";
            errors.invalid(format!("{path}.sysctls[{index}].name"), &sysctl["name"], problem);
        }
    }
    errors.one_of(context, path, "fsGroupChangePolicy", &["Always", "OnRootMismatch"]);
    profiles(context, path, errors);
}

fn users(context: &Value, path: &str, errors: &mut Errors) {
    for field in ["runAsUser", "runAsGroup"] {
        group(&context[field], &format!("{path}.{field}"), errors);
    }
}

/// Checks the number of a user or a group, if it is there.
fn group(id: &Value, path: &str, errors: &mut Errors) {
    if id.as_i64().is_some_and(|id| !(0..=i64::from(i32::MAX)).contains(&id)) {
        errors.invalid(path, id, "must be between 0 and 2147483647, inclusive");
    }
}

fn profiles(context: &Value, path: &str, errors: &mut Errors) {
    for (field, called) in [("seccompProfile", "seccomp"), ("appArmorProfile", "AppArmor")] {
        let Some(profile) = context.get(field).filter(|profile| profile.is_object()) else { continue };
        let path = format!("{path}.{field}");
        let (kind, local) = (text(profile, "type"), &profile["localhostProfile"]);
        if kind.is_empty() {
            errors.push(FieldError::required(format!("{path}.type"), &format!("type is required when {field} is set")));
        } else {
            errors.one_of(profile, &path, "type", &PROFILES);
        }
        if kind == "Localhost" && local.is_null() {
            let problem = format!("must be set when {called} type is Localhost");
            errors.push(FieldError::required(format!("{path}.localhostProfile"), &problem));
        } else if PROFILES.contains(&kind) && kind != "Localhost" && !local.is_null() {
            let shown = format!("{{\"Type\":{},\"LocalhostProfile\":{local}}}", json!(kind));
            let problem = format!("can only be set when {called} type is Localhost");
            errors.push(FieldError::invalid_text(format!("{path}.localhostProfile"), &shown, &problem));
        }
    }
}

fn is_sysctl(name: &str) -> bool {
    let is_part = |part: &str| {
        let edge = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        edge(part.bytes().next())
            && edge(part.bytes().last())
            && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte))
    };
    name.len() <= 253 && name.split(['.', '/']).all(is_part)
}

/// The security context of a container as the real server shows it: in its own form.
fn internal(context: &Value) -> String {
    let fields = [
        "capabilities",
        "privileged",
        "seLinuxOptions",
        "windowsOptions",
        "runAsUser",
        "runAsGroup",
        "runAsNonRoot",
        "readOnlyRootFilesystem",
        "allowPrivilegeEscalation",
        "procMount",
        "seccompProfile",
        "appArmorProfile",
    ];
    let shown = fields.map(|field| {
        let name = if field == "seLinuxOptions" { "SELinuxOptions".to_owned() } else { super::capitalised(field) };
        format!("{name:?}:{}", context[field])
    });
    format!("{{{}}}", shown.join(","))
}
