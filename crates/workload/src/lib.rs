//! What a container image does over time: the model and its interpreter.
