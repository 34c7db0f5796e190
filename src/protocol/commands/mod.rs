//! The commands, one file per section of the standard: a table of rows, and a function for each.

pub mod access;
pub mod extension;
pub mod parameter;
pub mod security;
pub mod service;
