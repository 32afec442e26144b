"""Where code is kept, for tests: a git repository as people make them, and an HTTPS server that plays GitHub."""

import asyncio
import contextlib
import datetime
import json
import os
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpcore2
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tileserver.codeproxy import Code, CodeProxy

GITHUB = "https://github.com/owner/udfs"
HILLS = "import utils\n@fused.udf\ndef udf(bbox: fused.types.TileGDF):\n    return utils.shade(bbox)\n"
SLOPES = "import numpy as np\nfrom tools import steep\n@fused.udf\ndef slopes(tile):\n    return steep(tile, np)\n"
PLAIN = "from tileserver import udf\n@udf\ndef plain(tile):\n    return 1\n"
META = {
    "version": "0.0.3",
    "job_config": {
        "name": None,
        "steps": [
            {
                "type": "udf",
                "udf": {
                    "type": "geopandas_v2",
                    "name": "hills",
                    "entrypoint": "udf",
                    "metadata": {"fused:udfType": "vector_tile"},
                    "source": "Hills.py",
                    "headers": [{"module_name": "utils", "source_file": "utils.py"}],
                },
            }
        ],
    },
}
FILES = {
    "public/hills/meta.json": json.dumps(META),
    "public/hills/Hills.py": HILLS,
    "public/hills/utils.py": "import unnamed\ndef shade(x): return x\n",
    "public/hills/unnamed.py": "",
    "public/hills/README.MD": "# Hills\n",
    "public/hills/other.py": PLAIN,
    "public/slopes/slopes.py": SLOPES,
    "public/slopes/tools.py": "import deeper, slopes\n",
    "public/slopes/deeper.py": "\ufeffx = 1\n",
    "public/slopes/beside.py": "",
    "layers/plain.py": PLAIN,
    "My layers/ça va.py": PLAIN.replace("@udf", "@udf(name='fine')"),
}
"""Three layouts: a folder with `meta.json`, a folder that is told by its name, a file."""


def git(folder: Path, *arguments: str) -> str:
    """What git says, without anybody's own settings."""
    environment = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    settings = ("user.name=A", "user.email=a@b", "init.defaultBranch=main", "protocol.file.allow=always")
    command = ["git", *(part for each in settings for part in ("-c", each)), *arguments]
    answer = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout.strip()


@dataclass
class Repository:
    """A clone."""

    path: Path

    @property
    def mirror(self) -> Path:
        """The folder that it is in as OWNER/NAME."""
        return self.path.parent.parent

    @classmethod
    def made(cls, path: Path) -> "Repository":
        """Branches main, feature/steep/er and v1/next, the annotated tag v1; each has changed `layers/plain.py`."""
        path.mkdir(parents=True)
        git(path, "init", "-q")
        made = cls(path)
        made.commit(FILES)
        git(path, "tag", "-a", "-m", "one", "v1")
        for branch in ("feature/steep/er", "v1/next"):
            git(path, "checkout", "-q", "-b", branch, "main")
            made.commit({"layers/plain.py": PLAIN.replace("return 1", f"return {branch!r}")})
        git(path, "checkout", "-q", "main")
        made.commit({"layers/plain.py": PLAIN.replace("return 1", "return 'main'")})
        return made

    def commit(self, files: dict[str, str | bytes]) -> str:
        """The id of a commit that changes these files."""
        for name, content in files.items():
            place = self.path / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content if isinstance(content, bytes) else content.encode())
        git(self.path, "add", "-A")
        git(self.path, "commit", "-q", "-m", "change")
        return git(self.path, "rev-parse", "HEAD")


def load(mirror: Path, url: str) -> Code:
    """The UDF at an address, from a proxy that has not seen it before."""
    return asyncio.run(CodeProxy(mirror).udf(url))


Answer = tuple[int, dict[str, str], bytes]


@dataclass
class Forge:
    """An HTTPS server that has certificates for several names; `files` are by host and path."""

    port: int
    authority: Path
    """The certificate that vouches for the server's."""
    files: dict[str, bytes | Answer | Callable[[Any], None]] = field(default_factory=dict)
    """A body; or status, headers and body; or what handles the request."""
    asked: list[str] = field(default_factory=list)

    @classmethod
    @contextlib.contextmanager
    def started(cls, folder: Path) -> Iterator["Forge"]:
        """A server that runs until the end of the block."""
        names = ("raw.githubusercontent.com", "code.example.org", "elsewhere.example.org")
        authority, chain = _certificates(folder, names)
        server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        forge = cls(server.server_port, authority)
        server.forge = forge  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield forge
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    def keep(self, base: str, files: dict[str, str]) -> None:
        """Have these files below an address without its scheme."""
        self.files |= {f"{base}/{name}": text.encode() for name, text in files.items()}

    @property
    def network(self) -> httpcore2.AsyncNetworkBackend:
        """A network in which every name is this server's."""
        return _Here(self.port)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 20

    def do_GET(self) -> None:
        forge: Forge = self.server.forge  # type: ignore[attr-defined]
        address = f"{self.headers['Host']}{self.path}"
        forge.asked.append(address)
        answer = forge.files.get(address, (404, {}, b"404: Not Found"))
        if callable(answer):
            answer(self)
            return
        status, headers, body = answer if isinstance(answer, tuple) else (200, {}, answer)
        self.send_response(status)
        for name, value in (headers | {"Content-Length": str(len(body))}).items():
            self.send_header(name, value)
        self.end_headers()
        with contextlib.suppress(OSError):  # who has read enough goes
            self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        pass


class _Here(httpcore2.AsyncNetworkBackend):
    def __init__(self, port: int) -> None:
        self._port = port

    async def connect_tcp(self, host: str, port: int, *arguments: Any, **more: Any) -> httpcore2.AsyncNetworkStream:
        assert port == 443
        return await httpcore2.AnyIOBackend().connect_tcp("127.0.0.1", self._port)


def _certificates(folder: Path, names: tuple[str, ...]) -> tuple[Path, Path]:
    """Files: of an authority its certificate; of a server with these names its key and certificate."""
    root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root_name = x509.Name.from_rfc4514_string("CN=authority of a test")
    usage = x509.KeyUsage(*[each in (0, 5, 6) for each in range(9)])
    root = _certificate(
        root_name, root_name, root_key, root_key, [(x509.BasicConstraints(True, 0), True), (usage, True)]
    )
    alternatives = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
    leaf = _certificate(x509.Name.from_rfc4514_string("CN=server"), root_name, key, root_key, [(alternatives, False)])
    authority, chain = folder / "authority.pem", folder / "server.pem"
    authority.write_bytes(root.public_bytes(serialization.Encoding.PEM))
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    chain.write_bytes(secret + leaf.public_bytes(serialization.Encoding.PEM))
    return authority, chain


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: Any, signer: Any, extensions: list[tuple[x509.ExtensionType, bool]]
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
    )
    identifiers: list[tuple[x509.ExtensionType, bool]] = [
        (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), False),
    ]
    for extension, critical in extensions + identifiers:
        builder = builder.add_extension(extension, critical)
    return builder.sign(signer, hashes.SHA256())
