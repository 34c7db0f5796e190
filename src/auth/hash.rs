//! Password hashes: which are read, what one may cost, verifying and making one.
//!
//! The schemes are those that `openssl passwd`, `mkpasswd`, `htpasswd`, `ftpasswd`, `pure-pw` and `argon2` make and
//! that are still worth having. What a hash costs is bounded when it is read, so that a line of a file cannot hold a
//! helper for minutes or take all memory.

use std::io;

use argon2::password_hash::phc;
use argon2::{Argon2, PasswordVerifier};
use sha_crypt::password_hash::PasswordHasher;
use sha_crypt::{Algorithm, ShaCrypt};
use yescrypt::Yescrypt;
use zeroize::Zeroizing;

use crate::limits;

/// How to get a hash that is read.
pub(super) const ADVICE: &str =
    "use $5$, $6$, $2b$/$2y$, $y$ or $argon2id$, as `ferryd hash-password`, `mkpasswd` and `htpasswd -B` make them";

/// Rounds of the hashes that we make: 15 ms here and some 0.2 s on a router. Every login pays it, on a helper, and
/// whoever stole the file pays it for each guess; ten times what `openssl passwd -6` asks for (2007's number).
const ROUNDS: u32 = 50_000;
/// Octets of salt: 16 letters, all that SHA-crypt takes.
const SALT_OCTETS: usize = 12;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Scheme {
    ShaCrypt,
    Bcrypt,
    Yescrypt,
    Argon2,
}

/// A hash that can be verified, and at what cost.
#[derive(Clone)]
pub(super) struct Hash {
    text: Zeroizing<String>,
    scheme: Scheme,
    /// Nanoseconds, roughly, on the machine where it was measured: only to compare.
    cost: u64,
}

impl Hash {
    /// Reads a hash.
    ///
    /// # Errors
    /// A sentence that says what is wrong with it, without any of it.
    pub(super) fn parse(text: &str) -> Result<Hash, String> {
        let (scheme, cost) = if text.starts_with("$5$") || text.starts_with("$6$") {
            (Scheme::ShaCrypt, sha_crypt_cost(text)?)
        } else if ["$2a$", "$2b$", "$2y$"].iter().any(|prefix| text.starts_with(prefix)) {
            (Scheme::Bcrypt, bcrypt_cost(text)?)
        } else if text.starts_with("$y$") {
            (Scheme::Yescrypt, yescrypt_cost(text)?)
        } else if text.starts_with("$argon2id$") || text.starts_with("$argon2i$") {
            (Scheme::Argon2, argon2_cost(text)?)
        } else {
            return Err(unknown(text));
        };
        Ok(Hash { text: Zeroizing::new(text.to_owned()), scheme, cost })
    }

    /// What verifying costs, to compare with another.
    pub(super) fn cost(&self) -> u64 {
        self.cost
    }

    /// Whether `password` is the one; takes as long as the hash's parameters say, whatever the answer.
    pub(super) fn verify(&self, password: &[u8]) -> bool {
        match self.scheme {
            Scheme::ShaCrypt => ShaCrypt::default().verify_password(password, self.text.as_str()).is_ok(),
            Scheme::Bcrypt => bcrypt::verify(password, &self.text).unwrap_or(false),
            Scheme::Yescrypt => Yescrypt::default().verify_password(password, self.text.as_str()).is_ok(),
            Scheme::Argon2 => phc::PasswordHash::new(&self.text)
                .is_ok_and(|hash| Argon2::default().verify_password(password, &hash).is_ok()),
        }
    }
}

/// Makes a `$6$` hash with a fresh salt.
///
/// # Errors
/// The kernel gave no random octets, or the crate refused (which it does not).
pub(super) fn make(password: &[u8]) -> io::Result<String> {
    let mut salt = [0; SALT_OCTETS];
    let octets = rustix::rand::getrandom(&mut salt, rustix::rand::GetRandomFlags::empty())?;
    if octets < salt.len() {
        return Err(io::Error::other("the kernel gave too few random octets"));
    }
    let parameters = sha_crypt::Params::new(ROUNDS).map_err(io::Error::other)?;
    let hasher = ShaCrypt::new(Algorithm::Sha512Crypt, parameters);
    let hash = hasher.hash_password_with_salt(password, &salt).map_err(io::Error::other)?;
    Ok(hash.to_string())
}

