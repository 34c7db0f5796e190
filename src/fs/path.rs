//! Pathnames as a client sees them: octets beneath its `/`. Pure; the kernel is asked in `root`.

/// Linux's PATH_MAX, less the NUL.
const OCTETS_MAX: usize = 4_095;

/// Why octets are no pathname.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathError {
    Nul,
    Empty,
    TooLong,
}

/// An absolute pathname without `.` and `..`. They are taken out by their names alone, as CWD and PWD show them: one
/// pathname then means one thing, whatever symbolic links stand in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualPath(Vec<u8>);

impl VirtualPath {
    /// `/`.
    pub fn root() -> VirtualPath {
        VirtualPath(b"/".to_vec())
    }

    /// The pathname that `name` means from here: from `/` where it begins with one.
    ///
    /// # Errors
    /// `name` is empty, holds NUL, or the whole would be longer than 4,095 octets.
    pub fn join(&self, name: &[u8]) -> Result<VirtualPath, PathError> {
        if name.is_empty() {
            return Err(PathError::Empty);
        }
        if name.contains(&0) {
            return Err(PathError::Nul);
        }
        let joined = if name.starts_with(b"/") { VirtualPath(name.to_vec()) } else { self.child(name) };
        let resolved = joined.resolved();
        if resolved.0.len() > OCTETS_MAX { Err(PathError::TooLong) } else { Ok(resolved) }
    }

    /// The entry `name` of this directory; `name` comes from the kernel and needs no check.
    pub fn child(&self, name: &[u8]) -> VirtualPath {
        let mut octets = Vec::with_capacity(self.0.len() + 1 + name.len());
        octets.extend_from_slice(&self.0);
        if !octets.ends_with(b"/") {
            octets.push(b'/');
        }
        octets.extend_from_slice(name);
        VirtualPath(octets)
    }

    /// The same without `.`, `..` and needless slashes; a slash stays at the end of what can only be a directory.
    fn resolved(&self) -> VirtualPath {
        let mut kept: Vec<&[u8]> = Vec::new();
        let mut last: &[u8] = b"";
        for part in self.0.split(|octet| *octet == b'/') {
            match part {
                b"" | b"." => {}
                b".." => drop(kept.pop()),
                _ => kept.push(part),
            }
            last = part;
        }
        let mut octets = Vec::with_capacity(self.0.len());
        for part in &kept {
            octets.push(b'/');
            octets.extend_from_slice(part);
        }
        if octets.is_empty() || matches!(last, b"" | b"." | b"..") {
            octets.push(b'/');
        }
        VirtualPath(octets)
    }

    /// The same without a slash at its end, as RFC 959's 257 shows it.
    pub fn normalized(&self) -> VirtualPath {
        match self.0.strip_suffix(b"/") {
            Some(shorter) if !shorter.is_empty() => VirtualPath(shorter.to_vec()),
            _ => self.clone(),
        }
    }

    /// The directory and the last name; nothing where it is `/`, which has none.
    pub fn split(&self) -> Option<(VirtualPath, &[u8])> {
        let end = self.0.iter().rposition(|octet| *octet != b'/')? + 1;
        let start = self.0[..end].iter().rposition(|octet| *octet == b'/')? + 1;
        Some((VirtualPath(self.0[..start].to_vec()), &self.0[start..end]))
    }

    /// Whether it ends with a slash, and so can only mean a directory.
    pub fn means_directory(&self) -> bool {
        self.0.ends_with(b"/")
    }

    /// The octets, which begin with `/`.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> VirtualPath {
        VirtualPath::root().join(text.as_bytes()).unwrap()
    }

    #[test]
    fn names_join() {
        assert_eq!(path("a").join(b"b c").unwrap().as_bytes(), b"/a/b c");
        assert_eq!(path("a/").join(b"b").unwrap().as_bytes(), b"/a/b");
        assert_eq!(path("a").join(b"/b").unwrap().as_bytes(), b"/b");
        assert_eq!(path("a").join(b"\xff\xfe").unwrap().as_bytes(), b"/a/\xff\xfe");
        assert_eq!(path("a").join(b""), Err(PathError::Empty));
        assert_eq!(path("a").join(b"b\0c"), Err(PathError::Nul));
        assert!(path("a").join(&[b'x'; 4_092]).is_ok());
        assert_eq!(path("a").join(&[b'x'; 4_093]), Err(PathError::TooLong));
        // Out of the deepest directory there is a way back.
        let deepest = path("a").join(&[b'x'; 4_092]).unwrap();
        assert_eq!(deepest.join(b".."), Ok(path("a/")));
        assert_eq!(deepest.join(b"y"), Err(PathError::TooLong));
    }

    #[test]
    fn dots_are_taken_out() {
        for (text, resolved, shown) in [
            ("a/../b", "/b", "/b"),
            ("../../..", "/", "/"),
            ("./a/./b//c/", "/a/b/c/", "/a/b/c"),
            ("a/..", "/", "/"),
            ("a/b/..", "/a/", "/a"),
            ("a/.", "/a/", "/a"),
            ("...", "/...", "/..."),
            ("a/.../..b", "/a/.../..b", "/a/.../..b"),
            ("//", "/", "/"),
        ] {
            assert_eq!(path(text).as_bytes(), resolved.as_bytes(), "{text}");
            assert_eq!(path(text).normalized().as_bytes(), shown.as_bytes(), "{text}");
        }
    }

    #[test]
    fn names_split() {
        assert_eq!(path("a/b").split(), Some((path("a/"), &b"b"[..])));
        assert_eq!(path("a/b//").split(), Some((path("a/"), &b"b"[..])));
        assert_eq!(path("a").split(), Some((VirtualPath::root(), &b"a"[..])));
        for text in ["/", "//", "a/..", "..", "."] {
            assert_eq!(path(text).split(), None, "{text}");
        }
    }
}
