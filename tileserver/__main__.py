"""`python -m tileserver` and the `tileserver` command."""

import sys


def main() -> None:
    """Run the command line."""
    try:
        from tileserver.cli import run

        run()
    except KeyboardInterrupt:  # while it imports
        sys.exit(130)


if __name__ == "__main__":
    main()
