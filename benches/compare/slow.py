"""A file system in memory that takes 200 ms for each read and each write: MOUNTPOINT.

Nothing of it stays in the page cache when a file is opened again. Requests of several clients are served in parallel.
"""

import errno
import stat
import sys
import time

try:
    from fuse import FUSE, FuseOSError, Operations
except ImportError:
    from fusepy import FUSE, FuseOSError, Operations

SECONDS = 0.2

files = {"/file": bytes(512 << 10)}


class Slow(Operations):
    def getattr(self, path, fh=None):
        if path == "/":
            return dict(st_mode=stat.S_IFDIR | 0o777, st_nlink=2)
        if path in files:
            return dict(st_mode=stat.S_IFREG | 0o666, st_nlink=1, st_size=len(files[path]))
        raise FuseOSError(errno.ENOENT)

    def readdir(self, path, fh):
        return [".", ".."] + [name[1:] for name in files]

    def create(self, path, mode, fi=None):
        files[path] = b""
        return 0

    def read(self, path, size, offset, fh):
        time.sleep(SECONDS)
        return files[path][offset:offset + size]

    def write(self, path, data, offset, fh):
        time.sleep(SECONDS)
        # What was written is not kept, so that this stays cheap.
        files[path] = bytes(max(len(files[path]), offset + len(data)))
        return len(data)

    def truncate(self, path, length, fh=None):
        files[path] = bytes(length)

    def unlink(self, path):
        files.pop(path, None)

    def utimens(self, path, when=None):
        return 0

    def chmod(self, path, mode):
        return 0

    def chown(self, path, uid, gid):
        return 0


FUSE(Slow(), sys.argv[1], foreground=True, allow_other=True, big_writes=True, fsname="slow")
