//! What each format looks like for each kind of report.

use insta::assert_snapshot;

use super::fixtures;
use crate::report::{Palette, console, github, json, junit, markdown};

#[test]
fn console() {
    for (name, report) in fixtures::all() {
        assert_snapshot!(format!("console_{name}"), console::full(&report, Palette::PLAIN));
    }
}

#[test]
fn console_in_colour_says_the_same() {
    for (name, report) in fixtures::all() {
        let coloured = console::full(&report, Palette::COLOR);
        assert!(coloured.contains('\u{1b}'), "{name}");
        assert_eq!(anstream::adapter::strip_str(&coloured).to_string(), console::full(&report, Palette::PLAIN), "{name}");
    }
}

#[test]
fn junit() {
    for (name, report) in fixtures::all() {
        assert_snapshot!(format!("junit_{name}"), junit::render(&report).unwrap());
    }
}

#[test]
fn json() {
    for (name, report) in fixtures::all() {
        assert_snapshot!(format!("json_{name}"), json::render(&report).unwrap());
    }
}

#[test]
fn markdown() {
    for (name, report) in fixtures::all() {
        assert_snapshot!(format!("markdown_{name}"), markdown::render(&report));
    }
}

#[test]
fn github() {
    for (name, report) in fixtures::all() {
        assert_snapshot!(format!("github_{name}"), github::render(&report, None));
    }
}
