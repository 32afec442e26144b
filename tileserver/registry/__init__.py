"""The registry: accounts, UDFs and their versions, tokens, secrets. Knows nothing of HTTP, caches or workers."""

from pathlib import Path
from typing import Self

from sqlalchemy import select

from tileserver.errors import SetupError
from tileserver.registry.accounts import Accounts
from tileserver.registry.clearings import Clearings
from tileserver.registry.collections import Collections
from tileserver.registry.credentials import Credentials
from tileserver.registry.database import Database
from tileserver.registry.generation import Generation
from tileserver.registry.lookup import UNKNOWN_YET, Lookup
from tileserver.registry.postgres import PostgresDatabase
from tileserver.registry.publications import Publications
from tileserver.registry.records import (
    Account,
    Collection,
    Grant,
    Publication,
    SharedToken,
    Sharing,
    StoredUdf,
    TokenOptions,
)
from tileserver.registry.schema import collection, secret, shared_token
from tileserver.registry.secrets import Secrets
from tileserver.registry.shared_tokens import SharedTokens
from tileserver.registry.sharing import RESERVED_HANDLES
from tileserver.registry.sqlite import SqliteDatabase
from tileserver.tokens import Keyring

__all__ = [
    "RESERVED_HANDLES",
    "UNKNOWN_YET",
    "Account",
    "Collection",
    "Grant",
    "Publication",
    "Publications",
    "Registry",
    "Secrets",
    "SharedToken",
    "Sharing",
    "StoredUdf",
    "TokenOptions",
]


class Registry:
    """One database, by subject."""

    def __init__(self, database: Database, keyring: Keyring, generation: Generation) -> None:
        self._database, self._generation, self.keyring = database, generation, keyring
        self.accounts = Accounts(database)
        self.credentials = Credentials(database, keyring)
        self.secrets = Secrets(database, keyring, generation)
        self.publications = Publications(database, keyring)
        self.clearings = Clearings(database)
        self.shared_tokens = SharedTokens(database, keyring)
        self.collections = Collections(database, keyring, generation)
        self.lookup = Lookup(database, keyring, generation)

    @classmethod
    async def open(cls, folder: Path, keyring: Keyring, address: str = "") -> Self:
        """The registry in a data directory, or at an address, made or migrated as needed.

        Raises:
            SetupError: it cannot be used.
        """
        generation = _generation(folder / "registry.generation")
        try:
            database = _database(folder, address, generation)
            await database.open()
        except BaseException:
            generation.close()
            raise
        return cls(database, keyring, generation)

    async def look(self) -> None:
        """Announce what another host wrote, or a process that died behind its commit; see `Database.look`."""
        await self._database.look()

    async def check_key(self) -> None:
        """Raises SetupError where what is sealed here was sealed with another master key than this server's."""
        sealed = shared_token.c.sealed, secret.c.sealed, collection.c.sealed
        queries = [select(column).where(column.is_not(None)).limit(1) for column in sealed]
        async with self._database.read() as connection:
            found = [(await connection.execute(query)).scalar() for query in queries]
        if any(each is not None and not self.keyring.has_sealed(each) for each in found):
            raise SetupError(f"the registry {self.name} belongs to another master key; bring that back")

    @property
    def name(self) -> str:
        """What messages call it."""
        return self._database.name

    @property
    def generation_word(self) -> memoryview:
        """`generation` as the only item of a view that stays the same."""
        return self._generation.word

    @property
    def generation(self) -> int:
        """A number that changes whenever what `lookup` gives might."""
        return self._generation.value

    async def close(self) -> None:
        """Close the database."""
        await self._database.close()
        self._generation.close()


def _generation(place: Path) -> Generation:
    try:
        return Generation(place)
    except OSError as error:
        raise SetupError(f"the counter {place} cannot be used: {error}") from None


def _database(folder: Path, address: str, generation: Generation) -> Database:
    if address:
        return PostgresDatabase(address, generation)
    return SqliteDatabase(folder / "registry.sqlite", generation)
