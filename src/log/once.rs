//! What the log is told once of each session, because its client could make it happen with every command.

use std::net::IpAddr;

/// What it was told of one session. Each text is a literal of the program, so that there are a handful of them.
#[derive(Debug, Default)]
pub struct Once(Vec<&'static str>);

impl Once {
    /// Whether the log was not told `text` yet; from now on it was.
    pub fn is_first(&mut self, text: &'static str) -> bool {
        let first = !self.0.contains(&text);
        if first {
            self.0.push(text);
        }
        first
    }

    /// Warns of what the client at `peer` does. The address comes first: that is where fail2ban looks for it.
    pub fn warn(&mut self, peer: IpAddr, text: &'static str) {
        if self.is_first(text) {
            log::warn!("{peer}: {text}");
        }
    }

    /// The same for what is nobody's fault.
    pub fn inform(&mut self, peer: IpAddr, text: &'static str) {
        if self.is_first(text) {
            log::info!("{peer}: {text}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_text_is_told_once() {
        let mut once = Once::default();
        assert!(once.is_first("a") && once.is_first("b") && !once.is_first("a") && !once.is_first("b"));
    }
}
