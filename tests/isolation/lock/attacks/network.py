"""
Sockets.
"""

from __future__ import annotations

import array
import os
import socket

from revproxy.isolation.lock.kernel import call
from tests.isolation.lock.attacks.attack import World, attack

_F_SETOWN, _FIOASYNC = 8, 0x5452


@attack()
def sendDatagram(world: World) -> None:
    """To whoever listens."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.sendto(b"stolen", ("127.0.0.1", world.udpPort))


@attack()
def connectOut(world: World) -> None:
    """By TCP."""
    with socket.socket() as made:
        made.connect(("127.0.0.1", world.tcpPort))


@attack()
def listenForOthers(world: World) -> None:
    """A back door."""
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        made.listen(1)


@attack()
def connectInside(world: World) -> None:
    """A Unix socket with a name: databases, Docker."""
    with socket.socket(socket.AF_UNIX) as made:
        made.connect(str(world.folder / "socket"))


@attack()
def connectAbstract(world: World) -> None:
    """A Unix socket without a file: D-Bus, containerd."""
    with socket.socket(socket.AF_UNIX) as made:
        made.connect("\0" + world.abstract)


@attack()
def talkToKernel(world: World) -> None:
    """Netlink."""
    socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0).close()


@attack()
def listenToWire(world: World) -> None:
    """Every packet."""
    socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close()


@attack()
def forgePackets(world: World) -> None:
    """A raw socket."""
    socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).close()


@attack()
def makePair(world: World) -> None:
    """Two sockets of its own: kernel memory, and a way to lose descriptors in."""
    for made in socket.socketpair():
        made.close()


def _datagramSocket(world: World) -> int:
    return socket.socket(socket.AF_INET, socket.SOCK_DGRAM).detach()


@attack(prepare=_datagramSocket, keep=True)
def sendElsewhere(world: World, fd: int) -> None:
    """By a socket that was left open, to an address of its choice."""
    address = socket.inet_aton("127.0.0.1")
    name = (2).to_bytes(2, "little") + world.udpPort.to_bytes(2, "big") + address + bytes(8)
    call("sendto", fd, b"stolen", 6, 0, name, len(name))


@attack(prepare=_datagramSocket, keep=True)
def sendMany(world: World, fd: int) -> None:
    """sendmmsg, which filters have forgotten before: nothing at all, but asked for."""
    call("sendmmsg", fd, None, 0, 0)


@attack(prepare=_datagramSocket, keep=True)
def connectInherited(world: World, fd: int) -> None:
    """A socket that was left open, to another place."""
    address = socket.inet_aton("127.0.0.1")
    name = (2).to_bytes(2, "little") + world.udpPort.to_bytes(2, "big") + address + bytes(8)
    call("connect", fd, name, len(name))


@attack()
def passDescriptor(world: World) -> None:
    """Hands one to the edge, which would have to close it."""
    with socket.socket(fileno=world.stream) as stream:
        stream.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0]))])


def _sentDescriptor(world: World) -> int:
    one, other = socket.socketpair()
    fd = os.open(world.secret, os.O_RDONLY)
    one.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))])
    return other.detach()


@attack(prepare=_sentDescriptor, keep=True)
def takeDescriptor(world: World, fd: int) -> None:
    """One that was sent by mistake."""
    with socket.socket(fileno=fd) as stream:
        stream.recvmsg(1, socket.CMSG_SPACE(4))


@attack()
def changeStream(world: World) -> None:
    """More kernel memory for it."""
    with socket.socket(fileno=world.stream) as stream:
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)


@attack()
def signalByStream(world: World) -> None:
    """Has the kernel signal its parent whenever bytes come."""
    call("fcntl", world.stream, _F_SETOWN, world.parent)


@attack()
def signalItselfByStream(world: World) -> None:
    """The same, by ioctl."""
    call("ioctl", world.stream, _FIOASYNC, (1).to_bytes(4, "little"))


@attack()
def holdParent(world: World) -> None:
    """A descriptor of the process at the other end (SO_PEERPIDFD), by which it could be signalled."""
    call("getsockopt", world.stream, socket.SOL_SOCKET, 77, bytes(4), (4).to_bytes(4, "little"))


@attack()
def askForParent(world: World) -> None:
    """Who is at the other end."""
    call("getsockopt", world.stream, socket.SOL_SOCKET, socket.SO_PEERCRED, bytes(12), (12).to_bytes(4, "little"))


@attack()
def doubleStream(world: World) -> None:
    """So that its end is not seen."""
    os.dup(world.stream)
