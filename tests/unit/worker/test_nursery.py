"""The nursery's own end: it goes quietly with its server."""

import select
import socket
import subprocess
import sys


def test_a_server_that_goes_without_having_read_everything() -> None:
    """A reset instead of an end of file: the nursery ends all the same, and says nothing."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    command = (sys.executable, "-m", "tileserver.worker", str(theirs.fileno()))
    with subprocess.Popen(command, pass_fds=[theirs.fileno()], stderr=subprocess.PIPE) as nursery:
        theirs.close()
        assert select.select([ours], [], [], 60)[0], "it says hello"
        ours.close()
        _, error = nursery.communicate(timeout=60)
    assert (nursery.returncode, error) == (0, b"")
