"""More than one account: teams, public UDFs, private tokens that expire, secrets.

Columns are added, no table is made anew: SQLite would empty what refers to one that is dropped.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what is new."""
    op.create_index("ix_account_handle", "account", ["handle"], unique=True)
    op.add_column("account", sa.Column("team", sa.Text))
    op.add_column("private_token", sa.Column("expires", sa.BigInteger))
    for name in ("allow_public_read", "allow_public_list"):
        op.add_column("udf", sa.Column(name, sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("shared_token", sa.Column("public_read", sa.Boolean))
    op.add_column("shared_token", sa.Column("access_scope", sa.Text))
    op.create_table(
        "secret",
        sa.Column("account_id", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("updated", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("account_id", "key", name="pk_secret"),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_secret_account_id", ondelete="CASCADE"),
    )
