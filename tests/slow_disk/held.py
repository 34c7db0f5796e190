"""A file system in memory whose operations can be held: MOUNTPOINT.

Standard input says what to hold ("hold read"), what to fail ("fail fsync ENOSPC") and when to go on ("free"). Standard
output tells each operation that is being held ("held read /f"), and "ready" once it is mounted.
"""

import errno
import os
import stat
import sys
import threading

try:
    from fuse import FUSE, FuseOSError, Operations
except ImportError:
    from fusepy import FUSE, FuseOSError, Operations

gate = threading.Condition()
held = set()
failing = {}
files = {}
directories = {"/": None}
times = {}
lock = threading.Lock()
# Whose mount point it is owns everything: the user as whom the server works.
owner = os.stat(sys.argv[1])


def say(text):
    with lock:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


def obey():
    for line in sys.stdin:
        words = line.split()
        with gate:
            if words[0] == "hold":
                held.add(words[1])
            elif words[0] == "fail":
                failing[words[1]] = getattr(errno, words[2])
            elif words[0] == "free":
                held.clear()
                failing.clear()
            gate.notify_all()
        say("done " + line.strip())


def pass_gate(operation, path):
    with gate:
        if operation in held:
            say("held %s %s" % (operation, path))
            while operation in held:
                gate.wait()
        if operation in failing:
            raise FuseOSError(failing[operation])


class Held(Operations):
    def init(self, path):
        say("ready")

    def getattr(self, path, fh=None):
        pass_gate("getattr", path)
        if path in directories:
            return self.facts(path, stat.S_IFDIR | 0o755, 2, 0)
        if path in files:
            return self.facts(path, stat.S_IFREG | 0o644, 1, len(files[path]))
        raise FuseOSError(errno.ENOENT)

    def facts(self, path, mode, links, size):
        return dict(st_mode=mode, st_nlink=links, st_size=size, st_mtime=times.get(path, 0),
                    st_uid=owner.st_uid, st_gid=owner.st_gid)

    def opendir(self, path):
        pass_gate("opendir", path)
        return 0

    def readdir(self, path, fh):
        pass_gate("readdir", path)
        names = [name for name in list(files) + list(directories) if name != "/" and os.path.dirname(name) == path]
        return [".", ".."] + [os.path.basename(name) for name in names]

    def open(self, path, flags):
        pass_gate("open", path)
        return 0

    def create(self, path, mode, fi=None):
        pass_gate("create", path)
        files[path] = b""
        return 0

    def read(self, path, size, offset, fh):
        pass_gate("read", path)
        return files[path][offset:offset + size]

    def write(self, path, data, offset, fh):
        pass_gate("write", path)
        old = files[path]
        files[path] = old[:offset].ljust(offset, b"\0") + data + old[offset + len(data):]
        return len(data)

    def truncate(self, path, length, fh=None):
        pass_gate("truncate", path)
        files[path] = files[path][:length].ljust(length, b"\0")

    def flush(self, path, fh):
        pass_gate("flush", path)
        return 0

    def fsync(self, path, datasync, fh):
        pass_gate("fsync", path)
        return 0

    def unlink(self, path):
        pass_gate("unlink", path)
        del files[path]

    def mkdir(self, path, mode):
        pass_gate("mkdir", path)
        directories[path] = None

    def rmdir(self, path):
        pass_gate("rmdir", path)
        del directories[path]

    def rename(self, old, new):
        pass_gate("rename", old)
        for tree in (files, directories):
            if old in tree:
                tree[new] = tree.pop(old)

    def link(self, new, old):
        pass_gate("link", old)
        if new in files or new in directories:
            raise FuseOSError(errno.EEXIST)
        files[new] = files[old]

    def chmod(self, path, mode):
        pass_gate("chmod", path)
        return 0

    def utimens(self, path, when=None):
        pass_gate("utimens", path)
        times[path] = when[1] if when else 0

    def statfs(self, path):
        pass_gate("statfs", path)
        return dict(f_bsize=4096, f_frsize=4096, f_blocks=1 << 20, f_bavail=1 << 20, f_bfree=1 << 20)


files["/f"] = bytes(range(256)) * 1200
files["/g"] = files["/f"]
threading.Thread(target=obey, daemon=True).start()
# Nothing is cached: every name is looked up and every octet is read again. Requests in parallel, as real ones do. Other
# users may use it, if root mounts it.
FUSE(Held(), sys.argv[1], foreground=True, direct_io=False, attr_timeout=0, entry_timeout=0, negative_timeout=0,
     kernel_cache=False, auto_cache=True, allow_other=os.geteuid() == 0)
