#![forbid(unsafe_code)]

pub mod account;
pub mod fs;
pub mod job;
pub mod limits;
pub mod listing;
pub mod net;
pub mod protocol;
pub mod reactor;
pub mod sys;
pub mod time;
pub mod transfer;
