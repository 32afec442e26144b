import os
from pathlib import Path

from tileserver import udf


@udf(kind="document")
def litters(run: int = 0, files: int = 120_000, deep: int = 1):
    """Writes many tiny files into its scratch folder, and leaves them there."""
    for number in range(deep):
        Path(str(number)).mkdir()
    for number in range(files):
        os.close(os.open(f"{number % deep}/{number}", os.O_WRONLY | os.O_CREAT))
    print("all written", flush=True)
    while files > 100_000:  # it is looked at now and then
        pass
    return {"files": files}
