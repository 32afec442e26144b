"""The number of changes, which hosts that share a database look at."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """None until now."""
    key = sa.Column("id", sa.Integer, primary_key=True, autoincrement=False)
    op.create_table("change", key, sa.Column("number", sa.BigInteger, nullable=False))
    op.execute("INSERT INTO change (id, number) VALUES (1, 0)")
