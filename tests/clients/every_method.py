"""Every method of ftplib against a running server: HOST PORT PASSIVE ROOT, where ROOT is what is served."""

import ftplib
import io
import os
import sys

host, port, passive, root = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "1", sys.argv[4]


def at(name):
    return os.path.join(root, name)


def read(name):
    with open(at(name), "rb") as file:
        return file.read()


def refused(code, call, *args):
    try:
        call(*args)
    except (ftplib.error_perm, ftplib.error_temp) as error:
        assert str(error)[:3] in code, error
    else:
        raise AssertionError("%r%r was not refused" % (call, args))


ftp = ftplib.FTP(timeout=20, encoding="utf-8")
assert ftp.connect(host, port).startswith("220")
assert ftp.getwelcome().startswith("220")
refused(["530"], ftp.login, "u", "wrong")
assert ftp.login("u", "secret").startswith("230")
ftp.set_pasv(passive)

# Directories.
assert ftp.pwd() == "/"
assert ftp.mkd('di"r') == '/di"r'
ftp.cwd('di"r')
assert ftp.pwd() == '/di"r'
ftp.cwd("..")
assert ftp.pwd() == "/"
ftp.cwd("empty dir")
ftp.cwd("/")
refused(["550"], ftp.cwd, "absent")
ftp.rmd('di"r')
refused(["550"], ftp.rmd, 'di"r')
refused(["550"], ftp.mkd, "text")

# Lines: TYPE A.
lines = []
assert ftp.retrlines("RETR text", lines.append).startswith("226")
assert lines == ["one", "two", "three"], lines
ftp.storlines("STOR stored lines", io.BytesIO(b"a\nb\r\nc"))
assert read("stored lines") == b"a\nb\nc\n", read("stored lines")

# Octets: TYPE I.
big = read("big")
got = io.BytesIO()
assert ftp.retrbinary("RETR big", got.write, 65536).startswith("226")
assert got.getvalue() == big
assert ftp.storbinary("STOR copy", io.BytesIO(big)).startswith("226")
assert read("copy") == big
ftp.storbinary("APPE copy", io.BytesIO(b"tail"))
assert read("copy") == big + b"tail"
reply = ftp.storbinary("STOU", io.BytesIO(b"unique"))
ftp.storbinary("STOR empty", io.BytesIO(b""))
assert read("empty") == b""

# From a position on, both ways.
got = io.BytesIO()
ftp.retrbinary("RETR big", got.write, rest=7999990)
assert got.getvalue() == big[7999990:]
ftp.storbinary("STOR copy", io.BytesIO(b"XY"), rest=10)
assert read("copy") == big[:10] + b"XY" + big[12:] + b"tail"
connection, size = ftp.ntransfercmd("RETR big", rest=5)
with connection:
    rest = b"".join(iter(lambda: connection.recv(65536), b""))
assert rest == big[5:]
assert ftp.voidresp().startswith("226")

# ABOR, as ftplib says it: as urgent data.
for _ in range(5):
    connection = ftp.transfercmd("RETR big")
    connection.recv(1000)
    reply = ftp.abort()
    assert reply[:3] in ("426", "225", "226"), reply
    connection.close()
    if reply[:3] == "426":
        assert ftp.getmultiline()[:3] == "226"
    else:
        # The transfer was over before: ABOR has its own reply.
        assert ftp.getmultiline()[:3] == "226"
    assert ftp.voidcmd("NOOP").startswith("200")

# Facts.
ftp.voidcmd("TYPE I")
assert ftp.size("big") == len(big)
refused(["550"], ftp.size, "absent")
assert ftp.sendcmd("MDTM text") == "213 20200101000000"
facts = dict(ftp.mlsd())
assert facts["text"]["type"] == "file" and facts["text"]["size"] == "13", facts
assert facts["text"]["modify"] == "20200101000000", facts
assert facts["empty dir"]["type"] == "dir", facts
facts = dict(ftp.mlsd("/", ["type", "size"]))
assert set(facts["text"]) == {"type", "size"}, facts
names = ftp.nlst()
assert set(names) == set(os.listdir(root)), (names, os.listdir(root))
assert ftp.nlst("st*") == ["stored lines"]
assert ftp.nlst("empty dir") == []
listing = []
ftp.dir(listing.append)
assert any(line.startswith("-") and line.endswith(" stored lines") for line in listing), listing
ftp.dir("empty dir", listing.append)

# Names.
ftp.rename("copy", "r\u00e9nam\u00e9")
assert read("r\u00e9nam\u00e9")[:10] == big[:10]
refused(["550"], ftp.rename, "absent", "other")
ftp.delete("r\u00e9nam\u00e9")
assert not os.path.exists(at("r\u00e9nam\u00e9"))
refused(["550"], ftp.delete, "r\u00e9nam\u00e9")
refused(["500", "502"], ftp.sendcmd, "NONSENSE")
refused(["501", "504"], ftp.sendcmd, "TYPE X")
assert ftp.acct("none").startswith("2")
assert ftp.quit().startswith("221")
print("all is well")
