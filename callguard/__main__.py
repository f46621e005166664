"""Where the program starts: `callguard` and `python -m callguard`."""

from callguard.cli import OWN_PROCESS, cli


def main() -> None:
    """Run the command line; never returns."""
    cli.main(prog_name="callguard", obj=OWN_PROCESS)


if __name__ == "__main__":
    main()
