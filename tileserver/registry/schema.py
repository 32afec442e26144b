"""Tables. Portable types only; times are integer microseconds since 1970, UTC."""

import time

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    false,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

account = Table(
    "account",
    metadata,
    Column("id", Text, primary_key=True),
    Column("email", Text, nullable=False, unique=True),
    Column("handle", Text, nullable=False, unique=True, index=True),
    Column("name", Text, nullable=False),
    Column("team", Text),
    Column("calls_per_day", BigInteger),
    Column("created", BigInteger, nullable=False),
)

private_token = Table(
    "private_token",
    metadata,
    Column("mac", LargeBinary, primary_key=True),
    Column("account_id", Text, ForeignKey("account.id", ondelete="CASCADE"), nullable=False),
    Column("expires", BigInteger),
    Column("created", BigInteger, nullable=False),
)

session = Table(
    "session",
    metadata,
    Column("mac", LargeBinary, primary_key=True),
    Column("account_id", Text, ForeignKey("account.id", ondelete="CASCADE"), nullable=False),
    Column("purpose", Text, nullable=False),
    Column("expires", BigInteger, nullable=False),
)

udf = Table(
    "udf",
    metadata,
    Column("id", Text, primary_key=True),
    Column("account_id", Text, ForeignKey("account.id", ondelete="CASCADE"), nullable=False),
    Column("name", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("file", Text),
    Column("present", Boolean, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("floor", Integer, nullable=False, server_default="0"),
    Column("has_token", Boolean, nullable=False),
    Column("allow_public_read", Boolean, nullable=False, server_default=false()),
    Column("allow_public_list", Boolean, nullable=False, server_default=false()),
    Column("created", BigInteger, nullable=False),
    Column("updated", BigInteger, nullable=False),
    UniqueConstraint("account_id", "name"),
)

udf_version = Table(
    "udf_version",
    metadata,
    Column("udf_id", Text, ForeignKey("udf.id", ondelete="CASCADE"), primary_key=True),
    Column("digest", Text, primary_key=True),
    Column("code", Text, nullable=False),
    Column("headers", Text, nullable=False),
    Column("record", Text, nullable=False),
    Column("facts", Text),
    Column("kind", Text),
    Column("created", BigInteger, nullable=False),
)

shared_token = Table(
    "shared_token",
    metadata,
    Column("id", Text, primary_key=True),
    Column("mac", LargeBinary, nullable=False, unique=True),
    Column("sealed", LargeBinary, nullable=False),
    Column("udf_id", Text, ForeignKey("udf.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("account_id", Text, ForeignKey("account.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("enabled", Boolean, nullable=False),
    Column("cache", Boolean, nullable=False),
    Column("shared_cache", Boolean, nullable=False),
    Column("expose_errors", Boolean, nullable=False),
    Column("client_id", Text),
    Column("public_read", Boolean),
    Column("access_scope", Text),
    Column("metadata_json", Text),
    Column("calls_per_day", BigInteger),
    Column("published", Boolean, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("updated", BigInteger, nullable=False),
)

secret = Table(
    "secret",
    metadata,
    Column("account_id", Text, ForeignKey("account.id", ondelete="CASCADE"), primary_key=True),
    Column("key", Text, primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
    Column("updated", BigInteger, nullable=False),
)

collection = Table(
    "collection",
    metadata,
    Column("account_id", Text, ForeignKey("account.id", ondelete="CASCADE"), primary_key=True),
    Column("mac", LargeBinary, unique=True),
    Column("sealed", LargeBinary),
    Column("access_scope", Text, nullable=False),
    Column("passcode", LargeBinary),
    Column("updated", BigInteger, nullable=False),
)

purge = Table(
    "purge",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("udf_id", Text, ForeignKey("udf.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("epoch", Integer, nullable=False, server_default="0"),
    Column("min_zoom", Integer, nullable=False),
    Column("max_zoom", Integer, nullable=False),
    Column("min_x", BigInteger, nullable=False),
    Column("max_x", BigInteger, nullable=False),
    Column("min_y", BigInteger, nullable=False),
    Column("max_y", BigInteger, nullable=False),
    Column("rings", Text),
    Column("arguments", Text, nullable=False, server_default=""),
    Column("created", BigInteger, nullable=False),
)


change = Table(
    "change",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),  # which replication tells rows by
    Column("number", BigInteger, nullable=False),
)
"""One row: the number of changes, where many hosts write."""


def now() -> int:
    """Microseconds since 1970."""
    return time.time_ns() // 1000
