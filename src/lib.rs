#![forbid(unsafe_code)]

pub mod account;
pub mod auth;
pub mod fs;
pub mod job;
pub mod limits;
pub mod listing;
pub mod log;
pub mod net;
pub mod options;
pub mod protocol;
pub mod reactor;
pub mod server;
pub mod sys;
pub mod time;
pub mod transfer;
