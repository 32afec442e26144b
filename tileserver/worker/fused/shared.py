"""`fused.utils`, later named `fused.public`: public UDFs by name, for what their modules have."""

from tileserver.errors import CallError
from tileserver.worker.fused.loaded import Loaded, load


class Utils:
    """`fused.utils.common` is the account's own UDF `common`, else the public one."""

    def __getattr__(self, name: str) -> Loaded:
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            return load(name)
        except CallError as error:
            if error.cause != "not_found":
                raise
        return load(f"public/{name}")


utils = public = Utils()
