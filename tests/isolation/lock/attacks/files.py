"""
Files and folders.
"""

from __future__ import annotations

import ctypes
import os
import socket
import stat
import struct

from revproxy.isolation.lock.kernel import call
from tests.isolation.lock.attacks.attack import World, attack

_HERE = -100


@attack()
def readFile(world: World) -> None:
    """A file of the machine."""
    os.close(os.open("/etc/passwd", os.O_RDONLY))


@attack()
def readSecret(world: World) -> None:
    """A file of its own user."""
    world.secret.read_bytes()


@attack()
def readTheNewerWay(world: World) -> None:
    """openat2, which filters have forgotten before."""
    call("openat2", _HERE, b"/etc/passwd", struct.pack("=3Q", 0, 0, 0), 24)


@attack()
def readInherited(world: World) -> None:
    """What the edge had open when it forked."""
    os.pread(world.inherited, 64, 0)


@attack()
def reopenDescriptor(world: World) -> None:
    """By its name in /proc, with other rights."""
    os.close(os.open("/proc/self/fd/0", os.O_RDWR))


@attack()
def readOwnProgram(world: World) -> None:
    """Where things are in memory, and what is loaded."""
    os.close(os.open("/proc/self/maps", os.O_RDONLY))


@attack()
def lookAtFile(world: World) -> None:
    """Whether it is there, and how long."""
    os.stat("/etc/passwd")


@attack()
def lookTheNewerWay(world: World) -> None:
    """statx."""
    call("statx", _HERE, b"/etc/passwd", 0, 0x7FF, ctypes.create_string_buffer(256))


@attack()
def askForAccess(world: World) -> None:
    """Whether it might."""
    call("faccessat", _HERE, b"/etc/passwd", os.R_OK)


@attack()
def listFolder(world: World) -> None:
    """What there is."""
    assert os.listdir(world.folder), "nothing is seen"


@attack()
def readLink(world: World) -> None:
    """Which program it is."""
    os.readlink("/proc/self/exe")


@attack()
def askWhereItIs(world: World) -> None:
    """The folder that it was started in."""
    os.getcwd()


@attack()
def changeFolder(world: World) -> None:
    """So that names are shorter."""
    os.chdir(world.folder)


@attack(deadly=True)
def changeRoot(world: World) -> None:
    """The first step out of a chroot."""
    os.chroot(world.folder)


@attack()
def createFile(world: World) -> None:
    """Where there was none."""
    os.close(os.open(world.folder / "new", os.O_CREAT | os.O_WRONLY))


@attack()
def overwriteSecret(world: World) -> None:
    """With what it likes."""
    world.secret.write_bytes(b"overwritten")


@attack()
def truncateSecret(world: World) -> None:
    """By its name."""
    os.truncate(world.secret, 0)


@attack()
def removeFile(world: World) -> None:
    """For good."""
    os.unlink(world.doomed)


@attack()
def renameFile(world: World) -> None:
    """Out of the way."""
    os.rename(world.doomed, world.folder / "renamed")


@attack()
def openToAll(world: World) -> None:
    """So that others may read it."""
    os.chmod(world.secret, 0o777)


@attack()
def giveAway(world: World) -> None:
    """To another user."""
    os.chown(world.secret, 12345, 12345)


@attack()
def makeLink(world: World) -> None:
    """Hard."""
    os.link(world.secret, world.folder / "linked")


@attack()
def makeSymbolicLink(world: World) -> None:
    """Soft."""
    os.symlink("/etc/passwd", world.folder / "pointing")


@attack()
def makeFolder(world: World) -> None:
    """A new one."""
    os.mkdir(world.folder / "made")


@attack()
def makePipe(world: World) -> None:
    """With a name."""
    os.mkfifo(world.folder / "pipe")


@attack()
def makeSocket(world: World) -> None:
    """With a name, by bind."""
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(world.folder / "bound"))


@attack()
def makeDevice(world: World) -> None:
    """The disk itself."""
    os.mknod(world.folder / "disk", 0o600 | stat.S_IFBLK, os.makedev(8, 0))


@attack()
def changeTimes(world: World) -> None:
    """So that nobody sees what was changed."""
    os.utime(world.secret, (0, 0))


@attack()
def setAttribute(world: World) -> None:
    """An extended one."""
    os.setxattr(world.secret, "trusted.x", b"x")


@attack()
def watchFiles(world: World) -> None:
    """What others do there."""
    fd = call("inotify_init1", 0)
    call("inotify_add_watch", fd, os.fsencode(world.folder), 0xFFF)


@attack(deadly=True)
def watchMachine(world: World) -> None:
    """What anybody does anywhere."""
    call("fanotify_init", 0, 0)


@attack(deadly=True)
def nameByHandle(world: World) -> None:
    """A way to open files that no path leads to."""
    handle = ctypes.create_string_buffer(struct.pack("=Ii", 128, 0), 8 + 128)
    call("name_to_handle_at", _HERE, os.fsencode(world.secret), handle, ctypes.byref(ctypes.c_int()), 0)


@attack(deadly=True, unproven="would change the machine")
def mountOver(world: World) -> None:
    """A file system of its own making."""
    call("mount", b"tmpfs", os.fsencode(world.folder), b"tmpfs", 0, None)


@attack(deadly=True)
def openFileSystem(world: World) -> None:
    """The newer way to mount."""
    call("fsopen", b"tmpfs", 0)


@attack(deadly=True)
def cloneTree(world: World) -> None:
    """A copy of what is mounted, with no name."""
    call("open_tree", _HERE, b"/", 1)


@attack(deadly=True, unproven="would leave the machine without its files")
def pivot(world: World) -> None:
    """Another root folder."""
    call("pivot_root", b".", b".")


@attack()
def syncDisks(world: World) -> None:
    """Makes everybody wait."""
    call("sync")
