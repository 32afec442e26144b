"""Collections: what may be chosen of them, and the token that opens all UDFs of one."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what is new."""
    op.create_table(
        "collection",
        sa.Column("account_id", sa.Text, nullable=False),
        sa.Column("mac", sa.LargeBinary),
        sa.Column("sealed", sa.LargeBinary),
        sa.Column("access_scope", sa.Text, nullable=False),
        sa.Column("passcode", sa.LargeBinary),
        sa.Column("updated", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("account_id", name="pk_collection"),
        sa.UniqueConstraint("mac", name="uq_collection_mac"),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_collection_account_id", ondelete="CASCADE"),
    )
