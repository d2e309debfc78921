//! Finds the images of containers in what a person wrote, with their places.

use super::matcher::{FieldPath, Segment};
use crate::diagnostic::{Place, Source};
use crate::yaml::{Node, Tree};

/// An image that a manifest or an action names.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageUse {
    /// As it is written.
    pub image: String,
    /// Where it is written.
    pub place: Place,
}

/// What a value is part of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Other,
    /// The list of an object's containers.
    Containers,
    Container,
    Image,
}

impl Part {
    /// The part that a field of this name is, or an item of a list.
    fn inside(self, name: &str) -> Self {
        match (self, name) {
            (Self::Containers, _) => Self::Container,
            (Self::Container, "image") => Self::Image,
            (_, "containers" | "initContainers" | "ephemeralContainers") => Self::Containers,
            _ => Self::Other,
        }
    }
}

/// The images in an object, at whatever depth its Pod template stands, or in a patch that is merged into one.
pub(crate) fn of_object(source: &Source, node: &Node) -> Vec<ImageUse> {
    collected(source, node, Part::Other)
}

/// The images in a value that a field gets.
pub(super) fn of_field(source: &Source, field: &FieldPath, node: &Node) -> Vec<ImageUse> {
    let part = field.segments().iter().fold(Part::Other, |part, segment| match segment {
        Segment::Field(name) => part.inside(name),
        Segment::Index(_) | Segment::Keyed(..) => part.inside(""),
    });
    collected(source, node, part)
}

/// The images in the operations of a JSON patch (RFC 6902).
pub(super) fn of_operations(source: &Source, operations: &Node) -> Vec<ImageUse> {
    let Tree::Sequence(operations) = &operations.tree else { return Vec::new() };
    let brings = |operation: &&Node| matches!(operation.field("op").and_then(Node::as_text), Some("add" | "replace"));
    let images = operations.iter().filter(brings).filter_map(|operation| {
        let path = operation.field("path")?.as_text()?;
        let part = path.split('/').skip(1).fold(Part::Other, Part::inside);
        Some(collected(source, operation.field("value")?, part))
    });
    images.flatten().collect()
}

fn collected(source: &Source, node: &Node, part: Part) -> Vec<ImageUse> {
    let mut found = Vec::new();
    collect(source, node, part, &mut found);
    found
}

fn collect(source: &Source, node: &Node, part: Part, found: &mut Vec<ImageUse>) {
    match &node.tree {
        Tree::Scalar(_) if part == Part::Image && !node.is_null() => {
            let image = node.as_text().unwrap_or_default().to_owned();
            found.push(ImageUse { image, place: source.place(&node.span) });
        }
        Tree::Scalar(_) => {}
        Tree::Sequence(items) => {
            let inside = if part == Part::Containers { Part::Container } else { Part::Other };
            for item in items {
                collect(source, item, inside, found);
            }
        }
        Tree::Mapping(entries) => {
            for (key, value) in entries {
                collect(source, value, part.inside(key.as_text().unwrap_or_default()), found);
            }
        }
    }
}
