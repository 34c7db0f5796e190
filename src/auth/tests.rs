//! Logins against accounts of both sources.

use std::fs;

use super::*;

/// `correct horse`, cheap.
const HASH: &str = "$5$rounds=1000$sJwtwi/s44QGFpmR$2VchUfQbwDFIi55t2Crmna9FN2ABHhtZZnz/KTk5UE0";
/// The same, dearer.
const COSTLY: &str = "$2b$05$UCVmWkjm87waWlzguVegTeHKcBaYoI1DRq3jyOCjG8uV/7UzWJ/SO";

fn accounts(anonymous: Option<Rights>, named: &[(&str, &str)]) -> Accounts {
    let named = named.iter().map(|(name, password)| Named {
        account: Account {
            name: (*name).into(),
            rights: Rights::READ_WRITE,
            root: format!("/srv/{name}").into(),
            rate: None,
            anonymous: false,
        },
        password: Secret::new(password.as_bytes().to_vec()),
    });
    Accounts { directory: "/srv".into(), anonymous, named: named.collect(), file: None }
}

/// A users file of mode `mode`, which goes away with the value.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str, text: &str, mode: u32) -> Scratch {
        let path = std::env::temp_dir().join(format!("ferryd-auth-{}-{name}", std::process::id()));
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        Scratch(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.0));
    }
}

fn login(users: &Users, user: impl AsRef<[u8]>, password: impl AsRef<[u8]>) -> Option<String> {
    let user = user.as_ref().to_vec();
    let credentials = Credentials { user, proof: Proof::Password(Secret::new(password.as_ref().to_vec())) };
    users.verify(&credentials).map(|account| account.name)
}

#[test]
fn plain_passwords() {
    let longest = "x".repeat(limits::PASSWORD_OCTETS_MAX);
    let (users, warnings) = accounts(None, &[("al", "secret"), ("lo", &longest)]).load().unwrap();
    assert!(warnings.is_empty() && !users.is_costly() && !users.is_empty());
    assert_eq!(login(&users, "al", "secret").as_deref(), Some("al"));
    assert_eq!(login(&users, "lo", &longest).as_deref(), Some("lo"));
    let longer = format!("{longest}x");
    for (user, password) in [
        ("al", "Secret"),
        ("al", ""),
        ("al", "secret\0"),
        ("AL", "secret"),
        ("", ""),
        ("anonymous", "a@b"),
        ("lo", &longer),
        ("lo", &longest[1..]),
    ] {
        assert_eq!(login(&users, user, password), None, "{user} {password}");
    }
    assert_eq!(login(&users, b"al\xff", "secret"), None);
}

#[test]
fn anonymous_takes_any_password() {
    let (users, _) = accounts(Some(Rights::READ_ONLY), &[]).load().unwrap();
    for user in ["anonymous", "ftp", "FTP", "Anonymous"] {
        assert_eq!(login(&users, user, "").as_deref(), Some("anonymous"));
    }
    assert_eq!(login(&users, "root", "x"), None);
    let account = users.anonymous().unwrap();
    assert!(account.anonymous && account.root == Path::new("/srv"));
}

#[test]
fn hashed_passwords_and_locks() {
    let text = format!("al:{HASH}\nbo:{COSTLY}:1:1::/tmp::rights=ro\nci:*:\n");
    let file = Scratch::new("hashed", &text, 0o600);
    let accounts = Accounts { directory: "/".into(), file: Some(file.0.clone()), ..accounts(None, &[("di", "plain")]) };
    let (users, warnings) = accounts.load().unwrap();
    assert_eq!(warnings, [""; 0]);
    assert!(users.is_costly() && users.costliest.as_ref().is_some_and(|hash| hash.verify(b"correct horse")));
    for (user, password) in [("al", "correct horse"), ("bo", "correct horse"), ("di", "plain")] {
        assert_eq!(login(&users, user, password).as_deref(), Some(user));
        assert_eq!(login(&users, user, "wrong"), None);
    }
    // The dummy's right password opens nothing.
    assert_eq!(login(&users, "ci", "correct horse"), None);
    assert_eq!(login(&users, "nobody", "correct horse"), None);
    assert_eq!(users.named().map(|account| account.name.as_str()).collect::<Vec<_>>(), ["al", "bo", "di"]);
}

/// Whom there is not, who is locked, who has a password without a hash, and who has a cheap one: a refusal costs what
/// the costliest hash does.
#[test]
fn every_refusal_costs_the_same() {
    let text = format!("al:{HASH}\nbo:{COSTLY}\nci:*:\n");
    let file = Scratch::new("costs", &text, 0o600);
    let accounts = Accounts { directory: "/".into(), file: Some(file.0.clone()), ..accounts(None, &[("di", "plain")]) };
    let (users, _) = accounts.load().unwrap();
    let long = "p".repeat(10_000);
    // Of this thread's processor time: others have the rest.
    let worked = || {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        std::time::Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec as u32)
    };
    let cost = |user: &str, password: &str| {
        let attempts = (0..5).map(|_| {
            let begun = worked();
            assert_eq!(login(&users, user, password), None);
            worked() - begun
        });
        attempts.min().unwrap()
    };
    let costliest = cost("bo", "wrong").min(cost("bo", "other"));
    for (user, password) in
        [("al", "wrong"), ("ci", "wrong"), ("di", "wrong"), ("nobody", "wrong"), ("", ""), ("bo", "")]
    {
        let cost = cost(user, password);
        assert!(cost * 2 > costliest, "{user:?}: {cost:?}, and {costliest:?} where the hash is the costliest");
        assert!(cost < costliest * 3, "{user:?}: {cost:?}, and {costliest:?} where the hash is the costliest");
    }
    // What is longer than any password costs no more than the longest.
    let (longest, beyond) = (cost("al", &long[..limits::PASSWORD_OCTETS_MAX]), cost("al", &long));
    assert!(beyond < longest * 2, "{beyond:?}, and {longest:?}");
}

