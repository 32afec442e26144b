"""`python -m tileserver` and the `tileserver` command."""


def main() -> None:
    """Run the command line."""
    from tileserver.cli import run

    run()


if __name__ == "__main__":
    main()
