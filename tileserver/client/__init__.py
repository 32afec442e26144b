"""The SDK: a server's UDFs pushed, run and listed from Python, blocking or awaited. Knows the vocabulary only."""

from tileserver.client.awaited import AsyncClient
from tileserver.client.clients import Client
from tileserver.client.decoding import Answer, decode
from tileserver.client.outcomes import TilesFailedError
from tileserver.client.records import Token, Udf

__all__ = ["Answer", "AsyncClient", "Client", "TilesFailedError", "Token", "Udf", "decode"]