#[test]
fn a_file_is_loaded_again_or_not_at_all() {
    let file = Scratch::new("again", &format!("al:{HASH}\n"), 0o640);
    let accounts = Accounts { directory: "/".into(), file: Some(file.0.clone()), ..accounts(None, &[("di", "x")]) };
    let (before, warnings) = accounts.load().unwrap();
    assert_eq!(warnings, [""; 0]);
    fs::write(&file.0, format!("bo:{HASH}\nci\ndi:{HASH}\nal:$1$x\n")).unwrap();
    let error = accounts.load().unwrap_err();
    let text = error.to_string();
    assert_eq!(error.exit_code(), 2);
    assert!(text.contains("line 2: ") && text.contains("line 4: "), "{text}");
    assert!(text.contains("line 3: user \"di\" is already named by --user"), "{text}");
    assert_eq!(login(&before, "al", "correct horse").as_deref(), Some("al"));
    fs::write(&file.0, "x\n".repeat(60)).unwrap();
    let error = accounts.load().unwrap_err();
    assert!(error.to_string().ends_with("; and 10 more") && !error.to_string().contains('\n'), "{error}");
    assert!(format!("{error:#}").ends_with("\n  and 10 more"), "{error:#}");
    fs::write(&file.0, format!("bo:{HASH}\n")).unwrap();
    assert_eq!(login(&accounts.load().unwrap().0, "al", "correct horse"), None);
    let missing = Accounts { file: Some("/nonexistent/users".into()), ..accounts };
    let error = missing.load().unwrap_err();
    assert_eq!(error.exit_code(), 1);
    assert!(error.to_string().contains("/nonexistent/users: No such file"), "{error}");
}

#[test]
fn what_deserves_a_warning() {
    for (mode, said) in [
        (0o644, Some("everybody may read it (mode 0644)")),
        (0o660, Some("its group may change it (mode 0660)")),
        (0o666, Some("everybody may change it")),
        (0o640, None),
    ] {
        let file = Scratch::new(&format!("mode-{mode:o}"), &format!("al:{HASH}\n"), mode);
        let accounts = Accounts { directory: "/".into(), file: Some(file.0.clone()), ..accounts(None, &[]) };
        let (_, warnings) = accounts.load().unwrap();
        assert_eq!(warnings.len(), usize::from(said.is_some()), "{warnings:?}");
        assert!(said.is_none_or(|said| warnings[0].contains(said)), "{warnings:?}");
    }
    let text =
        format!("al:{HASH}\nbo:{HASH}::::/nonexistent/bo:\nci:{HASH}::::/nonexistent/ci\ndi:*::::/nonexistent\n");
    let file = Scratch::new("homeless", &text, 0o600);
    let accounts = Accounts { directory: "/".into(), file: Some(file.0.clone()), ..accounts(None, &[]) };
    let (_, warnings) = accounts.load().unwrap();
    assert!(warnings[0].contains("line 2: the directory /nonexistent/bo of user \"bo\""), "{warnings:?}");
    assert!(warnings[0].contains("and 1 more"), "{warnings:?}");
}

#[test]
fn users_are_described_without_secrets() {
    let (users, _) = accounts(Some(Rights::UPLOAD), &[("al", "secret"), ("bo", "secret")]).load().unwrap();
    assert_eq!(users.summary(), "anonymous, upload only, and 2 users");
    assert_eq!(
        users.describe(),
        [
            "anonymous: upload only in /srv",
            "user \"al\": read and write in /srv/al",
            "user \"bo\": read and write in /srv/bo"
        ]
    );
    assert_eq!(format!("{users:?}"), "Users(anonymous, upload only, and 2 users)");
    let names: Vec<String> = (0..limits::USERS_SHOWN_MAX + 2).map(|number| format!("u{number}")).collect();
    let named: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "secret")).collect();
    let accounts = accounts(None, &named);
    assert!(!format!("{accounts:?}").contains("secret,"), "{accounts:?}");
    let lines = accounts.load().unwrap().0.describe();
    assert_eq!((lines.len(), lines.last().unwrap().as_str()), (limits::USERS_SHOWN_MAX + 1, "and 2 more users"));
    let (nobody, _) = self::accounts(None, &[]).load().unwrap();
    assert!(nobody.is_empty() && nobody.summary() == "nobody");
}