fn unknown(text: &str) -> String {
    let what = match text {
        "" => "there is no hash, and anybody could log in",
        _ if text.starts_with("$1$") || text.starts_with("$apr1$") => "MD5 ($1$, $apr1$) is too weak to be read",
        _ if text.starts_with("{SHA}") || text.starts_with("{SSHA}") => "SHA-1 ({SHA}) is too weak to be read",
        _ if text.starts_with("$7$") => "scrypt ($7$) is not read",
        _ if text.len() == 13 && text.bytes().all(is_crypt64) => "DES is too weak to be read",
        _ => "the second field is not a hash that is known",
    };
    format!("{what}: {ADVICE}")
}

/// The alphabet of crypt(3), of which salts and hashes are made.
fn is_crypt64(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || octet == b'.' || octet == b'/'
}

/// An error for a hash of a known scheme that is cut off or mistyped.
fn damaged(name: &str) -> String {
    format!("the {name} hash is damaged")
}

/// An error for a hash that would take too long or too much.
fn costly(name: &str, what: &str, most: impl std::fmt::Display) -> String {
    format!("the {name} hash has more {what} than the {most} that a login may cost: make it anew with fewer")
}

/// `$6$[rounds=N$]salt$hash`
fn sha_crypt_cost(text: &str) -> Result<u64, String> {
    let (name, hash_letters, round_cost) = if text.starts_with("$5$") { ("$5$", 43, 120) } else { ("$6$", 86, 300) };
    let mut fields: Vec<&str> = text[3..].split('$').collect();
    let mut rounds = u64::from(sha_crypt::Params::RECOMMENDED_ROUNDS);
    if let Some(number) = fields[0].strip_prefix("rounds=") {
        rounds = number.parse().map_err(|_| damaged(name))?;
        if rounds > u64::from(limits::SHA_ROUNDS_MAX) {
            return Err(costly(name, "rounds", limits::SHA_ROUNDS_MAX));
        }
        if rounds < u64::from(sha_crypt::Params::ROUNDS_MIN) {
            return Err(damaged(name));
        }
        fields.remove(0);
    }
    match fields[..] {
        [salt, hash]
            if (1..=16).contains(&salt.len())
                && salt.bytes().all(is_crypt64)
                && hash.len() == hash_letters
                && hash.bytes().all(is_crypt64) =>
        {
            Ok(rounds * round_cost)
        }
        _ => Err(damaged(name)),
    }
}

/// `$2b$10$` and 53 letters of salt and hash.
fn bcrypt_cost(text: &str) -> Result<u64, String> {
    let parts: bcrypt::HashParts = text.parse().map_err(|_| damaged("bcrypt"))?;
    match parts.get_cost() {
        0..4 => Err(damaged("bcrypt")),
        cost if cost > limits::BCRYPT_COST_MAX => Err(costly("bcrypt", "cost", limits::BCRYPT_COST_MAX)),
        cost => Ok(70_000 << cost),
    }
}

/// `$y$j9T$salt$hash`; libxcrypt makes no other parameters than a flavour, a cost and a block size of one letter each.
fn yescrypt_cost(text: &str) -> Result<u64, String> {
    let damaged = || damaged("yescrypt");
    let fields: Vec<&str> = text[3..].split('$').collect();
    let [parameters, salt, hash] = fields[..] else { return Err(damaged()) };
    let letters = [parameters, salt, hash].iter().all(|field| field.bytes().all(is_crypt64));
    if !letters || parameters.len() != 3 || !parameters.starts_with('j') || !(1..=86).contains(&salt.len()) {
        return Err(damaged());
    }
    let known: yescrypt::Params = parameters.parse().map_err(|_| damaged())?;
    let kib = u128::from(known.n()) * u128::from(known.r()) / 8;
    if hash.len() != 43 || known.n() < 2 {
        return Err(damaged());
    }
    match u64::try_from(kib) {
        Ok(kib) if kib <= limits::HASH_MEMORY_KIB_MAX => Ok(kib * 2_800),
        _ => Err(costly("yescrypt", "KiB of memory", limits::HASH_MEMORY_KIB_MAX)),
    }
}

