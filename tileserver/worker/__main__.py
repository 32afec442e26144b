"""`python -m tileserver.worker FD`: a nursery that speaks over the control socket FD."""

import sys

from tileserver.worker.nursery import Nursery

if __name__ == "__main__":
    Nursery(int(sys.argv[1])).run()
