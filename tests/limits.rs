//! The bounds of `src/limits.rs` that can be seen from outside, and those of the options: each has a test that goes
//! beyond it. What a bound is worth is written in `limits.rs`, and is read from there.

#[path = "limits/bans.rs"]
mod bans;
#[path = "limits/bombs.rs"]
mod bombs;
#[path = "limits/common.rs"]
mod common;
#[path = "limits/control.rs"]
mod control;
#[path = "limits/descriptors.rs"]
mod descriptors;
#[path = "limits/listings.rs"]
mod listings;
#[path = "limits/logins.rs"]
mod logins;
#[path = "limits/loris.rs"]
mod loris;
#[path = "limits/pace.rs"]
mod pace;
#[path = "limits/passive.rs"]
mod passive;
#[path = "limits/rates.rs"]
mod rates;
#[path = "limits/sessions.rs"]
mod sessions;
mod support;
#[path = "limits/timeouts.rs"]
mod timeouts;

use common::*;
use support::{login, serve};
