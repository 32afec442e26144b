"""Caps on the calls of a day, of accounts and of shared tokens."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what is new."""
    for table in ("account", "shared_token"):
        op.add_column(table, sa.Column("calls_per_day", sa.BigInteger))
