//! Proves that Kubernetes course material still works.
