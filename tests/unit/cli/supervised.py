"""Children under a supervisor: the first says what it finds and waits; the others do what the argument says.

python supervised.py wait | exit | refuse
"""

import json
import os
import signal
import sys
import threading

from tileserver.cli.supervisor import supervise

parent = os.getpid()
part = supervise(2)
if sys.argv[1] == "refuse":
    sys.exit(3)
if not part.first and not part.follows and sys.argv[1] == "exit":
    sys.exit(4)
usual = [signal.getsignal(number) == signal.SIG_DFL for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)]
facts = {
    "pid": os.getpid(),
    "first": part.first,
    "follows": part.follows,
    "usual": usual,
    "blocked": len(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
    "own session": os.getsid(0) == os.getpid(),
    "threads": threading.active_count(),
}
print(json.dumps(facts), flush=True)
if part.first:
    part.started()
while os.getppid() == parent:
    signal.pause()
