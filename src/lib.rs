#![forbid(unsafe_code)]

pub mod account;
pub mod time;
