//! Finds and reads scenario files.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::action::action;
use super::decoder::{Decoder, ManifestCheck};
use super::expectation::expectation;
use super::model::{Action, Claim, Expectation, Scenario, Step};
use super::{names, shapes};
use crate::diagnostic::{Diagnostic, Source};
use crate::yaml::{self, Node};

/// The longest name of a scenario: a namespace is made of it.
const LONGEST_NAME: usize = 40;
/// The most nodes that a scenario may ask for.
const MOST_NODES: u32 = 100;

/// Scenarios and what is wrong with their files.
#[derive(Debug, Default)]
pub struct Loaded {
    /// Those that have no errors, in the order of their files.
    pub scenarios: Vec<Scenario>,
    /// Errors and warnings, in the order of the files.
    pub diagnostics: Vec<Diagnostic>,
}

impl Loaded {
    /// Whether there are errors.
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(Diagnostic::is_error)
    }
}

/// The scenario files of these paths: files as they are, directories with everything below them that ends in `.yaml` or
/// `.yml`, sorted, links followed; each file once. A path that does not exist is an error.
pub fn find(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Vec<Diagnostic>> {
    let mut files = Vec::new();
    let mut errors = Vec::new();
    for path in paths {
        errors.extend(collect(path, true, &mut Vec::new(), &mut files).err());
    }
    let mut seen = BTreeSet::new();
    files.retain(|file| seen.insert(file.canonicalize().unwrap_or_else(|_| file.clone())));
    if errors.is_empty() { Ok(files) } else { Err(errors) }
}

/// `above` are the folders that lead to the path, so that a link to one of them is not followed for ever.
fn collect(path: &Path, named: bool, above: &mut Vec<PathBuf>, files: &mut Vec<PathBuf>) -> Result<(), Diagnostic> {
    let unreadable = |error: std::io::Error| Diagnostic::about_file(path, format!("cannot be read: {error}"), None);
    let is_scenario = path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
    let is_folder = match path.metadata() {
        Ok(metadata) => metadata.is_dir(),
        Err(error) if named || is_scenario => return Err(unreadable(error)),
        Err(_) => return Ok(()),
    };
    if is_folder {
        let folder = path.canonicalize().map_err(unreadable)?;
        if above.contains(&folder) {
            return Ok(());
        }
        above.push(folder);
        let entries: std::io::Result<Vec<_>> = path.read_dir().and_then(|entries| entries.map(|e| Ok(e?.path())).collect());
        let mut children = entries.map_err(unreadable)?;
        children.sort();
        children.iter().try_for_each(|child| collect(child, false, above, files))?;
        above.pop();
    } else if named || is_scenario {
        files.push(path.to_owned());
    }
    Ok(())
}

/// Reads a scenario file; the manifests that it names must exist. Warnings are left out.
pub fn load(file: &Path) -> Result<Scenario, Vec<Diagnostic>> {
    let loaded = load_all(&[file.to_owned()]);
    match loaded.scenarios.into_iter().next() {
        Some(scenario) if !loaded.diagnostics.iter().any(Diagnostic::is_error) => Ok(scenario),
        _ => Err(loaded.diagnostics),
    }
}

/// Reads scenario files; the manifests that they name must exist, and no two of them may have the same name.
pub fn load_all(files: &[PathBuf]) -> Loaded {
    let mut loaded = Loaded::default();
    let mut names: BTreeMap<String, (PathBuf, usize)> = BTreeMap::new();
    for file in files {
        let text = match yaml::read(file) {
            Ok(text) => text,
            Err(why) => {
                loaded.diagnostics.push(Diagnostic::about_file(file, format!("the scenario cannot be read: {why}"), None));
                continue;
            }
        };
        let root = manifest_root(file);
        let check = |manifest: &str| {
            let path = root.join(manifest);
            match path.metadata() {
                Ok(metadata) if metadata.is_file() => Ok(()),
                Ok(_) => Err(format!("{} is not a regular file", path.display())),
                Err(_) => Err(format!("it would be {}", path.display())),
            }
        };
        let source = Source::new(file, &text);
        let Parsed { scenario, name_span, mut diagnostics } = parse_checked(&source, &text, &check);
        if let (Some(scenario), Some(span)) = (&scenario, name_span) {
            if let Some((other, line)) = names.get(&scenario.name) {
                let message = format!("two scenarios have the name `{}`", scenario.name);
                diagnostics.push(source.place(&span).error(message, Some(format!("the other one is {}:{line}", other.display()))));
            } else {
                names.insert(scenario.name.clone(), (file.clone(), source.location(span.start).line));
            }
        }
        if !diagnostics.iter().any(Diagnostic::is_error) {
            loaded.scenarios.extend(scenario);
        }
        loaded.diagnostics.extend(diagnostics);
    }
    loaded
}

/// The folder that the manifests of a scenario are named from: `manifests` in the nearest folder above it that has one,
/// else the scenario's own folder.
pub fn manifest_root(scenario: &Path) -> PathBuf {
    let folder = scenario.parent().map_or_else(PathBuf::new, Path::to_owned);
    let absolute = std::path::absolute(if folder.as_os_str().is_empty() { Path::new(".") } else { &folder })
        .unwrap_or_else(|_| folder.clone());
    for (up, ancestor) in absolute.ancestors().enumerate() {
        if ancestor.join("manifests").is_dir() {
            return relative(&folder, up, ancestor).join("manifests");
        }
    }
    folder
}

/// The ancestor in the form in which the user named the scenario, as far as that has so many parents.
fn relative(folder: &Path, up: usize, ancestor: &Path) -> PathBuf {
    let named = folder.ancestors().nth(up);
    let plain = folder.components().all(|part| !matches!(part, std::path::Component::ParentDir));
    named.filter(|_| plain).map_or_else(|| ancestor.to_owned(), Path::to_owned)
}

/// Reads the text of a scenario file without looking at any other file. Warnings are left out.
pub fn parse(text: &str, file: &Path) -> Result<Scenario, Vec<Diagnostic>> {
    let source = Source::new(file, text);
    let Parsed { scenario, diagnostics, .. } = parse_checked(&source, text, &|_| Ok(()));
    match scenario {
        Some(scenario) if !diagnostics.iter().any(Diagnostic::is_error) => Ok(scenario),
        _ => Err(diagnostics),
    }
}

struct Parsed {
    scenario: Option<Scenario>,
    name_span: Option<Range<usize>>,
    diagnostics: Vec<Diagnostic>,
}

fn parse_checked(source: &Source, text: &str, manifest: ManifestCheck<'_>) -> Parsed {
    let (documents, errors) = yaml::documents(text);
    let mut dx = Decoder::new(source, manifest);
    let broken = !errors.is_empty();
    for error in errors {
        dx.error(&error.span, error.message, error.help.unwrap_or_default());
    }
    let (scenario, name_span) = match documents.as_slice() {
        [document] => scenario(&mut dx, document),
        [] if broken => (None, None),
        [] => {
            dx.error(&(0..0), "the file is empty", "a scenario has at least `name:` and `steps:`");
            (None, None)
        }
        [_, second, ..] => {
            dx.error(&second.span, "a file holds one scenario; this is a second document", "put it into a file of its own");
            (None, None)
        }
    };
    let is_full = dx.is_full();
    let mut diagnostics = dx.diagnostics;
    diagnostics.sort_by_key(|diagnostic| diagnostic.location);
    if is_full {
        let message = "nothing more is told of a file with so many errors";
        diagnostics.push(Diagnostic::about_file(source.file(), message, Some("mend those above first")));
    }
    Parsed { scenario, name_span, diagnostics }
}

fn scenario(dx: &mut Decoder<'_>, node: &Node) -> (Option<Scenario>, Option<Range<usize>>) {
    let Some(fields) = dx.fields(node, &shapes::SCENARIO) else { return (None, None) };
    let name_node = dx.required(&fields, "name", "name: liveness");
    let name = name_node.and_then(|node| name(dx, node));
    let title = fields.get("title").and_then(|node| dx.text(node, "`title`")).map(str::to_owned);
    let tags = fields.get("tags").map_or(Some(Vec::new()), |node| tags(dx, node));
    let nodes = fields.get("nodes").map_or(Some(1), |node| dx.number(node, "`nodes`", 1, MOST_NODES));
    let steps = dx.required(&fields, "steps", "steps: [{apply: pod.yaml}]").and_then(|node| steps(dx, node));
    let file = dx.source.file().to_owned();
    let build = || Some(Scenario { file, name: name?, title, tags: tags?, nodes: nodes?, steps: steps? });
    (build(), name_node.map(|node| node.span.clone()))
}

/// A DNS label (RFC 1123), so that a namespace can be made of it.
fn name(dx: &mut Decoder<'_>, node: &Node) -> Option<String> {
    let text = dx.text(node, "`name`")?;
    if !names::is_dns_label(text) {
        let suggestion: String =
            text.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
        let suggestion = suggestion.trim_matches('-');
        let help = "a name consists of lower-case letters, digits and `-`, because a namespace is made of it";
        let help = if suggestion.is_empty() { help.to_owned() } else { format!("{help}: `{suggestion}`") };
        dx.error(&node.span, format!("`{text}` cannot be a scenario's name"), help);
        return None;
    }
    if text.len() > LONGEST_NAME {
        let message = format!("the name has {} characters; it may have {LONGEST_NAME}", text.len());
        dx.error(&node.span, message, "the long form belongs into `title:`");
        return None;
    }
    Some(text.to_owned())
}

fn tags(dx: &mut Decoder<'_>, node: &Node) -> Option<Vec<String>> {
    let mut tags = Vec::new();
    let mut known = BTreeSet::new();
    let nodes = dx.list(node, "`tags`")?;
    for item in nodes {
        let Some(tag) = dx.text(item, "a tag") else { continue };
        if !known.insert(tag) {
            dx.warning(&item.span, format!("the tag `{tag}` is given twice"), "remove one of the two");
        }
        tags.push(tag.to_owned());
    }
    (tags.len() == nodes.len()).then_some(tags)
}

fn steps(dx: &mut Decoder<'_>, node: &Node) -> Option<Vec<Step>> {
    let nodes = dx.list(node, "`steps`")?;
    let steps: Vec<_> = nodes.iter().filter_map(|node| step(dx, node)).collect();
    (steps.len() == nodes.len()).then_some(steps)
}

fn step(dx: &mut Decoder<'_>, node: &Node) -> Option<Step> {
    let fields = dx.fields(node, &shapes::STEP)?;
    let name = fields.get("name").and_then(|node| dx.text(node, "`name`")).map(str::to_owned);
    let action = action(dx, &fields);
    let expect = fields.get("expect").map_or(Some(Vec::new()), |node| {
        let nodes = dx.list(node, "`expect`")?;
        let read: Vec<_> = nodes.iter().map(|node| (node, expectation(dx, node))).collect();
        check_end(dx, &read);
        read.into_iter().map(|(_, expectation)| expectation).collect()
    });
    if matches!(action, Some(Action::Observe)) && !fields.has("expect") {
        dx.error(fields.span(), "nothing is done and nothing is expected", "add `expect:`");
        return None;
    }
    Some(Step { name, action: action?, expect: expect?, location: dx.source.location(node.span.start) })
}

/// A step lasts as long as its expectations need; one that only forbids would last no time at all.
fn check_end(dx: &mut Decoder<'_>, read: &[(&Node, Option<Expectation>)]) {
    let endless = |expectation: &Expectation| matches!(expectation.claim, Claim::Never { hold: None, .. });
    if !read.iter().all(|(_, expectation)| expectation.as_ref().is_some_and(endless)) {
        return;
    }
    if let Some((node, _)) = read.first() {
        let message = "nothing in this step says how long it lasts: `never` alone would pass at once";
        dx.error(&node.span, message, "add `for: 60s` to it");
    }
}
