"""`command.py ADDRESS ARGUMENTS...`: has the server run a command, and ends as it ends.

Started without site-packages, so that it takes a few milliseconds. Signals go to the command.
"""

import array
import json
import os
import signal
import socket
import sys

FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main() -> int:
    address, *arguments = sys.argv[1:]
    order = {"arguments": arguments, "folder": os.getcwd(), "environment": dict(os.environ)}
    data = json.dumps(order).encode("ascii")
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(address)
        streams = array.array("i", [0, 1, 2]).tobytes()
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, streams)]
        server.sendmsg([len(data).to_bytes(8, "big")], ancillary)
        server.sendall(data)
        answers = server.makefile("rb")
        pid = int(answers.readline())
        for number in FORWARDED:
            signal.signal(number, lambda received, _: os.kill(pid, received))
        return int(answers.readline())


if __name__ == "__main__":
    code = main()
    if code < 0:  # it was killed by a signal, and so are we
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    sys.exit(code)