/// The PHC string of RFC 9106's reference: `$argon2id$v=19$m=19456,t=2,p=1$salt$hash`.
fn argon2_cost(text: &str) -> Result<u64, String> {
    let damaged = |_| damaged("Argon2");
    let hash = phc::PasswordHash::new(text).map_err(damaged)?;
    let parameters = argon2::Params::try_from(&hash).map_err(|_| self::damaged("Argon2"))?;
    let version = hash.version.is_none_or(|version| argon2::Version::try_from(version).is_ok());
    if !version || hash.hash.is_none() || hash.salt.is_none_or(|salt| salt.len() < argon2::MIN_SALT_LEN) {
        return Err(self::damaged("Argon2"));
    }
    let kib = u64::from(parameters.m_cost());
    let work = kib * u64::from(parameters.t_cost());
    if kib > limits::HASH_MEMORY_KIB_MAX {
        return Err(costly("Argon2", "KiB of memory", limits::HASH_MEMORY_KIB_MAX));
    }
    if work > limits::ARGON2_WORK_KIB_MAX {
        return Err(costly("Argon2", "KiB of memory times passes", limits::ARGON2_WORK_KIB_MAX));
    }
    Ok(work * 620)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the tools made of `correct horse`: openssl 3, mkpasswd (whois 5.5), htpasswd 2.4, argon2 (2017).
    const VECTORS: [&str; 13] = [
        "$5$abcdefgh$ruMep1ijHnJPZbETDNiumskxcX3kN4lzZd5VlsqE7eB",
        "$5$rounds=1000$sJwtwi/s44QGFpmR$2VchUfQbwDFIi55t2Crmna9FN2ABHhtZZnz/KTk5UE0",
        "$6$abcdefgh$yIZAF3gQPvtKZO/9qOJKffAKKbtS3ef3qmwyugk4uWVjX8YZf/GV3A8SkFxEPY0T56CcilGrHKLffBsp6dLMG.",
        "$6$0TzfNhXM.dhbk2qb$hfF3Qol8DcFMsyuQRPnKZ9INFHYcvMCT6tLpKb6JcYI2p3hTkz2/Qbk2G78tzOdrmTQewVFZ15J0pdaYOFMtZ1",
        "$6$rounds=1000$xsDEM1EDECBMQX5i$\
         67yFRZmNOgGcmbLJzZKg3um2HlO99yeDFNZyBoEDtWx3xQY5MIy4MLAT4E3qcqMyf88EAMb.JJpoHgEyPKH0N.",
        "$6$rounds=1000$wmnNC0NjCEsjJ55J$\
         jl444XfiZiadghdNyNr0iknHhgKRVc31G.24A77M34pJt89l21XD9oqNm3uD.RYCUqZ/tK122vTffggmzGuWY.",
        "$2b$05$UCVmWkjm87waWlzguVegTeHKcBaYoI1DRq3jyOCjG8uV/7UzWJ/SO",
        "$2b$05$59DfYEHK7fBcwZISvOLMHedfDdKVWcwJYl0q3Lf6QIZJnoxJAtAFi",
        "$2y$05$4OQ6nIaQeqfthKNjVNqKf.QfJVmFyfNwJKCK.VAXSLD8udUduPc2S",
        "$y$j9T$4Rfw/yRuITHeR//vbedz20$IY6TkaJyAmLi1PVWTfRQbPhfOyaKZxF6igl83eVeXjD",
        "$y$j75$MFBfsb3VcyrGdixoJtRM2.$3f4ZbcblI7Bl8RUV27vYM0jl0Oo9vw5.q72k8ZbEc9.",
        "$argon2id$v=19$m=4096,t=2,p=1$c2FsdHNhbHQ$CKenyQBYugZw5wFrZTaehyF/jNk2bcSNQY7jAvjCc5k",
        ARGON2I,
    ];
    const ARGON2I: &str = "$argon2i$v=19$m=4096,t=2,p=1$c2FsdHNhbHQ$83TRhlt30zmzfpzaNsQZB2K81tuA0ZTifDVC4iMRmeg";

    #[test]
    fn the_tools_hashes_verify() {
        for text in VECTORS {
            let hash = Hash::parse(text).unwrap();
            assert!(hash.verify(b"correct horse"), "{text}");
            assert!(!hash.verify(b"correct horsf") && !hash.verify(b""), "{text}");
        }
        let text = "$6$abcdefgh$qlUjQo8xiC5dmwOr49rtm.DQdv9onQYoWr0dgDR2SqMkw1296.hIZnRd/ltg71cpfDQGxCw0Bli1kXypCoIxg0";
        assert!(Hash::parse(text).unwrap().verify("pässwörd".as_bytes()));
        let empty = Hash::parse("$5$rounds=1000$Q3ATh7cXhEjv/YKG$JZD8STlUfl1MBN59i8IOaRCbYANvLAIxbrBUsGzUr52").unwrap();
        assert!(empty.verify(b"") && !empty.verify(b"x"));
    }

    #[test]
    fn ours_verify_and_differ() {
        let (one, other) = (make(b"secret").unwrap(), make(b"secret").unwrap());
        assert!(one.starts_with("$6$rounds=50000$") && one != other, "{one} {other}");
        let hash = Hash::parse(&one).unwrap();
        assert!(hash.verify(b"secret") && !hash.verify(b"Secret"));
    }

    #[test]
    fn weak_schemes_are_named_and_never_quoted() {
        for (text, said) in [
            ("", "anybody"),
            ("$1$abcdefgh$secretsecretsecretsecr", "MD5"),
            ("$apr1$gIpUuxr8$of317CmnHSkGaZyWRucLH1", "MD5"),
            ("{SHA}L55TUjtiq8FBorTWAZ0jy6g129A=", "SHA-1"),
            ("ab0123456789.", "DES"),
            ("$7$C6..../....secret", "scrypt"),
            ("$2x$05$UCVmWkjm87waWlzguVegTeHKcBaYoI1DRq3jyOCjG8uV/7UzWJ/SO", "not a hash"),
            ("a plain password", "not a hash"),
        ] {
            let Err(error) = Hash::parse(text) else { panic!("{text}") };
            assert!(error.contains(said) && error.contains("hash-password"), "{error}");
            assert!(text.len() < 5 || !error.contains(&text[4..]), "{error}");
        }
    }

    #[test]
    fn damaged_hashes_are_refused_when_read() {
        for text in VECTORS {
            for damage in [format!("{text}x"), format!("{text}$"), format!("{text}ß")] {
                let longer = text.starts_with("$argon2") && damage.ends_with('x');
                assert!(longer || Hash::parse(&damage).is_err(), "{damage}");
            }
            // Whatever is cut off: an error, never a panic. (Argon2's output may have any length.)
            for end in 0..text.len() {
                let cut = Hash::parse(&text[..end]);
                let shorter = text.starts_with("$argon2") && text.rfind('$').unwrap() + 10 < end;
                assert!(shorter || cut.is_err(), "{}", &text[..end]);
            }
        }
        let salted = "$6$rounds=999$abcdefgh$\
         yIZAF3gQPvtKZO/9qOJKffAKKbtS3ef3qmwyugk4uWVjX8YZf/GV3A8SkFxEPY0T56CcilGrHKLffBsp6dLMG.";
        assert!(Hash::parse(salted).is_err());
    }

    #[test]
    fn what_a_login_may_cost_is_bounded() {
        for (cheap, costly) in [
            (VECTORS[4].to_owned(), VECTORS[4].replace("=1000", "=5000001")),
            (VECTORS[4].to_owned(), VECTORS[4].replace("=1000", "=999999999")),
            (VECTORS[6].to_owned(), VECTORS[6].replace("$05$", "$31$")),
            (VECTORS[9].to_owned(), VECTORS[9].replace("j9T", "jFT")),
            (VECTORS[9].to_owned(), VECTORS[9].replace("j9T", "jhh")),
            (VECTORS[11].to_owned(), VECTORS[11].replace("m=4096", "m=4194304")),
            (VECTORS[11].to_owned(), VECTORS[11].replace("t=2", "t=4000000")),
        ] {
            assert!(Hash::parse(&cheap).is_ok());
            let Err(error) = Hash::parse(&costly) else { panic!("{costly}") };
            assert!(error.contains("may cost"), "{error}");
        }
        let cost = |text: &str| Hash::parse(text).unwrap().cost();
        assert!(cost(VECTORS[2]) < cost(VECTORS[9]) && cost(VECTORS[6]) < cost(VECTORS[11]));
    }
}
