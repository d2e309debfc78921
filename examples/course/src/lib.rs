//! A course would have its programs here; this one has only scenarios and their tests.
