"""Clearings of what was made with some arguments."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add their digest. What was cleared until now was cleared whatever they were."""
    op.add_column("purge", sa.Column("arguments", sa.Text, nullable=False, server_default=""))
