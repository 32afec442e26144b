"""Clearings of areas: the epoch of each, polygons, and up to which epoch all of a UDF was cleared."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what is new. What was cleared until now was cleared whole."""
    op.add_column("udf", sa.Column("floor", sa.Integer, nullable=False, server_default="0"))
    op.execute("UPDATE udf SET floor = epoch")
    op.add_column("purge", sa.Column("epoch", sa.Integer, nullable=False, server_default="0"))
    op.add_column("purge", sa.Column("rings", sa.Text))
