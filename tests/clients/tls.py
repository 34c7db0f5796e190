"""ftplib under TLS: HOST PORT 1.2|1.3 explicit|implicit reuse|new prefer|require ROOT SIZE..., where ROOT is what is served.

ftplib as it comes begins a new TLS session for each data connection; `reuse` resumes that of the control connection.
"""

import ftplib
import io
import os
import ssl
import sys

host, port, version, mode, session, wanted, root = sys.argv[1:8]
sizes = [int(size) for size in sys.argv[8:]]

context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE
exact = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}[version]
context.minimum_version = context.maximum_version = exact


class Client(ftplib.FTP_TLS):
    """What ftplib lacks: TLS from the first octet on, and sessions that are resumed."""

    _sock = None

    @property
    def sock(self):
        return self._sock

    @sock.setter
    def sock(self, value):
        if mode == "implicit" and value is not None and not isinstance(value, ssl.SSLSocket):
            value = self.context.wrap_socket(value)
        self._sock = value

    def ntransfercmd(self, cmd, rest=None):
        if session == "new":
            return super().ntransfercmd(cmd, rest)
        connection, size = ftplib.FTP.ntransfercmd(self, cmd, rest)
        if self._prot_p:
            connection = self.context.wrap_socket(connection, session=self.sock.session)
            assert connection.session_reused, cmd
        return connection, size


ftp = Client(context=context, timeout=30)
assert ftp.connect(host, int(port)).startswith("220")
ftp.login("u", "secret")
ftp.prot_p()
assert ftp.sock.version() == "TLSv" + version
ftp.cwd("up")

if session == "new" and wanted == "require":
    for call in (lambda: ftp.retrlines("LIST"), lambda: ftp.storbinary("STOR refused", io.BytesIO(b"x"))):
        try:
            call()
        except (OSError, EOFError):
            # The handshake is cut off; what the server has to say comes after.
            assert ftp.getmultiline().startswith("522")
        except ftplib.error_perm as error:
            assert str(error).startswith("522"), error
        else:
            raise AssertionError("a new session was accepted")
    assert not os.path.exists(os.path.join(root, "up/refused"))
    sizes = []

for size in sizes:
    content = os.urandom(size)
    name = "%d" % size
    assert ftp.storbinary("STOR " + name, io.BytesIO(content)).startswith("226")
    with open(os.path.join(root, "up", name), "rb") as file:
        assert file.read() == content, size
    got = io.BytesIO()
    assert ftp.retrbinary("RETR " + name, got.write).startswith("226")
    assert got.getvalue() == content, size
    assert name in ftp.nlst()
    assert name in dict(ftp.mlsd())

# In the clear where that is allowed, which it is not here.
try:
    ftp.prot_c()
    raise AssertionError("PROT C was accepted")
except ftplib.error_perm as error:
    assert str(error)[:3] in ("521", "534"), error
assert ftp.voidcmd("NOOP").startswith("200")
assert ftp.quit().startswith("221")
try:
    assert ftp.sock is None or ftp.sock.recv(1) == b""
except OSError:
    pass
print("all is well")
