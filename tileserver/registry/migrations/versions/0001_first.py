"""The first schema."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make all tables."""
    op.create_table(
        "account",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("email", sa.Text, nullable=False),
        sa.Column("handle", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_account"),
        sa.UniqueConstraint("email", name="uq_account_email"),
    )
    op.create_table(
        "private_token",
        sa.Column("mac", sa.LargeBinary, nullable=False),
        _account(),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("mac", name="pk_private_token"),
        _to_account("private_token"),
    )
    op.create_table(
        "session",
        sa.Column("mac", sa.LargeBinary, nullable=False),
        _account(),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("expires", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("mac", name="pk_session"),
        _to_account("session"),
    )
    _udfs()
    _tokens()


def _account() -> "sa.Column[str]":
    return sa.Column("account_id", sa.Text, nullable=False)


def _to_account(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=f"fk_{table}_account_id", ondelete="CASCADE")


def _to_udf(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["udf_id"], ["udf.id"], name=f"fk_{table}_udf_id", ondelete="CASCADE")


def _udfs() -> None:
    op.create_table(
        "udf",
        sa.Column("id", sa.Text, nullable=False),
        _account(),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("file", sa.Text),
        sa.Column("present", sa.Boolean, nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("has_token", sa.Boolean, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("updated", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_udf"),
        sa.UniqueConstraint("account_id", "name", name="uq_udf_account_id"),
        _to_account("udf"),
    )
    op.create_table(
        "udf_version",
        sa.Column("udf_id", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("headers", sa.Text, nullable=False),
        sa.Column("record", sa.Text, nullable=False),
        sa.Column("facts", sa.Text),
        sa.Column("kind", sa.Text),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("udf_id", "digest", name="pk_udf_version"),
        _to_udf("udf_version"),
    )


def _tokens() -> None:
    op.create_table(
        "shared_token",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("mac", sa.LargeBinary, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("udf_id", sa.Text, nullable=False),
        _account(),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("cache", sa.Boolean, nullable=False),
        sa.Column("shared_cache", sa.Boolean, nullable=False),
        sa.Column("expose_errors", sa.Boolean, nullable=False),
        sa.Column("client_id", sa.Text),
        sa.Column("metadata_json", sa.Text),
        sa.Column("published", sa.Boolean, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("updated", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_shared_token"),
        sa.UniqueConstraint("mac", name="uq_shared_token_mac"),
        _to_udf("shared_token"),
        _to_account("shared_token"),
    )
    op.create_index("ix_shared_token_udf_id", "shared_token", ["udf_id"])
    op.create_index("ix_shared_token_account_id", "shared_token", ["account_id"])
    op.create_table(
        "purge",
        sa.Column("seq", sa.Integer, autoincrement=True, nullable=False),
        sa.Column("udf_id", sa.Text, nullable=False),
        *(sa.Column(name, sa.Integer, nullable=False) for name in ("min_zoom", "max_zoom")),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("min_x", "max_x", "min_y", "max_y", "created")),
        sa.PrimaryKeyConstraint("seq", name="pk_purge"),
        _to_udf("purge"),
    )
    op.create_index("ix_purge_udf_id", "purge", ["udf_id"])
