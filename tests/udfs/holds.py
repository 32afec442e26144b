from pathlib import Path

from tileserver import udf


@udf(kind="document")
def holds():
    """The sockets among its descriptors, as the kernel names them."""
    links = [str(each.readlink()) for each in Path("/proc/self/fd").iterdir() if each.is_symlink()]
    return sorted(link for link in links if link.startswith("socket"))
